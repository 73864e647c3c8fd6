package catalog_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

// trail gives the actions written about a resource, oldest first.
func trail(t *testing.T, c *catalog.Catalog, resourceID string) (actions []string) {
	t.Helper()
	entries, _, err := c.ListAudit(ctx, catalog.AuditFilter{ResourceID: resourceID, Limit: 500})
	require.NoError(t, err)
	for _, e := range entries {
		actions = append([]string{string(e.Action)}, actions...)
	}
	return actions
}

func TestAuditOfJobs(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		imp := s.Fill(t, shop())
		for range 2 {
			_, err := c.CommitImport(ctx, imp)
			require.NoError(t, err)
		}
		_, err := c.EndJob(ctx, imp.JobID, catalog.JobOutcome{State: catalog.JobCancelled})
		require.NoError(t, err)
		require.Equal(t, []string{"job.started", "job.ended"}, trail(t, c, imp.JobID), "once, whoever tries to end it again")
		entries, _, err := c.ListAudit(ctx, catalog.AuditFilter{ResourceID: imp.JobID, Action: catalog.JobEnded})
		require.NoError(t, err)
		require.Len(t, entries, 1)
		job, err := c.Job(ctx, imp.JobID)
		require.NoError(t, err)
		require.Equal(t, catalog.AuditEntry{
			ID: entries[0].ID, At: *job.EndedAt, ActorID: s.User.ID, ActorName: s.User.Name, Action: catalog.JobEnded, ProjectID: s.Project.ID,
			InstanceID: s.Instance.ID, ResourceKind: "job", ResourceID: imp.JobID,
			Details: json.RawMessage(`{"kind":"asset-import","state":"succeeded","subject":"package.zip"}`),
		}, entries[0])

		refused := s.NewJob(t)
		require.NoError(t, c.DeleteJob(ctx, refused))
		require.NoError(t, c.DeleteJob(ctx, refused))
		require.Equal(t, []string{"job.started", "job.refused"}, trail(t, c, refused))

		// Nothing of a commit that failed.
		undone := s.Fill(t, shop())
		_, err = c.CommitImport(ctx, undone)
		reasonsOf(t, err)
		require.Equal(t, []string{"job.started"}, trail(t, c, undone.JobID))
		operator, err := c.CreateUser(ctx, "acme", "operator", "")
		require.NoError(t, err)
		_, err = c.EndJob(catalog.WithActor(ctx, operator.ID), undone.JobID, catalog.JobOutcome{State: catalog.JobCancelled})
		require.NoError(t, err)
		entries, _, err = c.ListAudit(ctx, catalog.AuditFilter{ActorID: operator.ID})
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.Equal(t, "operator", entries[0].ActorName)
	})
}

func TestAuditOfAdministration(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		root, err := c.CreateUser(ctx, "acme", "root", "")
		require.NoError(t, err)
		asRoot := catalog.WithActor(ctx, root.ID)
		ada, err := c.CreateUser(asRoot, "acme", "ada", "hash")
		require.NoError(t, err)
		project, err := c.CreateProject(asRoot, "acme", "plant")
		require.NoError(t, err)
		instance, err := c.CreateInstance(asRoot, project.ID, "one")
		require.NoError(t, err)
		for range 2 { // what changes nothing is not written down again
			require.NoError(t, c.GrantRole(asRoot, catalog.RoleAssignment{UserID: ada.ID, ProjectID: project.ID, Role: "editor"}))
		}
		require.NoError(t, c.RevokeRole(asRoot, catalog.RoleAssignment{UserID: ada.ID, ProjectID: project.ID, Role: "editor"}))
		require.Error(t, c.RevokeRole(asRoot, catalog.RoleAssignment{UserID: ada.ID, ProjectID: project.ID, Role: "editor"}))
		require.NoError(t, c.SetPassword(asRoot, ada.ID, "a secret"))
		require.NoError(t, c.RaiseTokenGeneration(asRoot, ada.ID))
		require.NoError(t, c.CreateAccessKey(asRoot, catalog.AccessKey{ID: "AK", UserID: ada.ID, SealedSecret: []byte("a secret")}))
		for range 2 {
			require.NoError(t, c.RevokeAccessKey(asRoot, "AK"))
		}
		requireFault(t, c.SetPassword(asRoot, "nobody", ""), fault.NotFound, "catalog.user_not_found")
		requireFault(t, c.RevokeAccessKey(asRoot, "nothing"), fault.NotFound, "catalog.key_not_found")
		_, err = c.CreateInstance(asRoot, project.ID, "one")
		requireFault(t, err, fault.Conflict, "catalog.instance_exists")

		require.Equal(t, []string{"user.added", "role.granted", "role.revoked", "user.password_set", "user.tokens_revoked"}, trail(t, c, ada.ID))
		require.Equal(t, []string{"project.added"}, trail(t, c, project.ID))
		require.Equal(t, []string{"instance.added"}, trail(t, c, instance.ID))
		require.Equal(t, []string{"key.added", "key.revoked"}, trail(t, c, "AK"))
		entries, _, err := c.ListAudit(ctx, catalog.AuditFilter{})
		require.NoError(t, err)
		require.Len(t, entries, 10)
		for _, e := range entries[:9] {
			require.Equal(t, "root", e.ActorName, e.Action)
			require.NotContains(t, string(e.Details), "secret")
		}
		require.Empty(t, entries[9].ActorName, "the command line's doing")
		entries, _, err = c.ListAudit(ctx, catalog.AuditFilter{ProjectID: project.ID})
		require.NoError(t, err)
		require.Len(t, entries, 4)
	})
}

func TestAuditIsOnlyAddedTo(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		for i := range 25 {
			require.NoError(t, c.AppendAudit(ctx, catalog.AuditEntry{
				At: time.Date(2026, 1, 1, 0, 0, i/2, 0, time.UTC), ActorName: "somebody", Action: "asset.looked_at", ProjectID: "p",
				ResourceID: fmt.Sprint(i), Details: json.RawMessage(` {"n": 1} `),
			}))
		}
		for _, statement := range []string{"UPDATE audit_entries SET action = 'x'", "DELETE FROM audit_entries"} {
			require.ErrorContains(t, c.SQL(statement), "append only")
		}
		var seen []string
		filter := catalog.AuditFilter{ProjectID: "p", Limit: 10}
		for {
			entries, next, err := c.ListAudit(ctx, filter)
			require.NoError(t, err)
			for _, e := range entries {
				require.Equal(t, `{"n":1}`, string(e.Details))
				require.Equal(t, "somebody", e.ActorName)
				seen = append(seen, e.ResourceID)
			}
			if next == "" {
				break
			}
			filter.Cursor = next
			require.NoError(t, c.AppendAudit(ctx, catalog.AuditEntry{Action: "late", ProjectID: "p"}))
		}
		require.Len(t, seen, 25)
		require.Equal(t, "24", seen[0])
		require.Equal(t, "0", seen[24])

		filter.Cursor = "?"
		_, _, err := c.ListAudit(ctx, filter)
		requireFault(t, err, fault.Invalid, "catalog.bad_cursor")
		for _, bad := range []catalog.AuditEntry{{}, {Action: "x", Details: json.RawMessage("{")}, {Action: "x", ResourceID: "\x00"}} {
			requireFault(t, c.AppendAudit(ctx, bad), fault.Invalid, "catalog.bad_audit")
		}
	})
}
