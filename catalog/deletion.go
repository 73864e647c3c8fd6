package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"
)

// Deletion names the assets of one instance that a job moves to the trash.
type Deletion struct {
	JobID        string
	ProjectID    string
	InstanceID   string
	UserID       string   // who is written down as having deleted them
	Applications []string // asset ids; an id that comes twice counts once
	Tasks        []string // asset ids
}

// DeletionResult is what a deletion did. It is the Result of its job, as JSON.
type DeletionResult struct {
	Deleted int            `json:"deleted"`
	Assets  []DeletedAsset `json:"assets"` // applications, then tasks, in the order they were named
}

// DeletedAsset is one asset that went to the trash.
type DeletedAsset struct {
	ID   string    `json:"id"`
	Kind AssetKind `json:"kind"`
	Name string    `json:"name"`
}

// The codes of what stands in the way of a deletion or an export.
const (
	ReasonUnknownAsset = "unknown_asset" // the instance has no living asset of that kind and id; ResourceName is the id
	ReasonInUse        = "in_use"        // tasks that are not deleted with it use the application in their current version
)

// PlanDeletion says what stands in the way of a deletion now; nothing does when there are no reasons. It only reads;
// d.JobID and d.UserID are not looked at. NotFound "catalog.instance_not_found".
func (c *Catalog) PlanDeletion(ctx context.Context, d Deletion) ([]Reason, error) {
	var reasons []Reason
	err := c.read(ctx, "plan the deletion", func(tx bun.Tx) error {
		if err := requireInstance(ctx, tx, d.ProjectID, d.InstanceID); err != nil {
			return err
		}
		var err error
		_, reasons, err = planDeletion(ctx, tx, d)
		return err
	})
	return reasons, err
}

// CommitDeletion moves the assets to the trash, in one transaction and exactly once: a second call with the same job id
// returns the first one's result. It ends the job as succeeded.
//
// Errors, each leaving everything as it was: *ConflictsError with a reason for each asset that cannot be deleted;
// Conflict "catalog.job_ended" when the job has already ended otherwise; NotFound "catalog.job_not_found" (also for a
// job of another project), "catalog.instance_not_found".
func (c *Catalog) CommitDeletion(ctx context.Context, d Deletion) (DeletionResult, error) {
	return commitOnce(ctx, c, "commit the deletion", d.JobID, d.ProjectID, func(tx bun.Tx, at stamp) (DeletionResult, error) {
		result := DeletionResult{Assets: []DeletedAsset{}}
		if err := c.lockInstance(ctx, tx, d.ProjectID, d.InstanceID); err != nil {
			return result, err
		}
		assets, reasons, err := planDeletion(ctx, tx, d)
		if err != nil {
			return result, err
		}
		if len(reasons) > 0 {
			return result, &ConflictsError{Reasons: reasons, deletion: true}
		}
		for _, a := range assets {
			result.Assets = append(result.Assets, DeletedAsset{ID: a.ID, Kind: AssetKind(a.Kind), Name: a.Name})
		}
		result.Deleted = len(assets)
		if len(assets) > 0 {
			_, err := tx.NewUpdate().Model((*assetRow)(nil)).Set("deleted_at = ?", at).Set("deleted_by = ?", d.UserID).
				Where("id IN (?)", bun.List(idsOf(assets))).Exec(ctx)
			if err != nil {
				return result, fmt.Errorf("move the assets to the trash: %w", err)
			}
		}
		return result, c.failpoint("trash")
	})
}

func idsOf(assets []currentRow) []string {
	ids := make([]string, len(assets))
	for i, a := range assets {
		ids[i] = a.ID
	}
	return ids
}

// planDeletion gives the assets to delete, applications before tasks, and what stands in the way.
func planDeletion(ctx context.Context, db bun.IDB, d Deletion) ([]currentRow, []Reason, error) {
	assets, reasons, err := findAssets(ctx, db, d.ProjectID, d.InstanceID, d.Applications, d.Tasks)
	if err != nil || len(assets) == 0 {
		return nil, reasons, err
	}
	var uses []struct {
		ApplicationID string `bun:"application_id"`
		TaskName      string `bun:"name"`
	}
	ids := idsOf(assets)
	err = db.NewSelect().Model((*applicationUseRow)(nil)).ColumnExpr("va.application_id, t.name").
		Join("JOIN assets AS t ON t.id = va.asset_id AND t.version_number = va.version_number").
		Where("va.application_id IN (?)", bun.List(ids)).Where("t.deleted_at IS NULL").Where("t.id NOT IN (?)", bun.List(ids)).
		Order("t.name").Scan(ctx, &uses)
	if err != nil {
		return nil, nil, fmt.Errorf("find who uses the applications: %w", err)
	}
	users := make(map[string][]string) // names of tasks by the id of the application
	for _, u := range uses {
		users[u.ApplicationID] = append(users[u.ApplicationID], u.TaskName)
	}
	for _, a := range assets {
		if tasks := users[a.ID]; len(tasks) > 0 {
			reasons = append(reasons, Reason{
				ResourceType: a.Kind, ResourceName: a.Name, Code: ReasonInUse,
				Message: fmt.Sprintf("The application is used by %s. Delete them together, or change the tasks first.", listNames("task", tasks)),
			})
		}
	}
	return assets, reasons, nil
}

// findAssets finds living assets of an instance by id, applications before tasks in the order they are named, each
// once, with a reason for each id that is none of that kind.
func findAssets(ctx context.Context, db bun.IDB, projectID, instanceID string, applications, tasks []string) ([]currentRow, []Reason, error) {
	ids := slices.Concat(applications, tasks)
	if len(ids) == 0 {
		return nil, nil, nil
	}
	var rows []currentRow
	err := selectByID(db, &rows, projectID, instanceID, ids).ColumnExpr("v.definition").Where("a.deleted_at IS NULL").Scan(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("find the assets: %w", err)
	}
	byID := make(map[string]currentRow, len(rows))
	for _, r := range rows {
		byID[r.ID] = r
	}
	var found []currentRow
	var reasons []Reason
	seen := make(map[string]bool, len(ids))
	for _, group := range []struct {
		kind AssetKind
		ids  []string
	}{{KindApplication, applications}, {KindTask, tasks}} {
		for _, id := range group.ids {
			if seen[string(group.kind)+id] {
				continue
			}
			seen[string(group.kind)+id] = true
			if row, ok := byID[id]; ok && row.Kind == string(group.kind) {
				found = append(found, row)
				continue
			}
			reasons = append(reasons, Reason{
				ResourceType: string(group.kind), ResourceName: id, Code: ReasonUnknownAsset,
				Message: fmt.Sprintf("The instance has no %s of this id.", group.kind),
			})
		}
	}
	return found, reasons, nil
}

// listNames tells a person which ones, the first few by name.
func listNames(what string, names []string) string {
	const most = 5
	quoted := make([]string, 0, most)
	for _, name := range names[:min(len(names), most)] {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	if len(names) > 1 {
		what += "s"
	}
	text := "the " + what + " " + strings.Join(quoted, ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return text
}
