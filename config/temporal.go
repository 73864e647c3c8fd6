package config

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"go.temporal.io/sdk/contrib/envconfig"
)

// Variables that say which file of Temporal's own tools is read, and which profile of it.
const (
	temporalFile    = "TEMPORAL_CONFIG_FILE"
	temporalProfile = "TEMPORAL_PROFILE"
)

// Variables of Temporal's own tools that say yes or no.
const (
	temporalTLS      = "TEMPORAL_TLS"
	temporalNoVerify = "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"
)

// temporalVariables are the variables of Temporal's own tools, by the setting that each stands for.
var temporalVariables = map[string]string{
	"temporal.address":              "TEMPORAL_ADDRESS",
	"temporal.namespace":            "TEMPORAL_NAMESPACE",
	"temporal.api_key":              "TEMPORAL_API_KEY",
	"temporal.tls.enabled":          temporalTLS,
	"temporal.tls.server_name":      "TEMPORAL_TLS_SERVER_NAME",
	"temporal.tls.ca":               "TEMPORAL_TLS_SERVER_CA_CERT_DATA",
	"temporal.tls.ca_file":          "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
	"temporal.tls.certificate":      "TEMPORAL_TLS_CLIENT_CERT_DATA",
	"temporal.tls.certificate_file": "TEMPORAL_TLS_CLIENT_CERT_PATH",
	"temporal.tls.key":              "TEMPORAL_TLS_CLIENT_KEY_DATA",
	"temporal.tls.key_file":         "TEMPORAL_TLS_CLIENT_KEY_PATH",
	"temporal.tls.verify":           temporalNoVerify,
}

// temporal reads what Temporal's own tools read: their variables, and a profile of their file. The file that they look
// for by themselves is left alone unless one of its variables is set: where a service connects to must not hang on whose
// home it was started in.
func (src Source) temporal() (layer, error) {
	env := lookup(src.Environ)
	path, pathNamed := env.LookupEnv(temporalFile)
	profile, profileNamed := env.LookupEnv(temporalProfile)
	if pathNamed {
		if _, err := os.Stat(path); err != nil {
			return layer{}, fmt.Errorf("read the configuration file that %s names: %w", temporalFile, err)
		}
	} else if path = envconfig.DefaultConfigFilePath(); path == "" {
		path = "temporal.toml"
	}
	if !profileNamed {
		profile = envconfig.DefaultConfigFileProfile
	}
	found, err := envconfig.LoadClientConfigProfile(envconfig.LoadClientConfigProfileOptions{
		DisableFile: !pathNamed && !profileNamed, EnvLookup: env,
	})
	if err != nil {
		return layer{}, fmt.Errorf("read profile %q of Temporal's configuration file %s: %w", profile, path, withoutValues(err))
	}
	values := koanf.New(".")
	if err := values.Load(confmap.Provider(temporalValues(found, env), "."), nil); err != nil {
		return layer{}, fmt.Errorf("take over Temporal's own settings: %w", err)
	}
	return layer{values, func(key string) string {
		if variable := temporalVariables[key]; env[variable] != "" {
			return variable
		}
		return fmt.Sprintf("profile %q of %s", profile, path)
	}}, nil
}

// temporalValues gives the settings that a profile sets.
func temporalValues(p envconfig.ClientConfigProfile, env environment) map[string]any {
	var t envconfig.ClientConfigTLS
	encrypted := ""
	if p.TLS != nil {
		t, encrypted = *p.TLS, strconv.FormatBool(!p.TLS.Disabled)
	}
	verify := ""
	if t.DisableHostVerification {
		verify = "false"
	}
	// Temporal's tools ignore what is neither yes nor no: it is refused here, as every value that cannot be read.
	if v, ok := env.LookupEnv(temporalTLS); ok {
		encrypted = v
	}
	if v, ok := env.LookupEnv(temporalNoVerify); ok {
		verify = v
		if no, err := strconv.ParseBool(v); err == nil {
			verify = strconv.FormatBool(!no)
		}
	}
	values := map[string]any{}
	for key, v := range map[string]string{
		"temporal.address":              p.Address,
		"temporal.namespace":            p.Namespace,
		"temporal.api_key":              p.APIKey,
		"temporal.tls.enabled":          encrypted,
		"temporal.tls.server_name":      t.ServerName,
		"temporal.tls.ca":               string(t.ServerCACertData),
		"temporal.tls.ca_file":          t.ServerCACertPath,
		"temporal.tls.certificate":      string(t.ClientCertData),
		"temporal.tls.certificate_file": t.ClientCertPath,
		"temporal.tls.key":              string(t.ClientKeyData),
		"temporal.tls.key_file":         t.ClientKeyPath,
		"temporal.tls.verify":           verify,
	} {
		if v != "" {
			values[key] = v
		}
	}
	return values
}

// withoutValues leaves only the place of an error in a file that is no TOML: its text quotes what stands there, which may
// be a secret.
func withoutValues(err error) error {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("line %d is not right TOML", parse.Position.Line)
	}
	return err
}

// environment looks variables up. An empty one counts as not set.
type environment map[string]string

func lookup(environ []string) environment {
	all := environment{}
	for _, v := range environ {
		if name, value, ok := strings.Cut(v, "="); ok && value != "" {
			all[name] = value
		}
	}
	return all
}

// Environ gives the variables as os.Environ does.
func (e environment) Environ() []string {
	all := make([]string, 0, len(e))
	for name, value := range e {
		all = append(all, name+"="+value)
	}
	return all
}

// LookupEnv gives a variable as os.LookupEnv does.
func (e environment) LookupEnv(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}
