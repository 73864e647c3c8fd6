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

func TestDeliveriesThatAreRefused(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		e, theirs := s.NewEnvironment(t), other.NewEnvironment(t)
		s.AddChart(t, "redis", "1.0.0", "one")
		a := s.Deliver(t, s.NewDelivery(t, e, "redis"), "r1")
		refused := func(d catalog.Delivery, kind fault.Kind, code, details string) {
			t.Helper()
			_, _, err := c.BeginDelivery(ctx, d)
			for _, err := range []error{err, c.CheckDelivery(ctx, d)} {
				requireFault(t, err, kind, code)
				f, _ := fault.As(err)
				require.Equal(t, details, f.Details)
			}
			require.Equal(t, a, readAddon(t, a, c))
		}
		with := func(d catalog.Delivery, change func(*catalog.Delivery)) catalog.Delivery { change(&d); return d }
		install, redeploy := s.NewDelivery(t, e, "redis"), s.NextDelivery(t, a, catalog.AddonRedeploy)

		refused(install, fault.Conflict, "catalog.addon_exists", a.ID)
		for _, d := range []catalog.Delivery{install, redeploy} {
			for _, id := range []string{"", "\x00", catalog.NewID(), theirs.ID} {
				refused(with(d, func(d *catalog.Delivery) { d.EnvironmentID = id }), fault.NotFound, "catalog.environment_not_found", "")
			}
		}
		for _, id := range []string{"", "\x00", "\xff", catalog.NewID(), e.ID} {
			refused(with(redeploy, func(d *catalog.Delivery) { d.AddonID = id }), fault.NotFound, "catalog.addon_not_found", "")
		}
		elsewhere := s.NextDelivery(t, a, catalog.AddonRestart)
		elsewhere.EnvironmentID = s.NewEnvironment(t).ID
		refused(elsewhere, fault.NotFound, "catalog.addon_not_found", "")
		for _, name := range []string{"postgres", "red", "Redis", "../redis"} {
			refused(with(install, func(d *catalog.Delivery) { d.Name = name }), fault.NotFound, "catalog.chart_not_found", "")
		}
		for _, change := range []func(*catalog.Delivery){
			func(d *catalog.Delivery) { d.Action = "" },
			func(d *catalog.Delivery) { d.Name = "" },
			func(d *catalog.Delivery) { d.Name = "\xff" },
			func(d *catalog.Delivery) { d.Name = strings.Repeat("a", 1025) },
			func(d *catalog.Delivery) { d.TargetID = "" },
			func(d *catalog.Delivery) { d.TargetID = "a\x00" },
			func(d *catalog.Delivery) { d.CSEID = "a\x00" },
			func(d *catalog.Delivery) { d.AddonID = "../a" },
		} {
			refused(with(install, change), fault.Invalid, "catalog.bad_delivery", "")
		}

		// What is said of the job, which a check does not look at.
		foreign := other.NextDelivery(t, a, catalog.AddonRedeploy) // the job is that of the add-on's project
		foreign.ProjectID, foreign.EnvironmentID = other.Project.ID, theirs.ID
		_, _, err := c.BeginDelivery(ctx, foreign)
		requireFault(t, err, fault.NotFound, "catalog.job_not_found")
		_, _, err = c.BeginDelivery(ctx, with(redeploy, func(d *catalog.Delivery) { d.JobID = catalog.NewID() }))
		requireFault(t, err, fault.NotFound, "catalog.job_not_found")
		endAs(t, c, redeploy.JobID, catalog.JobCancelled)
		_, _, err = c.BeginDelivery(ctx, redeploy)
		requireFault(t, err, fault.Conflict, "catalog.job_ended")
		require.Equal(t, a, readAddon(t, a, c), "a job that ended before it began leaves no trace")

		running := s.NextDelivery(t, a, catalog.AddonRestart)
		a, _ = beginDelivery(t, c, running)
		for _, action := range []catalog.AddonAction{catalog.AddonRedeploy, catalog.AddonRestart, catalog.AddonUninstall} {
			refused(s.NextDelivery(t, a, action), fault.Conflict, "catalog.addon_busy", running.JobID)
		}
		refused(install, fault.Conflict, "catalog.addon_exists", a.ID)

		// The id of another add-on, be it one of another project.
		other.AddChart(t, "redis", "1.0.0", "one")
		taken := other.NewDelivery(t, theirs, "redis")
		taken.AddonID = a.ID
		_, _, err = c.BeginDelivery(ctx, taken)
		requireFault(t, err, fault.Conflict, "catalog.addon_exists")
		require.Equal(t, a, readAddon(t, a, c))
	})
}

