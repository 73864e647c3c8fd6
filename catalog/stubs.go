package catalog

import (
	"context"
	"time"
)

// CreateUser makes a user, and its domain when missing. Conflict "catalog.user_exists".
func (c *Catalog) CreateUser(ctx context.Context, domainName, name, passwordHash string) (User, error) {
	panic("not built yet")
}

// User finds a user by id. NotFound "catalog.user_not_found".
func (c *Catalog) User(ctx context.Context, id string) (User, error) { panic("not built yet") }

// UserByName finds a user by the names of its domain and its own. NotFound "catalog.user_not_found".
func (c *Catalog) UserByName(ctx context.Context, domainName, name string) (User, error) {
	panic("not built yet")
}

// ListUsers gives all users by domain and name.
func (c *Catalog) ListUsers(ctx context.Context) ([]User, error) { panic("not built yet") }

// SetPassword replaces the password hash and raises the token generation. NotFound "catalog.user_not_found".
func (c *Catalog) SetPassword(ctx context.Context, userID, hash string) error { panic("not built yet") }

// RaiseTokenGeneration revokes every token of the user. NotFound "catalog.user_not_found".
func (c *Catalog) RaiseTokenGeneration(ctx context.Context, userID string) error {
	panic("not built yet")
}

// CreateAccessKey stores a key. NotFound "catalog.user_not_found", Conflict "catalog.key_exists".
func (c *Catalog) CreateAccessKey(ctx context.Context, key AccessKey) error { panic("not built yet") }

// AccessKey finds a key, revoked or not. NotFound "catalog.key_not_found".
func (c *Catalog) AccessKey(ctx context.Context, id string) (AccessKey, error) {
	panic("not built yet")
}

// ListAccessKeys gives a user's keys, revoked ones too, oldest first.
func (c *Catalog) ListAccessKeys(ctx context.Context, userID string) ([]AccessKey, error) {
	panic("not built yet")
}

// RevokeAccessKey makes a key invalid for good; again is no error. NotFound "catalog.key_not_found".
func (c *Catalog) RevokeAccessKey(ctx context.Context, id string) error { panic("not built yet") }

// RecordKeyFailure counts a wrong signature. With more than maxFailures in a row the key is locked until now+lockFor;
// so does every further failure before ResetKeyFailures. Atomic. NotFound "catalog.key_not_found".
func (c *Catalog) RecordKeyFailure(ctx context.Context, id string, now time.Time, maxFailures int, lockFor time.Duration) error {
	panic("not built yet")
}

// ResetKeyFailures forgets failures and lock after a right signature. NotFound "catalog.key_not_found".
func (c *Catalog) ResetKeyFailures(ctx context.Context, id string) error { panic("not built yet") }

// CreateProject makes a project, and its domain when missing. Conflict "catalog.project_exists".
func (c *Catalog) CreateProject(ctx context.Context, domainName, name string) (Project, error) {
	panic("not built yet")
}

// Project finds a project by id. NotFound "catalog.project_not_found".
func (c *Catalog) Project(ctx context.Context, id string) (Project, error) { panic("not built yet") }

// ProjectByName finds a project by the names of its domain and its own. NotFound "catalog.project_not_found".
func (c *Catalog) ProjectByName(ctx context.Context, domainName, name string) (Project, error) {
	panic("not built yet")
}

// ListProjects gives all projects by domain and name.
func (c *Catalog) ListProjects(ctx context.Context) ([]Project, error) { panic("not built yet") }

// CreateInstance makes an instance. NotFound "catalog.project_not_found", Conflict "catalog.instance_exists".
func (c *Catalog) CreateInstance(ctx context.Context, projectID, name string) (Instance, error) {
	panic("not built yet")
}

// Instance finds an instance of a project. NotFound "catalog.instance_not_found".
func (c *Catalog) Instance(ctx context.Context, projectID, id string) (Instance, error) {
	panic("not built yet")
}

// ListInstances gives a project's instances by name.
func (c *Catalog) ListInstances(ctx context.Context, projectID string) ([]Instance, error) {
	panic("not built yet")
}

// GrantRole gives a user a role in a project; again is no error. NotFound "catalog.user_not_found",
// "catalog.project_not_found".
func (c *Catalog) GrantRole(ctx context.Context, a RoleAssignment) error { panic("not built yet") }

// RevokeRole takes the role away. NotFound "catalog.role_not_found" when it was not given.
func (c *Catalog) RevokeRole(ctx context.Context, a RoleAssignment) error { panic("not built yet") }

