package catalog_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func TestMigrateAgainAndByManyAtOnce(t *testing.T) {
	t.Parallel()
	catalogtest.EachURL(t, func(t *testing.T, url string) {
		const processes = 4 // each with connections of its own
		errs := make([]error, processes)
		opened := make([]*catalog.Catalog, processes)
		for i := range opened {
			c, err := catalog.Open(ctx, url, nil)
			require.NoError(t, err)
			defer func() { require.NoError(t, c.Close()) }()
			requireFault(t, c.Ping(ctx), fault.Unavailable, "catalog.not_migrated")
			opened[i] = c
		}
		var all sync.WaitGroup
		for i, c := range opened {
			all.Go(func() { errs[i] = c.Migrate(ctx) })
		}
		all.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		c := catalogtest.Open(t, url)
		require.NoError(t, c.Ping(ctx))
		catalogtest.NewScene(t, c)
		require.NoError(t, c.Migrate(ctx))
		users, err := c.ListUsers(ctx)
		require.NoError(t, err)
		require.Len(t, users, 1)
	})
}

// The migrations of the two databases say the same.
func TestBothDatabasesHaveOneShape(t *testing.T) {
	t.Parallel()
	shapes := make([][]string, 0, 2)
	for _, url := range []string{catalogtest.SQLiteURL(t), catalogtest.PostgresURL(t)} {
		shape, err := catalogtest.Open(t, url).Shape()
		require.NoError(t, err)
		// goose's own table, which differs.
		shape = slices.DeleteFunc(shape, func(line string) bool {
			return strings.HasPrefix(line, "schema_migrations.") || strings.HasPrefix(line, "sqlite_")
		})
		slices.Sort(shape)
		require.Greater(t, len(shape), 90)
		shapes = append(shapes, shape)
	}
	require.Equal(t, shapes[0], shapes[1])
}

// While machines are upgraded one by one, this program works on the schema of a later one.
func TestALaterSchemaIsNoHindrance(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		tables := []string{
			"domains", "users", "access_keys", "projects", "instances", "role_assignments", "jobs", "job_effects", "blobs", "assets",
			"asset_versions", "version_files", "version_applications", "data_sources", "version_data_sources", "archives", "submissions",
			"audit_entries", "environments", "charts", "addons", "job_tasks",
		}
		for _, table := range tables {
			require.NoError(t, c.SQL("ALTER TABLE "+table+" ADD COLUMN later TEXT DEFAULT 'x'"))
		}
		require.NoError(t, c.SQL("INSERT INTO schema_migrations (version_id, is_applied) VALUES (99999, TRUE)"))
		require.NoError(t, c.Ping(ctx))
		require.NoError(t, c.Migrate(ctx))

		result := s.Import(t, shop())
		s.Import(t, shop(merge))
		_, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, result.Assets[1].ID)
		require.NoError(t, err)
		require.Len(t, names(t, s), 2)
		_, _, err = c.ListJobs(ctx, catalog.JobFilter{ProjectID: s.Project.ID})
		require.NoError(t, err)
		_, err = c.ListUsers(ctx)
		require.NoError(t, err)
		require.NoError(t, c.CreateAccessKey(ctx, catalog.AccessKey{ID: "AK", UserID: s.User.ID}))
		_, err = c.AccessKey(ctx, "AK")
		require.NoError(t, err)
		_, err = c.RestoreVersion(ctx, s.Project.ID, s.Instance.ID, result.Assets[0].ID, 1, "")
		require.NoError(t, err)
		deleteAll(t, s, result)
		require.Len(t, trash(t, s), 2)
		archive, err := c.CommitExport(ctx, export(t, s, 10))
		require.NoError(t, err)
		_, err = c.RecordDelivery(ctx, archive.ID, 0, 10)
		require.NoError(t, err)
		_, _, err = c.ClaimSubmission(ctx, "u", "k", "f", "j", time.Now())
		require.NoError(t, err)
		_, _, err = c.ClaimSubmission(ctx, "u", "k", "f", "j", time.Now().Add(time.Hour))
		require.NoError(t, err)
		_, _, err = c.ListAudit(ctx, catalog.AuditFilter{})
		require.NoError(t, err)

		e := s.NewEnvironment(t)
		s.AddChart(t, "redis", "1.0.0", "one")
		_, _, err = c.ListCharts(ctx, s.Project.ID, 0, "")
		require.NoError(t, err)
		install := s.NewDelivery(t, e, "redis")
		setTask(t, c, install.JobID, 0, catalog.TaskRunning, "one")
		setTask(t, c, install.JobID, 0, catalog.TaskSucceeded, "two")
		require.Len(t, tasks(t, c, install.JobID), 1)
		addon := s.Deliver(t, install, "r1")
		s.Deliver(t, s.NextDelivery(t, addon, catalog.AddonUninstall), "")
		require.NoError(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", "1.0.0"))
		require.NoError(t, c.DeleteEnvironment(ctx, s.User.ID, s.Project.ID, e.ID))
	})
}

