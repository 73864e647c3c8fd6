package catalog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func readAddon(t *testing.T, a catalog.Addon, c *catalog.Catalog) catalog.Addon {
	t.Helper()
	got, err := c.Addon(ctx, a.ProjectID, a.EnvironmentID, a.ID)
	require.NoError(t, err)
	return got
}

func beginDelivery(t *testing.T, c *catalog.Catalog, d catalog.Delivery) (catalog.Addon, catalog.Chart) {
	t.Helper()
	require.NoError(t, c.CheckDelivery(ctx, d))
	a, chart, err := c.BeginDelivery(ctx, d)
	require.NoError(t, err)
	return a, chart
}

func TestDeliveriesOfAnAddon(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		e := s.NewEnvironment(t)
		first := s.AddChart(t, "redis", "1.0.0", "one")

		install := s.NewDelivery(t, e, "redis")
		install.CSEID = "cse"
		a, chart := beginDelivery(t, c, install)
		require.Equal(t, first, chart)
		require.Equal(t, catalog.Addon{
			ID: install.AddonID, ProjectID: s.Project.ID, EnvironmentID: e.ID, Name: "redis", TargetID: "bucket", CSEID: "cse",
			State: catalog.AddonInitializing, JobID: install.JobID, CreatedAt: a.CreatedAt, UpdatedAt: a.CreatedAt,
		}, a)
		require.WithinDuration(t, time.Now(), a.CreatedAt, time.Minute)
		require.Equal(t, a, readAddon(t, a, c))
		second := s.AddChart(t, "redis", "1.1.0", "two")
		again, chart := beginDelivery(t, c, install)
		require.Equal(t, a, again)
		require.Equal(t, first, chart, "what was chosen stays chosen")

		result, err := c.CommitDelivery(ctx, install, "r1")
		require.NoError(t, err)
		require.Equal(t, catalog.DeliveryResult{
			Action: catalog.AddonInstall, AddonID: a.ID, Name: "redis", TargetID: "bucket", Version: "1.0.0", Revision: "r1",
		}, result)
		after := readAddon(t, a, c)
		a.State, a.Version, a.SHA256, a.Revision, a.UpdatedAt = catalog.AddonSucceeded, "1.0.0", first.SHA256, "r1", after.UpdatedAt
		require.Equal(t, a, after)
		job, err := c.Job(ctx, install.JobID)
		require.NoError(t, err)
		require.Equal(t, catalog.JobSucceeded, job.State)
		var kept catalog.DeliveryResult
		require.NoError(t, json.Unmarshal(job.Result, &kept))
		require.Equal(t, result, kept)

		// Everything again, in any order, changes nothing.
		result, err = c.CommitDelivery(ctx, install, "r2")
		require.NoError(t, err)
		require.Equal(t, kept, result)
		_, _, err = c.BeginDelivery(ctx, install)
		requireFault(t, err, fault.Conflict, "catalog.job_ended")
		require.NoError(t, c.RecordRevision(ctx, install, "r3", true))
		endAs(t, c, install.JobID, catalog.JobFailed)
		require.Equal(t, a, readAddon(t, a, c))

		redeploy := s.NextDelivery(t, a, catalog.AddonRedeploy)
		upgrading, chart := beginDelivery(t, c, redeploy)
		require.Equal(t, second, chart)
		require.Equal(t, catalog.AddonUpgrading, upgrading.State)
		require.Equal(t, "1.0.0", upgrading.Version, "the last good one")
		require.Equal(t, "r1", upgrading.Revision)
		result, err = c.CommitDelivery(ctx, redeploy, "r2")
		require.NoError(t, err)
		require.Equal(t, "1.1.0", result.Version)

		s.AddChart(t, "redis", "1.2.0", "three")
		restart := s.NextDelivery(t, a, catalog.AddonRestart)
		restarting, chart := beginDelivery(t, c, restart)
		require.Equal(t, catalog.AddonUpgrading, restarting.State)
		require.Equal(t, second, chart, "what the add-on consists of")
		_, chart = beginDelivery(t, c, restart)
		require.Equal(t, second, chart)
		result, err = c.CommitDelivery(ctx, restart, "r3")
		require.NoError(t, err)
		require.Equal(t, catalog.DeliveryResult{
			Action: catalog.AddonRestart, AddonID: a.ID, Name: "redis", TargetID: "bucket", Version: "1.1.0", Revision: "r3",
		}, result)
		require.Equal(t, "r3", readAddon(t, a, c).Revision)

		uninstall := s.NextDelivery(t, a, catalog.AddonUninstall)
		deleting, chart := beginDelivery(t, c, uninstall)
		require.Equal(t, catalog.AddonDeleting, deleting.State)
		require.Zero(t, chart)
		_, chart = beginDelivery(t, c, uninstall)
		require.Zero(t, chart)
		for range 2 {
			result, err = c.CommitDelivery(ctx, uninstall, "")
			require.NoError(t, err)
			require.Equal(t, catalog.DeliveryResult{Action: catalog.AddonUninstall, AddonID: a.ID, Name: "redis", TargetID: "bucket"}, result)
		}
		_, err = c.Addon(ctx, s.Project.ID, e.ID, a.ID)
		requireFault(t, err, fault.NotFound, "catalog.addon_not_found")
		require.Equal(t, []string{"addon.added", "addon.changed", "addon.changed", "addon.changed", "addon.removed"}, trail(t, c, a.ID))

		reinstalled := s.Deliver(t, s.NewDelivery(t, e, "redis"), "r1")
		require.NotEqual(t, a.ID, reinstalled.ID)
		require.Equal(t, "1.2.0", reinstalled.Version)
	})
}

var (
	_ = errors.Is
	_ = fmt.Sprint
	_ = strings.Join
	_ sync.Mutex
)