// The name of an add-on is taken on one target in one environment.
func TestAddonsOfOneName(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		e, second := s.NewEnvironment(t), s.NewEnvironment(t)
		s.AddChart(t, "redis", "1.0.0", "one")
		here := s.NewDelivery(t, e, "redis")
		there := s.NewDelivery(t, e, "redis")
		there.TargetID, there.AddonID = "cluster", ""
		elsewhere := s.NewDelivery(t, second, "redis")
		var want []catalog.Addon
		for _, d := range []catalog.Delivery{here, there} {
			want = append(want, s.Deliver(t, d, "r1"))
		}
		require.NotEmpty(t, want[1].ID, "made where none is given")
		s.Deliver(t, elsewhere, "r1")
		list, err := c.ListAddons(ctx, s.Project.ID, e.ID)
		require.NoError(t, err)
		require.Equal(t, want, list)
		list, err = c.ListAddons(ctx, s.Project.ID, s.NewEnvironment(t).ID)
		require.NoError(t, err)
		require.Empty(t, list)

		for _, id := range []string{"", "\x00", catalog.NewID()} {
			_, err = c.Addon(ctx, s.Project.ID, e.ID, id)
			requireFault(t, err, fault.NotFound, "catalog.addon_not_found")
			_, err = c.Addon(ctx, s.Project.ID, id, want[0].ID)
			requireFault(t, err, fault.NotFound, "catalog.environment_not_found")
		}
		_, err = c.Addon(ctx, s.Project.ID, second.ID, want[0].ID)
		requireFault(t, err, fault.NotFound, "catalog.addon_not_found")
		_, err = c.Addon(ctx, other.Project.ID, e.ID, want[0].ID)
		requireFault(t, err, fault.NotFound, "catalog.environment_not_found")
		require.Error(t, c.SQL("UPDATE addons SET project_id = '"+other.Project.ID+"'"), "its project is its environment's")
	})
}

