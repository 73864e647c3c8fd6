package assetpackage

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

//go:embed schema.json
var schemaJSON []byte

const schemaID = "urn:assetflow:asset-package:v1"

// settingKeyRule says in words what the pattern of the settings' keys says.
const settingKeyRule = "1 to 64 letters (a-z, A-Z), digits, dots, hyphens or underscores"

// Schema returns the JSON Schema (draft 2020-12) of manifest.json. It describes every manifest that is allowed, and
// some that are not: names, references, paths and secrets are checked by Open beyond it.
func Schema() []byte { return bytes.Clone(schemaJSON) }

// schemas are the compiled parts of the schema. Each asset is validated by itself, so that the memory its mistakes
// take is free again before the next one.
type schemas struct {
	shell        *jsonschema.Schema
	assets       map[string]*jsonschema.Schema // by resource type
	name         *jsonschema.Schema
	descriptions map[string]string // by schema location: how a value must be
}

// packageSchemas apply to a package, folderSchemas to a folder, whose manifest may leave out digests and sizes.
var (
	packageSchemas = sync.OnceValue(func() *schemas { return compileSchemas([]any{"path", "sha256", "size"}) })
	folderSchemas  = sync.OnceValue(func() *schemas { return compileSchemas([]any{"path"}) })
)

// compileSchemas panics where the embedded schema is broken: a test would have to fail first.
func compileSchemas(requiredOfFile []any) *schemas {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaJSON))
	if err != nil {
		panic(fmt.Sprintf("assetpackage: schema.json: %v", err))
	}
	defs := doc.(map[string]any)["$defs"].(map[string]any)
	defs["file"].(map[string]any)["required"] = slices.Clone(requiredOfFile)

	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaID, doc); err != nil {
		panic(fmt.Sprintf("assetpackage: schema.json: %v", err))
	}
	s := &schemas{
		shell: c.MustCompile(schemaID),
		assets: map[string]*jsonschema.Schema{
			ResourceApplication: c.MustCompile(schemaID + "#/$defs/application"),
			ResourceTask:        c.MustCompile(schemaID + "#/$defs/task"),
		},
		name:         c.MustCompile(schemaID + "#/$defs/name"),
		descriptions: make(map[string]string),
	}
	for name, def := range defs {
		if text, ok := def.(map[string]any)["description"].(string); ok {
			s.descriptions[schemaID+"#/$defs/"+name] = text
		}
	}
	return s
}

// check validates value and reports each mistake with its path below prefix.
func (s *schemas) check(schema *jsonschema.Schema, value any, prefix []any, report func(path []any, message string)) {
	err := schema.Validate(value)
	if err == nil {
		return
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		report(prefix, err.Error())
		return
	}
	// The library walks over maps, so its order is not fixed.
	type mistake struct {
		path    []any
		message string
		key     string
	}
	var mistakes []mistake
	s.leaves(invalid, func(e *jsonschema.ValidationError) {
		path := slices.Clone(prefix)
		for _, step := range e.InstanceLocation {
			path = append(path, stepOf(step))
		}
		for _, message := range s.sentences(e, value) {
			mistakes = append(mistakes, mistake{path, message, sortKey(path) + "\x00" + message})
		}
	})
	slices.SortFunc(mistakes, func(a, b mistake) int { return strings.Compare(a.key, b.key) })
	for i, m := range mistakes {
		// A text that is too long for its length is too long for its pattern as well: one sentence says both.
		if i == 0 || m.key != mistakes[i-1].key {
			report(m.path, m.message)
		}
	}
}

// leaves visits the mistakes themselves, not the groups that the library puts them in.
func (s *schemas) leaves(e *jsonschema.ValidationError, visit func(*jsonschema.ValidationError)) {
	if len(e.Causes) == 0 {
		visit(e)
		return
	}
	for _, cause := range e.Causes {
		s.leaves(cause, visit)
	}
}

// stepOf gives back the index that the library renders as text. A setting called 12 reads as an index too: no harm.
func stepOf(step string) any {
	if n, err := strconv.Atoi(step); err == nil {
		return n
	}
	return step
}

// sortKey orders paths as they stand in the document.
func sortKey(path []any) string {
	var b strings.Builder
	for _, step := range path {
		if n, ok := step.(int); ok {
			fmt.Fprintf(&b, "\x01%09d", n)
			continue
		}
		fmt.Fprintf(&b, "\x01%v", step)
	}
	return b.String()
}

// sentences says what a mistake is, as a sentence that follows the path and a colon.
func (s *schemas) sentences(e *jsonschema.ValidationError, value any) []string {
	must := s.descriptions[e.SchemaURL]
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		out := make([]string, len(k.Missing))
		for i, name := range k.Missing {
			out[i] = fmt.Sprintf("%q is missing", name)
		}
		return out
	case *kind.AdditionalProperties:
		names := slices.Sorted(slices.Values(k.Properties))
		var out []string
		for _, name := range names {
			if e.SchemaURL == schemaID+"#/$defs/settings" {
				out = append(out, fmt.Sprintf("the key %s is not allowed: it must be %s", quote(name), settingKeyRule))
				continue
			}
			out = append(out, fmt.Sprintf("the key %s is not known here; correct it or remove it", quote(name)))
		}
		return out
	case *kind.Type:
		if must == "" {
			must = typeText(k.Want)
		}
		return []string{fmt.Sprintf("it is %s, but it must be %s", typeText([]string{k.Got}), must)}
	}
	if must == "" {
		return []string{fmt.Sprintf("it does not fit the schema (%s)", strings.Join(e.ErrorKind.KeywordPath(), "/"))}
	}
	if text, ok := shown(valueAt(value, e.InstanceLocation)); ok {
		return []string{fmt.Sprintf("%s is not allowed: it must be %s", text, must)}
	}
	return []string{fmt.Sprintf("it must be %s", must)}
}

// valueAt finds the value that a mistake is about.
func valueAt(value any, location []string) any {
	for _, step := range location {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

func shown(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		if len(v) > 200 {
			return fmt.Sprintf("%s (%d characters)", quote(v), len([]rune(v))), true
		}
		return quote(v), true
	case int64, float64, bool:
		return fmt.Sprint(v), true
	default:
		return "", false
	}
}

func typeText(types []string) string {
	article := map[string]string{
		"object": "an object", "array": "a list", "string": "a text", "number": "a number", "integer": "a whole number",
		"boolean": "true or false", "null": "null",
	}
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = cmp.Or(article[t], t)
	}
	return strings.Join(out, " or ")
}
