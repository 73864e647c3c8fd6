package catalog_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func requireFault(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, fault.CodeOf(err))
	require.Equal(t, kind, fault.KindOf(err))
}

func TestUsers(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		began := time.Now().Add(-time.Millisecond)
		ada, err := c.CreateUser(ctx, "acme", "ada", "hash")
		require.NoError(t, err)
		require.Regexp(t, `^[0-9a-f]{32}$`, ada.ID)
		require.Regexp(t, `^[0-9a-f]{32}$`, ada.DomainID)
		require.Equal(t, "acme", ada.DomainName)
		require.WithinRange(t, ada.CreatedAt, began, time.Now())
		require.Equal(t, time.UTC, ada.CreatedAt.Location())

		_, err = c.CreateUser(ctx, "acme", "ada", "")
		requireFault(t, err, fault.Conflict, "catalog.user_exists")
		bob, err := c.CreateUser(ctx, "acme", "bob", "")
		require.NoError(t, err)
		require.Equal(t, ada.DomainID, bob.DomainID)
		other, err := c.CreateUser(ctx, "Zoo", "ada", "")
		require.NoError(t, err)
		require.NotEqual(t, ada.DomainID, other.DomainID)
		for _, name := range []string{"", "a\x00", "\xff"} {
			_, err = c.CreateUser(ctx, "acme", name, "")
			requireFault(t, err, fault.Invalid, "catalog.bad_name")
		}

		read, err := c.User(ctx, ada.ID)
		require.NoError(t, err)
		require.Equal(t, ada, read)
		read, err = c.UserByName(ctx, "Zoo", "ada")
		require.NoError(t, err)
		require.Equal(t, other, read)
		users, err := c.ListUsers(ctx)
		require.NoError(t, err)
		require.Equal(t, []catalog.User{other, ada, bob}, users, "upper case sorts before lower case in both databases")

		require.NoError(t, c.SetPassword(ctx, ada.ID, "another"))
		require.NoError(t, c.RaiseTokenGeneration(ctx, ada.ID))
		read, err = c.User(ctx, ada.ID)
		require.NoError(t, err)
		require.Equal(t, "another", read.PasswordHash)
		require.EqualValues(t, 2, read.TokenGeneration)
		read, err = c.User(ctx, bob.ID)
		require.NoError(t, err)
		require.Equal(t, bob, read)

		_, err = c.User(ctx, "nobody")
		requireFault(t, err, fault.NotFound, "catalog.user_not_found")
		_, err = c.UserByName(ctx, "acme", "Ada")
		requireFault(t, err, fault.NotFound, "catalog.user_not_found")
		requireFault(t, c.SetPassword(ctx, "nobody", ""), fault.NotFound, "catalog.user_not_found")
		requireFault(t, c.RaiseTokenGeneration(ctx, "nobody"), fault.NotFound, "catalog.user_not_found")
	})
}

func TestOneDomainIsMadeByManyAtOnce(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		users, errs := make([]catalog.User, 8), make([]error, 8)
		var all sync.WaitGroup
		for i := range users {
			all.Go(func() { users[i], errs[i] = c.CreateUser(ctx, "acme", string(rune('a'+i)), "") })
		}
		all.Wait()
		for i := range users {
			require.NoError(t, errs[i])
			require.Equal(t, users[0].DomainID, users[i].DomainID)
		}
	})
}

