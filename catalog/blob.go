package catalog

import (
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type blobRow struct {
	bun.BaseModel `bun:"table:blobs,alias:b"`

	SHA256    string `bun:"sha256,pk"`
	Size      int64  `bun:"size"`
	TouchedAt stamp  `bun:"touched_at"`
	StoredAt  stamp  `bun:"stored_at,nullzero"`
}

// rowsPerStatement keeps statements of bulk writes at a size both databases parse with little memory.
const rowsPerStatement = 1000

// TouchBlobs writes down, in one transaction, that the blobs are about to be used, and returns those not known to be
// stored, which the caller must store before it commits. A sweep never deletes a blob that was touched recently.
// Invalid "catalog.bad_blob" for a digest that is not 64 lower-case hex digits, or a negative size.
func (c *Catalog) TouchBlobs(ctx context.Context, blobs []Blob) (missing []Blob, err error) {
	rows := make([]blobRow, len(blobs))
	for i, b := range blobs {
		if err := checkBlob(b.SHA256, b.Size); err != nil {
			return nil, err
		}
		rows[i] = blobRow{SHA256: b.SHA256, Size: b.Size, TouchedAt: now()}
	}
	// Everybody takes the row locks in the same order, so nobody waits for each other in a circle.
	slices.SortFunc(rows, func(a, b blobRow) int { return cmp.Compare(a.SHA256, b.SHA256) })
	rows = slices.CompactFunc(rows, func(a, b blobRow) bool { return a.SHA256 == b.SHA256 })

	err = c.write(ctx, "touch the blobs", func(tx bun.Tx) error {
		missing = nil
		for chunk := range slices.Chunk(rows, rowsPerStatement) {
			var touched []blobRow
			err := tx.NewInsert().Model(&chunk).On("CONFLICT (sha256) DO UPDATE").Set("touched_at = EXCLUDED.touched_at").
				Returning("sha256, size, stored_at").Scan(ctx, &touched)
			if err != nil {
				return err
			}
			for _, b := range touched {
				if b.StoredAt.IsZero() {
					missing = append(missing, Blob{SHA256: b.SHA256, Size: b.Size})
				}
			}
		}
		return nil
	})
	return missing, err
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
