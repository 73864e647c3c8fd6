package replication

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"assetflow/fault"
)

var (
	errManifest = fault.New(fault.Invalid, "replication.bad_manifest", "the source region's manifest cannot be read")
	errDigest   = fault.New(fault.Conflict, "replication.manifest_changed", "the source region's manifest is not the one that was sealed")
)

// ManifestReader reads a manifest line by line. What it has handed out is to be believed only when Next has answered
// io.EOF: only then are size and SHA-256 known to be those that were sealed.
type ManifestReader struct {
	lines  *bufio.Reader
	body   *digested
	size   int64
	digest string
	header ManifestHeader
	tally  *tally
	err    error // what Next answers from now on
}

// ReadManifest begins to read a manifest of the size and SHA-256 that were sealed, and reads its header, which must name
// the asset. Errors are those of Next.
func ReadManifest(r io.Reader, assetID string, size int64, sha256Hex string) (*ManifestReader, error) {
	if size < 1 || size > MaxManifestSize {
		return nil, errManifest.Wrap(fmt.Errorf("a size of %d bytes", size))
	}
	m := &ManifestReader{body: &digested{r: io.LimitReader(r, size+1), hash: sha256.New()}, size: size, digest: sha256Hex}
	m.lines = bufio.NewReaderSize(m.body, maxLine)
	if err := m.line(&m.header); err != nil {
		if errors.Is(err, io.EOF) {
			err = m.verdict(io.ErrUnexpectedEOF)
		}
		return nil, err
	}
	if err := m.header.check(); err != nil {
		return nil, m.verdict(err)
	}
	if m.header.AssetID != assetID {
		return nil, m.verdict(errors.New("it is another asset's"))
	}
	m.tally = newTally(m.header)
	return m, nil
}

// Header gives the first line.
func (m *ManifestReader) Header() ManifestHeader { return m.header }

// Next gives the next file, and io.EOF when there is none and the manifest was the one that was sealed. A manifest that
// has another size or digest is Conflict "replication.manifest_changed"; one that was sealed and still cannot be read is
// Invalid "replication.bad_manifest". Errors of the reader come back wrapped.
func (m *ManifestReader) Next() (ManifestFile, error) {
	if m.err != nil {
		return ManifestFile{}, m.err
	}
	var f ManifestFile
	err := m.line(&f)
	switch {
	case err == nil:
		if wrong := m.tally.add(f); wrong != nil {
			err = m.verdict(wrong)
		}
	case errors.Is(err, io.EOF):
		if wrong := m.tally.end(); wrong != nil {
			err = m.verdict(wrong)
		} else if m.altered() {
			err = errDigest
		}
	}
	if m.err = err; err != nil {
		return ManifestFile{}, err
	}
	return f, nil
}

// line decodes the next line; io.EOF where there is none.
func (m *ManifestReader) line(into any) error {
	line, err := m.lines.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) == 0:
		return io.EOF
	case errors.Is(err, io.EOF):
		return m.verdict(errors.New("the last line has no end"))
	case errors.Is(err, bufio.ErrBufferFull):
		return m.verdict(fmt.Errorf("a line of more than %d bytes", maxLine))
	case err != nil:
		return fmt.Errorf("read the manifest: %w", err)
	}
	if err := json.Unmarshal(bytes.TrimSuffix(line, []byte("\n")), into); err != nil {
		return m.verdict(errors.New("a line is not JSON of the right form")) // the decoder might quote a URL
	}
	return nil
}

// verdict says what is to blame for a manifest that makes no sense: whoever changed it, where it is not the one that was
// sealed, and otherwise the one who sealed it. It reads the rest to find out.
func (m *ManifestReader) verdict(wrong error) error {
	if _, err := io.Copy(io.Discard, m.body); err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	if m.altered() {
		return errDigest.Wrap(wrong)
	}
	return errManifest.Wrap(wrong)
}

// altered tells, after the end, whether the manifest is another than the one that was sealed.
func (m *ManifestReader) altered() bool {
	return m.body.size != m.size || hex.EncodeToString(m.body.hash.Sum(nil)) != m.digest
}

// digested counts and hashes what is read through it.
type digested struct {
	r    io.Reader
	hash hash.Hash
	size int64
}

func (d *digested) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	d.hash.Write(p[:n])
	d.size += int64(n)
	return n, err
}
