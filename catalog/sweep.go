package catalog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"
)

// How a blob is removed, and why no version ever refers to a missing object.
//
// An object and its row cannot be removed in one transaction, and an import stores a blob outside of one too: it
// touches the row, stores the object if it is told to, and commits the reference. So the row says what may happen to
// the object:
//
//	kept       condemned_at is null. Nobody deletes the object.
//	condemned  condemned_at is set, and stored_at is null. A touch makes the row kept again, and reports the blob
//	           missing, so the object is stored again whatever became of it.
//	removing   removing_until is set too. The object is being deleted, so a touch has to wait.
//
// kept -> condemned is SweepBlobs, condemned -> removing -> no row is RemoveBlob, condemned -> kept is TouchBlobs; each
// arrow is one transaction that holds the row. From that follow two facts.
//
//  1. A touch comes before the arrow to removing, and then the object is not deleted, or it waits until the deletion is
//     over, and then it reports the blob missing. Either way no deletion is under way once the touch has returned, and
//     none begins before the blob is condemned again.
//  2. Between an import's touch and its commit the blob is not condemned, however long that takes: SweepBlobs passes
//     over what was touched since the oldest running job began, an import touches after its job began, and a commit is
//     refused unless its job is running. SweepBlobs looks at jobs and references in one statement that holds the row,
//     and a commit ends the job and adds the references in one transaction, so it sees both or neither.
//     Completing an uploaded file has no job, nor has adding a chart to the library: a sweep may condemn the blob before,
//     and then requireBlobs refuses it. It holds the row until the reference is added, and a sweep that waits for the row
//     looks at references after that.
//
// Together: what an import found stored or has stored after its touch is there when its commit adds the reference. And
// what is referred to is never condemned.
//
// A remover that dies leaves the row removing. Its request to delete may still be under way then, so touches wait until
// removalLease is over; the request itself ends with its context after removalTimeout. This is the one place that
// relies on time: a request must not take effect more than removalLease after it was begun. The other is that clocks of
// machines differ by less than clockSkew; a commit refuses condemned and forgotten blobs even where they do not.
const (
	removalTimeout = time.Minute
	removalLease   = 5 * time.Minute
	clockSkew      = time.Minute // Catalog.clockSkew, but in tests
	// removalPatience is how long a touch waits for a deletion, which usually takes milliseconds.
	removalPatience = 5 * time.Second
	removalPoll     = 20 * time.Millisecond
)

// condemned is the condition on a blob's row. A program from before there was a sweep touches without sparing; its touch
// counts as well.
const condemned = "condemned_at IS NOT NULL AND condemned_at > touched_at"

// unused is the condition on a blob's row that nothing refers to it: no file of a version, and no chart of a library. An
// add-on refers to its charts, which stay as long as it does.
const unused = "NOT EXISTS (SELECT 1 FROM version_files AS f WHERE f.sha256 = b.sha256) AND " +
	"NOT EXISTS (SELECT 1 FROM charts AS ch WHERE ch.sha256 = b.sha256)"

// SweepBlobs condemns blobs that nothing uses and that nobody has touched since the given time, nor since shortly
// before the oldest running job began, and returns those that are condemned now, at most limit. Give each to RemoveBlob.
// A touch spares a condemned blob.
func (c *Catalog) SweepBlobs(ctx context.Context, touchedBefore time.Time, limit int) ([]Blob, error) {
	present := now()
	// The long look through all blobs holds nothing up; what it finds is looked at again below.
	var candidates []string
	err := c.reader.NewSelect().Model((*blobRow)(nil)).Column("sha256").Where("b.touched_at < ?", stampOf(touchedBefore)).
		Where("b.removing_until IS NULL OR b.removing_until <= ?", present).Where(unused).Order("b.sha256").Limit(limit).Scan(ctx, &candidates)
	if err != nil {
		return nil, failed(ctx, "look for unused blobs", err)
	}
	var blobs []Blob
	for len(candidates) > 0 {
		chunk := candidates[:min(len(candidates), rowsPerStatement)]
		candidates = candidates[len(chunk):]
		var rows []blobRow
		err := c.write(ctx, "condemn the unused blobs", func(tx bun.Tx) error {
			rows = nil
			// Each in a statement of its own, in this order: the rows are held before jobs and references are looked
			// at, and a job that is seen to have ended has its references seen too.
			var held []string
			err := tx.NewSelect().Model((*blobRow)(nil)).Column("sha256").Where("b.sha256 IN (?)", bun.List(chunk)).Order("b.sha256").
				Apply(c.lock("b")).Scan(ctx, &held)
			if err != nil {
				return err
			}
			before, err := c.untouchedSince(ctx, tx, touchedBefore)
			if err != nil {
				return err
			}
			return tx.NewUpdate().Model((*blobRow)(nil)).Set("condemned_at = ?", now()).Set("stored_at = NULL").Set("removing_until = NULL").
				Where("b.sha256 IN (?)", bun.List(held)).Where("b.touched_at < ?", before).
				Where("b.removing_until IS NULL OR b.removing_until <= ?", present).Where(unused).
				Returning("sha256, size").Scan(ctx, &rows)
		})
		if err != nil {
			return blobs, err
		}
		for _, r := range rows {
			blobs = append(blobs, Blob{SHA256: r.SHA256, Size: r.Size})
		}
	}
	return blobs, nil
}