// Roles gives a user's roles in a project, sorted; none where user or project is unknown.
func (c *Catalog) Roles(ctx context.Context, userID, projectID string) ([]string, error) {
	panic("not built yet")
}

// ListRoles gives all roles of a user, by project and role.
func (c *Catalog) ListRoles(ctx context.Context, userID string) ([]RoleAssignment, error) {
	panic("not built yet")
}

// InsertJob writes a new job down, in state running whatever job.State says. A zero CreatedAt means now. Conflict
// "catalog.job_exists".
func (c *Catalog) InsertJob(ctx context.Context, job Job) error { panic("not built yet") }

// DeleteJob removes a running job whose start was refused; an ended or unknown one is left alone without an error.
func (c *Catalog) DeleteJob(ctx context.Context, id string) error { panic("not built yet") }

// Job finds a job by id, in whatever project. NotFound "catalog.job_not_found".
func (c *Catalog) Job(ctx context.Context, id string) (Job, error) { panic("not built yet") }

// EndJob ends a running job and returns the row as it stands afterwards. The first end wins: on an ended job nothing
// changes, so a job whose effect was committed stays succeeded whatever the outcome says. NotFound
// "catalog.job_not_found", Invalid "catalog.bad_outcome".
func (c *Catalog) EndJob(ctx context.Context, id string, outcome JobOutcome) (Job, error) {
	panic("not built yet")
}

// SettleJob writes down that the job's workflow is closed; again is no error. NotFound "catalog.job_not_found",
// Conflict "catalog.job_running" while it has not ended.
func (c *Catalog) SettleJob(ctx context.Context, id string) error { panic("not built yet") }

// ListUnsettledJobs gives jobs of all projects that were made before the given time and are not settled, oldest first,
// at most limit: what a sweep has to look after.
func (c *Catalog) ListUnsettledJobs(ctx context.Context, before time.Time, limit int) ([]Job, error) {
	panic("not built yet")
}

// ListJobs gives a page of jobs, newest first, and the cursor of the next page (empty at the end). Jobs that arrive
// meanwhile never shift a page. Invalid "catalog.bad_cursor".
func (c *Catalog) ListJobs(ctx context.Context, filter JobFilter) (jobs []Job, next string, err error) {
	panic("not built yet")
}

// ListAssets gives a page of an instance's assets by kind and name, and the cursor of the next page (empty at the end).
// Assets that arrive meanwhile never shift a page. Invalid "catalog.bad_cursor".
func (c *Catalog) ListAssets(ctx context.Context, filter AssetFilter) (assets []Asset, next string, err error) {
	panic("not built yet")
}

// Asset gives one asset with its content. NotFound "catalog.asset_not_found".
func (c *Catalog) Asset(ctx context.Context, projectID, instanceID, assetID string) (AssetDetail, error) {
	panic("not built yet")
}

// ListDataSources gives an instance's data sources by name.
func (c *Catalog) ListDataSources(ctx context.Context, projectID, instanceID string) ([]DataSource, error) {
	panic("not built yet")
}

// TouchBlobs writes down, in one transaction, that the blobs are about to be used, and returns those not known to be
// stored, which the caller must store before it commits. A sweep never deletes a blob that was touched recently.
// Invalid "catalog.bad_blob" for a digest that is not 64 lower-case hex digits.
func (c *Catalog) TouchBlobs(ctx context.Context, blobs []Blob) (missing []Blob, err error) {
	panic("not built yet")
}

// PlanImport says what CommitImport would do now. It only reads. NotFound "catalog.instance_not_found", Invalid
// "catalog.bad_import".
func (c *Catalog) PlanImport(ctx context.Context, imp Import) (ImportPlan, error) {
	panic("not built yet")
}

// CommitImport carries an import out, in one transaction and exactly once: a second call with the same job id returns
// the first one's result. It makes the assets, versions and data sources, marks the blobs stored, and ends the job as
// succeeded with the result. Every blob must have been touched with TouchBlobs and stored before.
//
// Errors, each leaving nothing behind: *ConflictsError; Conflict "catalog.job_ended" when the job has already ended
// otherwise; Conflict "catalog.blobs_unknown" when a blob was not touched; NotFound "catalog.job_not_found",
// "catalog.instance_not_found"; Invalid "catalog.bad_import".
func (c *Catalog) CommitImport(ctx context.Context, imp Import) (ImportResult, error) {
	panic("not built yet")
}
