package catalog

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"assetflow/fault"
)

// preparedImport is an import made ready for planning and writing: names are final, JSON is checked and compact,
// digests are known. It depends on nothing but the import.
type preparedImport struct {
	Import
	assets      []preparedAsset // applications, then tasks
	dataSources []ImportDataSource
	blobs       []string // digests of all files, each once, sorted
	conflicts   []Reason // of the package with itself
}

type preparedAsset struct {
	kind        AssetKind
	name        string
	sourceID    string
	description string
	definition  string
	digest      string
	references  []preparedReference
	dataSources []string
	files       []File
}

type preparedReference struct {
	name      string
	inPackage bool
}

// maxPath bounds the path of a file, in bytes: it stands in an index, as names do.
const maxPath = 2048

func badImport(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "catalog.bad_import", format, args...)
}

// about adds to a fault which asset it is about.
func about(kind AssetKind, name string, err error) error {
	if f, ok := fault.As(err); ok {
		return f.WithDetails(fmt.Sprintf("%s %q", kind, name))
	}
	return fmt.Errorf("%s %q: %w", kind, name, err)
}

// prepareImport checks what the schema relies on. What makes a good package was checked when it was opened.
func prepareImport(imp Import) (*preparedImport, error) {
	if imp.Mode != AddNew && imp.Mode != Merge {
		return nil, badImport("the import mode %q is not known", string(imp.Mode))
	}
	if !isText(imp.VersionLabel) {
		return nil, badImport("the version is not valid text")
	}
	p := &preparedImport{Import: imp}
	inPackage := make(map[string]bool, len(imp.Applications))
	for _, a := range imp.Applications {
		inPackage[a.Name] = true
	}
	sources := newSourceSet()
	for _, group := range []struct {
		kind   AssetKind
		assets []ImportAsset
	}{{KindApplication, imp.Applications}, {KindTask, imp.Tasks}} {
		names := make(map[string]bool, len(group.assets))
		for _, a := range group.assets {
			prepared, err := prepareAsset(group.kind, imp.Prefix, a, inPackage)
			if err != nil {
				return nil, about(group.kind, a.Name, err)
			}
			if names[a.Name] {
				return nil, badImport("the package has two assets of kind %s named %q", group.kind, a.Name)
			}
			names[a.Name] = true
			if err := sources.add(&prepared, a.DataSources); err != nil {
				return nil, about(group.kind, a.Name, err)
			}
			prepared.digest = contentDigest(&prepared)
			for _, f := range prepared.files {
				p.blobs = append(p.blobs, f.SHA256)
			}
			p.assets = append(p.assets, prepared)
		}
	}
	slices.Sort(p.blobs)
	p.blobs = slices.Compact(p.blobs)
	p.dataSources, p.conflicts = sources.list, sources.conflicts
	return p, nil
}

func prepareAsset(kind AssetKind, prefix string, a ImportAsset, inPackage map[string]bool) (preparedAsset, error) {
	p := preparedAsset{kind: kind, name: prefix + a.Name, sourceID: a.SourceID, description: a.Description}
	if err := checkNames(a.Name, p.name); err != nil {
		return p, err
	}
	if !isText(a.SourceID) || !isText(a.Description) {
		return p, badImport("the id or the description is not valid text")
	}
	var err error
	if p.definition, err = compactJSON(a.Definition); err != nil {
		return p, badImport("the definition is not valid JSON").Wrap(err)
	}
	for _, name := range a.Applications {
		reference := preparedReference{name: name, inPackage: inPackage[name]}
		if err := checkNames(name); err != nil {
			return p, err
		}
		if reference.inPackage {
			reference.name = prefix + name
		}
		p.references = append(p.references, reference)
	}
	slices.SortFunc(p.references, func(a, b preparedReference) int { return cmp.Compare(a.name, b.name) })
	p.references = slices.CompactFunc(p.references, func(a, b preparedReference) bool { return a.name == b.name })

	p.files = slices.SortedFunc(slices.Values(a.Files), func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	for i, f := range p.files {
		if err := checkBlob(f.SHA256, f.Size); err != nil {
			return p, err
		}
		if f.Path == "" || len(f.Path) > maxPath || !isText(f.Path) {
			return p, badImport("the path of a file must be UTF-8 text of 1 to %d bytes", maxPath)
		}
		if i > 0 && f.Path == p.files[i-1].Path {
			return p, badImport("the file %q is there twice", f.Path)
		}
	}
	return p, nil
}

// sourceSet gathers the data sources of a package by name. Assets that name the same one must agree about it.
type sourceSet struct {
	list      []ImportDataSource
	byName    map[string]string // what the first asset said, in canonical form
	conflicts []Reason
}

func newSourceSet() *sourceSet { return &sourceSet{byName: make(map[string]string)} }

func (s *sourceSet) add(asset *preparedAsset, sources []ImportDataSource) error {
	for _, d := range sources {
		if err := checkNames(d.Name); err != nil {
			return err
		}
		if !isText(d.Type) || !isText(d.Description) {
			return badImport("the type or the description of data source %q is not valid text", d.Name)
		}
		settings, err := compactJSON(d.Settings)
		if err != nil {
			return badImport("the settings of data source %q are not valid JSON", d.Name).Wrap(err)
		}
		d.Settings = rawJSON(settings)
		asset.dataSources = append(asset.dataSources, d.Name)

		said := string(canonical([]any{d.Type, d.Description, canonicalJSON(settings)}))
		before, known := s.byName[d.Name]
		switch {
		case !known:
			s.byName[d.Name] = said
			s.list = append(s.list, d)
		case before != said:
			s.conflicts = append(s.conflicts, Reason{
				ResourceType: string(asset.kind), ResourceName: asset.name, Code: ReasonDataSourceDiffers,
				Message: fmt.Sprintf("The data source %q differs from the one of the same name that another asset of the package brings.", d.Name),
			})
		}
	}
	slices.Sort(asset.dataSources)
	asset.dataSources = slices.Compact(asset.dataSources)
	return nil
}

// contentDigest is SHA-256 over everything that makes two versions differ to a user: not the name, not where the asset
// came from, and of a data source only its name, because it belongs to the instance.
func contentDigest(p *preparedAsset) string {
	references := make([]string, len(p.references))
	for i, r := range p.references {
		references[i] = r.name
	}
	h := sha256.New()
	_, _ = io.WriteString(h, "assetflow asset content 1\n") // a hash never fails to take bytes
	_, _ = h.Write(canonical([]any{p.kind, p.description, canonicalJSON(p.definition), references, p.dataSources}))
	for _, f := range p.files {
		_, _ = h.Write(canonical([]any{f.Path, f.SHA256, f.Size}))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// compactJSON checks that raw is one JSON value and removes its white space. None, and null, give "".
func compactJSON(raw json.RawMessage) (string, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return "", nil
	}
	if !isText(string(raw)) {
		return "", fmt.Errorf("not UTF-8")
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return "", err
	}
	if b.String() == "null" {
		return "", nil
	}
	return b.String(), nil
}

// canonicalJSON gives valid JSON with the keys of objects sorted. Numbers stay as they are written.
func canonicalJSON(text string) json.RawMessage {
	if text == "" {
		return json.RawMessage("null")
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		panic("catalog: JSON that was checked is not valid: " + err.Error())
	}
	return bytes.TrimSpace(canonical(value))
}

// canonical encodes a value with sorted keys, ending in a line feed.
func canonical(value any) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic("catalog: a value has no JSON: " + err.Error())
	}
	return b.Bytes()
}
