package workflows

import (
	"errors"

	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
)

// CopyAsset copies a digital asset from another region.
func CopyAsset(workflow.Context, activities.CopyJob) (catalog.CopyResult, error) {
	return catalog.CopyResult{}, errors.New("the steps of a copy are not there yet")
}
