package assetpackage_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
	"assetflow/fault"
)

// randomPackage makes a valid package with all the freedom the format leaves.
type randomPackage struct {
	r     *rand.Rand
	files map[string][]byte
	taken map[string]bool
}

var namePool = []string{"order", "Küche", "品目", "данные", "a.b-c_d", "x", "Z 9", "ﬁle", "नमस्ते", "e\u0301xclude"}

func (g *randomPackage) word() string { return namePool[g.r.IntN(len(namePool)-1)] }

func (g *randomPackage) fresh(kind string) string {
	for {
		name := fmt.Sprintf("%s %s%d", g.word(), g.word(), g.r.IntN(1000))
		if !g.taken[kind+name] {
			g.taken[kind+name] = true
			return name
		}
	}
}

func (g *randomPackage) value(depth int) any {
	switch n := g.r.IntN(8); {
	case n < 2 && depth > 0:
		object := make(map[string]any)
		for range g.r.IntN(5) {
			object[g.word()+"\"<&>\u2028\n\x01"[g.r.IntN(6):]] = g.value(depth - 1)
		}
		return object
	case n == 2 && depth > 0:
		list := []any{}
		for range g.r.IntN(4) {
			list = append(list, g.value(depth-1))
		}
		return list
	case n == 3:
		return g.r.Float64() * 1e20
	case n == 4:
		return json.Number([]string{"1.50", "-0", "12345678901234567890123", "1E+2"}[g.r.IntN(4)])
	case n == 5:
		return g.r.IntN(2) == 0
	case n == 6:
		return nil
	default:
		return strings.Repeat(g.word()+"\t\"\\/\u007f😀", g.r.IntN(3))
	}
}

func (g *randomPackage) object() json.RawMessage {
	raw, err := json.Marshal(map[string]any{"z": g.value(4), "a": g.value(3)})
	if err != nil {
		panic(err)
	}
	if g.r.IntN(2) == 0 {
		var b bytes.Buffer
		if err := json.Indent(&b, raw, "\t", "   "); err != nil {
			panic(err)
		}
		return b.Bytes()
	}
	return raw
}

func (g *randomPackage) asset(kind string) assetpackage.Asset {
	a := assetpackage.Asset{Name: g.fresh(kind), Definition: g.object()}
	if g.r.IntN(2) == 0 {
		a.ID = fmt.Sprintf("%s:%d", kind, len(g.taken))
		a.Description = strings.Repeat("Line\nwith \"quotes\" and <tags>. ", g.r.IntN(4))
	}
	for range g.r.IntN(3) {
		name := g.fresh("source")
		settings := json.RawMessage(fmt.Sprintf(`{"b": %d, "a":"x<y", "c" : true}`, g.r.IntN(9)))
		if g.r.IntN(3) == 0 {
			settings = nil
		}
		a.DataSources = append(a.DataSources, assetpackage.DataSource{Name: name, Type: "MYSQL", Settings: settings})
	}
	for range g.r.IntN(4) {
		path := fmt.Sprintf("%s/%s/%s.bin", kind, g.word(), g.fresh("file"))
		data := bytes.Repeat([]byte(path), g.r.IntN(5)*g.r.IntN(2000))
		g.files[path] = data
		sum := sha256.Sum256(data)
		a.Files = append(a.Files, assetpackage.File{Path: path, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))})
	}
	return a
}

func newRandomPackage(seed uint64) (*assetpackage.Manifest, *randomPackage) {
	g := &randomPackage{r: rand.New(rand.NewPCG(seed, 7)), files: make(map[string][]byte), taken: make(map[string]bool)}
	m := &assetpackage.Manifest{Format: assetpackage.Format, Version: fmt.Sprintf("1.%d.0+x", seed)}
	for range 1 + g.r.IntN(5) {
		m.Applications = append(m.Applications, g.asset("application"))
	}
	for range g.r.IntN(5) {
		task := g.asset("task")
		for _, i := range g.r.Perm(len(m.Applications))[:g.r.IntN(len(m.Applications)+1)] {
			task.Applications = append(task.Applications, m.Applications[i].Name)
		}
		m.Tasks = append(m.Tasks, task)
	}
	return m, g
}

