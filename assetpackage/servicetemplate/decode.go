package servicetemplate

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"sync"

	"assetflow/assetpackage"
)

//go:embed schema.json
var schemaJSON []byte

const schemaID = "urn:assetflow:service-template:v1"

// Schema returns the JSON Schema (draft 2020-12) of template.json. It describes every template.json that is allowed,
// and some that are not: names, references, defaults and secrets are checked by Open beyond it.
func Schema() []byte { return bytes.Clone(schemaJSON) }

var schema = sync.OnceValue(func() *assetpackage.JSONSchema {
	return assetpackage.CompileJSONSchema(schemaID, schemaJSON)
})

// decode reads template.json. Problems go to ps, under the file's name.
func decode(data []byte, limits assetpackage.Limits, file string, ps *problems) Manifest {
	before := ps.total
	// Lists in template.json are longer than a package has assets: MaxAssets bounds what is checked of them.
	limits.MaxAssets = maxItems
	canonical, fatal := schema().Read(data, limits, func(place, message string) {
		code := CodeBadTemplate
		switch place {
		case "version":
			code = CodeBadVersion
		case "":
			ps.add(file, code, "template.json: %s.", message)
			return
		}
		ps.add(file, code, "template.json: %s: %s.", place, message)
	})
	if fatal != "" {
		ps.add(file, CodeBadTemplate, "template.json cannot be read: %s.", fatal)
	}
	if ps.total > before {
		return Manifest{}
	}
	var doc document
	if err := json.Unmarshal(canonical, &doc); err != nil {
		ps.add(file, CodeBadTemplate, "template.json cannot be read: %s.", shorten(err.Error(), 200))
		return Manifest{}
	}
	m := doc.manifest()
	checkRules(m, file, ps)
	return m
}

// encode renders template.json in its one form, or says why the manifest is not valid.
func encode(m Manifest) ([]byte, error) {
	data, err := json.Marshal(m.document())
	if err != nil {
		return nil, refuse("", CodeBadTemplate, "template.json cannot be written: %s.", shorten(err.Error(), 200))
	}
	var ps problems
	decode(data, DefaultLimits(), "", &ps)
	if err := ps.err(); err != nil {
		return nil, err
	}
	canonical, _ := schema().Read(data, DefaultLimits(), func(string, string) {})
	return append(canonical, '\n'), nil
}