func TestDeliveriesThatFail(t *testing.T) {
	t.Parallel()
	ends := map[string]func(t *testing.T, c *catalog.Catalog, jobID string){
		"failed":    func(t *testing.T, c *catalog.Catalog, jobID string) { endAs(t, c, jobID, catalog.JobFailed) },
		"cancelled": func(t *testing.T, c *catalog.Catalog, jobID string) { endAs(t, c, jobID, catalog.JobCancelled) },
		"refused":   func(t *testing.T, c *catalog.Catalog, jobID string) { require.NoError(t, c.DeleteJob(ctx, jobID)) },
	}
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		for name, end := range ends {
			t.Run(name, func(t *testing.T) {
				s := catalogtest.NewScene(t, c)
				e := s.NewEnvironment(t)
				first := s.AddChart(t, "redis", "1.0.0", "one")
				install := s.NewDelivery(t, e, "redis")
				a, _ := beginDelivery(t, c, install)
				end(t, c, install.JobID)
				failed := readAddon(t, a, c)
				require.GreaterOrEqual(t, failed.UpdatedAt, a.UpdatedAt)
				a.State, a.UpdatedAt = catalog.AddonFailed, failed.UpdatedAt
				require.Equal(t, a, failed)
				_, err := c.CommitDelivery(ctx, install, "r1")
				require.Error(t, err)
				require.Equal(t, a, readAddon(t, a, c))

				// It stands in the way of another one, and can be redeployed or deleted.
				_, _, err = c.BeginDelivery(ctx, s.NewDelivery(t, e, "redis"))
				requireFault(t, err, fault.Conflict, "catalog.addon_exists")
				_, _, err = c.BeginDelivery(ctx, s.NextDelivery(t, a, catalog.AddonRestart))
				requireFault(t, err, fault.Conflict, "catalog.addon_not_delivered")
				redeploy := s.NextDelivery(t, a, catalog.AddonRedeploy)
				_, chart := beginDelivery(t, c, redeploy)
				require.Equal(t, first, chart)
				end(t, c, redeploy.JobID)
				require.Equal(t, catalog.AddonFailed, readAddon(t, a, c).State)
				require.NoError(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", "1.0.0"), "nothing consists of it")
				s.Deliver(t, s.NextDelivery(t, a, catalog.AddonUninstall), "")

				// What was delivered before stays what the add-on consists of.
				s.AddChart(t, "redis", "2.0.0", "two")
				good := s.Deliver(t, s.NewDelivery(t, e, "redis"), "r1")
				s.AddChart(t, "redis", "3.0.0", "three")
				for _, action := range []catalog.AddonAction{catalog.AddonRedeploy, catalog.AddonRestart, catalog.AddonUninstall} {
					d := s.NextDelivery(t, good, action)
					beginDelivery(t, c, d)
					end(t, c, d.JobID)
					failed := readAddon(t, good, c)
					good.State, good.JobID, good.UpdatedAt = catalog.AddonFailed, d.JobID, failed.UpdatedAt
					require.Equal(t, good, failed)
					if err := c.RecordRevision(ctx, d, "r9", true); name == "refused" {
						requireFault(t, err, fault.NotFound, "catalog.job_not_found")
					} else {
						require.NoError(t, err, "too late")
					}
					require.Equal(t, good, readAddon(t, good, c))
				}
				// The end of a job that did not begin is none of the add-on's business.
				waiting := s.NextDelivery(t, good, catalog.AddonRestart)
				beginDelivery(t, c, s.NextDelivery(t, good, catalog.AddonRestart))
				end(t, c, waiting.JobID)
				require.Equal(t, catalog.AddonUpgrading, readAddon(t, good, c).State)
			})
		}
	})
}

func TestChartsOfAddonsStay(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		e := s.NewEnvironment(t)
		versions := []string{"1.0.0", "2.0.0", "3.0.0"}
		kept := func(a catalog.Addon, want ...string) {
			t.Helper()
			for i, version := range versions {
				err := c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", version)
				if err == nil {
					require.NotContains(t, want, version)
					s.AddChart(t, "redis", version, fmt.Sprint(i))
					continue
				}
				require.Contains(t, want, version)
				requireFault(t, err, fault.Conflict, "catalog.chart_in_use")
				f, _ := fault.As(err)
				require.Equal(t, a.ID, f.Details)
			}
		}
		s.AddChart(t, "redis", "1.0.0", "0")
		other.AddChart(t, "redis", "1.0.0", "0")
		install := s.NewDelivery(t, e, "redis")
		a, _ := beginDelivery(t, c, install)
		s.AddChart(t, "redis", "2.0.0", "1")
		s.AddChart(t, "redis", "3.0.0", "2")
		kept(a, "1.0.0")
		require.NoError(t, c.DeleteChart(ctx, s.User.ID, other.Project.ID, "redis", "1.0.0"))
		_, err := c.CommitDelivery(ctx, install, "r1")
		require.NoError(t, err)
		kept(a, "1.0.0")

		redeploy := s.NextDelivery(t, a, catalog.AddonRedeploy)
		beginDelivery(t, c, redeploy)
		kept(a, "1.0.0", "3.0.0")
		endAs(t, c, redeploy.JobID, catalog.JobFailed)
		kept(a, "1.0.0")
		s.Deliver(t, s.NextDelivery(t, a, catalog.AddonRedeploy), "r2")
		kept(a, "3.0.0")
		uninstall := s.NextDelivery(t, a, catalog.AddonUninstall)
		beginDelivery(t, c, uninstall)
		kept(a, "3.0.0")
		_, err = c.CommitDelivery(ctx, uninstall, "")
		require.NoError(t, err)
		kept(a)

		// Both of two, in the order of their ids.
		both := []catalog.Addon{s.Deliver(t, s.NewDelivery(t, e, "redis"), "r1"), s.Deliver(t, s.NewDelivery(t, s.NewEnvironment(t), "redis"), "r1")}
		err = c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", "3.0.0")
		f, _ := fault.As(err)
		require.Equal(t, both[0].ID+", "+both[1].ID, f.Details)
	})
}

