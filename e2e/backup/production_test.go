package backup

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/cmd/assetflow/command"
	"assetflow/prodstack"
	"assetflow/storage"
)

// TestBackupAndRestoreOfTheProductionStack is the same with the servers of production, each database dumped by itself, and the
// Temporal server started on what was restored.
func TestBackupAndRestoreOfTheProductionStack(t *testing.T) {
	if os.Getenv(prodstack.ProgramsVariable) == "" {
		t.Skipf("%s does not name the folder of the programs: run `make test-production`", prodstack.ProgramsVariable)
	}
	dir, backup := openFolder(t), t.TempDir()
	stack := startProduction(t, dir, nil)
	assetflow := program(stack)
	crowd := newCrowd(t, stack, 3)
	defer crowd.leave()
	ada, bob := newPerson(t, stack, "ada"), newPerson(t, stack, "bob")
	ada.imports(t, ada.pack())

	assetflow.does(t, "sweep", "pause", "--note", "backup")
	objects := filepath.Join(backup, "bucket")
	copyBucket(t, stack.Storage(), objects)
	// Nobody works for a while: what is dumped is in the middle of everything. Ada's import has begun, and two wait behind it.
	require.NoError(t, stack.Scale(t.Context(), 1, 0))
	adas := []string{ada.submit(t, ada.pack()), ada.submit(t, ada.pack()), ada.submit(t, ada.pack())}
	for _, database := range []string{"temporal_visibility", "temporal"} {
		run(t, "pg_dump", "--format=custom", "--file="+filepath.Join(backup, database), as(t, stack, "temporal", database))
	}
	require.NoError(t, stack.Scale(t.Context(), 1, 2))
	// Bob's import is one that the backup of Temporal does not know.
	bobs := bob.imports(t, bob.pack())
	run(t, "pg_dump", "--format=custom", "--file="+filepath.Join(backup, "assetflow"), as(t, stack, "assetflow", "assetflow"))
	copyBucket(t, stack.Storage(), objects)
	keys := []string{"credentials.json", "master.key", "s3-root.json", "key-ring.json"}
	for _, name := range keys {
		copyFile(t, filepath.Join(dir, name), filepath.Join(backup, name))
	}

	// Everything is lost.
	crowd.leave()
	stack.Stop(t.Context())
	require.NoError(t, os.RemoveAll(dir))

	dir = openFolder(t)
	for _, name := range keys {
		copyFile(t, filepath.Join(backup, name), filepath.Join(dir, name))
	}
	stack = startProduction(t, dir, func(_ context.Context, s *prodstack.Stack) error {
		for _, database := range []string{"temporal_visibility", "temporal"} {
			execute(t, "pgx", s.PostgresURL(), "CREATE DATABASE "+database+" OWNER temporal")
			run(t, "pg_restore", "--no-owner", "--exit-on-error", "--dbname="+as(t, s, "temporal", database), filepath.Join(backup, database))
		}
		run(t, "pg_restore", "--no-owner", "--exit-on-error", "--dbname="+as(t, s, "assetflow", "assetflow"), filepath.Join(backup, "assetflow"))
		// The restore is an hour later, so that nobody waits for starts that were under way.
		execute(t, "pgx", as(t, s, "assetflow", "assetflow"), laterBy[false])
		store, err := storage.Open(t.Context(), s.Bucket())
		require.NoError(t, err)
		require.NoError(t, store.EnsureBucket(t.Context()))
		fill(t, objects, store)
		return nil
	})
	assetflow = program(stack)
	was := jobsOf(t, as(t, stack, "assetflow", "assetflow"))
	require.Eventually(t, func() bool { // Temporal's own workers come when they come
		stdout, _, code := assetflow(t, "sweep", "status")
		return code == command.ExitOK && strings.Contains(stdout, "backup")
	}, 2*time.Minute, 100*time.Millisecond, "it was paused when the backup was taken")
	assetflow.requireNothingLost(t)
	people := append([]*person{ada, bob}, crowd.people...)
	for _, p := range people {
		p.goTo(t, stack)
	}
	require.NoError(t, stack.Scale(t.Context(), 1, 2))
	requireJobs(t, people, was)
	for _, id := range adas {
		ada.succeeds(t, id)
	}
	bob.succeeds(t, bobs)
	requireWorkflowsClosed(t, stack)
	requireFree(t, people)
	assetflow.does(t, "sweep", "resume", "--note", "restored")
	sweepLater(t, stack)
	requireNothingLeft(t, stack)
	require.Contains(t, assetflow.does(t, "check", "--read"), "Everything is there")
}

// startProduction starts a stack with one API, and two workers where it begins with nothing.
func startProduction(t *testing.T, dir string, fill func(context.Context, *prodstack.Stack) error) *prodstack.Stack {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	workers := 2
	if fill != nil {
		workers = 0
	}
	stack, err := prodstack.Start(ctx, prodstack.Options{
		DataDir: dir, Programs: os.Getenv(prodstack.ProgramsVariable), APIs: 1, Workers: workers, Volatile: true, Fill: fill,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	})
	require.NoError(t, err)
	t.Cleanup(func() { stack.Stop(context.WithoutCancel(t.Context())) })
	return stack
}

// openFolder makes a folder that PostgreSQL's own user gets to; that of t.TempDir is closed to others.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "assetflow-backup-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// as leads a role to one of the stack's databases: all have the same password.
func as(t *testing.T, stack *prodstack.Stack, role, database string) string {
	t.Helper()
	u, err := url.Parse(stack.PostgresURL())
	require.NoError(t, err)
	password, _ := u.User.Password()
	u.User, u.Path = url.UserPassword(role, password), "/"+database
	return u.String()
}

// program runs the commands of the stack's own program.
func program(stack *prodstack.Stack) operator {
	return func(t *testing.T, args ...string) (string, string, int) {
		t.Helper()
		c := exec.CommandContext(t.Context(), filepath.Join(os.Getenv(prodstack.ProgramsVariable), "assetflow"), args...)
		c.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, stack.Environ()...)
		var stdout, stderr bytes.Buffer
		c.Stdout, c.Stderr = &stdout, &stderr
		err := c.Run()
		require.NotNil(t, c.ProcessState, err)
		return stdout.String(), stderr.String(), c.ProcessState.ExitCode()
	}
}
