package assetpackage

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Canonical returns a copy of m in canonical form: assets, data sources and application names in the order of their
// names, files in the order of their paths, definitions and settings with sorted keys and without white space, and
// {} for settings that are left out. Two manifests of one content are equal in this form. A manifest that breaks a
// rule of the format ends in a *ProblemsError.
func (m *Manifest) Canonical() (*Manifest, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	var ps problems
	c, _ := decodeManifest(data, DefaultLimits(), packageSchemas(), &ps)
	if err := ps.err(); err != nil {
		return nil, err
	}
	sortManifest(c)
	return c, nil
}

// encodeManifest renders a manifest that is in canonical form. The bytes depend on the content alone and are not left
// to a library, so that they stay what they are for ever.
func encodeManifest(m *Manifest) []byte {
	var e encoder
	e.open('{')
	e.text("format", m.Format)
	e.text("version", m.Version)
	e.assets("applications", m.Applications)
	e.assets("tasks", m.Tasks)
	e.close('}')
	return append(e.out, '\n')
}

// encoder writes JSON. first is whether the next member or item is the first one.
type encoder struct {
	out   []byte
	first bool
}

func (e *encoder) open(c byte) {
	e.out = append(e.out, c)
	e.first = true
}

func (e *encoder) close(c byte) {
	e.out = append(e.out, c)
	e.first = false
}

func (e *encoder) item() {
	if !e.first {
		e.out = append(e.out, ',')
	}
	e.first = false
}

func (e *encoder) key(key string) {
	e.item()
	e.out = append(appendText(e.out, key), ':')
}

func (e *encoder) text(key, value string) {
	e.key(key)
	e.out = appendText(e.out, value)
}

func (e *encoder) optionalText(key, value string) {
	if value != "" {
		e.text(key, value)
	}
}

func (e *encoder) raw(key string, value json.RawMessage) {
	e.key(key)
	e.out = append(e.out, value...)
}

func (e *encoder) assets(key string, assets []Asset) {
	e.key(key)
	e.open('[')
	for _, a := range assets {
		e.item()
		e.open('{')
		e.optionalText("id", a.ID)
		e.text("name", a.Name)
		e.optionalText("description", a.Description)
		e.raw("definition", a.Definition)
		e.names(a.Applications)
		e.dataSources(a.DataSources)
		e.files(a.Files)
		e.close('}')
	}
	e.close(']')
}

func (e *encoder) names(names []string) {
	if len(names) == 0 {
		return
	}
	e.key("applications")
	e.open('[')
	for _, name := range names {
		e.item()
		e.out = appendText(e.out, name)
	}
	e.close(']')
}

func (e *encoder) dataSources(list []DataSource) {
	if len(list) == 0 {
		return
	}
	e.key("data_sources")
	e.open('[')
	for _, d := range list {
		e.item()
		e.open('{')
		e.text("name", d.Name)
		e.text("type", d.Type)
		e.optionalText("description", d.Description)
		if string(d.Settings) != "{}" {
			e.raw("settings", d.Settings)
		}
		e.close('}')
	}
	e.close(']')
}

func (e *encoder) files(list []File) {
	if len(list) == 0 {
		return
	}
	e.key("files")
	e.open('[')
	for _, f := range list {
		e.item()
		e.open('{')
		e.text("path", f.Path)
		e.text("sha256", f.SHA256)
		e.key("size")
		e.out = strconv.AppendInt(e.out, f.Size, 10)
		e.close('}')
	}
	e.close(']')
}
