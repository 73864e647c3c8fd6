package metastudio

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"assetflow/api/middleware"
	"assetflow/catalog"
)

// Bounds of what can be said of an asset. Together they keep a sealed replication info within its 100,000 characters.
const (
	maxName             = 256  // characters
	maxDescription      = 1024 // characters
	maxExtraMeta        = 16 << 10
	maxSystemProperties = 50
	maxSystemProperty   = 160 // bytes of JSON
)

// wishes are what a request says of an asset; nil: nothing.
type wishes struct {
	name, description *string
	kind              *AssetType
	tags              *Tags
	extraMeta         *ExtraMeta
	systemProperties  *[]SystemProperty
	order             *int64
}

// apply writes them down, or says which of them cannot be.
func (w wishes) apply(m *catalog.DigitalMetadata) error {
	if w.name != nil {
		if !middleware.IsLine(*w.name, 1, maxName) {
			return badParameter("The field asset_name must have 1 to %d printable characters.", maxName)
		}
		m.Name = *w.name
	}
	if w.kind != nil {
		if !w.kind.Valid() {
			return badParameter("The field asset_type must be one of the documented types, such as VIDEO.")
		}
		m.Type = string(*w.kind)
	}
	if w.description != nil {
		if n := utf8.RuneCountInString(*w.description); n > maxDescription || !middleware.IsStorable(*w.description) {
			return badParameter("The field asset_description must have at most %d characters.", maxDescription)
		}
		m.Description = *w.description
	}
	if w.tags != nil {
		if len(*w.tags) > catalog.MaxTags {
			return badParameter("The field tags has %d entries: at most %d.", len(*w.tags), catalog.MaxTags)
		}
		for _, tag := range *w.tags {
			if !middleware.IsLine(tag, 1, catalog.MaxTag) {
				return badParameter("Every entry of the field tags must have 1 to %d printable characters.", catalog.MaxTag)
			}
		}
		m.Tags = *w.tags
	}
	if w.extraMeta != nil {
		meta, ok := compact(*w.extraMeta, maxExtraMeta)
		if !ok || meta[0] != '{' {
			return badParameter("The field asset_extra_meta must be a JSON object of at most %d bytes.", maxExtraMeta)
		}
		m.ExtraMeta = meta
	}
	if w.systemProperties != nil {
		list, err := readSystemProperties(*w.systemProperties)
		if err != nil {
			return err
		}
		m.SystemProperties = list
	}
	if w.order != nil {
		m.Order = *w.order
	}
	return nil
}

// readSystemProperties gives each entry as the JSON text of itself: the contract's clients send texts or objects, and
// are given back what they sent.
func readSystemProperties(entries []SystemProperty) ([]string, error) {
	if len(entries) > maxSystemProperties {
		return nil, badParameter("The field system_properties has %d entries: at most %d.", len(entries), maxSystemProperties)
	}
	list := make([]string, 0, len(entries))
	for _, entry := range entries {
		text, ok := compact(entry, maxSystemProperty)
		if !ok || text[0] != '{' && text[0] != '"' {
			return nil, badParameter("Every entry of the field system_properties must be a text or a JSON object of at most %d bytes.", maxSystemProperty)
		}
		list = append(list, string(text))
	}
	return list, nil
}

// compact gives a JSON value without needless space, unless it is longer than most bytes or cannot be kept.
func compact(raw json.RawMessage, most int) (json.RawMessage, bool) {
	var text bytes.Buffer
	if err := json.Compact(&text, raw); err != nil || text.Len() == 0 || text.Len() > most {
		return nil, false
	}
	return text.Bytes(), middleware.IsStorable(text.String()) && !bytes.Contains(text.Bytes(), []byte(`\u0000`))
}
