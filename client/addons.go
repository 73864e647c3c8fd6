package client

import (
	"context"
	"fmt"
	"net/http"
)

// The states of an Addon.
const (
	AddonInitializing = "INITIALIZING" // being installed for the first time
	AddonUpgrading    = "UPGRADING"    // being redeployed or restarted
	AddonFailed       = "FAILED"       // the last job did not succeed
	AddonSucceeded    = "SUCCEEDED"
	AddonDeleting     = "DELETING"
)

// Addon is an add-on of an environment, as the ServiceStage contract shows it: a chart that is delivered to a target.
type Addon struct {
	ID            string `json:"id"`
	Name          string `json:"name"`    // the chart's
	Version       string `json:"version"` // of the chart that the target holds; empty until a delivery has succeeded
	TargetID      string `json:"cce_id"`
	CSEID         string `json:"cse_id"`
	JobID         string `json:"job_id"` // the last job, as the contract writes it: CanonicalJobID gives its UUID
	EnvironmentID string `json:"environment_id"`
	Status        string `json:"status"`
}

// NewAddon is what is installed where.
type NewAddon struct {
	Name     string `json:"name"`   // of a chart of the library
	TargetID string `json:"cce_id"` // of a Target
	CSEID    string `json:"cse_id,omitempty"`
}

// The actions of DeliverAddon.
const (
	Redeploy = "redeploy" // deliver the newest version of the chart
	Restart  = "restart"  // roll the workloads of what is there
)

// InstallAddon starts a job that delivers an add-on to an environment for the first time, and gives the ids of both, the
// job's as a UUID. key is as IdempotencyKey in ImportOptions. A job for the same add-on that runs is in the way: the
// *Error's RunningJob is its id, whoever started it.
func (c *Client) InstallAddon(ctx context.Context, environmentID string, addon NewAddon, key string) (addonID, jobID string, err error) {
	what := "install add-on " + addon.Name
	addonID, jobID, err = c.startDelivery(ctx, what, call{
		method: http.MethodPost, path: c.stagePath("environments", environmentID, "addons"), body: addon, key: key,
	})
	if err == nil && addonID == "" {
		err = fmt.Errorf("%s: the answer carries no id of the add-on", what)
	}
	return addonID, jobID, err
}

// DeliverAddon starts a job that does to an add-on what action says, Redeploy or Restart, and gives the job's id, a UUID.
// All else is as with InstallAddon.
func (c *Client) DeliverAddon(ctx context.Context, environmentID, addonID, action, key string) (jobID string, err error) {
	_, jobID, err = c.startDelivery(ctx, action+" add-on "+addonID, call{
		method: http.MethodPost, path: c.stagePath("environments", environmentID, "addons", addonID, "action"),
		body: map[string]string{"action": action}, key: key,
	})
	return jobID, err
}

// UninstallAddon starts a job that takes an add-on away from its target and its environment, and gives the job's id, a
// UUID. All else is as with InstallAddon.
func (c *Client) UninstallAddon(ctx context.Context, environmentID, addonID, key string) (jobID string, err error) {
	_, jobID, err = c.startDelivery(ctx, "uninstall add-on "+addonID, call{
		method: http.MethodDelete, path: c.stagePath("environments", environmentID, "addons", addonID), key: key,
	})
	return jobID, err
}

// startDelivery starts a job. addonID is empty where the answer does not name the add-on.
func (c *Client) startDelivery(ctx context.Context, what string, start call) (addonID, jobID string, err error) {
	var started struct {
		startedJob
		AddonID string `json:"id"`
	}
	if _, err := c.call(ctx, what, start, &started); err != nil {
		return "", "", err
	}
	if jobID, err = started.id(what); err != nil {
		return "", "", err
	}
	if jobID, err = CanonicalJobID(jobID); err != nil {
		return "", "", fmt.Errorf("%s: read the answer: %w", what, err)
	}
	return started.AddonID, jobID, nil
}

// ListAddons lists the add-ons of an environment by creation.
func (c *Client) ListAddons(ctx context.Context, environmentID string) ([]Addon, error) {
	var list struct {
		Addons []Addon `json:"addons"`
	}
	err := c.get(ctx, "list the add-ons of environment "+environmentID, c.stagePath("environments", environmentID, "addons"), nil, &list)
	return list.Addons, err
}

// Addon asks for one add-on. One that is not there is refused with the code CodeNoAddon.
func (c *Client) Addon(ctx context.Context, environmentID, id string) (Addon, error) {
	var addon Addon
	err := c.get(ctx, "ask for add-on "+id, c.stagePath("environments", environmentID, "addons", id), nil, &addon)
	return addon, err
}

// Target is where add-ons can be delivered to.
type Target struct {
	ID   string `json:"id"`
	Kind string `json:"kind"` // "cluster" or "bucket"
}

// ListTargets lists the targets that are open to the project.
func (c *Client) ListTargets(ctx context.Context) ([]Target, error) {
	var list struct {
		Targets []Target `json:"targets"`
	}
	err := c.get(ctx, "list targets", path("api", "v1", "projects", c.cfg.ProjectID, "targets"), nil, &list)
	return list.Targets, err
}
