package catalog_test

import (
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

func environment(s catalogtest.Scene, name string, change ...func(*catalog.Environment)) catalog.Environment {
	e := catalog.Environment{
		ProjectID: s.Project.ID, Name: name, Description: "where <things> run", DeployMode: catalog.DeployMixed, VPCID: "vpc-1",
		Labels: []catalog.EnvironmentLabel{{Key: "stage", Value: "test"}, {Key: "stage", Value: ""}},
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func newEnvironment(t *testing.T, s catalogtest.Scene, name string, change ...func(*catalog.Environment)) catalog.Environment {
	t.Helper()
	e, err := s.Catalog.CreateEnvironment(ctx, s.User.ID, environment(s, name, change...))
	require.NoError(t, err)
	return e
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		made := newEnvironment(t, s, "test")
		want := environment(s, "test")
		want.ID, want.CreatorID, want.CreatorName, want.CreatedAt, want.UpdatedAt = made.ID, s.User.ID, s.User.Name, made.CreatedAt, made.CreatedAt
		require.Equal(t, want, made)
		require.WithinDuration(t, time.Now(), made.CreatedAt, time.Minute)
		got, err := c.Environment(ctx, s.Project.ID, made.ID)
		require.NoError(t, err)
		require.Equal(t, made, got)

		_, err = c.CreateEnvironment(ctx, s.User.ID, environment(s, "test"))
		requireFault(t, err, fault.Conflict, "catalog.environment_exists")
		newEnvironment(t, other, "test")
		_, err = c.CreateEnvironment(ctx, s.User.ID, environment(s, "test", func(e *catalog.Environment) { e.ProjectID = "unknown" }))
		requireFault(t, err, fault.NotFound, "catalog.project_not_found")
		plain := newEnvironment(t, s, "Test", func(e *catalog.Environment) { *e = catalog.Environment{ProjectID: e.ProjectID, Name: e.Name} })
		require.Equal(t, []catalog.EnvironmentLabel{}, plain.Labels)

		updated, err := c.UpdateEnvironment(ctx, "another", s.Project.ID, made.ID, func(e *catalog.Environment) error {
			require.Equal(t, made, *e)
			e.Name, e.Description, e.Labels[0].Value = "prod", "", "prod"
			e.ID, e.VPCID, e.DeployMode, e.CreatorID, e.ProjectID = "x", "x", "x", "x", "x" // what cannot be changed
			return nil
		})
		require.NoError(t, err)
		require.Greater(t, updated.UpdatedAt, made.UpdatedAt)
		want.Name, want.Description, want.Labels[0].Value, want.UpdatedAt = "prod", "", "prod", updated.UpdatedAt
		require.Equal(t, want, updated)
		got, err = c.Environment(ctx, s.Project.ID, made.ID)
		require.NoError(t, err)
		require.Equal(t, updated, got)
		again, err := c.UpdateEnvironment(ctx, s.User.ID, s.Project.ID, made.ID, func(*catalog.Environment) error { return nil })
		require.NoError(t, err)
		require.Equal(t, updated, again, "nothing changes")
		_, err = c.UpdateEnvironment(ctx, s.User.ID, s.Project.ID, made.ID, func(e *catalog.Environment) error { e.Name = "Test"; return nil })
		requireFault(t, err, fault.Conflict, "catalog.environment_exists")
		no := errors.New("no")
		_, err = c.UpdateEnvironment(ctx, s.User.ID, s.Project.ID, made.ID, func(*catalog.Environment) error { return no })
		require.ErrorIs(t, err, no)

		for _, id := range []string{catalog.NewID(), "", "\x00", "\xff"} {
			_, err = c.Environment(ctx, s.Project.ID, id)
			requireFault(t, err, fault.NotFound, "catalog.environment_not_found")
		}
		for _, foreign := range []string{other.Project.ID, "unknown"} {
			_, err = c.Environment(ctx, foreign, made.ID)
			requireFault(t, err, fault.NotFound, "catalog.environment_not_found")
			_, err = c.UpdateEnvironment(ctx, s.User.ID, foreign, made.ID, func(*catalog.Environment) error { return nil })
			requireFault(t, err, fault.NotFound, "catalog.environment_not_found")
			requireFault(t, c.DeleteEnvironment(ctx, s.User.ID, foreign, made.ID), fault.NotFound, "catalog.environment_not_found")
			_, err = c.ListAddons(ctx, foreign, made.ID)
			requireFault(t, err, fault.NotFound, "catalog.environment_not_found")
		}

		require.NoError(t, c.DeleteEnvironment(ctx, s.User.ID, s.Project.ID, made.ID))
		requireFault(t, c.DeleteEnvironment(ctx, s.User.ID, s.Project.ID, made.ID), fault.NotFound, "catalog.environment_not_found")
		require.Equal(t, []string{"environment.added", "environment.changed", "environment.removed"}, trail(t, c, made.ID))
		entries, _, err := c.ListAudit(ctx, catalog.AuditFilter{ResourceID: made.ID, Action: catalog.EnvironmentChanged})
		require.NoError(t, err)
		require.Equal(t, "another", entries[0].ActorID)
		require.Equal(t, "environment", entries[0].ResourceKind)
		require.Equal(t, s.Project.ID, entries[0].ProjectID)
		require.JSONEq(t, `{"name": "prod"}`, string(entries[0].Details))
	})
}

func TestEnvironmentsThatAreRefused(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*catalog.Environment){
		"no name":           func(e *catalog.Environment) { e.Name = "" },
		"long name":         func(e *catalog.Environment) { e.Name = strings.Repeat("é", 65) },
		"NUL":               func(e *catalog.Environment) { e.Name = "a\x00" },
		"no UTF-8":          func(e *catalog.Environment) { e.Description = "\xff" },
		"long description":  func(e *catalog.Environment) { e.Description = strings.Repeat("é", 257) },
		"deploy mode":       func(e *catalog.Environment) { e.DeployMode = "cloud" },
		"VPC":               func(e *catalog.Environment) { e.VPCID = "a\x00" },
		"long VPC":          func(e *catalog.Environment) { e.VPCID = strings.Repeat("a", 1025) },
		"too many labels":   func(e *catalog.Environment) { e.Labels = make([]catalog.EnvironmentLabel, 21) },
		"label without key": func(e *catalog.Environment) { e.Labels[0].Key = "" },
		"label key":         func(e *catalog.Environment) { e.Labels[1].Key = "\xc3" },
		"label value":       func(e *catalog.Environment) { e.Labels[1].Value = "\x00" },
		"long label":        func(e *catalog.Environment) { e.Labels[1].Value = strings.Repeat("a", 1025) },
	}
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		kept := newEnvironment(t, s, strings.Repeat("é", 64), func(e *catalog.Environment) { e.Description = strings.Repeat("é", 256) })
		for name, change := range changes {
			_, err := c.CreateEnvironment(ctx, s.User.ID, environment(s, "test", change))
			requireFault(t, err, fault.Invalid, "catalog.bad_environment")
			if name == "deploy mode" || strings.HasSuffix(name, "VPC") {
				continue // cannot be changed
			}
			_, err = c.UpdateEnvironment(ctx, s.User.ID, s.Project.ID, kept.ID, func(e *catalog.Environment) error { change(e); return nil })
			requireFault(t, err, fault.Invalid, "catalog.bad_environment")
		}
		list, total, err := c.ListEnvironments(ctx, s.Project.ID, 0, 0)
		require.NoError(t, err)
		require.Equal(t, 1, total)
		require.Equal(t, []catalog.Environment{kept}, list)
	})
}

