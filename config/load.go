package config

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Need says which parts of the configuration a command works with: only those are demanded.
type Need uint8

// The parts. Combine them with |.
const (
	NeedDatabase  Need = 1 << iota // database.url
	NeedMasterKey                  // master_key
)

// Source is where Load reads from.
type Source struct {
	File    string         // a YAML file; empty: the one ASSETFLOW_CONFIG names, if any
	Environ []string       // "NAME=value", as os.Environ gives them
	Flags   *pflag.FlagSet // may be nil; flags made by AddFlags that were given count
}

// layer is one source of values: the file, the environment or the command line.
type layer struct {
	values *koanf.Koanf
	origin func(key string) string // how this source names a key
}

// Load reads and checks the settings. Everything that is wrong is reported at once, in one *Error; other errors are
// about a configuration file that cannot be read.
func Load(src Source, needs Need) (Config, error) {
	layers, err := src.layers()
	if err != nil {
		return Config{}, err
	}
	var (
		problems Error
		merged   = koanf.New(".")
		origins  = map[string]string{}
	)
	for _, l := range layers {
		l.resolve(origins, &problems)
		if err := merged.Merge(l.values); err != nil {
			return Config{}, fmt.Errorf("merge the configuration: %w", err)
		}
	}
	c := Config{}
	for _, s := range settings {
		if p := c.apply(s, merged, origins[s.key], needs); p != nil {
			problems.add(*p)
		}
	}
	c.checkTogether(&problems, origins)
	if len(problems.Problems) > 0 {
		return Config{}, &problems
	}
	return c, nil
}

// layers reads the sources, the weakest first.
func (src Source) layers() ([]layer, error) {
	defaults := map[string]any{}
	for _, s := range settings {
		defaults[s.key] = s.def
	}
	base := koanf.New(".")
	if err := base.Load(confmap.Provider(defaults, "."), nil); err != nil {
		return nil, fmt.Errorf("load the defaults: %w", err)
	}
	layers := []layer{{base, func(string) string { return originDefault }}}

	temporal, err := src.temporal()
	if err != nil {
		return nil, err
	}
	otel, err := src.openTelemetry()
	if err != nil {
		return nil, err
	}
	layers = append(layers, temporal, otel)

	if path := src.path(); path != "" {
		k := koanf.New(".")
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				return nil, fmt.Errorf("read the configuration file: %w", err)
			}
			return nil, fmt.Errorf("read the configuration file %s: %w", path, err)
		}
		layers = append(layers, layer{k, func(string) string { return path }})
	}

	variables := koanf.New(".")
	byName := map[string]string{}
	for key := range names() {
		byName[envName(key)] = key
	}
	if err := variables.Load(env.Provider(".", env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return src.Environ },
		// Names that are not ours are left alone: the command line has its own, and Kubernetes invents some with
		// our prefix for every service called assetflow.
		// An empty variable counts as not set, as a compose file passes one that the user left out.
		TransformFunc: func(name, value string) (string, any) {
			if value == "" {
				return "", nil
			}
			return byName[name], value
		},
	}), nil); err != nil {
		return nil, fmt.Errorf("read the environment: %w", err)
	}
	layers = append(layers, layer{variables, envName})

	if src.Flags != nil {
		byFlag := map[string]string{}
		for key := range names() {
			byFlag[flagName(key)] = key
		}
		flags := koanf.New(".")
		if err := flags.Load(posflag.ProviderWithFlag(src.Flags, ".", nil, func(f *pflag.Flag) (string, any) {
			if !f.Changed {
				return "", nil
			}
			return byFlag[f.Name], f.Value.String()
		}), nil); err != nil {
			return nil, fmt.Errorf("read the flags: %w", err)
		}
		layers = append(layers, layer{flags, func(key string) string { return "--" + flagName(key) }})
	}
	return layers, nil
}

// path gives the configuration file's path: the flag's, else the environment's.
func (src Source) path() string {
	if src.File != "" {
		return src.File
	}
	for _, v := range src.Environ {
		if path, ok := strings.CutPrefix(v, EnvPrefix+"CONFIG="); ok {
			return path
		}
	}
	return ""
}

// names gives every key a source may have: the settings and the names of the files that they can be read from.
func names() map[string]*setting {
	all := map[string]*setting{}
	for i, s := range settings {
		all[s.key] = &settings[i]
		if s.fromFile() {
			all[s.key+fileSuffix] = &settings[i]
		}
	}
	return all
}

