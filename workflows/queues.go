package workflows

import "go.temporal.io/sdk/temporal"

// Task queues. They are two so that a slow cluster does not hold up imports.
const (
	DataQueue  = "assetflow-data"   // jobs that move data: imports, exports, deletes, copies
	AddonQueue = "assetflow-addons" // delivery of add-ons
)

// TracedAlone are the types of the workflows that serve many requests, and so do not belong to the trace of any one.
func TracedAlone() []string { return []string{"ServeQueue"} }

// Search attributes of every job, all of type Keyword. They let a person find jobs in the Temporal UI and name the
// job that a workflow id belongs to.
var (
	SearchProject = temporal.NewSearchAttributeKeyKeyword("AssetflowProject")
	SearchUser    = temporal.NewSearchAttributeKeyKeyword("AssetflowUser")
	SearchJob     = temporal.NewSearchAttributeKeyKeyword("AssetflowJob")
	SearchKind    = temporal.NewSearchAttributeKeyKeyword("AssetflowKind")
)

// SearchAttributeNames are the names to register in a namespace.
func SearchAttributeNames() []string {
	return []string{SearchProject.GetName(), SearchUser.GetName(), SearchJob.GetName(), SearchKind.GetName()}
}