// A database of the first program is taken over as it is, and what that program writes meanwhile is understood.
func TestMigrateFromTheFirstSchema(t *testing.T) {
	t.Parallel()
	catalogtest.EachURL(t, func(t *testing.T, url string) {
		c, err := catalog.Open(ctx, url, nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		require.NoError(t, c.MigrateTo(1))
		const at = "'2026-01-01 00:00:00.000000+00:00'"
		digest := catalogtest.File("", "a").SHA256
		for _, statement := range []string{
			"INSERT INTO domains (id, name) VALUES ('d', 'acme')",
			"INSERT INTO users (id, domain_id, name, password_hash, created_at) VALUES ('u', 'd', 'ada', '', " + at + ")",
			"INSERT INTO projects (id, domain_id, name, created_at) VALUES ('p', 'd', 'plant', " + at + ")",
			"INSERT INTO instances (id, project_id, name, created_at) VALUES ('i', 'p', 'one', " + at + ")",
			"INSERT INTO blobs (sha256, size, touched_at, stored_at) VALUES ('" + digest + "', 1, " + at + ", " + at + ")",
		} {
			require.NoError(t, c.SQL(statement), statement)
		}
		requireFault(t, c.Ping(ctx), fault.Unavailable, "catalog.not_migrated")
		require.NoError(t, c.Migrate(ctx))
		require.NoError(t, c.SQL("INSERT INTO jobs (id, kind, project_id, instance_id, user_id, workflow_id, subject, state, created_at) "+
			"VALUES ('j', 'asset-import', 'p', 'i', 'u', 'w', 's', 'running', "+at+")"), "the first program's statement")

		missing, err := c.TouchBlobs(ctx, []catalog.Blob{{SHA256: digest, Size: 1}})
		require.NoError(t, err)
		require.Empty(t, missing)
		_, err = c.CommitImport(ctx, catalog.Import{
			JobID: "j", ProjectID: "p", InstanceID: "i", UserID: "u", Mode: catalog.AddNew,
			Tasks: []catalog.ImportAsset{{Name: "t", Files: []catalog.File{catalogtest.File("a", "a")}}},
		})
		require.NoError(t, err)
		entries, _, err := c.ListAudit(ctx, catalog.AuditFilter{})
		require.NoError(t, err)
		require.Len(t, entries, 1, "nothing is written down of what nobody saw")
		require.Equal(t, "ada", entries[0].ActorName)

		_, added, err := c.AddChart(ctx, "u", catalog.Chart{ProjectID: "p", Name: "redis", Version: "1.0.0", SHA256: digest, Size: 1})
		require.NoError(t, err)
		require.True(t, added)
	})
}

func TestWhatWasAnsweredIsThereAfterReopening(t *testing.T) {
	t.Parallel()
	catalogtest.EachURL(t, func(t *testing.T, url string) {
		c, err := catalog.Open(ctx, url, nil)
		require.NoError(t, err)
		require.NoError(t, c.Migrate(ctx))
		s := catalogtest.NewScene(t, c)
		result := s.Import(t, shop())
		before, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, result.Assets[0].ID)
		require.NoError(t, err)
		require.NoError(t, c.Close())

		again := catalogtest.Open(t, url)
		after, err := again.Asset(ctx, s.Project.ID, s.Instance.ID, result.Assets[0].ID)
		require.NoError(t, err)
		require.Equal(t, before, after)
	})
}

