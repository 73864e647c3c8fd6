package assetpackage

import (
	"bytes"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// JSONSchema reads JSON documents of one schema, for the other package formats: as strictly as manifest.json is read,
// with mistakes told in the same sentences.
type JSONSchema struct {
	schemas  schemas
	compiled *jsonschema.Schema
}

// CompileJSONSchema compiles a schema (draft 2020-12) whose definitions have descriptions that complete the sentence
// "it must be …". It panics where the schema is broken, which is a mistake in the program.
func CompileJSONSchema(id string, schema []byte) *JSONSchema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		panic(fmt.Sprintf("assetpackage: schema %s: %v", id, err))
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(id, doc); err != nil {
		panic(fmt.Sprintf("assetpackage: schema %s: %v", id, err))
	}
	s := &JSONSchema{compiled: c.MustCompile(id), schemas: schemas{descriptions: make(map[string]string)}}
	defs, _ := doc.(map[string]any)["$defs"].(map[string]any)
	for name, def := range defs {
		if text, ok := def.(map[string]any)["description"].(string); ok {
			s.schemas.descriptions[id+"#/$defs/"+name] = text
		}
	}
	return s
}

// Read returns a document in canonical form: keys sorted, no white space, no escapes but the needed ones. report is
// called for everything that is wrong, with the place as authors write it, such as steps[2].name, or empty for the
// document as a whole. fatal is what made reading impossible. The limits that apply are those on the manifest; a list
// longer than MaxAssets is not checked beyond it.
func (s *JSONSchema) Read(data []byte, limits Limits, report func(place, message string)) (canonical []byte, fatal string) {
	tell := func(path []any, message string) { report(pathText(path), message) }
	scanned, fatal := scanJSON(data, limits.withDefaults(), tell)
	if fatal != "" {
		return nil, fatal
	}
	s.schemas.check(s.compiled, scanned.tree, nil, tell)
	return scanned.canonical, ""
}
