package servicetemplate_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"image"
	"image/png"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
	"assetflow/assetpackage/servicetemplate"
	"assetflow/fault"
)

const minimal = `{"keyName":"GenericApplication","vendorID":"SP","version":"01.20.00"}`

// icon is a PNG image.
func icon(side int) []byte {
	img := image.NewGray(image.Rect(0, 0, side, side))
	img.Pix[len(img.Pix)/2] = 255
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// st is a template with a template.json and other entries.
func st(manifest string, more ...packagetest.Entry) []byte {
	entries := append([]packagetest.Entry{{Name: "template.json", Data: []byte(manifest), Deflate: len(more) > 0}}, more...)
	return packagetest.Archive{Entries: entries}.Bytes()
}

func numbered(n string) []byte {
	return st(`{"keyName":"k` + n + `","vendorID":"SP","version":"01.20.00"}`)
}

func open(t *testing.T, name string, data []byte) (*servicetemplate.Bundle, error) {
	t.Helper()
	return servicetemplate.Open(t.Context(), name, packagetest.Source(data), assetpackage.Limits{}, nil)
}

func problemsOf(t *testing.T, err error) []assetpackage.Problem {
	t.Helper()
	var bad *assetpackage.ProblemsError
	require.ErrorAs(t, err, &bad)
	require.NotEmpty(t, bad.Problems)
	require.GreaterOrEqual(t, bad.Total, len(bad.Problems))
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	for _, p := range bad.Problems {
		require.Equal(t, servicetemplate.ResourceTemplate, p.ResourceType)
		require.NotEqual(t, servicetemplate.MessageFailed, servicetemplate.MessageID(p.Code), p.Code)
		require.NotContains(t, p.Message, "\n")
		require.Less(t, len(p.Message), 1200)
	}
	return bad.Problems
}

func bytesOf(t *testing.T, template servicetemplate.Template) []byte {
	t.Helper()
	r, err := template.Open(t.Context())
	require.NoError(t, err)
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return data
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func TestOpenTemplate(t *testing.T) {
	t.Parallel()
	data := st(minimal, packagetest.Entry{Name: "icon.png", Data: icon(48)}, packagetest.Entry{Name: "plugins/"},
		packagetest.Entry{Name: "plugins/SP_copy_01.00.00/plugin.jar", Data: bytes.Repeat([]byte("x"), 1<<20), Deflate: true})
	var told [][2]int64
	b, err := servicetemplate.Open(t.Context(), `C:\Users\ada/SP_GenericApplication_01.20.00.st`, packagetest.Source(data), assetpackage.Limits{},
		func(done, total int64) { told = append(told, [2]int64{done, total}) })
	require.NoError(t, err)
	require.False(t, b.IsArchive())
	require.Len(t, b.Templates(), 1)
	got := b.Templates()[0]
	require.Equal(t, servicetemplate.Manifest{
		KeyName: "GenericApplication", DisplayName: "GenericApplication", VendorID: "SP", VendorName: "SP", Version: "01.20.00", ReleaseState: "release",
	}, got.Manifest)
	require.Equal(t, "SP_GenericApplication_01.20.00.st", got.FileName)
	require.Equal(t, got.FileName, got.Manifest.FileName())
	require.Equal(t, digest(data), got.SHA256)
	require.Equal(t, int64(len(data)), got.Size)
	require.Equal(t, data, bytesOf(t, got))
	last := int64(-1)
	for _, step := range told {
		require.GreaterOrEqual(t, step[0], last)
		require.LessOrEqual(t, step[0], step[1])
		last = step[0]
	}
	require.GreaterOrEqual(t, len(told), 2, "a MiB was read")
	require.Equal(t, told[len(told)-1][1], last)

	_, err = open(t, "renamed.ZIP", data)
	require.NoError(t, err, "the content decides what it is")
}

func TestOpenBundle(t *testing.T) {
	t.Parallel()
	parts := [][]byte{numbered("2"), numbered("1"), st(minimal, packagetest.Entry{Name: "plugins/a", Data: []byte("a")})}
	data := packagetest.Archive{Entries: []packagetest.Entry{
		{Name: "b.st", Data: parts[0]}, {Name: "folder/"}, {Name: "folder/a.ST", Data: parts[1], Deflate: true}, {Name: "c.st", Data: parts[2], Zip64: true},
	}}.Bytes()
	b, err := open(t, "bundle.zip", data)
	require.NoError(t, err)
	require.True(t, b.IsArchive())
	require.Len(t, b.Templates(), 3)
	for i, name := range []string{"b.st", "a.ST", "c.st"} {
		got := b.Templates()[i]
		require.Equal(t, name, got.FileName)
		require.Equal(t, parts[i], bytesOf(t, got))
		require.Equal(t, digest(parts[i]), got.SHA256)
		require.Equal(t, int64(len(parts[i])), got.Size)
	}
	require.Equal(t, []string{"k2", "k1", "GenericApplication"}, []string{b.Templates()[0].Manifest.KeyName, b.Templates()[1].Manifest.KeyName, b.Templates()[2].Manifest.KeyName})
	_, err = open(t, "bundle.st", data)
	require.NoError(t, err, "the content decides what it is")
}

// A small template may be compressed inside of a bundle, a large one has to be stored.
func TestLargeTemplatesInABundleAreStored(t *testing.T) {
	t.Parallel()
	large := st(minimal, packagetest.Entry{Name: "plugins/a", Data: make([]byte, servicetemplate.MaxCompressedTemplate)})
	big := assetpackage.Limits{MaxRatio: 10_000}
	_, err := servicetemplate.Open(t.Context(), "b.zip", packagetest.Source(packagetest.Archive{Entries: []packagetest.Entry{{Name: "a.st", Data: large, Deflate: true}}}.Bytes()), big, nil)
	found := problemsOf(t, err)
	require.Equal(t, servicetemplate.CodeNestedTooLarge, found[0].Code)
	require.Equal(t, "a.st", found[0].ResourceName)
	require.Contains(t, found[0].Message, "zip -0")
	b, err := servicetemplate.Open(t.Context(), "b.zip", packagetest.Source(packagetest.Archive{Entries: []packagetest.Entry{{Name: "a.st", Data: large}}}.Bytes()), big, nil)
	require.NoError(t, err)
	require.Equal(t, digest(large), b.Templates()[0].SHA256)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	damaged := st(minimal, packagetest.Entry{Name: "plugins/a", Data: []byte("abcdefgh")})
	damaged = bytes.Replace(damaged, []byte("abcdefgh"), []byte("abcdEfgh"), 1)
	inDamaged := packagetest.Archive{Entries: []packagetest.Entry{{Name: "a.st", Data: numbered("1")}, {Name: "b.st", Data: damaged}}}.Bytes()
	zipOf := func(entries ...packagetest.Entry) []byte { return packagetest.Archive{Entries: entries}.Bytes() }
	badIcon := icon(48)
	badIcon[len(badIcon)-20] ^= 1
	many := make([]packagetest.Entry, 101)
	for i := range many {
		many[i] = packagetest.Entry{Name: strings.Repeat("a", i+1) + ".st", Data: []byte("x")}
	}
	for name, c := range map[string]struct {
		file     string // default: x.st
		data     []byte
		code, id string
		where    string
		text     string
	}{
		"not called so":        {file: "x.txt", data: st(minimal), code: servicetemplate.CodeBadFileName, id: "KNAE90008-E", where: "x.txt", text: "ends in .st"},
		"no name":              {file: "/", data: st(minimal), code: servicetemplate.CodeBadFileName, id: "KNAE90008-E", text: `called ""`},
		"a text":               {data: []byte("hello"), code: assetpackage.CodeNotAZip, id: "KNAE90001-E", where: "x.st", text: "looks like a text file"},
		"empty":                {data: nil, code: assetpackage.CodeNotAZip, id: "KNAE90001-E", where: "x.st", text: "is empty"},
		"cut off":              {data: st(minimal)[:100], code: assetpackage.CodeTruncated, id: "KNAE90002-E", where: "x.st", text: "cut off"},
		"followed by bytes":    {data: append(st(minimal), "abc"...), code: assetpackage.CodeTrailingBytes, id: "KNAE90002-E", where: "x.st", text: "followed by"},
		"an empty archive":     {data: zipOf(), code: servicetemplate.CodeNotATemplate, id: "KNAE90001-E", where: "x.st", text: "neither template.json"},
		"an asset package":     {data: zipOf(packagetest.Entry{Name: "manifest.json"}), code: servicetemplate.CodeNotATemplate, id: "KNAE90001-E", where: "x.st", text: "asset package"},
		"the folder is zipped": {data: zipOf(packagetest.Entry{Name: "my/template.json"}), code: servicetemplate.CodeNotATemplate, id: "KNAE90001-E", where: "x.st", text: `in the folder "my"`},
		"another case":         {data: zipOf(packagetest.Entry{Name: "Template.JSON"}), code: servicetemplate.CodeNotATemplate, id: "KNAE90001-E", where: "x.st", text: "rename it"},
		"an escape":            {data: st(minimal, packagetest.Entry{Name: "plugins/../../x"}), code: assetpackage.CodeUnsafePath, id: "KNAE90003-E", where: "x.st", text: "another folder"},
		"a link":               {data: st(minimal, packagetest.Entry{Name: "plugins/x", Mode: 0o120777}), code: assetpackage.CodeSpecialFile, id: "KNAE90003-E", where: "x.st", text: "symbolic link"},
		"encrypted":            {data: st(minimal, packagetest.Entry{Name: "plugins/x", Flags: 1}), code: assetpackage.CodeEncrypted, id: "KNAE90003-E", where: "x.st", text: "encrypted"},
		"a bomb":               {data: st(minimal, packagetest.Entry{Name: "plugins/x", Data: make([]byte, 4<<20), Deflate: true}), code: assetpackage.CodeBomb, id: "KNAE90003-E", where: "x.st", text: "bombs"},
		"damaged":              {data: damaged, code: assetpackage.CodeCorruptFile, id: "KNAE90002-E", where: "x.st", text: "checksum"},
		"two of a name":        {data: st(minimal, packagetest.Entry{Name: "plugins/x"}, packagetest.Entry{Name: "plugins/X"}), code: assetpackage.CodeDuplicateEntry, id: "KNAE90003-E", where: "x.st", text: "differ only in case"},
		"an unknown file":      {data: st(minimal, packagetest.Entry{Name: "readme.txt"}), code: servicetemplate.CodeUnknownFile, id: "KNAE90006-E", where: "x.st", text: "readme.txt"},
		"a large icon":         {data: st(minimal, packagetest.Entry{Name: "icon.png", Data: icon(64)}), code: servicetemplate.CodeBadIcon, id: "KNAE90006-E", where: "x.st", text: "has 64 by 64 pixels"},
		"no icon":              {data: st(minimal, packagetest.Entry{Name: "icon.png", Data: []byte("GIF89a")}), code: servicetemplate.CodeBadIcon, id: "KNAE90006-E", where: "x.st", text: "is no PNG"},
		"a damaged icon":       {data: st(minimal, packagetest.Entry{Name: "icon.png", Data: badIcon}), code: servicetemplate.CodeBadIcon, id: "KNAE90006-E", where: "x.st", text: "damaged PNG"},
		"a huge icon file":     {data: st(minimal, packagetest.Entry{Name: "icon.png", Data: make([]byte, 300<<10)}), code: assetpackage.CodeTooLarge, id: "KNAE90009-E", where: "x.st", text: "icon.png is 300 KiB long"},
		"a huge template.json": {data: st(strings.Repeat(" ", 1<<20) + minimal), code: assetpackage.CodeTooLarge, id: "KNAE90009-E", where: "x.st", text: "template.json is 1024 KiB long"},
		"not JSON":             {data: st("{"), code: servicetemplate.CodeBadTemplate, id: "KNAE90004-E", where: "x.st", text: "template.json cannot be read: it is not valid JSON"},
		"a bad version":        {data: st(strings.Replace(minimal, "01.20.00", "1.2", 1)), code: servicetemplate.CodeBadVersion, id: "KNAE90005-E", where: "x.st", text: `version: "1.2" is not allowed`},
		"a stranger":           {file: "b.zip", data: zipOf(packagetest.Entry{Name: "a.st", Data: numbered("1")}, packagetest.Entry{Name: "f/readme.txt"}), code: servicetemplate.CodeBadFileName, id: "KNAE90008-E", where: "readme.txt", text: `holds "f/readme.txt"`},
		"a text called so":     {file: "b.zip", data: zipOf(packagetest.Entry{Name: "a.st", Data: []byte("hello")}), code: assetpackage.CodeNotAZip, id: "KNAE90001-E", where: "a.st", text: "text file"},
		"a bundle in a bundle": {file: "b.zip", data: zipOf(packagetest.Entry{Name: "a.st", Data: zipOf(packagetest.Entry{Name: "b.st", Data: numbered("1")})}), code: servicetemplate.CodeNotATemplate, id: "KNAE90001-E", where: "a.st", text: "neither template.json"},
		"a damaged one":        {file: "b.zip", data: inDamaged, code: assetpackage.CodeCorruptFile, id: "KNAE90002-E", where: "b.st", text: "checksum"},
		"a damaged wrapping":   {file: "b.zip", data: bytes.Replace(zipOf(packagetest.Entry{Name: "a.st", Data: st(minimal, packagetest.Entry{Name: "plugins/a", Data: []byte("abcdefgh")})}), []byte("abcdefgh"), []byte("abcdEfgh"), 1), code: assetpackage.CodeCorruptFile, id: "KNAE90002-E", where: "a.st", text: "checksum"},
		"one template twice":   {file: "b.zip", data: zipOf(packagetest.Entry{Name: "a.st", Data: numbered("1")}, packagetest.Entry{Name: "b.st", Data: numbered("1")}), code: servicetemplate.CodeDuplicateTemplate, id: "KNAE90007-E", where: "b.st", text: `"a.st" and "b.st" hold the same template "SP/k1/01.20.00"`},
		"one name twice":       {file: "b.zip", data: zipOf(packagetest.Entry{Name: "f/a.st", Data: numbered("1")}, packagetest.Entry{Name: "g/A.st", Data: numbered("2")}), code: servicetemplate.CodeDuplicateTemplate, id: "KNAE90007-E", where: "A.st", text: `two files called "A.st"`},
		"too many":             {file: "b.zip", data: zipOf(many...), code: servicetemplate.CodeTooManyTemplates, id: "KNAE90009-E", text: "holds 101 files"},
	} {
		file := c.file
		if file == "" {
			file = "x.st"
		}
		b, err := open(t, file, c.data)
		require.Nil(t, b, name)
		found := problemsOf(t, err)
		require.Equal(t, c.code, found[0].Code, "%s: %v", name, err)
		require.Equal(t, c.id, servicetemplate.MessageID(found[0].Code), name)
		require.Equal(t, c.where, found[0].ResourceName, name)
		require.Contains(t, found[0].Message, c.text, name)
	}
}

func TestAllTemplatesOfABundleAreChecked(t *testing.T) {
	t.Parallel()
	var entries []packagetest.Entry
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
		entries = append(entries, packagetest.Entry{Name: name + ".st", Data: []byte("x")})
	}
	_, err := open(t, "b.zip", packagetest.Archive{Entries: entries}.Bytes())
	var bad *assetpackage.ProblemsError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, 12, bad.Total)
	require.Len(t, bad.Problems, assetpackage.MaxProblems)
	require.Equal(t, "b.st", bad.Problems[1].ResourceName)
}

