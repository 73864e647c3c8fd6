package auth_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/fault"
)

func TestPeopleRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := context.Background()
	noUser := strings.Repeat("0", 32)
	addUser := func(domain, name, password string) error {
		_, err := f.AddUser(ctx, domain, name, password)
		return err
	}
	addKey := func(userID string) error {
		_, _, err := f.AddAccessKey(ctx, userID)
		return err
	}
	for _, c := range []struct {
		name string
		err  error
		kind fault.Kind
		code string
	}{
		{"user exists", addUser("acme", "anna", password), fault.Conflict, "catalog.user_exists"},
		{"weak password", addUser("acme", "berta", "short"), fault.Invalid, "auth.weak_password"},
		{"no name", addUser("acme", "", password), fault.Invalid, "auth.bad_name"},
		{"no domain", addUser("", "berta", password), fault.Invalid, "auth.bad_name"},
		{"name with a line feed", addUser("acme", "ber\nta", password), fault.Invalid, "auth.bad_name"},
		{"name with a space at its end", addUser("acme", "berta ", password), fault.Invalid, "auth.bad_name"},
		{"long name", addUser("acme", strings.Repeat("b", 65), password), fault.Invalid, "auth.bad_name"},
		{"password of no user", f.SetPassword(ctx, noUser, "another horse battery"), fault.NotFound, "catalog.user_not_found"},
		{"new password weak", f.SetPassword(ctx, f.anna.ID, "short"), fault.Invalid, "auth.weak_password"},
		{"new password with the name", f.SetPassword(ctx, f.anna.ID, "i-am-ANNA-really"), fault.Invalid, "auth.weak_password"},
		{"tokens of no user", f.RevokeTokens(ctx, noUser), fault.NotFound, "catalog.user_not_found"},
		{"key for no user", addKey(noUser), fault.NotFound, "catalog.user_not_found"},
		{"unknown key", f.RevokeAccessKey(ctx, "AKUNKNOWN"), fault.NotFound, "catalog.key_not_found"},
		{"unknown role", f.GrantRole(ctx, f.anna.ID, f.shop.ID, "Boss"), fault.Invalid, "auth.bad_role"},
		{"role for no user", f.GrantRole(ctx, noUser, f.shop.ID, "Admin"), fault.NotFound, "catalog.user_not_found"},
		{"role in no project", f.GrantRole(ctx, f.anna.ID, noUser, "Admin"), fault.NotFound, "catalog.project_not_found"},
		{"role not held", f.RevokeRole(ctx, f.anna.ID, f.shop.ID, "Admin"), fault.NotFound, "catalog.role_not_found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.note(c.err)
			require.Equal(t, c.code, fault.CodeOf(c.err), "%v", c.err)
			require.Equal(t, c.kind, fault.KindOf(c.err))
		})
	}
}

func TestAddUserKeepsHashInside(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	user, err := f.AddUser(context.Background(), "acme", "Åsa Öberg", "another horse battery")
	require.NoError(t, err)
	require.Empty(t, user.PasswordHash)
	stored, err := f.cat.User(context.Background(), user.ID)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(stored.PasswordHash, "$argon2id$v=19$m=19456,t=2,p=1$"))
}
