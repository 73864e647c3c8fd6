package catalog_test

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

// What no migration may do, because programs of the release before still run on the database when it is taken.
const (
	ruleRemove    = "removes or renames what an older program uses"
	ruleNarrow    = "takes less than an older program writes"
	ruleUnique    = "refuses what an older program may write"
	ruleTrigger   = "changes what an older program's statements do"
	ruleIndex     = "keeps a large table from being written to: CREATE INDEX CONCURRENTLY, alone in a file of +goose NO TRANSACTION"
	ruleAgain     = "cannot be taken again after it was interrupted: DROP INDEX CONCURRENTLY IF EXISTS comes before"
	ruleValidate  = "reads a whole table while it is locked: NOT VALID, and VALIDATE CONSTRAINT in the next file"
	ruleRows      = "changes rows of a table of any size: the program does that, page by page"
	ruleLockTable = "locks a table"
)

// exceptions are rules that a migration may break, with the reason. One that removes what nobody uses any more belongs
// here, with the release since which nobody does.
var exceptions = map[string]map[string]string{
	"00002_trash_archives_audit.sql": {ruleIndex: "older than the first release: no large table exists"},
	"00005_digital_assets.sql": {
		ruleIndex:  "older than the first release",
		ruleUnique: "it is about rows without an instance, which no older program writes",
	},
	"00006_service_templates.sql": {ruleIndex: "older than the first release"},
	"00007_addons.sql":            {ruleTrigger: "it keeps the sweep of an older program from taking what that does not know"},
	"00008_collation.sql":         {ruleNarrow: "the type stays, and only the order changes; no index is on these columns"},
}

// bans are statements that break a rule, whatever their table.
var bans = []struct {
	pattern *regexp.Regexp
	rule    string
}{
	{regexp.MustCompile(`^DROP (TABLE|VIEW|SCHEMA|TYPE|FUNCTION|TRIGGER|SEQUENCE)\b|^ALTER TABLE .*\bDROP (COLUMN )?(IF EXISTS )?("?[a-z_]+"?)( CASCADE)?$|\bRENAME\b`), ruleRemove},
	{regexp.MustCompile(`\bALTER (COLUMN )?\S+ (SET DATA )?TYPE\b|\bSET NOT NULL\b`), ruleNarrow},
	{regexp.MustCompile(`^(UPDATE|DELETE|TRUNCATE)\b|^INSERT\b.*\bSELECT\b`), ruleRows},
	{regexp.MustCompile(`^LOCK\b`), ruleLockTable},
}

var (
	sqlComment   = regexp.MustCompile(`(?m)--.*$`)
	sqlBody      = regexp.MustCompile(`(?s)-- \+goose StatementBegin.*?-- \+goose StatementEnd`)
	createTable  = regexp.MustCompile(`^CREATE TABLE (?:IF NOT EXISTS )?(\w+)`)
	alterTable   = regexp.MustCompile(`^ALTER TABLE (?:IF EXISTS )?(?:ONLY )?(\w+)`)
	createIndex  = regexp.MustCompile(`^CREATE (UNIQUE )?INDEX (CONCURRENTLY )?(?:IF NOT EXISTS )?(\w+) ON (\w+)`)
	createAction = regexp.MustCompile(`^CREATE (?:OR REPLACE )?(?:CONSTRAINT )?TRIGGER (\w+) .*? ON (\w+)`)
	notNull      = regexp.MustCompile(`\bADD (COLUMN )?.*\bNOT NULL\b`)
	hasDefault   = regexp.MustCompile(`\bDEFAULT\b|\bGENERATED\b`)
)

// lint gives the rules that a migration breaks.
func lint(postgres bool, text string) []string {
	noTransaction := strings.Contains(text, "-- +goose NO TRANSACTION")
	text = sqlComment.ReplaceAllString(sqlBody.ReplaceAllString(text, ""), "")
	made, dropped, broken := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for statement := range strings.SplitSeq(text, ";") {
		statement = strings.Join(strings.Fields(statement), " ")
		if m := createTable.FindStringSubmatch(statement); m != nil {
			made[m[1]] = true
		}
		if index, ok := strings.CutPrefix(statement, "DROP INDEX CONCURRENTLY IF EXISTS "); ok {
			dropped[index] = true
		}
		for _, ban := range bans {
			if ban.pattern.MatchString(statement) {
				broken[ban.rule] = true
			}
		}
		if m := alterTable.FindStringSubmatch(statement); m != nil && !made[m[1]] {
			if notNull.MatchString(statement) && !hasDefault.MatchString(statement) {
				broken[ruleNarrow] = true
			}
			if strings.Contains(statement, " ADD CONSTRAINT ") && !strings.Contains(statement, " NOT VALID") {
				broken[ruleValidate] = true
			}
		}
		if m := createIndex.FindStringSubmatch(statement); m != nil && !made[m[4]] {
			if m[1] != "" {
				broken[ruleUnique] = true
			}
			switch concurrently := m[2] != ""; {
			case postgres && (!concurrently || !noTransaction):
				broken[ruleIndex] = true
			case concurrently && !dropped[m[3]]:
				broken[ruleAgain] = true
			}
		}
		if m := createAction.FindStringSubmatch(statement); m != nil && !made[m[2]] {
			broken[ruleTrigger] = true
		}
	}
	return slices.Sorted(maps.Keys(broken))
}