// The limits hold for a bundle as a whole: templates that are small each do not add up to what is not allowed.
func TestLimitsAreForTheWholeUpload(t *testing.T) {
	t.Parallel()
	part := func(n string) packagetest.Entry {
		data := packagetest.Archive{Entries: []packagetest.Entry{
			{Name: "template.json", Data: []byte(`{"keyName":"k` + n + `","vendorID":"SP","version":"01.20.00"}`)},
			{Name: "plugins/a", Data: make([]byte, 900<<10), Deflate: true},
		}}.Bytes()
		return packagetest.Entry{Name: n + ".st", Data: data}
	}
	data := packagetest.Archive{Entries: []packagetest.Entry{part("1"), part("2")}}.Bytes()
	_, err := servicetemplate.Open(t.Context(), "b.zip", packagetest.Source(data), assetpackage.Limits{MaxTotalBytes: 2 << 20}, nil)
	require.NoError(t, err)
	_, err = servicetemplate.Open(t.Context(), "b.zip", packagetest.Source(data), assetpackage.Limits{MaxTotalBytes: 1 << 20}, nil)
	require.Equal(t, assetpackage.CodeTooLarge, problemsOf(t, err)[0].Code)
	require.Equal(t, "2.st", problemsOf(t, err)[0].ResourceName)
	_, err = servicetemplate.Open(t.Context(), "b.zip", packagetest.Source(data), assetpackage.Limits{MaxEntries: 3}, nil)
	require.Equal(t, assetpackage.CodeTooManyEntries, problemsOf(t, err)[0].Code)
}