func TestAccessKeys(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		user, err := c.CreateUser(ctx, "acme", "ada", "")
		require.NoError(t, err)
		at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_999, time.FixedZone("east", 3600))
		key := catalog.AccessKey{ID: "AKONE", UserID: user.ID, SealedSecret: []byte{0, 255, '\''}, CreatedAt: at}
		require.NoError(t, c.CreateAccessKey(ctx, key))
		require.NoError(t, c.CreateAccessKey(ctx, catalog.AccessKey{ID: "AKTWO", UserID: user.ID, SealedSecret: []byte("x")}))
		requireFault(t, c.CreateAccessKey(ctx, key), fault.Conflict, "catalog.key_exists")
		requireFault(t, c.CreateAccessKey(ctx, catalog.AccessKey{ID: "AKX", UserID: "nobody"}), fault.NotFound, "catalog.user_not_found")

		read, err := c.AccessKey(ctx, "AKONE")
		require.NoError(t, err)
		key.CreatedAt = time.Date(2026, 1, 2, 2, 4, 5, 678_901_000, time.UTC)
		require.Equal(t, key, read)
		keys, err := c.ListAccessKeys(ctx, user.ID)
		require.NoError(t, err)
		require.Len(t, keys, 2)
		require.Equal(t, "AKONE", keys[0].ID)

		require.NoError(t, c.RevokeAccessKey(ctx, "AKONE"))
		revoked, err := c.AccessKey(ctx, "AKONE")
		require.NoError(t, err)
		require.NotNil(t, revoked.RevokedAt)
		require.NoError(t, c.RevokeAccessKey(ctx, "AKONE"))
		again, err := c.AccessKey(ctx, "AKONE")
		require.NoError(t, err)
		require.Equal(t, revoked, again)

		_, err = c.AccessKey(ctx, "akone")
		requireFault(t, err, fault.NotFound, "catalog.key_not_found")
		requireFault(t, c.RevokeAccessKey(ctx, "none"), fault.NotFound, "catalog.key_not_found")
		_, err = c.RecordKeyFailure(ctx, "none", at, 5, time.Minute)
		requireFault(t, err, fault.NotFound, "catalog.key_not_found")
		requireFault(t, c.ResetKeyFailures(ctx, "none"), fault.NotFound, "catalog.key_not_found")
	})
}

func TestKeyLockOut(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		user, err := c.CreateUser(ctx, "acme", "ada", "")
		require.NoError(t, err)
		for _, id := range []string{"AK", "BYSTANDER"} {
			require.NoError(t, c.CreateAccessKey(ctx, catalog.AccessKey{ID: id, UserID: user.ID, SealedSecret: []byte("x")}))
		}
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		key := func() catalog.AccessKey {
			k, err := c.AccessKey(ctx, "AK")
			require.NoError(t, err)
			return k
		}
		fail := func(at time.Time) bool {
			locked, err := c.RecordKeyFailure(ctx, "AK", at, 5, 5*time.Minute)
			require.NoError(t, err)
			return locked
		}
		for i := range 5 {
			require.False(t, fail(at))
			require.Equal(t, i+1, key().Failures)
			require.Nil(t, key().LockedUntil)
		}
		require.True(t, fail(at))
		require.Equal(t, at.Add(5*time.Minute), *key().LockedUntil)
		require.True(t, fail(at.Add(time.Hour)))
		require.Equal(t, at.Add(65*time.Minute), *key().LockedUntil)
		require.NoError(t, c.ResetKeyFailures(ctx, "AK"))
		require.Zero(t, key().Failures)
		require.Nil(t, key().LockedUntil)

		var all sync.WaitGroup
		var locks atomic.Int32
		for range 40 {
			all.Go(func() {
				if locked, _ := c.RecordKeyFailure(ctx, "AK", at, 39, time.Minute); locked {
					locks.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, locks.Load())
		require.Equal(t, 40, key().Failures, "none is lost")
		require.NotNil(t, key().LockedUntil)
		bystander, err := c.AccessKey(ctx, "BYSTANDER")
		require.NoError(t, err)
		require.Zero(t, bystander.Failures)
	})
}

func TestProjectsAndInstances(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		one, err := c.CreateProject(ctx, "acme", "one")
		require.NoError(t, err)
		require.Regexp(t, `^[0-9a-f]{32}$`, one.ID)
		two, err := c.CreateProject(ctx, "acme", "Two")
		require.NoError(t, err)
		_, err = c.CreateProject(ctx, "acme", "one")
		requireFault(t, err, fault.Conflict, "catalog.project_exists")
		_, err = c.CreateProject(ctx, "acme", "")
		requireFault(t, err, fault.Invalid, "catalog.bad_name")

		read, err := c.Project(ctx, one.ID)
		require.NoError(t, err)
		require.Equal(t, one, read)
		read, err = c.ProjectByName(ctx, "acme", "Two")
		require.NoError(t, err)
		require.Equal(t, two, read)
		projects, err := c.ListProjects(ctx)
		require.NoError(t, err)
		require.Equal(t, []catalog.Project{two, one}, projects)
		_, err = c.Project(ctx, "none")
		requireFault(t, err, fault.NotFound, "catalog.project_not_found")
		_, err = c.ProjectByName(ctx, "zoo", "one")
		requireFault(t, err, fault.NotFound, "catalog.project_not_found")

		instance, err := c.CreateInstance(ctx, one.ID, "main")
		require.NoError(t, err)
		_, err = c.CreateInstance(ctx, one.ID, "main")
		requireFault(t, err, fault.Conflict, "catalog.instance_exists")
		_, err = c.CreateInstance(ctx, "none", "main")
		requireFault(t, err, fault.NotFound, "catalog.project_not_found")
		_, err = c.CreateInstance(ctx, one.ID, "")
		requireFault(t, err, fault.Invalid, "catalog.bad_name")
		_, err = c.CreateInstance(ctx, two.ID, "main")
		require.NoError(t, err)

		got, err := c.Instance(ctx, one.ID, instance.ID)
		require.NoError(t, err)
		require.Equal(t, instance, got)
		_, err = c.Instance(ctx, two.ID, instance.ID)
		requireFault(t, err, fault.NotFound, "catalog.instance_not_found")
		instances, err := c.ListInstances(ctx, one.ID)
		require.NoError(t, err)
		require.Equal(t, []catalog.Instance{instance}, instances)
	})
}

