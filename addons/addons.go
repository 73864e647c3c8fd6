// Package addons delivers add-ons to targets. An add-on is a Helm chart that runs, or is published, in an environment; a
// target is where to: a Kubernetes cluster, which Helm brings up to date, or a bucket, from which a GitOps controller pulls.
//
// A Target knows nothing of jobs, steps or the catalog. Every method may be called again after it was interrupted at
// any point, with the same arguments, and has its effect once.
package addons

import (
	"context"
	"time"
)

// Kind is a kind of target.
type Kind string

// The kinds of targets.
const (
	Cluster Kind = "cluster" // a Kubernetes API, delivered to with Helm
	Bucket  Kind = "bucket"  // a prefix of a bucket, from which a GitOps controller pulls
)

// Codes of this package's faults. Those of kind Unavailable are worth another try; all others end the delivery.
const (
	CodeBadChart      = "addons.bad_chart"       // Invalid: not a chart, or one that no target takes
	CodeChartTooLarge = "addons.chart_too_large" // TooLarge
	CodeBadTargets    = "addons.bad_targets"     // Invalid: the configuration of the targets
	CodeNoTarget      = "addons.no_target"       // NotFound: no target of that id, or none for this project
	CodeTargetAway    = "addons.target_away"     // Unavailable: the target cannot be reached at the moment
	CodeBusy          = "addons.busy"            // Unavailable: no process that reads or renders the chart could do it
	CodeRefused       = "addons.refused"         // Invalid: the chart cannot be rendered, or the target refuses what it renders to
	CodeNoRevision    = "addons.no_revision"     // NotFound: the target does not have that revision, or nothing of the release
)

// Release names what a target holds of one add-on: a Helm release, or a folder of manifests.
type Release struct {
	Name          string // of the add-on and its chart: a DNS label of at most 53 characters
	EnvironmentID string
	ProjectID     string
}

// Namespace is the Kubernetes namespace of everything in an environment. It is made by the first delivery and is no one
// else's, so that environments that share a cluster do not meet.
func (r Release) Namespace() string { return "env-" + r.EnvironmentID }

// Chart is a chart of the library, as it was pushed.
type Chart struct {
	Name    string
	Version string // a semantic version
	SHA256  string // of Archive, 64 lower-case hex digits
	Archive []byte // a gzipped tar, at most MaxChartBytes
}

// Delivery is one change of a release: that of a job. A second call with the same id is the same delivery.
type Delivery struct {
	ID string    // the job's
	At time.Time // when the job was made, in UTC: the same in every try
}

// Target is where add-ons are delivered to. All methods are safe for concurrent use; at most one delivery of a release is
// under way at a time, but for one whose caller has died. Errors are *fault.Error with the codes above, or that of ctx;
// whatever else comes back is worth another try.
type Target interface {
	Kind() Kind

	// Plan renders the chart for the release and has the target check it, without changing anything: on a cluster a
	// server-side dry run. CodeRefused with what is wrong, CodeTargetAway.
	Plan(ctx context.Context, r Release, c Chart) (Plan, error)

	// Apply makes the release consist of the chart, and returns before it is healthy. A release that is stuck because an
	// earlier deliverer died midway is recovered first. Where this delivery has been applied already, Apply gives what it
	// gave then. CodeRefused, CodeTargetAway.
	Apply(ctx context.Context, d Delivery, r Release, c Chart) (Applied, error)

	// Restart rolls the workloads of the release, which keeps its chart. The chart is the one it consists of. CodeNoRevision
	// where there is no release, CodeRefused, CodeTargetAway.
	Restart(ctx context.Context, d Delivery, r Release, c Chart) (Applied, error)

	// Health tells how far the workloads of the release are. CodeNoRevision where there is no release, CodeTargetAway.
	Health(ctx context.Context, r Release) (Health, error)

	// RollBack brings the release back to an earlier revision; with an empty one, where there is none to go back to, it
	// removes the release. It recovers a stuck release as Apply does, and is done once a delivery. A revision that the
	// target has forgotten is CodeNoRevision. CodeTargetAway.
	RollBack(ctx context.Context, d Delivery, r Release, to string) (Applied, error)

	// Remove takes the release away with all that belongs to it. Where there is none it does nothing. It may return before
	// everything is gone: see Remains. CodeTargetAway.
	Remove(ctx context.Context, d Delivery, r Release) (Applied, error)

	// Remains tells what is still there of a release that was removed: nothing when it is gone. CodeTargetAway.
	Remains(ctx context.Context, r Release) ([]Object, error)
}

// Plan is what a chart renders to for a release.
type Plan struct {
	Objects []Object `json:"objects"`         // in the order they are applied
	Notes   []string `json:"notes,omitempty"` // sentences for a person, such as the API server's warnings; at most 20
}

// Object names an object of Kubernetes.
type Object struct {
	Kind      string `json:"kind"` // such as "Deployment"
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"` // empty for objects of the cluster
}

// Applied is what a change came to.
type Applied struct {
	// Revision names the state of the release after the change, for RollBack; empty after Remove. For a cluster it is the
	// number of Helm's revision.
	Revision string `json:"revision,omitempty"`
	// Notes are sentences for a person, such as that a stuck release was recovered. At most 20.
	Notes []string `json:"notes,omitempty"`
}

// Health is how far the workloads of a release are.
type Health struct {
	Ready     bool       `json:"ready"` // everything is as it should be
	Workloads []Workload `json:"workloads"`
	// Failed says why it will not become ready by itself, where the target knows: a Deployment whose progress deadline has
	// passed, a Job that has failed. Empty: it may.
	Failed string `json:"failed,omitempty"`
}

// Workload is one part of a release that takes time to become ready.
type Workload struct {
	Kind    string `json:"kind"` // Deployment, StatefulSet, DaemonSet, Job, …; "Manifests" for what a bucket holds
	Name    string `json:"name"`
	Ready   int    `json:"ready"` // replicas, or pods, that are ready and of the wanted revision
	Wanted  int    `json:"wanted"`
	Message string `json:"message,omitempty"` // why it is not ready, as far as is known
}