func TestShownName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a.st": "a.st", "../../etc/a.st": "a.st", `C:\temp\größe.st`: "größe.st", "a\x1b[31m\n.st": "a?[31m?.st", "\u202etxt.st": "?txt.st", "\xff.st": "?.st", "": "",
		strings.Repeat("ä", 300): strings.Repeat("ä", 254) + "…",
	} {
		require.Equal(t, want, servicetemplate.ShownName(name))
	}
}

// failing is a source that breaks after some reads.
type failing struct {
	assetpackage.Source
	left *int
}

var errBroken = errors.New("the network is away")

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if *f.left--; *f.left < 0 {
		return 0, errBroken
	}
	return f.Source.ReadAt(p, off)
}

func (f failing) OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if *f.left--; *f.left < 0 {
		return nil, errBroken
	}
	return f.Source.OpenRange(ctx, off, n)
}

// What the source does is not blamed on the template.
func TestASourceThatFails(t *testing.T) {
	t.Parallel()
	data := packagetest.Archive{Entries: []packagetest.Entry{{Name: "a.st", Data: numbered("1")}, {Name: "b.st", Data: numbered("2"), Deflate: true}}}.Bytes()
	for reads := 0; ; reads++ {
		left := reads
		_, err := servicetemplate.Open(t.Context(), "b.zip", failing{packagetest.Source(data), &left}, assetpackage.Limits{}, nil)
		if err == nil {
			require.Greater(t, reads, 4)
			break
		}
		require.ErrorIs(t, err, errBroken, "%d", reads)
		require.Equal(t, fault.Internal, fault.KindOf(err))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errBroken)
	_, err := servicetemplate.Open(ctx, "b.zip", packagetest.Source(data), assetpackage.Limits{}, nil)
	require.ErrorIs(t, err, errBroken)
}