func TestRoles(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		grant := catalog.RoleAssignment{UserID: s.User.ID, ProjectID: s.Project.ID, Role: "Submit"}
		admin := catalog.RoleAssignment{UserID: s.User.ID, ProjectID: s.Project.ID, Role: "Admin"}
		for _, a := range []catalog.RoleAssignment{grant, grant, admin} {
			require.NoError(t, c.GrantRole(ctx, a))
		}
		roles, err := c.Roles(ctx, s.User.ID, s.Project.ID)
		require.NoError(t, err)
		require.Equal(t, []string{"Admin", "Submit"}, roles)
		for _, of := range [][2]string{{s.User.ID, other.Project.ID}, {other.User.ID, s.Project.ID}} {
			roles, err = c.Roles(ctx, of[0], of[1])
			require.NoError(t, err)
			require.Empty(t, roles)
		}
		all, err := c.ListRoles(ctx, s.User.ID)
		require.NoError(t, err)
		require.Equal(t, []catalog.RoleAssignment{admin, grant}, all)

		require.NoError(t, c.RevokeRole(ctx, admin))
		requireFault(t, c.RevokeRole(ctx, admin), fault.NotFound, "catalog.role_not_found")
		roles, err = c.Roles(ctx, s.User.ID, s.Project.ID)
		require.NoError(t, err)
		require.Equal(t, []string{"Submit"}, roles)

		unknown := grant
		unknown.UserID = "none"
		requireFault(t, c.GrantRole(ctx, unknown), fault.NotFound, "catalog.user_not_found")
		unknown = grant
		unknown.ProjectID = "none"
		requireFault(t, c.GrantRole(ctx, unknown), fault.NotFound, "catalog.project_not_found")
		unknown.Role = ""
		requireFault(t, c.GrantRole(ctx, unknown), fault.Invalid, "catalog.bad_name")
	})
}