func TestRecordRevision(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		e := s.NewEnvironment(t)
		first := s.AddChart(t, "redis", "1.0.0", "one")
		install := s.NewDelivery(t, e, "redis")
		a := catalog.Addon{ID: install.AddonID, ProjectID: s.Project.ID, EnvironmentID: e.ID, Name: "redis", TargetID: "bucket"}
		require.NoError(t, c.RecordRevision(ctx, install, "r0", false), "before it began")
		beginDelivery(t, c, install)
		record := func(d catalog.Delivery, revision string, left bool, version string) catalog.Addon {
			t.Helper()
			state := readAddon(t, a, c).State
			for range 2 {
				require.NoError(t, c.RecordRevision(ctx, d, revision, left))
				after := readAddon(t, a, c)
				require.Equal(t, version, after.Version)
				if version == "" {
					revision = ""
				}
				require.Equal(t, revision, after.Revision)
				require.Equal(t, state, after.State, "the job has not ended")
			}
			endAs(t, c, d.JobID, catalog.JobCancelled)
			after := readAddon(t, a, c)
			require.Equal(t, catalog.AddonFailed, after.State)
			require.Equal(t, version, after.Version)
			return after
		}
		// A first install that was rolled back, so that nothing is there, and then one that was left.
		record(install, "", false, "")
		again := s.NextDelivery(t, a, catalog.AddonRedeploy)
		beginDelivery(t, c, again)
		left := record(again, "r2", true, "1.0.0")
		require.Equal(t, first.SHA256, left.SHA256)
		require.Equal(t, []string{"addon.added", "addon.changed"}, trail(t, c, a.ID), "each change once")

		// A redeployment that was rolled back, one that was left, and one of which nothing was left.
		s.AddChart(t, "redis", "2.0.0", "two")
		next := func(action catalog.AddonAction) catalog.Delivery {
			t.Helper()
			d := s.NextDelivery(t, a, action)
			beginDelivery(t, c, d)
			return d
		}
		record(next(catalog.AddonRedeploy), "r4", false, "1.0.0")
		record(next(catalog.AddonRedeploy), "r5", true, "2.0.0")
		requireFault(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", "2.0.0"), fault.Conflict, "catalog.chart_in_use")
		require.NoError(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", "1.0.0"))
		record(next(catalog.AddonRestart), "r6", true, "2.0.0")
		record(next(catalog.AddonUninstall), "", true, "")
		require.NoError(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", "2.0.0"))
		s.AddChart(t, "redis", "3.0.0", "three")
		record(next(catalog.AddonRedeploy), "r7", false, "") // a revision of nothing that is known

		// Not by another job, nor what is none.
		running := next(catalog.AddonRedeploy)
		before := readAddon(t, a, c)
		require.NoError(t, c.RecordRevision(ctx, s.NextDelivery(t, a, catalog.AddonRedeploy), "r8", true))
		unknown := running
		unknown.JobID = catalog.NewID()
		requireFault(t, c.RecordRevision(ctx, unknown, "r8", true), fault.NotFound, "catalog.job_not_found")
		for _, revision := range []string{"\x00", "\xff", strings.Repeat("r", 1025)} {
			requireFault(t, c.RecordRevision(ctx, running, revision, true), fault.Invalid, "catalog.bad_delivery")
			_, err := c.CommitDelivery(ctx, running, revision)
			requireFault(t, err, fault.Invalid, "catalog.bad_delivery")
		}
		require.Equal(t, before, readAddon(t, a, c))
	})
}

func TestCommitsThatAreRefused(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		s.AddChart(t, "redis", "1.0.0", "one")
		d := s.NewDelivery(t, s.NewEnvironment(t), "redis")
		_, err := c.CommitDelivery(ctx, d, "r1")
		requireFault(t, err, fault.NotFound, "catalog.addon_not_found")
		a, _ := beginDelivery(t, c, d)
		_, err = c.CommitDelivery(ctx, d, "")
		requireFault(t, err, fault.Invalid, "catalog.bad_delivery") // a later roll-back to it would remove the release
		wrong := d
		wrong.Action = catalog.AddonUninstall
		for _, revision := range []string{"", "r1"} {
			_, err = c.CommitDelivery(ctx, wrong, revision)
			requireFault(t, err, fault.Invalid, "catalog.bad_delivery")
		}
		wrong = d
		wrong.ProjectID = catalogtest.NewScene(t, c).Project.ID
		_, err = c.CommitDelivery(ctx, wrong, "r1")
		requireFault(t, err, fault.NotFound, "catalog.job_not_found")
		require.Equal(t, a, readAddon(t, a, c))
		endAs(t, c, d.JobID, catalog.JobFailed)
		_, err = c.CommitDelivery(ctx, d, "r1")
		requireFault(t, err, fault.Conflict, "catalog.job_ended")
		require.Equal(t, catalog.AddonFailed, readAddon(t, a, c).State)
	})
}