func TestPagesOfEnvironments(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		newEnvironment(t, other, "theirs")
		var all []catalog.Environment
		for i := range 102 {
			all = append(all, newEnvironment(t, s, fmt.Sprint(200-i)))
		}
		for _, page := range []struct {
			limit, offset int
			want          []catalog.Environment
		}{
			{0, 0, all[:100]}, {500, -1, all[:100]}, {2, 3, all[3:5]}, {100, 100, all[100:]}, {1, 102, []catalog.Environment{}},
		} {
			list, total, err := c.ListEnvironments(ctx, s.Project.ID, page.limit, page.offset)
			require.NoError(t, err)
			require.Equal(t, 102, total)
			require.Equal(t, page.want, list)
		}
		list, total, err := c.ListEnvironments(ctx, "unknown", 0, 0)
		require.NoError(t, err)
		require.Zero(t, total)
		require.Empty(t, list)
	})
}

func TestDeletionOfAnEnvironmentInUse(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		e := s.NewEnvironment(t)
		var last catalog.Delivery
		for _, name := range []string{"zookeeper", "redis"} {
			s.AddChart(t, name, "1.0.0", name)
			last = s.NewDelivery(t, e, name)
			_, _, err := c.BeginDelivery(ctx, last)
			require.NoError(t, err)
		}
		err := c.DeleteEnvironment(ctx, s.User.ID, s.Project.ID, e.ID)
		requireFault(t, err, fault.Conflict, "catalog.environment_in_use")
		f, _ := fault.As(err)
		require.Equal(t, "redis, zookeeper", f.Details)
		endAs(t, c, last.JobID, catalog.JobFailed)
		requireFault(t, c.DeleteEnvironment(ctx, s.User.ID, s.Project.ID, e.ID), fault.Conflict, "catalog.environment_in_use")
	})
}

// A deletion and an installation at once: one of them wins, and no add-on is ever in no environment.
func TestDeletionOfAnEnvironmentAmongDeliveries(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		s.AddChart(t, "redis", "1.0.0", "one")
		for range 10 {
			e := s.NewEnvironment(t)
			d := s.NewDelivery(t, e, "redis")
			var both sync.WaitGroup
			var begun, deleted error
			both.Go(func() { _, _, begun = c.BeginDelivery(ctx, d) })
			both.Go(func() { deleted = c.DeleteEnvironment(ctx, s.User.ID, s.Project.ID, e.ID) })
			both.Wait()
			if begun == nil {
				requireFault(t, deleted, fault.Conflict, "catalog.environment_in_use")
			} else {
				requireFault(t, begun, fault.NotFound, "catalog.environment_not_found")
				require.NoError(t, deleted)
			}
		}
	})
}