// resolve replaces every "<secret>_file" by the file's content, takes out what is not a setting and notes in origins
// where each value comes from.
func (l layer) resolve(origins map[string]string, problems *Error) {
	known := names()
	for _, key := range slices.Sorted(maps.Keys(l.values.All())) {
		value := l.values.Get(key)
		s, ok := known[key]
		switch {
		case value == nil && (ok || isSection(key)): // "http:" with nothing behind it
			l.values.Delete(key)
		case !ok:
			l.values.Delete(key)
			problems.add(Problem{Key: key, Origin: l.origin(key), Want: "a key that exists" + nearest(key), unknown: true})
		case key == s.key:
			origins[key] = l.origin(key)
		default:
			l.values.Delete(key)
			if p := l.readFile(s.key, key, fmt.Sprint(value)); p != nil {
				problems.add(*p)
				continue
			}
			origins[s.key] = l.origin(key)
		}
	}
}

// readFile sets key to the content of the file that fileKey names.
func (l layer) readFile(key, fileKey, path string) *Problem {
	bad := &Problem{Key: fileKey, Value: path, Origin: l.origin(fileKey)}
	if l.values.Exists(key) {
		bad.Want = fmt.Sprintf("one of %s and %s, not both", key, fileKey)
		return bad
	}
	content, err := os.ReadFile(path) //nolint:gosec // the configuration names it
	if err != nil {
		bad.Want = "a file that can be read"
		bad.cause = err
		return bad
	}
	if err := l.values.Set(key, strings.TrimSpace(string(content))); err != nil {
		bad.cause = err
		return bad
	}
	return nil
}

func isSection(key string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool { return strings.HasPrefix(s.key, key+".") })
}

// apply sets one setting of c from the merged values.
func (c *Config) apply(s setting, merged *koanf.Koanf, origin string, needs Need) *Problem {
	raw := merged.Get(s.key)
	if elements, ok := raw.([]any); ok && s.list {
		texts := make([]string, 0, len(elements))
		for _, e := range elements {
			texts = append(texts, fmt.Sprint(e))
		}
		raw = strings.Join(texts, ",")
	}
	if s.tree {
		switch raw.(type) {
		case []any, map[string]any:
			text, err := json.Marshal(raw)
			if err != nil { // a map with keys that are no texts
				return &Problem{Key: s.key, Origin: origin, Want: s.want, hint: s.hint}
			}
			raw = string(text)
		}
	}
	value := fmt.Sprint(raw)
	bad := &Problem{Key: s.key, Value: value, Origin: origin, Want: s.want, hint: s.hint}
	if s.redact != nil {
		bad.Value = s.redact(value)
	}
	if value == "" && s.def == "" {
		if s.need&needs != 0 {
			bad.Origin, bad.missing = "", true
			return bad
		}
		c.settings = append(c.settings, Setting{Key: s.key, Origin: originDefault})
		return nil
	}
	switch raw.(type) {
	case []any, map[string]any:
		return bad
	}
	if err := s.set(c, value); err != nil {
		return bad
	}
	c.settings = append(c.settings, Setting{Key: s.key, Value: s.show(c), Origin: origin})
	return nil
}

// checkTogether checks what no setting can check by itself.
func (c *Config) checkTogether(problems *Error, origins map[string]string) {
	if w := c.Worker; (w.DeploymentName == "") != (w.BuildID == "") {
		given, other, value := "worker.deployment_name", "worker.build_id", w.DeploymentName
		if value == "" {
			given, other, value = other, given, w.BuildID
		}
		problems.add(Problem{Key: given, Value: value, Origin: origins[given], Want: other + " set as well, or neither"})
	}
	for _, pair := range []struct{ first, second, firstValue, secondValue string }{
		{"s3.access_key", "s3.secret_key", string(c.S3.AccessKey), string(c.S3.SecretKey)},
		{"temporal.tls.certificate", "temporal.tls.key", c.Temporal.TLS.Certificate, string(c.Temporal.TLS.Key)},
	} {
		given, other := pair.first, pair.second
		if pair.firstValue == "" {
			given, other = other, given
		}
		if (pair.firstValue == "") != (pair.secondValue == "") {
			problems.add(Problem{Key: given, Value: redacted, Origin: origins[given], Want: other + " set as well, or neither"})
		}
	}
	if t := c.Temporal.TLS; t.Certificate != "" && t.Key != "" && certificates(t.Certificate) != nil && privateKey(string(t.Key)) == nil {
		if _, err := tls.X509KeyPair([]byte(t.Certificate), []byte(t.Key)); err != nil {
			problems.add(Problem{
				Key: "temporal.tls.key", Value: redacted, Origin: origins["temporal.tls.key"], Want: "the private key of the first certificate of temporal.tls.certificate",
			})
		}
	}
}

const originDefault = "default"