func (g *randomPackage) open(_ context.Context, path string) (io.ReadCloser, error) {
	data, ok := g.files[path]
	if !ok {
		return nil, fmt.Errorf("no file %s", path)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// shuffled is the same content in another order and spelling.
func (g *randomPackage) shuffled(m *assetpackage.Manifest) *assetpackage.Manifest {
	c := *m
	for _, list := range []*[]assetpackage.Asset{&c.Applications, &c.Tasks} {
		*list = slices.Clone(*list)
		g.r.Shuffle(len(*list), func(i, j int) { (*list)[i], (*list)[j] = (*list)[j], (*list)[i] })
		for i := range *list {
			a := &(*list)[i]
			a.Files = slices.Clone(a.Files)
			slices.Reverse(a.Files)
			a.DataSources = slices.Clone(a.DataSources)
			slices.Reverse(a.DataSources)
			a.Applications = slices.Clone(a.Applications)
			slices.Reverse(a.Applications)
			var b bytes.Buffer
			if err := json.Indent(&b, a.Definition, "", " "); err != nil {
				panic(err)
			}
			a.Definition = b.Bytes()
		}
	}
	return &c
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		m, g := newRandomPackage(seed)
		canonical, err := m.Canonical()
		require.NoError(t, err)

		var first, second bytes.Buffer
		require.NoError(t, assetpackage.Write(t.Context(), &first, m, g.open))
		require.NoError(t, assetpackage.Write(t.Context(), &second, g.shuffled(m), g.open))
		require.True(t, bytes.Equal(first.Bytes(), second.Bytes()), "seed %d: order and white space must not change the bytes", seed)

		p, err := assetpackage.Open(t.Context(), packagetest.Source(first.Bytes()), assetpackage.Limits{})
		require.NoError(t, err)
		require.NoError(t, p.Verify(t.Context(), nil))
		require.Equal(t, canonical, p.Manifest())
		for path, data := range g.files {
			r, err := p.OpenFile(t.Context(), path)
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.True(t, bytes.Equal(data, got), path)
		}

		var third bytes.Buffer
		require.NoError(t, assetpackage.Write(t.Context(), &third, p.Manifest(), p.OpenFile))
		require.True(t, bytes.Equal(first.Bytes(), third.Bytes()), "seed %d: writing what was read must give the same bytes", seed)
	}
}

// The bytes are promised for ever: this digest only changes together with the format's version.
func TestBytesAreFixed(t *testing.T) {
	t.Parallel()
	data := packagetest.Spec{Name: "Küche", Applications: 3, Tasks: 2, FilesPerAsset: 2, FileBytes: 1000}.Bytes()
	require.Equal(t, "4e2ef70414a006d07b7c23938dfbfd9be31468b2c02e63d12827fcdb5b6e1b0b", fmt.Sprintf("%x", sha256.Sum256(data)))
}

func TestWrittenArchiveIsPlain(t *testing.T) {
	t.Parallel()
	data := packagetest.Spec{Applications: 2, Tasks: 1, FilesPerAsset: 2, FileBytes: 10}.Bytes()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
		require.Equal(t, zip.Store, f.Method)
		require.Equal(t, "-rw-r--r--", f.Mode().String())
		require.Equal(t, "1980-01-01", f.Modified.Format("2006-01-02"))
		require.Empty(t, f.Extra)
	}
	require.Equal(t, []string{
		"manifest.json", "applications/001/00001.bin", "applications/001/00002.bin",
		"applications/002/00001.bin", "applications/002/00002.bin", "tasks/001/00001.bin", "tasks/001/00002.bin",
	}, names)
}

func TestFilesAreInTheOrderOfTheirPaths(t *testing.T) {
	t.Parallel()
	empty := fmt.Sprintf("%x", sha256.Sum256(nil))
	m := &assetpackage.Manifest{Format: assetpackage.Format, Version: "1"}
	for name, path := range map[string]string{"a": "z/1", "b": "X", "c": "y"} {
		m.Applications = append(m.Applications, assetpackage.Asset{
			Name: name, Definition: json.RawMessage("{}"), Files: []assetpackage.File{{Path: path, SHA256: empty}},
		})
	}
	var asked []string
	require.NoError(t, assetpackage.Write(t.Context(), io.Discard, m, func(_ context.Context, path string) (io.ReadCloser, error) {
		asked = append(asked, path)
		return io.NopCloser(strings.NewReader("")), nil
	}))
	require.Equal(t, []string{"X", "y", "z/1"}, asked)
}

