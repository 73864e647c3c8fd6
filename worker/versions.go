package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"assetflow/fault"
)

// VersionState is what a version of the workers is good for.
type VersionState string

// The states of a version.
const (
	VersionInactive VersionState = "inactive" // its workers ask for tasks; it was never promoted
	VersionRamping  VersionState = "ramping"  // it gets a part of the new jobs
	VersionCurrent  VersionState = "current"  // it gets new jobs
	VersionDraining VersionState = "draining" // it gets none, and has jobs that still run: its workers must stay
	VersionDrained  VersionState = "drained"  // no job of it runs: its workers can go
)

// DeployedVersion is a version that workers ask for tasks with, or have.
type DeployedVersion struct {
	BuildID   string       `json:"build_id"`
	State     VersionState `json:"state"`
	Percent   float32      `json:"percent,omitempty"` // of new jobs, where it is ramping
	CreatedAt time.Time    `json:"created_at"`        // when its first worker came
}

// Deployment is a Worker Deployment. Without a current version new jobs go to workers that have none.
type Deployment struct {
	Name     string            `json:"name"`
	Current  string            `json:"current,omitempty"` // build id; empty: workers without a version
	Versions []DeployedVersion `json:"versions"`          // newest first
}

// Codes of the faults about versions.
const (
	CodeNoDeployment = "worker.no_deployment" // NotFound: no worker of it has ever come
	CodeNoVersion    = "worker.no_version"    // NotFound: no worker of the version has ever come
	CodeQueueMissing = "worker.queue_missing" // Conflict: the version's workers leave a task queue out
	CodeChanged      = "worker.changed"       // Conflict: somebody else promotes a version at this moment
	codeVersions     = "temporal.no_versions" // Unavailable: the server has no worker versions
	codeAway         = "temporal.unavailable" // Unavailable
)

// Versions tells which versions of a deployment there are. Errors: NotFound CodeNoDeployment, Unavailable.
func Versions(ctx context.Context, c client.Client, deployment string) (Deployment, error) {
	described, err := c.WorkerDeploymentClient().GetHandle(deployment).Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if err != nil {
		return Deployment{}, versionFault(deployment, "", err)
	}
	routing := described.Info.RoutingConfig
	d := Deployment{Name: deployment, Versions: make([]DeployedVersion, 0, len(described.Info.VersionSummaries))}
	if routing.CurrentVersion != nil {
		d.Current = routing.CurrentVersion.BuildID
	}
	for _, summary := range described.Info.VersionSummaries {
		v := DeployedVersion{BuildID: summary.Version.BuildID, CreatedAt: summary.CreateTime.UTC(), State: VersionInactive}
		switch {
		case v.BuildID == d.Current:
			v.State = VersionCurrent
		case routing.RampingVersion != nil && routing.RampingVersion.BuildID == v.BuildID:
			v.State, v.Percent = VersionRamping, routing.RampingVersionPercentage
		case summary.DrainageStatus == client.WorkerDeploymentVersionDrainageStatusDraining:
			v.State = VersionDraining
		case summary.DrainageStatus == client.WorkerDeploymentVersionDrainageStatusDrained:
			v.State = VersionDrained
		}
		d.Versions = append(d.Versions, v)
	}
	slices.SortFunc(d.Versions, func(a, b DeployedVersion) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return d, nil
}

// Promote makes a version the current one: new jobs, queues and sweeps go to its workers, and jobs that run stay where
// they are. An empty build id stands for workers without a version. Errors: NotFound CodeNoDeployment, CodeNoVersion;
// Conflict CodeQueueMissing where the version's workers do not ask for tasks of every task queue that is used, CodeChanged;
// Unavailable.
func Promote(ctx context.Context, c client.Client, deployment, buildID string) error {
	handle := c.WorkerDeploymentClient().GetHandle(deployment)
	described, err := handle.Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if err != nil {
		return versionFault(deployment, buildID, err)
	}
	// AllowNoPollers, where there is no version: whether there are workers without one cannot be asked.
	_, err = handle.SetCurrentVersion(ctx, client.WorkerDeploymentSetCurrentVersionOptions{
		BuildID: buildID, ConflictToken: described.ConflictToken, IgnoreMissingTaskQueues: buildID == "", AllowNoPollers: buildID == "",
	})
	return versionFault(deployment, buildID, err)
}

// Ramp gives a version a part of what is new, in per cent; 0 takes the part away from whichever has one. Errors as those
// of Promote.
func Ramp(ctx context.Context, c client.Client, deployment, buildID string, percent float32) error {
	handle := c.WorkerDeploymentClient().GetHandle(deployment)
	described, err := handle.Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if err != nil {
		return versionFault(deployment, buildID, err)
	}
	if percent == 0 { // a part of 0 would leave the version ramping, and never draining
		if ramping := described.Info.RoutingConfig.RampingVersion; ramping == nil || ramping.BuildID != buildID {
			return nil
		}
		buildID = ""
	}
	_, err = handle.SetRampingVersion(ctx, client.WorkerDeploymentSetRampingVersionOptions{
		BuildID: buildID, Percentage: percent, ConflictToken: described.ConflictToken,
	})
	return versionFault(deployment, buildID, err)
}

// versionFault says what a refusal means. The server's own texts are about task queues and pollers.
func versionFault(deployment, buildID string, err error) error {
	var (
		absent   *serviceerror.NotFound
		refused  *serviceerror.FailedPrecondition
		disabled *serviceerror.Unimplemented
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &absent) && buildID == "":
		return fault.New(fault.NotFound, CodeNoDeployment, "No worker of the deployment %q has come yet.", deployment).Wrap(err)
	case errors.As(err, &absent):
		return fault.New(fault.NotFound, CodeNoVersion, "No worker of the deployment %q with the build id %q has come yet.", deployment, buildID).Wrap(err)
	case errors.As(err, &refused) && buildID != "":
		return fault.New(fault.Conflict, CodeQueueMissing,
			"The version cannot take over: workers with the build id %q have not come, or do not ask for tasks of every task queue that the current version does; "+
				"or another version is being promoted.", buildID).Wrap(err)
	case errors.As(err, &refused):
		return fault.New(fault.Conflict, CodeChanged, "Another version is being promoted; look, and try again.").Wrap(err)
	case errors.As(err, &disabled):
		return fault.New(fault.Unavailable, codeVersions, "This Temporal server has no worker versions.").Wrap(err)
	}
	return fault.New(fault.Unavailable, codeAway, "Temporal does not answer.").Wrap(fmt.Errorf("versions of %s: %w", deployment, err))
}
