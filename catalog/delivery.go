package catalog

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// How deliveries of one add-on stand to each other. An add-on names its last job, and is in one of the working states
// exactly until that job has ended: with its commit, or otherwise (see endDelivery). Only then another one can begin. What
// begins a delivery holds the project, as does whatever changes the library or deletes an environment, so what it has found
// there stays; what goes on with a delivery, or ends it, holds the job.

// badDelivery refuses what the schema relies on.
func badDelivery(format string, args ...any) error {
	return fault.New(fault.Invalid, "catalog.bad_delivery", format, args...)
}

func checkDelivery(d Delivery) error {
	switch d.Action {
	case AddonRedeploy, AddonRestart, AddonUninstall:
		return nil
	case AddonInstall:
	default:
		return badDelivery("a delivery cannot %q an add-on", string(d.Action))
	}
	if d.Name == "" || d.TargetID == "" {
		return badDelivery("an add-on has a name and a target")
	}
	for _, text := range []string{d.Name, d.TargetID, d.CSEID} {
		if len(text) > maxName || !isText(text) {
			return badDelivery("what an add-on says is valid text of at most %d bytes each", maxName)
		}
	}
	if d.AddonID != "" && !isDigitalID(d.AddonID) {
		return badDelivery("the id of an add-on has 1 to %d letters, digits, dashes, dots and underscores", MaxDigitalID)
	}
	return nil
}

// CheckDelivery says what stands in the way of a delivery now: what BeginDelivery would, but for the job. It only reads;
// d.UserID is not looked at.
func (c *Catalog) CheckDelivery(ctx context.Context, d Delivery) error {
	if err := checkDelivery(d); err != nil {
		return err
	}
	return c.read(ctx, "check the delivery", func(tx bun.Tx) error {
		_, _, err := planDelivery(ctx, tx, d)
		return err
	})
}

// planDelivery finds what a delivery is about: the add-on, of which an install finds none unless it has begun, and the chart.
func planDelivery(ctx context.Context, db bun.IDB, d Delivery) (addonRow, chartRow, error) {
	if err := requireEnvironment(ctx, db, d.ProjectID, d.EnvironmentID); err != nil {
		return addonRow{}, chartRow{}, err
	}
	row, err := addonOfJob(ctx, db, d.ProjectID, d.JobID)
	switch {
	case err == nil:
		chart, err := deliveredChart(ctx, db, row)
		return row, chart, err
	case fault.KindOf(err) != fault.NotFound:
		return addonRow{}, chartRow{}, err
	}
	if d.Action == AddonInstall {
		err = requireNoAddon(ctx, db, d)
		row = addonRow{Name: d.Name}
	} else {
		row, err = readAddon(ctx, db, d.ProjectID, d.EnvironmentID, d.AddonID)
	}
	if err != nil {
		return addonRow{}, chartRow{}, err
	}
	if row.working() {
		return addonRow{}, chartRow{}, fault.New(fault.Conflict, "catalog.addon_busy", "another job works on the add-on").WithDetails(row.JobID)
	}
	chart, err := chosenChart(ctx, db, d, row)
	return row, chart, err
}

// chosenChart finds what a delivery that is about to begin delivers, or restarts.
func chosenChart(ctx context.Context, db bun.IDB, d Delivery, row addonRow) (chartRow, error) {
	switch d.Action {
	case AddonInstall, AddonRedeploy:
		return newestChart(ctx, db, d.ProjectID, row.Name)
	case AddonRestart:
		if row.Chart == "" {
			return chartRow{}, fault.New(fault.Conflict, "catalog.addon_not_delivered", "the add-on was never delivered: redeploy it first")
		}
		return deliveredChart(ctx, db, row)
	default:
		return chartRow{}, nil
	}
}

// requireNoAddon is an error where the name is taken on the target in the environment.
func requireNoAddon(ctx context.Context, db bun.IDB, d Delivery) error {
	var ids []string
	err := db.NewSelect().Model((*addonRow)(nil)).Column("id").Where("ad.environment_id = ?", d.EnvironmentID).
		Where("ad.target_id = ?", d.TargetID).Where("ad.name = ?", d.Name).Scan(ctx, &ids)
	if err == nil && len(ids) > 0 {
		err = addonExists(ids[0])
	}
	return err
}

func addonExists(id string) error {
	return fault.New(fault.Conflict, "catalog.addon_exists", "the environment has an add-on of that name on the target already").WithDetails(id)
}

