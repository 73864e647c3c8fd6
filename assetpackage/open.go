package assetpackage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"assetflow/fault"
)

// Package is an opened package. It is safe for use by several goroutines at once, as far as its Source is.
type Package struct {
	src      Source
	manifest *Manifest
	items    []item // the files, in manifest order
	byPath   map[string]*item
	summary  Summary
}

// Open reads the directory and the manifest of a package and makes all checks that need no file bytes. The zero value
// of a limit stands for its default. A package that is not valid ends in a *ProblemsError; every other error is a
// failure to read the source. The source must stay open as long as the package is used.
func Open(ctx context.Context, src Source, limits Limits) (*Package, error) {
	limits = limits.withDefaults()
	d, err := readDirectory(src, limits)
	if err != nil {
		return nil, err
	}
	entries, err := parseEntries(d)
	if err != nil {
		return nil, err
	}
	o := opener{ctx: ctx, src: src, limits: limits, entries: entries}
	return o.open()
}

// opener is one call of Open.
type opener struct {
	ctx     context.Context //nolint:containedctx // lives as long as the call
	src     Source
	limits  Limits
	entries []entry
	byName  map[string]*entry // the files without a flaw
	flawed  map[string]bool   // the paths with one
	ps      problems
	// entryFlaws are problems of entries, to be put on the assets they belong to once these are known.
	entryFlaws []entryFlaw
	flaws      int
}

type entryFlaw struct{ name, code, message string }

func (o *opener) open() (*Package, error) {
	o.checkEntries()
	m, complete, err := o.readManifest()
	if err != nil {
		return nil, err
	}
	owners := ownersOf(m)
	o.reportEntryFlaws(owners)
	p := &Package{src: o.src, manifest: m, byPath: make(map[string]*item)}
	if m != nil {
		o.match(p, owners, complete)
	}
	if err := o.ps.err(); err != nil {
		return nil, err
	}
	sortManifest(m)
	p.summary = summaryOf(m)
	p.summary.ArchiveBytes = o.src.Size()
	return p, nil
}

// checkEntries looks at every entry of the directory.
func (o *opener) checkEntries() {
	o.byName = make(map[string]*entry, len(o.entries))
	o.flawed = make(map[string]bool)
	locations := make([]location, 0, len(o.entries))
	var total int64
	for i := range o.entries {
		e := &o.entries[i]
		if e.name == ManifestName && e.size > o.limits.MaxManifestBytes {
			o.flaw(e.name, CodeTooLarge, fmt.Sprintf("manifest.json is %s long; at most %s are allowed. Move bulk data from the definitions into files.", bytesText(e.size), bytesText(o.limits.MaxManifestBytes)))
			continue
		}
		if code, message := e.flaw(o.limits); code != "" {
			o.flaw(e.name, code, message)
			continue
		}
		locations = append(locations, location{strings.TrimSuffix(e.name, "/"), e.folder()})
		if e.folder() {
			continue
		}
		o.byName[e.name] = e
		if e.name != ManifestName {
			total += e.size // no overflow: entries and their sizes are limited
		}
	}
	checkCollisions(locations, func(code, message string) { o.ps.add(asset{}, code, "%s.", message) })
	if total > o.limits.MaxTotalBytes {
		o.ps.add(asset{}, CodeTooLarge, "The files of the package are %s long together; at most %s are allowed. Split it.", bytesText(total), bytesText(o.limits.MaxTotalBytes))
	}
}

func (o *opener) flaw(name, code, message string) {
	o.flawed[name] = true
	o.flaws++
	if len(o.entryFlaws) < MaxProblems {
		o.entryFlaws = append(o.entryFlaws, entryFlaw{name, code, message})
	}
}

// reportEntryFlaws puts the problems of entries first: others may follow from them.
func (o *opener) reportEntryFlaws(owners map[string]asset) {
	rest := o.ps
	o.ps = problems{}
	for _, f := range o.entryFlaws {
		owner, listed := owners[f.name]
		if listed && f.code == CodeUnsafePath {
			o.flaws-- // the rules have reported it for the asset
			continue
		}
		o.ps.append(problem(owner, f.code, "%s", f.message))
	}
	for _, p := range rest.list {
		o.ps.append(p)
	}
	o.ps.total = o.flaws + rest.total
}

// readManifest reads and decodes the manifest. m is nil where that was not possible, and a problem says why.
func (o *opener) readManifest() (m *Manifest, complete bool, err error) {
	e, ok := o.byName[ManifestName]
	if !ok {
		if !o.flawed[ManifestName] {
			o.ps.add(asset{}, CodeNoManifest, "%s", o.noManifestText())
		}
		return nil, false, nil
	}
	r, err := openItem(o.ctx, o.src, &item{entry: e})
	if err != nil {
		return nil, false, o.take(err)
	}
	defer func() { _ = r.Close() }() // read only: a failed close loses nothing
	var data bytes.Buffer
	data.Grow(int(e.size) + bytes.MinRead)
	if _, err := data.ReadFrom(r); err != nil {
		return nil, false, o.take(err)
	}
	m, complete = decodeManifest(data.Bytes(), o.limits, packageSchemas(), &o.ps)
	return m, complete, nil
}

