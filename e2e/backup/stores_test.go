package backup

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"assetflow/catalog/catalogtest"
	"assetflow/devstack"
	embedded "assetflow/embedded/s3"
	"assetflow/storage"
)

// database is where the catalog is, and how it is copied.
type database interface {
	// url is the database's, empty for the stack's own file.
	url() string
	// dump writes one moment of the running database to a file.
	dump(t *testing.T, stack, file string)
	// restore gives an empty database the content of the file.
	restore(t *testing.T, stack, file string) database
	// exec changes the database behind the service's back.
	exec(t *testing.T, stack, statement string)
}

// sqliteFile is the stack's own file.
type sqliteFile struct{}

func (sqliteFile) url() string { return "" }

func (sqliteFile) dump(t *testing.T, stack, file string) {
	t.Helper()
	vacuumInto(t, filepath.Join(stack, "catalog.db"), file)
}

func (d sqliteFile) restore(t *testing.T, stack, file string) database {
	t.Helper()
	copyFile(t, file, filepath.Join(stack, "catalog.db"))
	return d
}

func (sqliteFile) exec(t *testing.T, stack, statement string) {
	t.Helper()
	execute(t, "sqlite", filepath.Join(stack, "catalog.db")+"?_pragma=busy_timeout(30000)", statement)
}

// postgres is a database of a server that is there for tests.
type postgres struct{ at string }

func (p postgres) url() string { return p.at }

func (p postgres) dump(t *testing.T, _, file string) {
	t.Helper()
	run(t, "pg_dump", "--format=custom", "--file="+file, p.at)
}

func (postgres) restore(t *testing.T, _, file string) database {
	t.Helper()
	fresh := postgres{catalogtest.PostgresURL(t)}
	run(t, "pg_restore", "--no-owner", "--exit-on-error", "--dbname="+fresh.at, file)
	return fresh
}

func (p postgres) exec(t *testing.T, _, statement string) {
	t.Helper()
	execute(t, "pgx", p.at, statement)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, "%s: %s", name, out)
}

func execute(t *testing.T, driver, source, statement string) {
	t.Helper()
	db, err := sql.Open(driver, source)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), statement)
	require.NoError(t, err, statement)
}

// vacuumInto copies one moment of a SQLite database that is in use.
func vacuumInto(t *testing.T, from, to string) {
	t.Helper()
	execute(t, "sqlite", from+"?_pragma=busy_timeout(30000)", "VACUUM INTO '"+to+"'")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, content, 0o600))
}

// copyBucket copies what the folder does not have yet, and deletes nothing there, as `aws s3 sync` does. A blob never
// changes; of the rest the newest counts.
func copyBucket(t *testing.T, store *storage.Store, folder string) {
	t.Helper()
	bucket := store.Bucket()
	pages := s3.NewListObjectsV2Paginator(store.Client(), &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, object := range page.Contents {
			path := filepath.Join(folder, filepath.FromSlash(*object.Key))
			if _, err := os.Stat(path); err == nil && strings.HasPrefix(*object.Key, "blobs/") {
				continue
			}
			out, err := store.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: object.Key})
			var gone interface{ ErrorCode() string }
			if errors.As(err, &gone) && gone.ErrorCode() == "NoSuchKey" {
				continue // a job has ended meanwhile
			}
			require.NoError(t, err)
			content, err := io.ReadAll(out.Body)
			require.NoError(t, errors.Join(err, out.Body.Close()))
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, content, 0o600))
		}
	}
}

// fillBucket writes the folder into the bucket of a stack that does not run.
func fillBucket(t *testing.T, folder, stack string) {
	t.Helper()
	at, err := devstack.Attach(stack)
	require.NoError(t, err)
	server, err := embedded.Start(t.Context(), embedded.Options{
		Addr: "127.0.0.1:0", DataDir: filepath.Join(stack, "s3"), Region: at.Storage.Region,
		AccessKey: at.Storage.AccessKey, SecretKey: at.Storage.SecretKey,
	})
	require.NoError(t, err)
	defer server.Stop()
	at.Storage.Endpoint = server.Endpoint()
	store, err := storage.Open(t.Context(), at.Storage)
	require.NoError(t, err)
	require.NoError(t, store.EnsureBucket(context.WithoutCancel(t.Context())))
	fill(t, folder, store)
}

// fill writes the folder into an empty bucket.
func fill(t *testing.T, folder string, store *storage.Store) {
	t.Helper()
	bucket := store.Bucket()
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		key := filepath.ToSlash(relative)
		_, err = store.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: file})
		return err
	}))
}
