package catalog

import (
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type blobRow struct {
	bun.BaseModel `bun:"table:blobs,alias:b"`

	SHA256    string `bun:"sha256,pk"`
	Size      int64  `bun:"size"`
	TouchedAt stamp  `bun:"touched_at"`
	StoredAt  stamp  `bun:"stored_at,nullzero"`

	CondemnedAt   stamp `bun:"condemned_at,nullzero"`
	RemovingUntil stamp `bun:"removing_until,nullzero"`
}

// rowsPerStatement keeps statements of bulk writes at a size both databases parse with little memory.
const rowsPerStatement = 1000

// TouchBlobs writes down, in one transaction, that the blobs are about to be used, and returns those not known to be
// stored, which the caller must store before it commits. A sweep passes over a blob that was touched recently, or since
// the oldest running job began. A condemned blob is spared and counts as not stored.
//
// Invalid "catalog.bad_blob" for a digest that is not 64 lower-case hex digits, or a negative size; Unavailable
// "catalog.blob_in_removal" when a sweep is removing one and has not come to an end within some seconds: try again.
func (c *Catalog) TouchBlobs(ctx context.Context, blobs []Blob) (missing []Blob, err error) {
	rows, err := blobRows(blobs)
	if err != nil {
		return nil, err
	}
	wait := time.NewTicker(removalPoll)
	defer wait.Stop()
	for began := time.Now(); ; {
		missing, err = c.touch(ctx, rows)
		if fault.CodeOf(err) != blobInRemoval || time.Since(began) > removalPatience {
			return missing, err
		}
		select {
		case <-wait.C:
		case <-ctx.Done():
			return nil, failed(ctx, "touch the blobs", ctx.Err())
		}
	}
}

const blobInRemoval = "catalog.blob_in_removal"

func (c *Catalog) touch(ctx context.Context, rows []blobRow) (missing []Blob, err error) {
	err = c.write(ctx, "touch the blobs", func(tx bun.Tx) error {
		missing = nil
		present := now()
		for i := range rows {
			rows[i].TouchedAt = present
		}
		for chunk := range slices.Chunk(rows, rowsPerStatement) {
			var touched []blobRow
			err := tx.NewInsert().Model(&chunk).On("CONFLICT (sha256) DO UPDATE").Set("touched_at = EXCLUDED.touched_at").
				Set("condemned_at = NULL").Set("removing_until = CASE WHEN b.removing_until > ? THEN b.removing_until END", present).
				Returning("sha256, size, stored_at, removing_until").Scan(ctx, &touched)
			if err != nil {
				return err
			}
			for _, b := range touched {
				if !b.RemovingUntil.IsZero() { // and nothing is changed
					return fault.New(fault.Unavailable, blobInRemoval, "the content of a file is just being removed")
				}
				if b.StoredAt.IsZero() {
					missing = append(missing, Blob{SHA256: b.SHA256, Size: b.Size})
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return missing, nil
}

// blobRows gives rows that are touched now, each blob once.
func blobRows(blobs []Blob) ([]blobRow, error) {
	rows := make([]blobRow, len(blobs))
	for i, b := range blobs {
		if err := checkBlob(b.SHA256, b.Size); err != nil {
			return nil, err
		}
		rows[i] = blobRow{SHA256: b.SHA256, Size: b.Size, TouchedAt: now()}
	}
	// Everybody takes the row locks in the same order, so nobody waits for each other in a circle.
	slices.SortFunc(rows, func(a, b blobRow) int { return cmp.Compare(a.SHA256, b.SHA256) })
	return slices.CompactFunc(rows, func(a, b blobRow) bool { return a.SHA256 == b.SHA256 }), nil
}

func checkBlob(sha256 string, size int64) error {
	if len(sha256) != 64 || strings.ToLower(sha256) != sha256 || size < 0 {
		return badBlob()
	}
	if _, err := hex.DecodeString(sha256); err != nil {
		return badBlob()
	}
	return nil
}

func badBlob() error {
	return fault.New(fault.Invalid, "catalog.bad_blob", "a blob needs a SHA-256 of 64 lower-case hex digits and a size")
}