func TestDeliveriesStoppedAtAnyStep(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		e := s.NewEnvironment(t)
		s.AddChart(t, "redis", "1.0.0", "one")
		killed := errors.New("killed")
		stop := func(at string) {
			c.SetFailpoint(func(step string) error {
				if step == at {
					return killed
				}
				return nil
			})
		}
		list := func() []catalog.Addon {
			t.Helper()
			addons, err := c.ListAddons(ctx, s.Project.ID, e.ID)
			require.NoError(t, err)
			return addons
		}
		d := s.NewDelivery(t, e, "redis")
		for _, action := range []catalog.AddonAction{catalog.AddonInstall, catalog.AddonRedeploy, catalog.AddonRestart, catalog.AddonUninstall} {
			if action != catalog.AddonInstall {
				d = s.NextDelivery(t, list()[0], action)
			}
			before := list()
			stop("begun")
			_, _, err := c.BeginDelivery(ctx, d)
			require.ErrorIs(t, err, killed)
			require.Equal(t, before, list())
			stop("")
			_, chart := beginDelivery(t, c, d)
			begun, revision := list(), ""
			want := catalog.DeliveryResult{Action: action, AddonID: d.AddonID, Name: "redis", TargetID: "bucket"}
			if action != catalog.AddonUninstall {
				revision, want.Version, want.Revision = "r1", chart.Version, "r1"
			}
			for _, at := range []string{"delivery", "effect", "job", "committed"} {
				stop(at)
				_, err := c.CommitDelivery(ctx, d, revision)
				require.ErrorIs(t, err, killed, at)
				if at != "committed" {
					require.Equal(t, begun, list(), at)
				}
			}
			stop("")
			after := list()
			result, err := c.CommitDelivery(ctx, d, revision)
			require.NoError(t, err)
			require.Equal(t, want, result)
			require.Equal(t, after, list())
		}
		require.Empty(t, list())
		require.Equal(t, []string{"addon.added", "addon.changed", "addon.changed", "addon.changed", "addon.removed"}, trail(t, c, d.AddonID))
	})
}

