package replication

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"

	"assetflow/fault"
)

const (
	// ManifestFormat stands in the header of a manifest.
	ManifestFormat = "assetflow-manifest-1"
	// MaxManifestFiles is the largest number of files that a manifest lists.
	MaxManifestFiles = 100_000
	// maxLine is the longest line of a manifest, in bytes with its end.
	maxLine = 16 << 10
	// MaxManifestSize is the largest size of a manifest in bytes.
	MaxManifestSize = int64(MaxManifestFiles+1) * maxLine

	maxName   = 1024 // bytes of a file's name
	maxWord   = 64   // bytes of a type or a category
	md5Length = 24   // characters of an MD5 in base64
)

// ManifestHeader is the first line of a manifest.
type ManifestHeader struct {
	Format  string `json:"format"` // ManifestFormat; the writer sets it
	AssetID string `json:"asset_id"`
	Files   int    `json:"files"` // how many lines follow
	Bytes   int64  `json:"bytes"` // of all files together
}

// ManifestFile is one file of the asset. Who holds its URL can read it, so it prints and logs as a placeholder.
type ManifestFile struct {
	FileID   string `json:"file_id"`
	Name     string `json:"name"`
	MD5      string `json:"md5"` // base64
	Size     int64  `json:"size"`
	SHA256   string `json:"sha256"` // 64 lower-case hex digits
	Type     string `json:"type"`
	Category string `json:"category"`
	URL      string `json:"url"` // presigned
}

// String keeps the URL out of what is printed.
func (f ManifestFile) String() string { return "[file " + f.FileID + "]" }

// GoString keeps the URL out of what is printed with %#v.
func (f ManifestFile) GoString() string { return f.String() }

// LogValue keeps the URL out of logs.
func (f ManifestFile) LogValue() slog.Value { return slog.StringValue(f.String()) }

// check tells what is wrong with a file's line. Which types and categories there are is not this room's business.
func (f ManifestFile) check() error {
	switch {
	case !identifier.MatchString(f.FileID):
		return errors.New("bad file id")
	case f.Name == "" || len(f.Name) > maxName:
		return errors.New("bad name")
	case f.Size < 0:
		return errors.New("bad size")
	case !isSHA256(f.SHA256):
		return errors.New("bad SHA-256")
	case f.Type == "" || len(f.Type) > maxWord:
		return errors.New("bad type")
	case f.Category == "" || len(f.Category) > maxWord:
		return errors.New("bad category")
	case !isWebURL(f.URL):
		return errors.New("bad URL")
	}
	if sum, err := decodeBase64(f.MD5); err != nil || len(f.MD5) != md5Length || len(sum) != 16 {
		return errors.New("bad MD5")
	}
	return nil
}

// check tells what is wrong with a header.
func (h ManifestHeader) check() error {
	switch {
	case h.Format != ManifestFormat:
		return errors.New("not a manifest of a known format")
	case !identifier.MatchString(h.AssetID):
		return errors.New("bad asset id")
	case h.Files < 0 || h.Files > MaxManifestFiles:
		return fmt.Errorf("more than %d files", MaxManifestFiles)
	case h.Bytes < 0:
		return errors.New("bad number of bytes")
	}
	return nil
}

// tally counts the files of a manifest against its header, on both sides.
type tally struct {
	header ManifestHeader
	ids    map[string]struct{}
	bytes  int64
}

func newTally(h ManifestHeader) *tally { return &tally{header: h, ids: map[string]struct{}{}} }

// add counts a file in.
func (t *tally) add(f ManifestFile) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("file %d: %w", len(t.ids)+1, err)
	}
	if _, twice := t.ids[f.FileID]; twice {
		return fmt.Errorf("file %d: its id is another's, too", len(t.ids)+1)
	}
	if len(t.ids) == t.header.Files {
		return errors.New("more files than the header names")
	}
	if f.Size > math.MaxInt64-t.bytes {
		return errors.New("more bytes than can be")
	}
	t.ids[f.FileID] = struct{}{}
	t.bytes += f.Size
	return nil
}

// end tells whether all that the header names has come.
func (t *tally) end() error {
	if len(t.ids) != t.header.Files || t.bytes != t.header.Bytes {
		return errors.New("the files are not those that the header names")
	}
	return nil
}

// WriteManifest writes a manifest line by line; it keeps no more than the files' ids in memory. The header's Format is
// set here. Too many files are TooLarge "replication.too_many_files"; files that are not what the header says, or that no
// reader would take, are errors without a kind. Errors of w and of files come back wrapped.
func WriteManifest(w io.Writer, h ManifestHeader, files iter.Seq2[ManifestFile, error]) error {
	if h.Files > MaxManifestFiles {
		return fault.New(fault.TooLarge, "replication.too_many_files",
			"an asset of more than %d files cannot be copied", MaxManifestFiles)
	}
	h.Format = ManifestFormat
	if err := h.check(); err != nil {
		return fmt.Errorf("write a manifest: %w", err)
	}
	buffered := bufio.NewWriter(w)
	if err := writeLine(buffered, h); err != nil {
		return err
	}
	t := newTally(h)
	for f, err := range files {
		if err == nil {
			err = t.add(f)
		}
		if err != nil {
			return fmt.Errorf("write a manifest: %w", err)
		}
		if err := writeLine(buffered, f); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return fmt.Errorf("write a manifest: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write a manifest: %w", err)
	}
	return nil
}

func writeLine(w io.Writer, value any) error {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false) // a URL is full of &
	if err := e.Encode(value); err != nil {
		return fmt.Errorf("write a manifest: %w", err)
	}
	if line.Len() > maxLine {
		return fmt.Errorf("write a manifest: a line of %d bytes", line.Len())
	}
	if _, err := w.Write(line.Bytes()); err != nil {
		return fmt.Errorf("write a manifest: %w", err)
	}
	return nil
}
