package servicetemplate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path"
	"strings"

	"assetflow/assetpackage"
)

// Template is one service template of an upload.
type Template struct {
	FileName string // of the .st file, as ShownName gives it
	Manifest Manifest
	SHA256   string // of the .st file, as 64 lower-case hexadecimal digits
	Size     int64  // of the .st file

	open func(ctx context.Context) (io.ReadCloser, error)
}

// Open returns the bytes of the .st file; the caller closes it. The upload's source must still be open.
func (t Template) Open(ctx context.Context) (io.ReadCloser, error) { return t.open(ctx) }

// Bundle is an upload that was read and found good: one template, or an archive of several.
type Bundle struct {
	archive   bool
	templates []Template
}

// IsArchive reports whether the upload is an archive of .st files, and not a template itself.
func (b *Bundle) IsArchive() bool { return b.archive }

// Templates are the templates in the order of the archive; at least one.
func (b *Bundle) Templates() []Template { return b.templates }

// Open reads an upload completely: a template, or a bundle of templates, which its content decides. name is what the
// uploaded file is called; folders in it are ignored. The zero value of a limit stands for its default. What is wrong
// with the content ends in an *assetpackage.ProblemsError; every other error is a failure to read the source.
//
// progress may be nil. It is called after every MiB that is read and after every template of a bundle, with the work
// done so far, which never falls, and with an estimate of the whole of it; at the end of a successful Open with both
// equal.
//
// The memory that Open needs depends on the limits and never on the size of the upload. The source must stay open as
// long as the templates are read.
func Open(ctx context.Context, name string, src assetpackage.Source, limits assetpackage.Limits, progress func(done, total int64)) (*Bundle, error) {
	name = ShownName(name)
	o := opener{ctx: ctx, src: src, limits: withDefaults(limits), meter: meter{total: 2 * src.Size(), report: progress}}
	if !hasSuffix(name, ".st") && !hasSuffix(name, ".zip") {
		return nil, refuse(name, CodeBadFileName, "The file is called %s; a service template has a name that ends in .st, a bundle of them one that ends in .zip.", quote(name))
	}
	archive, err := assetpackage.OpenArchive(src, o.limits)
	if err != nil {
		return nil, o.refused(name, err)
	}
	b := &Bundle{}
	switch {
	case indexOf(archive, ManifestName) >= 0:
		t, err := o.single(name, archive)
		if err != nil {
			return nil, err
		}
		b.templates = []Template{t}
	case isBundle(archive):
		b.archive = true
		if b.templates, err = o.bundle(archive); err != nil {
			return nil, err
		}
	default:
		return nil, refuse(name, CodeNotATemplate, "%s", notATemplateText(archive))
	}
	if err := o.ps.err(); err != nil {
		return nil, err
	}
	o.meter.finish()
	return b, nil
}

// opener is one call of Open.
type opener struct {
	ctx    context.Context //nolint:containedctx // lives as long as the call
	src    assetpackage.Source
	limits assetpackage.Limits // what is left of them
	ps     problems
	meter  meter
}

// refused puts the problems in err on a file.
func (o *opener) refused(file string, err error) error {
	if err := o.ps.take(file, err); err != nil {
		return err
	}
	return o.ps.err()
}

func hasSuffix(name, suffix string) bool { return strings.HasSuffix(strings.ToLower(name), suffix) }

func indexOf(a *assetpackage.Archive, name string) int {
	for i, e := range a.Entries() {
		if e.Name == name {
			return i
		}
	}
	return -1
}

// isBundle takes an archive with any .st file for one: what else is in it is then reported by name.
func isBundle(a *assetpackage.Archive) bool {
	for _, e := range a.Entries() {
		if hasSuffix(e.Name, ".st") {
			return true
		}
	}
	return false
}

// notATemplateText looks for the mistakes that people make.
func notATemplateText(a *assetpackage.Archive) string {
	for _, e := range a.Entries() {
		switch {
		case path.Base(e.Name) == ManifestName:
			return "The archive has no template.json at its root, but one in the folder " + quote(path.Dir(e.Name)) + ". Zip the content of that folder, not the folder itself."
		case strings.EqualFold(e.Name, ManifestName):
			return "The archive has no template.json at its root, but " + quote(e.Name) + "; rename it."
		case e.Name == assetpackage.ManifestName:
			return "The archive holds manifest.json and no template.json: it may be an asset package, but it is no service template."
		}
	}
	return "The archive has neither template.json at its root nor .st files in it: it is no service template, and no bundle of them."
}

// single reads an upload that is a template.
func (o *opener) single(name string, archive *assetpackage.Archive) (Template, error) {
	t := Template{FileName: name, Size: o.src.Size()}
	t.open = func(ctx context.Context) (io.ReadCloser, error) { return o.src.OpenRange(ctx, 0, t.Size) }
	r, err := t.open(o.ctx)
	if err != nil {
		return t, err
	}
	defer func() { _ = r.Close() }() // read only: a failed close loses nothing
	if t.SHA256, err = o.digest(r, nil); err != nil {
		return t, err
	}
	t.Manifest, err = o.content(name, archive)
	return t, err
}

