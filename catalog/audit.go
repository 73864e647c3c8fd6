package catalog

import (
	"context"
	"encoding/json"
	"time"
)

// AuditEntry is one line of the audit trail: who did what, when, to what. Entries are only ever added.
type AuditEntry struct {
	ID           string // UUIDv7; made when empty
	At           time.Time
	ActorID      string // a user; empty for the service itself and for its command line
	ActorName    string // as it was at that time; the user's name where empty
	Action       AuditAction
	ProjectID    string
	InstanceID   string
	ResourceKind string // "job", "application", "task", "digital-asset", "service-template", "environment", "chart", "addon", "user", "project", "instance", "key"
	ResourceID   string
	Details      json.RawMessage // an object with further facts, no secrets; nil where there are none
}

// AuditAction says what was done.
type AuditAction string

// The actions that the catalog writes itself, in the transaction that does them.
const (
	// JobStarted says that a job was asked for and written down. JobRefused follows where it could not be started, and
	// JobEnded, with the state, where it could.
	JobStarted AuditAction = "job.started"
	JobRefused AuditAction = "job.refused"
	JobEnded   AuditAction = "job.ended"
	// AssetAdded and AssetChanged are for digital assets, AssetDeleted for service templates too; a job does it to the other kinds. The entries of
	// their files stand in the trail of the asset.
	AssetAdded      AuditAction = "asset.added"
	AssetChanged    AuditAction = "asset.changed"
	AssetDeleted    AuditAction = "asset.deleted"
	FileAdded       AuditAction = "file.added"
	FileCompleted   AuditAction = "file.completed"
	FileAbandoned   AuditAction = "file.abandoned"
	FileRemoved     AuditAction = "file.removed"
	AssetRestored   AuditAction = "asset.restored"
	AssetPurged     AuditAction = "asset.purged"
	VersionRestored AuditAction = "asset.version_restored"
	// What a delivery does to an add-on is addon.added when it is shown first, addon.changed when the target is known to hold
	// another version or revision, and addon.removed.
	EnvironmentAdded   AuditAction = "environment.added"
	EnvironmentChanged AuditAction = "environment.changed"
	EnvironmentRemoved AuditAction = "environment.removed"
	ChartAdded         AuditAction = "chart.added"
	ChartRemoved       AuditAction = "chart.removed"
	AddonAdded         AuditAction = "addon.added"
	AddonChanged       AuditAction = "addon.changed"
	AddonRemoved       AuditAction = "addon.removed"
	UserAdded          AuditAction = "user.added"
	PasswordSet        AuditAction = "user.password_set"   // #nosec G101 -- the name of an action
	TokensRevoked      AuditAction = "user.tokens_revoked" // #nosec G101 -- the name of an action
	ProjectAdded       AuditAction = "project.added"
	InstanceAdded      AuditAction = "instance.added"
	RoleGranted        AuditAction = "role.granted"
	RoleRevoked        AuditAction = "role.revoked"
	KeyAdded           AuditAction = "key.added"
	KeyRevoked         AuditAction = "key.revoked"
)

// AuditFilter chooses entries. Empty fields choose all: whoever may see only one project must name it.
type AuditFilter struct {
	ProjectID  string
	ActorID    string
	Action     AuditAction
	ResourceID string
	Limit      int    // 1 to 500; 0 means 50
	Cursor     string // from the page before; empty: the first page
}

// WithActor says in whose name what is done with the context is written into the audit trail. The trash and versions
// name their user themselves, and a job is its user's where there is no actor; the rest is the service's own doing then.
func WithActor(ctx context.Context, userID string) context.Context {
	return context.WithValue(ctx, actorKey{}, userID)
}

type actorKey struct{}

// actorOr gives the actor of the context, or else the given user.
func actorOr(ctx context.Context, userID string) string {
	if actor, ok := ctx.Value(actorKey{}).(string); ok && actor != "" {
		return actor
	}
	return userID
}