// Of many that begin at once one wins, whatever its action; and each of it gets the same answer.
func TestDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		s.AddChart(t, "redis", "1.0.0", "one")
		const n = 4
		begin := func(deliveries []catalog.Delivery, code string) (won catalog.Delivery) {
			t.Helper()
			var all sync.WaitGroup
			var addons [2 * n]catalog.Addon
			var charts [2 * n]catalog.Chart
			var errs [2 * n]error
			for i := range 2 * n { // each twice
				all.Go(func() { addons[i], charts[i], errs[i] = c.BeginDelivery(ctx, deliveries[i%n]) })
			}
			all.Wait()
			wins := 0
			for i := range n {
				if errs[i] == nil {
					wins++
					won = deliveries[i]
					require.NoError(t, errs[i+n])
					require.Equal(t, addons[i], addons[i+n])
					require.Equal(t, charts[i], charts[i+n])
					require.Equal(t, won.JobID, addons[i].JobID)
					continue
				}
				requireFault(t, errs[i], fault.Conflict, code)
				requireFault(t, errs[i+n], fault.Conflict, code)
			}
			require.Equal(t, 1, wins)
			return won
		}
		for range 5 {
			e := s.NewEnvironment(t)
			deliveries := make([]catalog.Delivery, n)
			for i := range n {
				deliveries[i] = s.NewDelivery(t, e, "redis")
			}
			won := begin(deliveries, "catalog.addon_exists")

			// The commit and another end at once: the add-on stands as the job has ended.
			var both sync.WaitGroup
			var committed error
			both.Go(func() { _, committed = c.CommitDelivery(ctx, won, "r1") })
			both.Go(func() { endAs(t, c, won.JobID, catalog.JobCancelled) })
			both.Wait()
			job, err := c.Job(ctx, won.JobID)
			require.NoError(t, err)
			a, err := c.Addon(ctx, s.Project.ID, e.ID, won.AddonID)
			require.NoError(t, err)
			if committed == nil {
				require.Equal(t, catalog.JobSucceeded, job.State)
				require.Equal(t, catalog.AddonSucceeded, a.State)
			} else {
				requireFault(t, committed, fault.Conflict, "catalog.job_ended")
				require.Equal(t, catalog.JobCancelled, job.State)
				require.Equal(t, catalog.AddonFailed, a.State)
				require.Empty(t, a.Version)
			}
			for i := range n {
				deliveries[i] = s.NextDelivery(t, a, []catalog.AddonAction{catalog.AddonRedeploy, catalog.AddonUninstall}[i%2])
			}
			won = begin(deliveries, "catalog.addon_busy")

			// A job that ends while the next one begins: that waits for the end, or is refused.
			next := s.NextDelivery(t, a, catalog.AddonUninstall)
			var begun error
			both.Go(func() { _, _, begun = c.BeginDelivery(ctx, next) })
			both.Go(func() { endAs(t, c, won.JobID, catalog.JobFailed) })
			both.Wait()
			want := catalog.AddonDeleting
			if begun != nil {
				requireFault(t, begun, fault.Conflict, "catalog.addon_busy")
				want = catalog.AddonFailed
			}
			require.Equal(t, want, readAddon(t, a, c).State)
		}
	})
}

// Charts come and go while deliveries begin: each has the chart that it was given for as long as its job runs.
func TestDeliveriesAmongPushes(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		s.AddChart(t, "redis", "0.1.0", "0")
		var delivering, pushing sync.WaitGroup
		over := make(chan struct{})
		pushing.Go(func() {
			for i := 1; ; i++ {
				select {
				case <-over:
					return
				default:
				}
				version := fmt.Sprintf("1.0.%d", i%3)
				s.AddChart(t, "redis", version, fmt.Sprint(i%3))
				if err := c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", version); err != nil && fault.CodeOf(err) != "catalog.chart_in_use" {
					t.Error(err)
				}
			}
		})
		for range 3 {
			e := s.NewEnvironment(t)
			delivering.Go(func() {
				a := s.Deliver(t, s.NewDelivery(t, e, "redis"), "r1")
				for range 10 {
					d := s.NextDelivery(t, a, catalog.AddonRedeploy)
					_, chart := beginDelivery(t, c, d)
					_, again := beginDelivery(t, c, d)
					if chart != again {
						t.Errorf("%v is %v by now", chart, again)
					}
					if got, err := c.Chart(ctx, s.Project.ID, "redis", chart.Version); err != nil || got != chart {
						t.Errorf("the chart %v is gone: %v", chart, err)
					}
					if result, err := c.CommitDelivery(ctx, d, "r2"); err != nil || result.Version != chart.Version {
						t.Errorf("%v was committed: %v", result, err)
					}
				}
			})
		}
		delivering.Wait()
		close(over)
		pushing.Wait()
	})
}
