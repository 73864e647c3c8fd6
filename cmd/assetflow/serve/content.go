package serve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"

	"golang.org/x/sync/errgroup"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

const (
	// contentPage is how many rows are read from the catalog at once.
	contentPage = 1000
	// contentParallel is how many objects are read, or looked for one by one, at the same time.
	contentParallel = 8
)

// ContentOptions says how thoroughly the store is compared with the catalog.
type ContentOptions struct {
	Read bool // reads every byte and compares its digest; otherwise existence and size are compared
	Mend bool // has a missing blob stored again by whoever brings the same content next
	// Progress is told how many blobs and archives have been looked at; nil for nobody.
	Progress func(looked int)
}

// What may be wrong with an object.
const (
	ContentMissing = "missing" // it is not there
	ContentDamaged = "damaged" // it has another size, or another digest
)

// ContentFinding is one object that is not as the catalog has it.
type ContentFinding struct {
	Key    string `json:"key"`
	What   string `json:"what"` // ContentMissing or ContentDamaged
	Used   bool   `json:"used"` // something is lost: a version, a chart or an archive that can be downloaded needs it
	Mended bool   `json:"mended"`
}

// ContentReport is what the comparison came to.
type ContentReport struct {
	Blobs    int              `json:"blobs"`    // that must be there
	Archives int              `json:"archives"` // that can be downloaded
	Bytes    int64            `json:"bytes"`    // of both
	Unknown  int              `json:"unknown"`  // blobs in the store that nothing needs: a sweep takes them in time
	Findings []ContentFinding `json:"findings"`
}

// CheckContent compares the bucket with the catalog: every blob that the catalog relies on, and every archive that can be
// downloaded, must be there, with its size or its digest. It may run beside everything else; what changes meanwhile is
// looked at again before it counts as wrong. Errors are of a comparison that could not be made: Unavailable, "storage.no_bucket".
func (b *Backends) CheckContent(ctx context.Context, opts ContentOptions) (ContentReport, error) {
	if err := b.checkStorage(ctx); err != nil {
		return ContentReport{}, err
	}
	c := &contentCheck{Backends: b, opts: opts, report: ContentReport{Findings: []ContentFinding{}}}
	if err := c.blobs(ctx); err != nil {
		return ContentReport{}, err
	}
	return c.report, c.archives(ctx)
}

type contentCheck struct {
	*Backends
	opts   ContentOptions
	report ContentReport
}

// blobs walks through the catalog's blobs and the store's in the order of their digests, side by side. So a listing of a
// thousand objects costs one request, and nothing is kept of what agrees.
func (c *contentCheck) blobs(ctx context.Context) error {
	next, stop := iter.Pull2(c.Storage.ListBlobs(ctx))
	defer stop()
	object, err, listed := next()
	after := ""
	for {
		page, readErr := c.Catalog.KeptBlobs(ctx, after, contentPage)
		if readErr != nil {
			return readErr
		}
		last := len(page) < contentPage
		suspects := make([]bool, len(page))
		for i, blob := range page {
			key := storage.BlobKey(blob.SHA256)
			for ; listed && err == nil && object.Key < key; object, err, listed = next() {
				c.report.Unknown++
			}
			if err != nil {
				return err
			}
			suspects[i] = !listed || object.Key != key || object.Size != blob.Size
			if listed && object.Key == key {
				object, err, listed = next()
			}
			after = blob.SHA256
		}
		if err := c.page(ctx, page, suspects); err != nil {
			return err
		}
		if last {
			break
		}
	}
	for listed {
		if err != nil {
			return err
		}
		c.report.Unknown++
		_, err, listed = next()
	}
	return nil
}

// page looks at the blobs of a page one by one where the listing makes them suspect, or where all are read.
func (c *contentCheck) page(ctx context.Context, page []catalog.KeptBlob, suspects []bool) error {
	found := make([]*ContentFinding, len(page))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(contentParallel)
	for i, blob := range page {
		if suspects[i] || c.opts.Read {
			group.Go(func() (err error) {
				found[i], err = c.blob(ctx, blob)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, blob := range page {
		c.count(blob.Size, found[i])
		c.report.Blobs++
	}
	c.progress()
	return nil
}

// blob looks at one blob; nil where it is as it must be. A blob that the catalog has let go of meanwhile is.
func (c *contentCheck) blob(ctx context.Context, blob catalog.KeptBlob) (*ContentFinding, error) {
	key := storage.BlobKey(blob.SHA256)
	what, err := c.look(ctx, blob.Size, blob.SHA256,
		func() (int64, bool, error) { return c.Storage.StatBlob(ctx, blob.SHA256) },
		func() (io.ReadCloser, error) {
			content, _, err := c.Storage.OpenBlob(ctx, blob.SHA256)
			return content, err
		})
	if err != nil || what == "" {
		return nil, err
	}
	blob, keeps, err := c.Catalog.KeepsBlob(ctx, blob.SHA256)
	if err != nil || !keeps {
		return nil, err
	}
	finding := &ContentFinding{Key: key, What: what, Used: blob.Used}
	if c.opts.Mend {
		if err := c.Catalog.MissBlob(ctx, blob.SHA256); err != nil {
			return nil, err
		}
		finding.Mended = true
	}
	return finding, nil
}

func (c *contentCheck) archives(ctx context.Context) error {
	after := ""
	for {
		page, err := c.Catalog.WaitingArchives(ctx, after, contentPage)
		if err != nil {
			return err
		}
		for _, a := range page {
			finding, err := c.archive(ctx, a)
			if err != nil {
				return err
			}
			c.count(a.Size, finding)
			c.report.Archives++
			after = a.ID
		}
		c.progress()
		if len(page) < contentPage {
			return nil
		}
	}
}

// archive looks at one archive; nil where it is as it must be, or has been downloaded meanwhile.
func (c *contentCheck) archive(ctx context.Context, a catalog.Archive) (*ContentFinding, error) {
	key := storage.ArchiveKey(a.ProjectID, a.JobID)
	what, err := c.look(ctx, a.Size, a.SHA256,
		func() (int64, bool, error) { return c.Storage.StatArchive(ctx, key) },
		func() (io.ReadCloser, error) {
			return c.Storage.OpenArchive(ctx, key, a.Size).OpenRange(ctx, 0, a.Size)
		})
	if err != nil || what == "" {
		return nil, err
	}
	if _, err := c.Catalog.Archive(ctx, a.ProjectID, a.InstanceID, a.ID); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return nil, nil //nolint:nilnil // nothing is wrong
		}
		return nil, err
	}
	return &ContentFinding{Key: key, What: what, Used: true}, nil
}

// look tells what is wrong with an object; empty where nothing is.
func (c *contentCheck) look(ctx context.Context, size int64, digest string, stat func() (int64, bool, error), open func() (io.ReadCloser, error)) (string, error) {
	stored, found, err := stat()
	switch {
	case err != nil:
		return "", err
	case !found:
		return ContentMissing, nil
	case stored != size:
		return ContentDamaged, nil
	case !c.opts.Read:
		return "", nil
	}
	content, err := open()
	if fault.KindOf(err) == fault.NotFound {
		return ContentMissing, nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = content.Close() }() // read only: a failed close loses nothing
	sum := sha256.New()
	switch _, err := io.Copy(sum, content); {
	case fault.KindOf(err) == fault.NotFound:
		return ContentMissing, nil
	case err != nil:
		return "", fmt.Errorf("read the content of digest %s: %w", digest, err)
	case hex.EncodeToString(sum.Sum(nil)) != digest:
		return ContentDamaged, nil
	}
	return "", ctx.Err()
}

func (c *contentCheck) count(size int64, finding *ContentFinding) {
	c.report.Bytes += size
	if finding != nil {
		c.report.Findings = append(c.report.Findings, *finding)
	}
}

func (c *contentCheck) progress() {
	if c.opts.Progress != nil {
		c.opts.Progress(c.report.Blobs + c.report.Archives)
	}
}