func TestOpenRefusesWhatIsNoDatabaseURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "mysql://u:secret@host/db", "sqlite:", "/a/path", "postgres://u:secret@host:port/db"} {
		_, err := catalog.Open(ctx, url, nil)
		requireFault(t, err, fault.Invalid, "catalog.bad_url")
		require.NotContains(t, err.Error(), "secret", url)
	}
}

func TestADatabaseThatIsAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	short, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := catalog.Open(short, "postgres://u:secret@127.0.0.1:1/db?sslmode=disable", nil)
	requireFault(t, err, fault.Unavailable, "catalog.unavailable")
	require.NotContains(t, err.Error(), "secret")
}

func TestAnEndedContextIsFound(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		imp := s.Fill(t, shop())
		ended, cancel := context.WithCancel(ctx)
		c.SetFailpoint(func(step string) error {
			if step == "versions" {
				cancel()
			}
			return nil
		})
		_, err := c.CommitImport(ended, imp)
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, names(t, s))
		_, err = c.User(ended, s.User.ID)
		require.ErrorIs(t, err, context.Canceled)
		c.SetFailpoint(func(string) error { return nil })
		_, err = c.CommitImport(ctx, imp)
		require.NoError(t, err, "the database goes on")
	})
}

// A deadlock or a serialisation failure undoes a transaction of which nothing is wrong.
func TestALostTransactionIsTriedAgain(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		imp := s.Fill(t, shop())
		tries, lose := 0, 2
		c.SetFailpoint(func(step string) error {
			if step != "files" {
				return nil
			}
			if tries++; tries <= lose {
				return &pgconn.PgError{Code: "40P01"}
			}
			return nil
		})
		result, err := c.CommitImport(ctx, imp)
		require.NoError(t, err)
		require.Equal(t, 3, tries)
		require.Equal(t, 2, result.Created)
		require.Len(t, result.Assets, 2)
		require.Equal(t, []string{"application shop v1", "task nightly v1"}, names(t, s))

		tries, lose = 0, 100
		_, err = c.CommitImport(ctx, s.Fill(t, shop(merge, func(imp *catalog.Import) { imp.Tasks[0].Description = "changed" })))
		requireFault(t, err, fault.Unavailable, "catalog.unavailable")
		require.Equal(t, 5, tries)
	})
}

func TestPostgresConnectionsThatBreak(t *testing.T) {
	t.Parallel()
	c := catalogtest.Open(t, catalogtest.PostgresURL(t))
	s := catalogtest.NewScene(t, c)
	for range 3 {
		// Every connection of the pool, the own one too.
		requireFault(t, c.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"), fault.Internal, "")
		require.Eventually(t, func() bool {
			_, err := c.User(ctx, s.User.ID)
			if err != nil {
				requireFault(t, err, fault.Unavailable, "catalog.unavailable")
			}
			return err == nil
		}, time.Minute, time.Millisecond)
		s.Import(t, catalog.Import{Applications: []catalog.ImportAsset{{Name: catalog.NewID()}}})
	}
}

func TestSQLiteFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a folder?", "100% #1.db")
	c := catalogtest.Open(t, "sqlite:"+path)
	s := catalogtest.NewScene(t, c)
	require.FileExists(t, path)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	for _, e := range entries {
		require.True(t, strings.HasPrefix(e.Name(), "100% #1.db"), e.Name())
	}

	// Another process, such as the command line, works on the same file at the same time.
	beside := catalogtest.Open(t, "sqlite:"+path)
	var both sync.WaitGroup
	errs := make(chan error, 100)
	for _, c := range []*catalog.Catalog{c, beside} {
		both.Go(func() {
			for range 50 {
				_, err := c.CreateUser(ctx, "acme", catalog.NewID(), "")
				errs <- err
			}
		})
	}
	both.Wait()
	for range 100 {
		require.NoError(t, <-errs)
	}
	users, err := beside.ListUsers(ctx)
	require.NoError(t, err)
	require.Len(t, users, 101)

	// Readers do not wait for a writer: this one would wait for ever.
	c.SetFailpoint(func(step string) error {
		if step == "effect" {
			_, err := c.User(ctx, s.User.ID)
			return err
		}
		return nil
	})
	s.Import(t, shop())
}