// bundle reads the templates of an archive. Problems with one do not keep the others from being read.
func (o *opener) bundle(archive *assetpackage.Archive) ([]Template, error) {
	entries := archive.Entries()
	if len(entries) > o.limits.MaxAssets {
		return nil, refuse("", CodeTooManyTemplates, "The archive holds %d files; a bundle has at most %d templates. Split it.", len(entries), o.limits.MaxAssets)
	}
	templates := make([]Template, 0, len(entries))
	seen := make(map[string]string) // file names by template, and by their own lower case
	for i, e := range entries {
		file := ShownName(e.Name)
		if !hasSuffix(e.Name, ".st") {
			o.ps.add(file, CodeBadFileName, "The archive holds %s; a bundle of templates holds .st files only. Take it out.", quote(e.Name))
			continue
		}
		if _, taken := seen[strings.ToLower(file)]; taken {
			o.ps.add(file, CodeDuplicateTemplate, "The archive holds two files called %s; rename one.", quote(file))
			continue
		}
		seen[strings.ToLower(file)] = file
		before := o.ps.total
		t, err := o.nested(archive, i, file)
		o.meter.tell()
		if err != nil {
			if err := o.ps.take(file, err); err != nil {
				return nil, err
			}
		}
		if o.ps.total > before {
			continue
		}
		triple := t.Manifest.VendorID + "/" + t.Manifest.KeyName + "/" + t.Manifest.Version // no file name has a slash
		if other, taken := seen[triple]; taken {
			o.ps.add(file, CodeDuplicateTemplate, "%s and %s hold the same template %s; take one out.", quote(other), quote(file), quote(triple))
			continue
		}
		seen[triple] = file
		templates = append(templates, t)
	}
	return templates, nil
}

// nested reads one template of a bundle. Its problems are in the error or have been collected.
func (o *opener) nested(archive *assetpackage.Archive, i int, file string) (Template, error) {
	e := archive.Entries()[i]
	t := Template{FileName: file, Size: e.Size}
	t.open = func(ctx context.Context) (io.ReadCloser, error) { return archive.OpenEntry(ctx, i) }
	if !e.Stored && e.Size > MaxCompressedTemplate {
		return t, refuse(file, CodeNestedTooLarge, "%s is %d MiB long and compressed inside of the archive; only templates up to %d MiB may be. Make the archive without compression (zip -0): the templates are compressed themselves.", quote(e.Name), e.Size/mib, MaxCompressedTemplate/mib)
	}
	r, err := t.open(o.ctx)
	if err != nil {
		return t, err
	}
	defer func() { _ = r.Close() }() // read only: a failed close loses nothing
	var unpacked *bytes.Buffer
	if !e.Stored {
		unpacked = bytes.NewBuffer(make([]byte, 0, e.Size))
	}
	if t.SHA256, err = o.digest(r, unpacked); err != nil {
		return t, err
	}
	var src assetpackage.Source
	if unpacked != nil {
		src = assetpackage.MemorySource(unpacked.Bytes())
	} else if src, err = archive.Section(o.ctx, i); err != nil {
		return t, err
	}
	inner, err := assetpackage.OpenArchive(src, o.limits)
	if err != nil {
		return t, err
	}
	t.Manifest, err = o.content(file, inner)
	return t, err
}

// digest reads a .st file to its end, and into a buffer where there is one.
func (o *opener) digest(r io.Reader, into *bytes.Buffer) (string, error) {
	sum := sha256.New()
	var w io.Writer = sum
	if into != nil {
		w = io.MultiWriter(sum, into)
	}
	if err := o.copy(w, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// copy moves all bytes, and tells of it.
func (o *opener) copy(w io.Writer, r io.Reader) error {
	buffer := make([]byte, 128*kib)
	for {
		if o.ctx.Err() != nil {
			return context.Cause(o.ctx)
		}
		n, err := r.Read(buffer)
		if _, err := w.Write(buffer[:n]); err != nil {
			return err
		}
		o.meter.add(int64(n))
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// meter tells how far the work is. The whole of it is an estimate, as files are compressed: done stays at most total.
type meter struct {
	total, done, untold int64
	report              func(done, total int64)
}

func (m *meter) add(n int64) {
	m.done = min(m.done+n, m.total)
	if m.untold += n; m.untold >= mib {
		m.tell()
	}
}

func (m *meter) tell() {
	m.untold = 0
	if m.report != nil {
		m.report(m.done, m.total)
	}
}

func (m *meter) finish() {
	m.done = m.total
	m.tell()
}
