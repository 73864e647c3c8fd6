package catalog

import "context"

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
	panic("not built yet")
}

// CommitDeletion moves the assets to the trash, in one transaction and exactly once: a second call with the same job id
// returns the first one's result. It ends the job as succeeded.
//
// Errors, each leaving everything as it was: *ConflictsError with a reason for each asset that cannot be deleted;
// Conflict "catalog.job_ended" when the job has already ended otherwise; NotFound "catalog.job_not_found" (also for a
// job of another project), "catalog.instance_not_found".
func (c *Catalog) CommitDeletion(ctx context.Context, d Deletion) (DeletionResult, error) {
	panic("not built yet")
}