func TestMigrationsLeaveOlderProgramsWorking(t *testing.T) {
	t.Parallel()
	used := map[string]map[string]bool{}
	for _, dialect := range []string{"sqlite", "postgres"} {
		files, err := fs.Glob(catalog.Migrations(), "migrations/"+dialect+"/*.sql")
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			text, err := fs.ReadFile(catalog.Migrations(), file)
			require.NoError(t, err)
			name := path.Base(file)
			for _, rule := range lint(dialect == "postgres", string(text)) {
				require.Contains(t, exceptions[name], rule, "%s %s", file, rule)
				if used[name] == nil {
					used[name] = map[string]bool{}
				}
				used[name][rule] = true
			}
		}
	}
	for name, rules := range exceptions {
		for rule := range rules {
			require.True(t, used[name][rule], "%s needs no exception: %s", name, rule)
		}
	}
}

func TestWhatAMigrationMayNotDo(t *testing.T) {
	t.Parallel()
	for statements, want := range map[string]string{
		"DROP TABLE jobs;":                                                           ruleRemove,
		"ALTER TABLE jobs DROP COLUMN subject;":                                      ruleRemove,
		"ALTER TABLE jobs DROP subject;":                                             ruleRemove,
		"ALTER TABLE jobs\n    RENAME COLUMN subject TO title;":                      ruleRemove,
		"ALTER TABLE jobs RENAME TO tasks;":                                          ruleRemove,
		"ALTER TABLE jobs ADD COLUMN later TEXT NOT NULL;":                           ruleNarrow,
		"ALTER TABLE jobs ALTER COLUMN subject SET NOT NULL;":                        ruleNarrow,
		"ALTER TABLE jobs ALTER COLUMN size TYPE BIGINT;":                            ruleNarrow,
		"ALTER TABLE jobs ADD CONSTRAINT short CHECK (length(subject) < 9);":         ruleValidate,
		"CREATE UNIQUE INDEX CONCURRENTLY jobs_subject ON jobs (subject);":           ruleUnique,
		"CREATE INDEX jobs_subject ON jobs (subject);":                               ruleIndex,
		"CREATE INDEX CONCURRENTLY jobs_subject ON jobs (subject);":                  ruleIndex,
		"-- +goose NO TRANSACTION\nCREATE INDEX CONCURRENTLY a ON jobs (b);":         ruleAgain,
		"CREATE TRIGGER a BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE PROCEDURE b();": ruleTrigger,
		"UPDATE jobs SET subject = '';":                                              ruleRows,
		"INSERT INTO tasks SELECT id FROM jobs;":                                     ruleRows,
		"LOCK TABLE jobs;":                                                           ruleLockTable,
	} {
		require.Contains(t, lint(true, "-- +goose Up\n"+statements), want, statements)
	}
	for _, statements := range []string{
		"CREATE TABLE a (b TEXT NOT NULL); CREATE UNIQUE INDEX c ON a (b); ALTER TABLE a ADD CONSTRAINT d CHECK (b <> '');",
		"ALTER TABLE jobs ADD COLUMN later TEXT; ALTER TABLE jobs ADD COLUMN much INTEGER NOT NULL DEFAULT 0;",
		"ALTER TABLE jobs ALTER COLUMN subject DROP NOT NULL; ALTER TABLE jobs DROP CONSTRAINT short;",
		"-- DROP TABLE jobs;\nALTER TABLE jobs ADD CONSTRAINT a CHECK (b > 0) NOT VALID;",
		"-- +goose NO TRANSACTION\nDROP INDEX CONCURRENTLY IF EXISTS a; CREATE INDEX CONCURRENTLY a ON jobs (b);",
	} {
		require.Empty(t, lint(true, "-- +goose Up\n"+statements), statements)
	}
	require.Empty(t, lint(false, "CREATE INDEX a ON jobs (b);"), "SQLite has no other way")
}

