package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
)

// LeaveSignal tells a delivery that a cancellation leaves things on the target as they are. It carries nothing.
const LeaveSignal = "leave"

// DeliverySteps are the steps of DeliverAddon, whatever the action, in their order.
var DeliverySteps = []Step{
	{Activity: "LoadChart", Title: "Load the chart", From: 0, To: 0.05},
	{Activity: "PlanChart", Title: "Check the chart on the target", From: 0.05, To: 0.1},
	{Activity: "ApplyChart", Title: "Apply the chart", From: 0.1, To: 0.3},
	{Activity: "RestartWorkloads", Title: "Restart the workloads", From: 0.05, To: 0.3},
	{Activity: "RemoveRelease", Title: "Remove the release", From: 0.05, To: 0.3},
	{Activity: "AwaitHealthy", Title: "Wait until the workloads are ready", From: 0.3, To: 0.95},
	{Activity: "AwaitRemoved", Title: "Wait until everything is gone", From: 0.3, To: 0.95},
	{Activity: "CommitDelivery", Title: "Commit to the catalog", From: 0.95, To: 0.97},
	{Activity: "RollBack", Title: "Roll back", From: 0.97, To: 0.98},
	{Activity: "RecordRevision", Title: "Write down what stays", From: 0.97, To: 0.98},
	{Activity: "EndJob", Title: "Clean up", From: 0.97, To: 1},
}

// DeliverySummary is what the Temporal UI calls a delivery.
func DeliverySummary(action catalog.AddonAction, name, target, environment string) string {
	verb := map[catalog.AddonAction]string{
		catalog.AddonInstall: "Install", catalog.AddonRedeploy: "Redeploy", catalog.AddonRestart: "Restart", catalog.AddonUninstall: "Uninstall",
	}[action]
	return fmt.Sprintf("%s %s on %s in %s", verb, name, target, environment)
}

// DeliverAddon is to be written.
func DeliverAddon(_ workflow.Context, _ activities.DeliveryJob) (catalog.DeliveryResult, error) {
	return catalog.DeliveryResult{}, nil
}
