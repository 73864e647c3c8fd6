package packagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"assetflow/assetpackage"
)

// Spec describes a valid package to generate. The same Spec always gives the same bytes; file contents are random, so
// nothing compresses them and no two files are equal.
type Spec struct {
	Name          string // part of every asset's name; empty stands for "sample"
	Version       string // empty stands for "1.0.0"
	Applications  int
	Tasks         int    // each uses the application of its number, as far as there are as many
	FilesPerAsset int    //
	FileBytes     int64  // size of every file
	Seed          uint64 // another seed gives other contents under the same names
}

// Small is a package of 5 assets and 64 KiB of files.
func Small(name string) Spec {
	return Spec{Name: name, Applications: 3, Tasks: 2, FilesPerAsset: 1, FileBytes: 64 << 10 / 5}
}

// Manifest returns the manifest in canonical form. It computes the digest of every file, which reads as many bytes as
// the package has.
func (s Spec) Manifest() *assetpackage.Manifest {
	if s.Name == "" {
		s.Name = "sample"
	}
	m := &assetpackage.Manifest{Format: assetpackage.Format, Version: s.Version}
	if m.Version == "" {
		m.Version = "1.0.0"
	}
	for i := range s.Applications {
		name := fmt.Sprintf("%s app %03d", s.Name, i+1)
		m.Applications = append(m.Applications, assetpackage.Asset{
			Name:        name,
			Description: fmt.Sprintf("Generated application %d of %d.", i+1, s.Applications),
			Definition:  json.RawMessage(fmt.Sprintf(`{"apis":[{"method":"GET","path":"/%d"}],"number":%d}`, i+1, i+1)),
			Files:       s.files(fmt.Sprintf("applications/%03d", i+1)),
		})
	}
	for i := range s.Tasks {
		task := assetpackage.Asset{
			Name:        fmt.Sprintf("%s task %03d", s.Name, i+1),
			Description: fmt.Sprintf("Generated task %d of %d.", i+1, s.Tasks),
			Definition:  json.RawMessage(fmt.Sprintf(`{"schedule":"0 %d * * *"}`, i%24)),
			DataSources: []assetpackage.DataSource{{Name: s.Name + " orders", Type: "MYSQL", Settings: json.RawMessage(`{"database":"orders"}`)}},
			Files:       s.files(fmt.Sprintf("tasks/%03d", i+1)),
		}
		if i < len(m.Applications) {
			task.Applications = []string{m.Applications[i].Name}
		}
		m.Tasks = append(m.Tasks, task)
	}
	return m
}

func (s Spec) files(folder string) []assetpackage.File {
	files := make([]assetpackage.File, s.FilesPerAsset)
	for i := range files {
		path := fmt.Sprintf("%s/%05d.bin", folder, i+1)
		digest := sha256.New()
		if _, err := io.Copy(digest, s.content(path)); err != nil {
			panic(fmt.Sprintf("packagetest: hash generated content: %v", err)) // neither side can fail
		}
		files[i] = assetpackage.File{Path: path, SHA256: hex.EncodeToString(digest.Sum(nil)), Size: s.FileBytes}
	}
	return files
}

// content generates the bytes of one file.
func (s Spec) content(path string) io.Reader {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], s.Seed)
	sum := sha256.Sum256([]byte(path))
	copy(seed[8:], sum[:])
	return io.LimitReader(rand.NewChaCha8(seed), s.FileBytes)
}

// OpenFile generates the bytes of the file at path.
func (s Spec) OpenFile(_ context.Context, path string) (io.ReadCloser, error) {
	return io.NopCloser(s.content(path)), nil
}

// Write writes the package as a stream, in constant memory.
func (s Spec) Write(ctx context.Context, w io.Writer) error {
	return assetpackage.Write(ctx, w, s.Manifest(), s.OpenFile)
}

// Bytes returns the package in memory; it panics where the Spec is not that of a valid package.
func (s Spec) Bytes() []byte {
	var b bytes.Buffer
	if err := s.Write(context.Background(), &b); err != nil {
		panic(fmt.Sprintf("packagetest: %v", err))
	}
	return b.Bytes()
}

// Size writes the package to nowhere and returns its length, for callers who must announce it before they stream it.
func (s Spec) Size(ctx context.Context) (int64, error) {
	var n counter
	err := s.Write(ctx, &n)
	return int64(n), err
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Reader returns the package as a stream that is generated while it is read. Close ends it early.
func (s Spec) Reader(ctx context.Context) io.ReadCloser {
	r, w := io.Pipe()
	start := sync.OnceFunc(func() {
		go func() { w.CloseWithError(s.Write(ctx, w)) }()
	})
	return &lazyReader{PipeReader: r, start: start}
}

// lazyReader starts to generate with the first Read, so that a Reader nobody reads leaves nothing running.
type lazyReader struct {
	*io.PipeReader
	start func()
}

// Read gives the next bytes of the package.
func (r *lazyReader) Read(p []byte) (int, error) {
	r.start()
	return r.PipeReader.Read(p)
}