// A database is migrated by several processes while programs of the release before work on it: none of their statements
// fails. They are played by today's, which use only what the older schema has.
func TestMigrateWhileOlderProgramsWork(t *testing.T) {
	t.Parallel()
	versions, err := catalog.Schemas()
	require.NoError(t, err)
	catalogtest.EachURL(t, func(t *testing.T, url string) {
		open := func() *catalog.Catalog {
			c, err := catalog.Open(ctx, url, nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, c.Close()) })
			return c
		}
		require.NoError(t, open().MigrateTo(versions[len(versions)-2]))
		newer := open()
		requireFault(t, newer.Ping(ctx), fault.Unavailable, "catalog.not_migrated")
		require.ErrorContains(t, newer.Ping(ctx), fmt.Sprintf("has schema version %d and this program needs %d", versions[len(versions)-2], versions[len(versions)-1]))

		stop := make(chan struct{})
		var working sync.WaitGroup
		var done atomic.Int64
		errs := make(chan error, 4)
		for range cap(errs) {
			c := open()
			s := catalogtest.NewScene(t, c)
			working.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if err := work(s); err != nil {
						errs <- err
						return
					}
					done.Add(1)
				}
			})
		}
		after := func(n int64) { // so much work later
			t.Helper()
			from := done.Load()
			require.Eventually(t, func() bool { return len(errs) > 0 || done.Load() >= from+n }, time.Minute, time.Millisecond)
		}
		after(10)
		var migrating sync.WaitGroup
		failures := make([]error, 3)
		for i := range failures {
			c := open()
			migrating.Go(func() { failures[i] = c.Migrate(ctx) })
		}
		migrating.Wait()
		after(10)
		close(stop)
		working.Wait()
		for _, err := range failures {
			require.NoError(t, err)
		}
		require.Empty(t, errs, "an older program met an error")
		require.NoError(t, newer.Ping(ctx))
	})
}

// work is what a program of the release before does: an import, what it asks beside it, an export and its download.
func work(s catalogtest.Scene) error {
	c, id := s.Catalog, catalog.NewID()
	if err := c.InsertJob(ctx, catalog.Job{
		ID: id, Kind: catalog.AssetImport, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID,
		WorkflowID: "asset-import:" + s.Project.ID + ":" + s.User.ID, Subject: "package.zip",
	}); err != nil {
		return fmt.Errorf("insert the job: %w", err)
	}
	file := catalogtest.File("a", id)
	if _, err := c.TouchBlobs(ctx, []catalog.Blob{{SHA256: file.SHA256, Size: file.Size}}); err != nil {
		return fmt.Errorf("touch the blob: %w", err)
	}
	if _, err := c.CommitImport(ctx, catalog.Import{
		JobID: id, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID, Mode: catalog.AddNew,
		Tasks: []catalog.ImportAsset{{Name: id, Files: []catalog.File{file}}},
	}); err != nil {
		return fmt.Errorf("commit the import: %w", err)
	}
	if _, err := c.EndJob(ctx, id, catalog.JobOutcome{State: catalog.JobSucceeded}); err != nil {
		return fmt.Errorf("end the job: %w", err)
	}
	if _, _, err := c.ListAssets(ctx, catalog.AssetFilter{ProjectID: s.Project.ID, InstanceID: s.Instance.ID, Limit: 10}); err != nil {
		return fmt.Errorf("list the assets: %w", err)
	}
	if _, _, err := c.ListJobs(ctx, catalog.JobFilter{ProjectID: s.Project.ID, Limit: 10}); err != nil {
		return fmt.Errorf("list the jobs: %w", err)
	}
	if _, err := c.User(ctx, s.User.ID); err != nil {
		return fmt.Errorf("read the user: %w", err)
	}
	if _, _, err := c.ClaimSubmission(ctx, s.User.ID, id, "f", id, time.Now()); err != nil {
		return fmt.Errorf("claim a submission: %w", err)
	}
	return nil
}

// A step that waits for a table does not keep others waiting for long: it gives way, and comes again. Without that, one
// long transaction that reads would stop the service.
func TestAMigrationThatWaitsGivesWay(t *testing.T) {
	t.Parallel()
	url := catalogtest.PostgresURL(t)
	c, err := catalog.Open(ctx, url, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	require.NoError(t, c.MigrateTo(5)) // the next step changes users
	long, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer func() { _ = long.Close(ctx) }()
	tx, err := long.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "SELECT count(*) FROM users") // a backup does as much
	require.NoError(t, err)

	c.SetLockTimeout(300 * time.Millisecond)
	migrated := make(chan error, 1)
	go func() { migrated <- c.Migrate(ctx) }()
	other, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer func() { _ = other.Close(ctx) }()
	for range 2 { // it comes again
		require.Eventually(t, func() bool {
			var waiting bool
			err := other.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE relation = 'users'::regclass AND NOT granted)").Scan(&waiting)
			return err == nil && waiting
		}, time.Minute, time.Millisecond, "the step waits for the table")
		var n int
		require.NoError(t, other.QueryRow(ctx, "SELECT count(*) FROM users").Scan(&n), "others get through while the long transaction goes on")
	}
	require.Empty(t, migrated)
	require.NoError(t, tx.Rollback(ctx))
	require.NoError(t, <-migrated)
	require.NoError(t, c.Ping(ctx))
}