// untouchedSince moves a time back to shortly before the oldest running job began.
func (c *Catalog) untouchedSince(ctx context.Context, tx bun.Tx, before time.Time) (stamp, error) {
	var running []jobRow
	err := tx.NewSelect().Model(&running).Column("created_at").Where("j.state = ?", string(JobRunning)).Order("j.created_at").Limit(1).Scan(ctx)
	if err != nil {
		return stamp{}, fmt.Errorf("find the oldest running job: %w", err)
	}
	if len(running) > 0 {
		if began := running[0].CreatedAt.at.Add(-c.clockSkew); began.Before(before) {
			before = began
		}
	}
	return stampOf(before), nil
}

// RemoveBlob removes a blob that is still condemned: its object with remove (storage's DeleteBlob, which is harmless
// where there is none), then its row. It says whether the blob is gone; false without an error when it was touched, or
// somebody else is removing it. An error of remove comes back as it is, and a later sweep finds the blob again.
func (c *Catalog) RemoveBlob(ctx context.Context, sha256 string, remove func(ctx context.Context, sha256 string) error) (bool, error) {
	present := now()
	until := stampOf(present.at.Add(removalLease))
	n, err := changed(c.writer.NewUpdate().Model((*blobRow)(nil)).Set("removing_until = ?", until).
		Where("b.sha256 = ?", sha256).Where(condemned).Where("b.removing_until IS NULL OR b.removing_until <= ?", present).
		Where(unused).Exec(ctx))
	if err != nil || n == 0 {
		return false, failed(ctx, "begin to remove the blob", err)
	}
	if err := c.removeObject(ctx, sha256, remove); err != nil {
		return false, err // the request may still be under way, so the row stays as it is until the lease is over
	}
	n, err = changed(c.writer.NewDelete().Model((*blobRow)(nil)).Where("sha256 = ?", sha256).Where("removing_until = ?", until).Exec(ctx))
	return n > 0, failed(ctx, "forget the blob", err)
}

func (c *Catalog) removeObject(ctx context.Context, sha256 string, remove func(ctx context.Context, sha256 string) error) error {
	ctx, cancel := context.WithTimeout(ctx, removalTimeout)
	defer cancel()
	return remove(ctx, sha256)
}

// AdoptBlobs writes down objects that are stored without a row, such as one whose store took longer than its row lived,
// so that a later sweep finds them. It says how many there were; those with a row are left as they are. Invalid
// "catalog.bad_blob".
func (c *Catalog) AdoptBlobs(ctx context.Context, blobs []Blob) (int, error) {
	rows, err := blobRows(blobs)
	if err != nil {
		return 0, err
	}
	var adopted int64
	err = c.write(ctx, "adopt the blobs", func(tx bun.Tx) error {
		adopted = 0
		for chunk := range slices.Chunk(rows, rowsPerStatement) {
			n, err := changed(tx.NewInsert().Model(&chunk).On("CONFLICT DO NOTHING").Exec(ctx))
			if err != nil {
				return err
			}
			adopted += n
		}
		return nil
	})
	return int(adopted), err
}