// take collects the problems in err; it returns what is not a problem of the package.
func (o *opener) take(err error) error {
	var bad *ProblemsError
	if !errors.As(err, &bad) {
		return err
	}
	for _, p := range bad.Problems {
		o.ps.append(p)
	}
	return nil
}

// noManifestText looks for the mistakes that people make.
func (o *opener) noManifestText() string {
	for i := range o.entries {
		name := o.entries[i].name
		folder, base := "", name
		if at := strings.LastIndexByte(name, '/'); at >= 0 {
			folder, base = name[:at+1], name[at+1:]
		}
		switch {
		case foldPath(base) != ManifestName:
		case folder == "":
			return fmt.Sprintf("The archive has no manifest.json at its root, but %s; rename it.", quote(name))
		case base == ManifestName:
			return fmt.Sprintf("The archive has no manifest.json at its root, but one in the folder %s. Zip the content of that folder, not the folder itself.", quote(folder))
		}
	}
	return "The archive has no manifest.json at its root, so it is not an asset package."
}

// ownersOf says which asset each file belongs to.
func ownersOf(m *Manifest) map[string]asset {
	owners := make(map[string]asset)
	if m == nil {
		return owners
	}
	each(m, func(owner asset, f *File) {
		if _, taken := owners[f.Path]; !taken {
			owners[f.Path] = owner
		}
	})
	return owners
}

// each visits all files in manifest order.
func each(m *Manifest, visit func(owner asset, f *File)) {
	for _, list := range []struct {
		kind   string
		assets []Asset
	}{{ResourceApplication, m.Applications}, {ResourceTask, m.Tasks}} {
		for _, a := range list.assets {
			for i := range a.Files {
				visit(asset{list.kind, a.Name}, &a.Files[i])
			}
		}
	}
}

// match compares the files that the manifest lists with those in the archive.
func (o *opener) match(p *Package, owners map[string]asset, complete bool) {
	var folded map[string]string
	p.items = make([]item, 0, len(owners))
	each(p.manifest, func(owner asset, f *File) {
		if owners[f.Path] != owner || o.flawed[f.Path] || f.Path == ManifestName || pathFlaw(f.Path) != "" {
			return // reported already
		}
		e, ok := o.byName[f.Path]
		if !ok {
			if folded == nil {
				folded = o.foldedNames()
			}
			hint := ""
			if other, ok := folded[foldPath(f.Path)]; ok {
				hint = fmt.Sprintf(" It has %s, whose name is written differently.", quote(other))
			}
			o.ps.add(owner, CodeMissingFile, "The file %s is listed, but is not in the archive.%s Add it, or take it off the list.", quote(f.Path), hint)
			return
		}
		if e.size != f.Size {
			o.ps.add(owner, CodeSizeMismatch, "The file %s is %d bytes long in the archive, but the manifest says %d. Correct the manifest or the file.", quote(f.Path), e.size, f.Size)
			return
		}
		file := *f // sorting the manifest moves the original
		p.items = append(p.items, item{entry: e, file: &file, owner: owner})
	})
	if complete {
		o.checkUnlisted(owners)
	}
	for i := range p.items {
		p.byPath[p.items[i].file.Path] = &p.items[i]
	}
}

func (o *opener) foldedNames() map[string]string {
	folded := make(map[string]string, len(o.byName))
	for i := range o.entries {
		if name := o.entries[i].name; o.byName[name] != nil {
			folded[foldPath(name)] = name
		}
	}
	return folded
}

// checkUnlisted runs only where the whole manifest could be read: otherwise each unlisted file may belong to an asset
// that could not.
func (o *opener) checkUnlisted(owners map[string]asset) {
	for i := range o.entries {
		e := &o.entries[i]
		if _, listed := owners[e.name]; !listed && o.byName[e.name] == e && e.name != ManifestName {
			o.ps.add(asset{}, CodeUnlistedFile, "The archive holds %s, which no asset lists. List it under an asset's files, or leave it out.", quote(e.name))
		}
	}
}

// Manifest returns the manifest in canonical form. The caller must not change it.
func (p *Package) Manifest() *Manifest { return p.manifest }

// Summary counts what the package holds.
func (p *Package) Summary() Summary { return p.summary }

func summaryOf(m *Manifest) Summary {
	s := Summary{Version: m.Version, Applications: len(m.Applications), Tasks: len(m.Tasks)}
	sources := make(map[string]bool)
	for _, assets := range [][]Asset{m.Applications, m.Tasks} {
		for _, a := range assets {
			for _, d := range a.DataSources {
				sources[d.Name] = true
			}
		}
	}
	s.DataSources = len(sources)
	each(m, func(_ asset, f *File) {
		s.Files++
		s.Bytes += f.Size
	})
	return s
}

// OpenFile returns the decompressed bytes of one file as a stream over one range of the source; the caller closes it.
// Its last Read answers io.EOF only when size and SHA-256 are those of the manifest, and a *ProblemsError when the
// bytes are wrong. A path that is not in the manifest ends in a fault of kind NotFound with the code
// "package.file_not_found".
func (p *Package) OpenFile(ctx context.Context, path string) (io.ReadCloser, error) {
	it, ok := p.byPath[path]
	if !ok {
		return nil, fault.New(fault.NotFound, "package.file_not_found", "The package has no file %s.", quote(path))
	}
	return openItem(ctx, p.src, it)
}
