package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/uptrace/bun"
)

// maxReason bounds the reason that an asset keeps, in bytes.
const maxReason = 1024

// FailCopy shows the asset as FAILED, with the reason, a sentence for a person. It changes nothing where the job has its
// effect, never began with this asset, or is not the one that began last; again is no error.
func (c *Catalog) FailCopy(ctx context.Context, jobID, assetID, reason string) error {
	return c.write(ctx, "fail the copy", func(tx bun.Tx) error {
		return failCopies(ctx, tx, reason, now(), "copy_job_id = ? AND asset_id = ?", jobID, assetID)
	})
}

// endCopy sees to it that no asset is CREATING for a job that has ended: whoever ended it may have had no occasion to
// call FailCopy. A commit ends its job when the asset is not being copied any more. reasons is the JSON of at least one, or
// empty.
func endCopy(ctx context.Context, tx bun.Tx, job jobRow, reasons string) error {
	if JobKind(job.Kind) != AssetCopy {
		return nil
	}
	reason := "The copy has ended before its time."
	switch {
	case reasons != "":
		var given []Reason
		if err := json.Unmarshal([]byte(reasons), &given); err != nil {
			return fmt.Errorf("read the reasons: %w", err)
		}
		reason = given[0].Message
	case JobState(job.State) == JobCancelled:
		reason = "The copy was cancelled."
	}
	return failCopies(ctx, tx, reason, now(), "copy_job_id = ?", job.ID)
}

func failCopies(ctx context.Context, tx bun.Tx, reason string, at stamp, where string, args ...any) error {
	if !isText(reason) {
		reason = "The copy failed."
	}
	for len(reason) > maxReason || !utf8.ValidString(reason) {
		reason = reason[:min(len(reason)-1, maxReason)]
	}
	_, err := tx.NewUpdate().Model((*digitalRow)(nil)).Set("state = ?", string(DigitalFailed)).Set("reason = ?", reason).
		Set("copying = FALSE").Set("updated_at = ?", at).Where(where, args...).Where("copying").Exec(ctx)
	if err != nil {
		return fmt.Errorf("show the copy as failed: %w", err)
	}
	return nil
}
