package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type addonRow struct {
	bun.BaseModel `bun:"table:addons,alias:ad"`

	ID            string `bun:"id,pk"`
	ProjectID     string `bun:"project_id"`
	EnvironmentID string `bun:"environment_id"`
	Name          string `bun:"name"`
	TargetID      string `bun:"target_id"`
	CSEID         string `bun:"cse_id"`
	Chart         string `bun:"chart,nullzero"` // the precedence of the last good version
	Revision      string `bun:"revision"`       // empty where there is no last good version
	State         string `bun:"state"`
	JobID         string `bun:"job_id"`             // the last job
	JobChart      string `bun:"job_chart,nullzero"` // the precedence of the version that the last job delivers, until it has ended
	CreatedAt     stamp  `bun:"created_at"`
	UpdatedAt     stamp  `bun:"updated_at"`

	Version string `bun:"version,scanonly"` // the last good one's, as the next
	SHA256  string `bun:"sha256,scanonly"`
}

func (r addonRow) addon() Addon {
	return Addon{
		ID: r.ID, ProjectID: r.ProjectID, EnvironmentID: r.EnvironmentID, Name: r.Name, TargetID: r.TargetID, CSEID: r.CSEID, Version: r.Version,
		SHA256: r.SHA256, Revision: r.Revision, State: AddonState(r.State), JobID: r.JobID, CreatedAt: r.CreatedAt.at, UpdatedAt: r.UpdatedAt.at,
	}
}

// workingStates are those of an add-on whose last job has not ended.
var workingStates = []AddonState{AddonInitializing, AddonUpgrading, AddonDeleting}

// working tells whether the add-on's last job has not ended.
func (r addonRow) working() bool {
	for _, s := range workingStates {
		if r.State == string(s) {
			return true
		}
	}
	return false
}

// delivers is the precedence of the version that the last job delivers or restarts; empty where it removes the add-on.
func (r addonRow) delivers() string {
	switch {
	case AddonState(r.State) == AddonDeleting:
		return ""
	case r.JobChart != "":
		return r.JobChart
	}
	return r.Chart
}

func noAddon() error {
	return fault.New(fault.NotFound, "catalog.addon_not_found", "the environment has no such add-on")
}

// selectAddons selects add-ons of a project with the versions they consist of.
func selectAddons(db bun.IDB, rows any, projectID string) *bun.SelectQuery {
	return db.NewSelect().Model(rows).ColumnExpr("?TableColumns, ch.version, ch.sha256").
		Join("LEFT JOIN charts AS ch ON ch.project_id = ad.project_id AND ch.name = ad.name AND ch.precedence = ad.chart").
		Where("ad.project_id = ?", projectID)
}

// addonOfJob reads the add-on of which the job is the last.
func addonOfJob(ctx context.Context, db bun.IDB, projectID, jobID string) (addonRow, error) {
	var row addonRow
	err := selectAddons(db, &row, projectID).Where("ad.job_id = ?", jobID).Scan(ctx)
	return row, orAbsent(err, noAddon())
}

// addonEntry stands in the trail of an add-on.
func addonEntry(action AuditAction, userID string, row addonRow) AuditEntry {
	facts := map[string]string{"name": row.Name, "environment_id": row.EnvironmentID, "cce_id": row.TargetID, "job_id": row.JobID}
	if action == AddonChanged {
		facts["version"], facts["revision"] = row.Version, row.Revision
	}
	return AuditEntry{
		ActorID: userID, Action: action, ProjectID: row.ProjectID, ResourceKind: "addon", ResourceID: row.ID, Details: auditDetails(facts),
	}
}