// deliveredChart finds what the last job of an add-on delivers, or restarts. It is kept as long as the add-on names it.
func deliveredChart(ctx context.Context, db bun.IDB, row addonRow) (chartRow, error) {
	precedence := row.delivers()
	if precedence == "" {
		return chartRow{}, nil
	}
	return readChart(ctx, db, row.ProjectID, row.Name, precedence)
}

// BeginDelivery shows the add-on as one that the job works on: an install makes it, as INITIALIZING, with the id
// d.AddonID or else a new one; the others set it to UPGRADING or DELETING. Where the job has begun already, it changes
// nothing. It gives the add-on, with the last good version, and for install and redeploy the chart to deliver, which is the
// newest of the name in the library and which from then on is kept until the job has ended; again it gives the same chart.
// For a restart the chart is the one the add-on consists of, and for an uninstall the zero value.
//
// NotFound "catalog.job_not_found", "catalog.environment_not_found", "catalog.addon_not_found" (but for install),
// "catalog.chart_not_found"; Conflict "catalog.addon_exists" for an install of a name that is taken on the target in the
// environment, also by an add-on whose install failed (Details is the id of the other add-on), "catalog.addon_busy" when
// another job that has not ended works on the add-on (Details is its id), "catalog.addon_not_delivered" for a restart of an
// add-on that was never delivered, "catalog.job_ended" when the job has ended, however; Invalid "catalog.bad_delivery" for
// an unknown action, or a text that is too long or not valid.
func (c *Catalog) BeginDelivery(ctx context.Context, d Delivery) (Addon, Chart, error) {
	if err := checkDelivery(d); err != nil {
		return Addon{}, Chart{}, err
	}
	var row addonRow
	var chart chartRow
	err := c.write(ctx, "begin the delivery", func(tx bun.Tx) error {
		result, err := c.lockJob(ctx, tx, d.JobID, d.ProjectID)
		if err == nil && result != nil {
			err = fault.New(fault.Conflict, "catalog.job_ended", "the job has succeeded already")
		}
		if err != nil {
			return err
		}
		if err := c.lockProjectOr(ctx, tx, d.ProjectID, noEnvironment()); err != nil {
			return err
		}
		if row, chart, err = planDelivery(ctx, tx, d); err != nil || row.JobID == d.JobID {
			return err
		}
		row.JobID, row.JobChart, row.UpdatedAt = d.JobID, "", now()
		if d.Action == AddonInstall || d.Action == AddonRedeploy {
			row.JobChart = chart.Precedence
		}
		if d.Action == AddonInstall {
			return c.insertAddon(ctx, tx, &row, d)
		}
		row.State = string(AddonUpgrading)
		if d.Action == AddonUninstall {
			row.State = string(AddonDeleting)
		}
		_, err = tx.NewUpdate().Model(&row).Column("state", "job_id", "job_chart", "updated_at").WherePK().Exec(ctx)
		if err != nil {
			return fmt.Errorf("write the state of the add-on: %w", err)
		}
		return c.failpoint("begun")
	})
	if err != nil {
		return Addon{}, Chart{}, err
	}
	return row.addon(), chart.chart(), nil
}

// insertAddon adds the add-on that an install is about to deliver.
func (c *Catalog) insertAddon(ctx context.Context, tx bun.Tx, row *addonRow, d Delivery) error {
	row.ID, row.ProjectID, row.EnvironmentID, row.TargetID, row.CSEID = d.AddonID, d.ProjectID, d.EnvironmentID, d.TargetID, d.CSEID
	if row.ID == "" {
		row.ID = NewID()
	}
	row.State, row.CreatedAt = string(AddonInitializing), row.UpdatedAt
	_, err := tx.NewInsert().Model(row).Exec(ctx)
	if isDuplicate(err) {
		return addonExists(row.ID)
	}
	if err != nil {
		return fmt.Errorf("write the add-on: %w", err)
	}
	if err := writeAudit(ctx, tx, addonEntry(AddonAdded, d.UserID, *row)); err != nil {
		return err
	}
	return c.failpoint("begun")
}

// endDelivery sees to it that no job that has ended works on an add-on: the add-on is FAILED with its last good version,
// and the chart that the job was to deliver is free. A commit ends its job when nothing works on the add-on any more.
func endDelivery(ctx context.Context, tx bun.Tx, job jobRow) error {
	if JobKind(job.Kind) != AddonDelivery {
		return nil
	}
	_, err := tx.NewUpdate().Model((*addonRow)(nil)).Set("state = ?", string(AddonFailed)).Set("job_chart = NULL").Set("updated_at = ?", now()).
		Where("job_id = ?", job.ID).Where("state IN (?)", bun.List(workingStates)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("show the delivery as failed: %w", err)
	}
	return nil
}
