package catalog_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func TestPasswordFailures(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
		read := func() catalog.User {
			user, err := c.User(ctx, s.User.ID)
			require.NoError(t, err)
			return user
		}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				if locked, err := c.RecordPasswordFailure(ctx, s.User.ID, at, 5, time.Minute); locked || err != nil {
					t.Error(locked, err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 5, read().PasswordFailures, "none is lost")
		require.Nil(t, read().PasswordLockedUntil)
		locked, err := c.RecordPasswordFailure(ctx, s.User.ID, at, 5, time.Minute)
		require.NoError(t, err)
		require.True(t, locked)
		until := at.Add(time.Minute)
		require.Equal(t, &until, read().PasswordLockedUntil)
		require.NoError(t, c.ResetPasswordFailures(ctx, s.User.ID))
		require.Zero(t, read().PasswordFailures)
		require.Nil(t, read().PasswordLockedUntil)
		locked, err = c.RecordPasswordFailure(ctx, s.User.ID, at, 0, time.Minute)
		require.NoError(t, err)
		require.True(t, locked)
		require.NoError(t, c.SetPassword(ctx, s.User.ID, "hash"))
		require.Zero(t, read().PasswordFailures)
		require.Nil(t, read().PasswordLockedUntil)
		_, err = c.RecordPasswordFailure(ctx, "nobody", at, 5, time.Minute)
		requireFault(t, err, fault.NotFound, "catalog.user_not_found")
		requireFault(t, c.ResetPasswordFailures(ctx, "nobody"), fault.NotFound, "catalog.user_not_found")
	})
}

func TestUsersNamed(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		for _, domain := range []string{"initech", "acme"} {
			_, err := c.CreateUser(ctx, domain, "anna", "")
			require.NoError(t, err)
		}
		users, err := c.UsersNamed(ctx, "anna")
		require.NoError(t, err)
		require.Len(t, users, 2)
		require.Equal(t, []string{"acme", "initech"}, []string{users[0].DomainName, users[1].DomainName})
		for _, name := range []string{"Anna", "", "an\x00na", "\xff"} {
			users, err = c.UsersNamed(ctx, name)
			require.NoError(t, err, "%q", name)
			require.Empty(t, users)
		}
		_, err = c.UserByName(ctx, "acme", "an\x00na")
		requireFault(t, err, fault.NotFound, "catalog.user_not_found")
	})
}
