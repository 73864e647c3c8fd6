package folder

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/auth"
	"assetflow/catalog"
)

func openPeople(t *testing.T) (string, *catalog.Catalog, *auth.Service) {
	t.Helper()
	dir := t.TempDir()
	cat, err := catalog.Open(t.Context(), "sqlite:"+filepath.Join(dir, "catalog.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = cat.Close() })
	require.NoError(t, cat.Migrate(t.Context()))
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	return dir, cat, auth.New(cat, keys)
}

// requireWhole checks that the credentials work and that there is one of everything.
func requireWhole(t *testing.T, c Credentials, cat *catalog.Catalog, people *auth.Service) {
	t.Helper()
	ctx := t.Context()
	token, err := people.IssueToken(ctx, auth.PasswordLogin{Domain: c.Domain, User: c.User, Password: c.Password, ProjectID: c.ProjectID})
	require.NoError(t, err)
	require.Contains(t, token.Roles, string(auth.RoleAdmin))
	users, err := cat.ListUsers(ctx)
	require.NoError(t, err)
	require.Len(t, users, 1)
	projects, err := cat.ListProjects(ctx)
	require.NoError(t, err)
	require.Len(t, projects, 1)
	require.Equal(t, c.ProjectID, projects[0].ID)
	instances, err := cat.ListInstances(ctx, c.ProjectID)
	require.NoError(t, err)
	require.Len(t, instances, 1)
	require.Equal(t, c.InstanceID, instances[0].ID)
	keys, err := cat.ListAccessKeys(ctx, users[0].ID)
	require.NoError(t, err)
	var usable []string
	for _, key := range keys {
		if key.RevokedAt == nil {
			usable = append(usable, key.ID)
		}
	}
	require.Equal(t, []string{c.AccessKey}, usable)
	require.NotEmpty(t, c.SecretKey)
}

// A first start that is cut off after any step is made good by the next one.
func TestFirstStartIsCutOff(t *testing.T) {
	t.Parallel()
	type step = func(s *seeder, ctx context.Context) error
	lostKey := func(s *seeder, ctx context.Context) error { // made, and the process ends before it is written down
		_, _, err := s.auth.AddAccessKey(ctx, s.userID)
		return err
	}
	onlyPassword := func(s *seeder, _ context.Context) error {
		s.credentials.Domain, s.credentials.User, s.credentials.Password = firstDomain, firstUser, "a password that was written"
		return s.save()
	}
	for name, steps := range map[string][]step{
		"before anything":             {},
		"before the user is made":     {onlyPassword},
		"after the user":              {(*seeder).user},
		"after the project":           {(*seeder).user, (*seeder).project},
		"after the instance":          {(*seeder).user, (*seeder).project, (*seeder).instance},
		"with a key nobody knows":     {(*seeder).user, (*seeder).project, (*seeder).instance, lostKey},
		"before it is published":      {(*seeder).user, (*seeder).project, (*seeder).instance, (*seeder).accessKey},
		"twice, with keys of no use":  {(*seeder).user, lostKey, lostKey},
		"after the project, unknowns": {(*seeder).user, (*seeder).project, lostKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, cat, people := openPeople(t)
			cutOff := seeder{dir: dir, catalog: cat, auth: people, file: firstStartFile}
			for _, step := range steps {
				require.NoError(t, step(&cutOff, t.Context()))
			}
			c, err := Seed(t.Context(), dir, cat, people)
			require.NoError(t, err)
			if password := cutOff.credentials.Password; password != "" {
				require.Equal(t, password, c.Password)
			}
			requireWhole(t, c, cat, people)
			require.NoFileExists(t, filepath.Join(dir, CredentialsFile), "it is published when the stack is ready")
			require.NoError(t, c.Publish(dir))
			require.NoFileExists(t, filepath.Join(dir, firstStartFile))

			again, err := Seed(t.Context(), dir, cat, people)
			require.NoError(t, err)
			require.Equal(t, c, again)
		})
	}
}

func TestLaterStarts(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (string, *catalog.Catalog, *auth.Service, Credentials) {
		dir, cat, people := openPeople(t)
		c, err := Seed(t.Context(), dir, cat, people)
		require.NoError(t, err)
		require.NoError(t, c.Publish(dir))
		return dir, cat, people, c
	}
	t.Run("keep what a person has changed", func(t *testing.T) {
		t.Parallel()
		dir, cat, people, c := begin(t)
		user, err := cat.UserByName(t.Context(), c.Domain, c.User)
		require.NoError(t, err)
		require.NoError(t, people.SetPassword(t.Context(), user.ID, "chosen by a person"))
		require.NoError(t, people.RevokeAccessKey(t.Context(), c.AccessKey))
		require.NoError(t, people.RevokeRole(t.Context(), user.ID, c.ProjectID, string(auth.RoleAdmin)))
		again, err := Seed(t.Context(), dir, cat, people)
		require.NoError(t, err)
		require.Equal(t, c, again)
		roles, err := cat.Roles(t.Context(), user.ID, c.ProjectID)
		require.NoError(t, err)
		require.Empty(t, roles)
	})
	t.Run("let in whoever lost the file", func(t *testing.T) {
		t.Parallel()
		dir, cat, people, c := begin(t)
		require.NoError(t, os.Remove(filepath.Join(dir, CredentialsFile)))
		again, err := Seed(t.Context(), dir, cat, people)
		require.NoError(t, err)
		require.NotEqual(t, c.Password, again.Password)
		require.NotEqual(t, c.AccessKey, again.AccessKey)
		require.NoError(t, people.RevokeAccessKey(t.Context(), c.AccessKey)) // theirs, so it was left alone
		requireWhole(t, again, cat, people)
	})
	t.Run("make everything again in a new database", func(t *testing.T) {
		t.Parallel()
		dir, _, _, c := begin(t)
		_, cat, people := openPeople(t)
		again, err := Seed(t.Context(), dir, cat, people)
		require.NoError(t, err)
		require.Equal(t, c.Password, again.Password)
		requireWhole(t, again, cat, people)
		var file Credentials
		_, err = readJSON(dir, CredentialsFile, &file)
		require.NoError(t, err)
		require.Equal(t, again, file)
	})
	t.Run("refuse a file they cannot read", func(t *testing.T) {
		t.Parallel()
		dir, cat, people, _ := begin(t)
		require.NoError(t, os.WriteFile(filepath.Join(dir, CredentialsFile), []byte("{"), 0o600))
		_, err := Seed(t.Context(), dir, cat, people)
		require.ErrorContains(t, err, "mend the file or remove it")
	})
}
