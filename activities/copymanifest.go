package activities

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/replication"
	"assetflow/storage"
)

// What is staged of a manifest is a line of ours, and then the source's bytes as they are. So the later steps need
// neither the key that the replication info was sealed with nor, for the commit, the source region.

// manifestHead is the first line.
type manifestHead struct {
	Metadata replication.Metadata `json:"metadata"`
	Size     int64                `json:"size"`   // of the source's bytes
	SHA256   string               `json:"sha256"` // of these
}

// maxManifestHead is the longest first line: metadata that fitted into a replication info.
const maxManifestHead = 256 << 10

// maxCopied is the largest file that is copied, in bytes: what goes into the 10,000 parts of an upload.
const maxCopied = int64(10_000) * storage.PartSize

var errManifestGone = fault.New(fault.NotFound, "copy.manifest_gone", "The staged list of the asset's files is gone; copy the asset again.")

// stageManifest fetches the manifest, checks all of it, and writes it into staging on the way.
func (a *Copy) stageManifest(ctx context.Context, job CopyJob, payload replication.Payload) (CopyManifest, error) {
	var head bytes.Buffer
	encoder := json.NewEncoder(&head)
	encoder.SetEscapeHTML(false) // the extra metadata stays as it was written
	if err := encoder.Encode(manifestHead{
		Metadata: payload.Metadata, Size: payload.ManifestSize, SHA256: payload.ManifestSHA256,
	}); err != nil {
		return CopyManifest{}, fmt.Errorf("encode the metadata: %w", err)
	}
	source, err := a.Fetcher.Remote(payload.ManifestURL, payload.ManifestSize, "")
	if err != nil {
		return CopyManifest{}, err
	}
	r, w := io.Pipe()
	type verdict struct {
		header replication.ManifestHeader
		err    error
	}
	checked := make(chan verdict, 1)
	go func() {
		var v verdict
		if _, v.err = w.Write(head.Bytes()); v.err == nil {
			v.header, v.err = a.checkManifest(io.TeeReader(source.Reader(ctx), w), job, payload)
		}
		_ = w.CloseWithError(v.err) // EOF where there is none
		checked <- v
	}()
	key := storage.StagedManifestKey(job.ProjectID, job.JobID)
	size, digest, err := a.Storage.PutManifest(ctx, key, r)
	_ = r.CloseWithError(errors.New("the manifest is not stored")) // a checker that still writes goes home
	v := <-checked
	if fault.KindOf(v.err) != fault.Internal || err == nil { // a refusal says more than what it made of the writing
		err = v.err
	}
	if err != nil {
		return CopyManifest{}, err
	}
	return CopyManifest{
		Files: v.header.Files, Bytes: v.header.Bytes, Staged: StagedPackage{Key: key, Size: size, SHA256: digest},
	}, nil
}

// checkManifest reads a manifest to its end, and finds out early what would stand in the way of the copy.
func (a *Copy) checkManifest(r io.Reader, job CopyJob, payload replication.Payload) (replication.ManifestHeader, error) {
	m, err := replication.ReadManifest(r, job.AssetID, payload.ManifestSize, payload.ManifestSHA256)
	if err != nil {
		return replication.ManifestHeader{}, err
	}
	mains := 0
	for {
		f, err := m.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return replication.ManifestHeader{}, err
		}
		if !a.Fetcher.Trusts(f.URL) {
			return replication.ManifestHeader{}, about(fmt.Sprintf("Of the file %q", f.Name), replication.Untrusted())
		}
		if f.Size > maxCopied {
			return replication.ManifestHeader{}, fault.New(fault.TooLarge, "copy.file_too_large", "the file %q is larger than %d bytes", f.Name, maxCopied)
		}
		if f.Category == catalog.MainCategory {
			mains++
		}
	}
	if mains != 1 {
		return replication.ManifestHeader{}, fault.New(fault.Invalid, "copy.main_file", "the asset has %d main files", mains)
	}
	return m.Header(), nil
}

// stagedManifest is a manifest that is read from staging.
type stagedManifest struct {
	metadata catalog.DigitalMetadata
	body     io.Closer
	reader   *replication.ManifestReader
}

// openManifest begins to read what stageManifest has staged. Only the source's lines are digested: what is ours nobody
// else can write.
func (a *Copy) openManifest(ctx context.Context, job CopyJob, found CopyManifest) (*stagedManifest, error) {
	body, err := a.Storage.OpenStaged(ctx, found.Staged.Key, found.Staged.Size).OpenRange(ctx, 0, found.Staged.Size)
	if err != nil {
		return nil, manifestError(err)
	}
	m := &stagedManifest{body: body}
	lines := bufio.NewReaderSize(body, maxManifestHead)
	line, err := lines.ReadSlice('\n')
	var head manifestHead
	if err == nil {
		err = json.Unmarshal(line, &head)
	}
	if err == nil {
		m.metadata = catalog.DigitalMetadata(head.Metadata)
		m.reader, err = replication.ReadManifest(lines, job.AssetID, head.Size, head.SHA256)
	}
	if err != nil {
		m.close()
		return nil, manifestError(err)
	}
	return m, nil
}

func manifestError(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return errManifestGone.Wrap(err)
	}
	return fmt.Errorf("read the staged manifest: %w", err)
}

// files gives the files in their order. The sequence ends after its first error; without one the manifest was whole.
func (m *stagedManifest) files() iter.Seq2[replication.ManifestFile, error] {
	return func(yield func(replication.ManifestFile, error) bool) {
		for {
			f, err := m.reader.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = manifestError(err)
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

func (m *stagedManifest) close() { _ = m.body.Close() }
