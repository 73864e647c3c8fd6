package assetpackage

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// sizeUnknown is the size of a file whose size a folder's manifest leaves out.
const sizeUnknown = -1

// manifestReader decodes a manifest and collects what is wrong with it.
type manifestReader struct {
	limits  Limits
	schemas *schemas
	ps      *problems
	doc     document
}

// document is the manifest before the schema is known to hold.
type document struct {
	Format       json.RawMessage   `json:"format"`
	Version      string            `json:"version"`
	Applications []json.RawMessage `json:"applications"`
	Tasks        []json.RawMessage `json:"tasks"`
}

// assetDocument is an asset that the schema holds for.
type assetDocument struct {
	Asset
	Files []struct {
		Path   string       `json:"path"`
		SHA256 string       `json:"sha256"`
		Size   *json.Number `json:"size"`
	} `json:"files"`
}

// decodeManifest reads a manifest. It returns what could be read, in the order of the document, and reports whether
// that is everything. Problems go to ps.
func decodeManifest(data []byte, limits Limits, sch *schemas, ps *problems) (m *Manifest, complete bool) {
	r := manifestReader{limits: limits, schemas: sch, ps: ps}
	before := ps.total
	s, fatal := scanJSON(data, limits, func(path []any, message string) {
		r.report(asset{}, path, message)
	})
	if fatal != "" {
		ps.add(asset{}, CodeBadManifest, "manifest.json cannot be read: %s.", fatal)
		return nil, false
	}
	top, ok := s.tree.(map[string]any)
	if !ok {
		ps.add(asset{}, CodeBadManifest, "manifest.json must hold a JSON object; it holds something else.")
		return nil, false
	}
	if !r.checkFormat(top) || !r.checkShell(top) {
		return nil, false
	}
	if err := json.Unmarshal(s.canonical, &r.doc); err != nil {
		ps.add(asset{}, CodeBadManifest, "manifest.json cannot be read: %v.", err)
		return nil, false
	}
	r.checkCount()
	m = &Manifest{Format: Format, Version: r.doc.Version}
	m.Applications = r.assets(ResourceApplication, "applications", top["applications"], r.doc.Applications)
	m.Tasks = r.assets(ResourceTask, "tasks", top["tasks"], r.doc.Tasks)
	checkRules(m, ps)
	return m, ps.total == before
}

// report adds a problem at a place of the manifest.
func (r *manifestReader) report(a asset, path []any, message string) {
	if len(path) == 0 {
		r.ps.add(a, CodeBadManifest, "manifest.json: %s.", message)
		return
	}
	r.ps.add(a, CodeBadManifest, "%s: %s.", pathText(path), message)
}

func (r *manifestReader) checkFormat(top map[string]any) bool {
	format, ok := top["format"]
	switch {
	case !ok:
		r.ps.add(asset{}, CodeUnknownFormat, "manifest.json does not say which format it has; add \"format\": %q.", Format)
		return false
	case format != Format:
		text, ok := shown(format)
		if !ok {
			text = "(not a text)"
		}
		r.ps.add(asset{}, CodeUnknownFormat, "The package's format %s is not known here; this release reads %q. Export it again in that format, or upgrade.", text, Format)
		return false
	}
	return true
}

// checkShell validates the manifest without its assets.
func (r *manifestReader) checkShell(top map[string]any) bool {
	shell := make(map[string]any, len(top))
	for key, value := range top {
		if _, list := value.([]any); list && (key == "applications" || key == "tasks") {
			value = []any{}
		}
		shell[key] = value
	}
	ok := true
	r.schemas.check(r.schemas.shell, shell, nil, func(path []any, message string) {
		ok = false
		r.report(asset{}, path, message)
	})
	return ok
}

func (r *manifestReader) checkCount() {
	apps, tasks := len(r.doc.Applications), len(r.doc.Tasks)
	switch {
	case apps+tasks > r.limits.MaxAssets:
		r.ps.add(asset{}, CodeTooManyAssets, "The package holds %d assets (applications: %d, tasks: %d); at most %d are allowed in one package. Split it.", apps+tasks, apps, tasks, r.limits.MaxAssets)
	case apps+tasks == 0:
		r.ps.add(asset{}, CodeNoAssets, "The package holds no application and no task.")
	}
}

// assets validates and decodes one list, up to the number of assets that is allowed.
func (r *manifestReader) assets(kind, key string, tree any, raw []json.RawMessage) []Asset {
	items, _ := tree.([]any) // the schema knows nothing else
	var out []Asset
	for i := range min(len(raw), len(items), r.limits.MaxAssets) {
		path := []any{key, i}
		owner := asset{kind, nameOf(items[i])}
		ok := true
		r.schemas.check(r.schemas.assets[kind], items[i], path, func(path []any, message string) {
			ok = false
			r.report(owner, path, message)
		})
		if !ok {
			continue
		}
		if a, err := decodeAsset(raw[i]); err != nil {
			r.report(owner, path, err.Error())
		} else {
			out = append(out, a)
		}
	}
	return out
}

// nameOf gives the name to report problems under, also where it is not allowed.
func nameOf(item any) string {
	object, _ := item.(map[string]any)
	name, _ := object["name"].(string)
	name = strings.Map(func(r rune) rune {
		if runeFlaw(r) != "" {
			return '?'
		}
		return r
	}, shorten(name, MaxNameLength))
	return name
}

// decodeAsset reads an asset out of canonical JSON.
func decodeAsset(raw json.RawMessage) (Asset, error) {
	var doc assetDocument
	if err := json.Unmarshal(raw, &doc); err != nil {
		return Asset{}, fmt.Errorf("it cannot be read: %w", err)
	}
	a := doc.Asset
	a.Files = nil
	for i, f := range doc.Files {
		file := File{Path: f.Path, SHA256: f.SHA256, Size: sizeUnknown}
		if f.Size != nil {
			size, err := strconv.ParseInt(f.Size.String(), 10, 64)
			if err != nil {
				return Asset{}, fmt.Errorf("files[%d].size: write %s as plain digits", i, shorten(f.Size.String(), 40))
			}
			file.Size = size
		}
		a.Files = append(a.Files, file)
	}
	for i := range a.DataSources {
		if a.DataSources[i].Settings == nil {
			a.DataSources[i].Settings = json.RawMessage(`{}`)
		}
	}
	return a, nil
}

// sortManifest brings lists whose order means nothing into one order.
func sortManifest(m *Manifest) {
	for _, assets := range [][]Asset{m.Applications, m.Tasks} {
		slices.SortStableFunc(assets, func(a, b Asset) int { return strings.Compare(a.Name, b.Name) })
		for _, a := range assets {
			slices.Sort(a.Applications)
			slices.SortStableFunc(a.DataSources, func(a, b DataSource) int { return strings.Compare(a.Name, b.Name) })
			sortFiles(a.Files)
		}
	}
}

func sortFiles(files []File) {
	slices.SortStableFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}