func TestWriteRefusesWhatOpenWouldRefuse(t *testing.T) {
	t.Parallel()
	file := assetpackage.File{Path: "a", SHA256: strings.Repeat("0", 64)}
	for name, c := range map[string]struct {
		change func(*assetpackage.Manifest)
		code   string
	}{
		"no definition": {func(m *assetpackage.Manifest) { m.Applications[0].Definition = nil }, assetpackage.CodeBadManifest},
		"bad name":      {func(m *assetpackage.Manifest) { m.Applications[0].Name = "a/b" }, assetpackage.CodeBadManifest},
		"other format":  {func(m *assetpackage.Manifest) { m.Format = "x" }, assetpackage.CodeUnknownFormat},
		"unsafe path":   {func(m *assetpackage.Manifest) { m.Applications[0].Files[0].Path = "../a" }, assetpackage.CodeUnsafePath},
		"broken path":   {func(m *assetpackage.Manifest) { m.Applications[0].Files[0].Path = "a\xff" }, assetpackage.CodeUnsafePath},
		"colliding paths": {func(m *assetpackage.Manifest) {
			m.Applications[0].Files = append(m.Applications[0].Files, assetpackage.File{Path: "A", SHA256: file.SHA256})
		}, assetpackage.CodeDuplicateEntry},
		"file over limit": {func(m *assetpackage.Manifest) { m.Applications[0].Files[0].Size = 6 << 30 }, assetpackage.CodeTooLarge},
		"manifest too long": {func(m *assetpackage.Manifest) {
			m.Applications[0].Definition = json.RawMessage(`{"a":"` + strings.Repeat("x", 4<<20) + `"}`)
		}, assetpackage.CodeTooLarge},
		"too many files": {func(m *assetpackage.Manifest) {
			for i := range 20_000 {
				m.Applications[0].Files = append(m.Applications[0].Files, assetpackage.File{Path: fmt.Sprint(i), SHA256: file.SHA256})
			}
		}, assetpackage.CodeTooManyEntries},
		"long directory": {func(m *assetpackage.Manifest) {
			for i := range 15_000 {
				m.Applications[0].Files = append(m.Applications[0].Files, assetpackage.File{Path: fmt.Sprintf("%0255d/%0255d", i, i), SHA256: file.SHA256})
			}
		}, assetpackage.CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &assetpackage.Manifest{Format: assetpackage.Format, Version: "1", Applications: []assetpackage.Asset{
				{Name: "shop", Definition: json.RawMessage("{}"), Files: []assetpackage.File{file}},
			}}
			c.change(m)
			var b bytes.Buffer
			err := assetpackage.Write(t.Context(), &b, m, func(context.Context, string) (io.ReadCloser, error) {
				return nil, errors.New("must not be asked")
			})
			var codes []string
			for _, p := range problemsOf(t, err) {
				codes = append(codes, p.Code)
			}
			require.Contains(t, codes, c.code)
			require.Zero(t, b.Len())
		})
	}
}

func TestWriteChecksWhatItIsGiven(t *testing.T) {
	t.Parallel()
	spec := packagetest.Spec{Applications: 1, FilesPerAsset: 1, FileBytes: 1000}
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		open func(context.Context, string) (io.ReadCloser, error)
		is   error
	}{
		"shorter": {func(context.Context, string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }, nil},
		"longer": {func(ctx context.Context, p string) (io.ReadCloser, error) {
			s := spec
			s.FileBytes++
			return s.OpenFile(ctx, p)
		}, nil},
		"endless": {func(context.Context, string) (io.ReadCloser, error) { return io.NopCloser(endless{}), nil }, nil},
		"other bytes": {func(ctx context.Context, p string) (io.ReadCloser, error) {
			s := spec
			s.Seed++
			return s.OpenFile(ctx, p)
		}, nil},
		"missing": {func(context.Context, string) (io.ReadCloser, error) { return nil, gone }, gone},
		"breaks":  {func(context.Context, string) (io.ReadCloser, error) { return io.NopCloser(&failing{err: gone}), nil }, gone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := assetpackage.Write(t.Context(), io.Discard, spec.Manifest(), c.open)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
				return
			}
			require.Equal(t, "package.content_mismatch", fault.CodeOf(err))
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, assetpackage.Write(ctx, io.Discard, spec.Manifest(), spec.OpenFile), context.Canceled)
}

// endless is a reader that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// failing is a reader that breaks at once.
type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }
