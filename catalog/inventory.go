package catalog

import (
	"context"

	"github.com/uptrace/bun"
)

// KeptBlob is a blob that must be in the store.
type KeptBlob struct {
	Blob
	// Used: a version or the add-on library refers to it. Otherwise it is only taken for stored: who brings the same
	// content next stores nothing.
	Used bool
}

type keptRow struct {
	SHA256 string `bun:"sha256"`
	Size   int64  `bun:"size"`
	Used   bool   `bun:"used"`
}

// KeptBlobs gives blobs that must be in the store, in the order of their digests behind the given one, at most limit: those
// that are used, and those that count as stored.
func (c *Catalog) KeptBlobs(ctx context.Context, after string, limit int) ([]KeptBlob, error) {
	return c.keptBlobs(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("b.sha256 > ?", after).Order("b.sha256").Limit(limit)
	})
}

// KeepsBlob tells whether the blob must be in the store now, and how it is kept.
func (c *Catalog) KeepsBlob(ctx context.Context, sha256 string) (kept KeptBlob, keeps bool, err error) {
	blobs, err := c.keptBlobs(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("b.sha256 = ?", sha256) })
	if err != nil || len(blobs) == 0 {
		return KeptBlob{}, false, err
	}
	return blobs[0], true, nil
}

func (c *Catalog) keptBlobs(ctx context.Context, chosen func(*bun.SelectQuery) *bun.SelectQuery) ([]KeptBlob, error) {
	var rows []keptRow
	err := c.reader.NewSelect().Model((*blobRow)(nil)).ColumnExpr("b.sha256, b.size, NOT ("+unused+") AS used").
		Where("b.stored_at IS NOT NULL OR NOT ("+unused+")").Apply(chosen).Scan(ctx, &rows)
	if err != nil {
		return nil, failed(ctx, "list the blobs", err)
	}
	blobs := make([]KeptBlob, len(rows))
	for i, r := range rows {
		blobs[i] = KeptBlob{Blob: Blob{SHA256: r.SHA256, Size: r.Size}, Used: r.Used}
	}
	return blobs, nil
}

// MissBlob writes down that the blob is not in the store: whoever brings the same content next stores it again. Of a blob
// that is there after all it costs no more than that. An unknown one is no error.
func (c *Catalog) MissBlob(ctx context.Context, sha256 string) error {
	_, err := c.writer.NewUpdate().Model((*blobRow)(nil)).Set("stored_at = NULL").Where("sha256 = ?", sha256).Exec(ctx)
	return failed(ctx, "note a missing blob", err)
}

// WaitingArchives gives archives of all projects that can be downloaded, in the order of their ids behind the given one, at
// most limit.
func (c *Catalog) WaitingArchives(ctx context.Context, after string, limit int) ([]Archive, error) {
	var rows []archiveRow
	err := c.reader.NewSelect().Model(&rows).Where("ar.id > ?", after).Where("ar.taken_at IS NULL").Where("ar.expires_at > ?", now()).
		Order("ar.id").Limit(limit).Scan(ctx)
	if err != nil {
		return nil, failed(ctx, "list the archives", err)
	}
	archives := make([]Archive, len(rows))
	for i, r := range rows {
		archives[i] = r.archive()
	}
	return archives, nil
}
