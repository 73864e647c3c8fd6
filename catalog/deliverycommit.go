package catalog

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// CommitDelivery writes down, exactly once, that the delivery has succeeded: the add-on is SUCCEEDED with the chart that
// BeginDelivery gave and the target's revision, or gone after an uninstall; the job ends as succeeded. A second call gives
// the first one's result. Conflict "catalog.job_ended" when the job has ended otherwise; NotFound "catalog.job_not_found",
// "catalog.addon_not_found" when the job did not begin with an add-on; Invalid "catalog.bad_delivery" for a revision that is
// not valid, or none but after an uninstall.
func (c *Catalog) CommitDelivery(ctx context.Context, d Delivery, revision string) (DeliveryResult, error) {
	if err := checkRevision(revision); err != nil {
		return DeliveryResult{}, err
	}
	if (revision == "") != (d.Action == AddonUninstall) {
		return DeliveryResult{}, badDelivery("what was delivered has a revision, and what was removed has none")
	}
	return commitOnce(ctx, c, "commit the delivery", d.JobID, d.ProjectID, func(tx bun.Tx, at stamp) (DeliveryResult, error) {
		row, err := addonOfJob(ctx, tx, d.ProjectID, d.JobID)
		if err != nil {
			return DeliveryResult{}, err
		}
		result := DeliveryResult{Action: d.Action, AddonID: row.ID, Name: row.Name, TargetID: row.TargetID}
		if (AddonState(row.State) == AddonDeleting) != (d.Action == AddonUninstall) {
			return result, badDelivery("the delivery did not begin in order to %s the add-on", d.Action)
		}
		if d.Action == AddonUninstall {
			err = removeAddon(ctx, tx, row, d.UserID)
		} else {
			row.Chart, row.Revision, row.State, row.JobChart, row.UpdatedAt = row.delivers(), revision, string(AddonSucceeded), "", at
			err = changeAddon(ctx, tx, &row, d.UserID)
			result.Version, result.Revision = row.Version, row.Revision
		}
		if err != nil {
			return result, err
		}
		return result, c.failpoint("delivery")
	})
}

// checkRevision checks what the schema relies on.
func checkRevision(revision string) error {
	if len(revision) > maxName || !isText(revision) {
		return badDelivery("a revision is valid text of at most %d bytes", maxName)
	}
	return nil
}

func removeAddon(ctx context.Context, tx bun.Tx, row addonRow, userID string) error {
	if _, err := tx.NewDelete().Model(&row).WherePK().Exec(ctx); err != nil {
		return fmt.Errorf("remove the add-on: %w", err)
	}
	return writeAudit(ctx, tx, addonEntry(AddonRemoved, userID, row))
}

// changeAddon writes what an add-on consists of now, and where it stands.
func changeAddon(ctx context.Context, tx bun.Tx, row *addonRow, userID string) error {
	_, err := tx.NewUpdate().Model(row).Column("chart", "revision", "state", "job_chart", "updated_at").WherePK().Exec(ctx)
	if err != nil {
		return fmt.Errorf("write the add-on: %w", err)
	}
	if *row, err = addonOfJob(ctx, tx, row.ProjectID, row.JobID); err != nil {
		return err
	}
	return writeAudit(ctx, tx, addonEntry(AddonChanged, userID, *row))
}

// RecordRevision writes down what a job that will not succeed has left on the target: after a roll-back the revision
// that stands for the last good version now; with left, where a cancelled job leaves things as they are, the job's own
// chart and its revision. It changes nothing where the job is not the add-on's last, or has ended. An empty revision says
// that the target holds nothing. NotFound "catalog.job_not_found"; Invalid "catalog.bad_delivery" for a revision that is not
// valid.
func (c *Catalog) RecordRevision(ctx context.Context, d Delivery, revision string, left bool) error {
	if err := checkRevision(revision); err != nil {
		return err
	}
	return c.write(ctx, "record the revision", func(tx bun.Tx) error {
		// The add-on changes only by its job, so it need not be held as well.
		result, err := c.lockJob(ctx, tx, d.JobID, d.ProjectID)
		if fault.KindOf(err) == fault.Conflict || result != nil {
			return nil // it has ended
		}
		if err != nil {
			return err
		}
		row, err := addonOfJob(ctx, tx, d.ProjectID, d.JobID)
		if err != nil {
			if fault.KindOf(err) == fault.NotFound {
				err = nil // it never began
			}
			return err
		}
		chart := row.Chart
		if left {
			chart = row.delivers()
		}
		if revision == "" || chart == "" {
			chart, revision = "", "" // without a version there is nothing that a revision could stand for
		}
		if row.Chart == chart && row.Revision == revision {
			return nil
		}
		row.Chart, row.Revision, row.UpdatedAt = chart, revision, now()
		return changeAddon(ctx, tx, &row, d.UserID)
	})
}
