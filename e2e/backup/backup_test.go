package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	caller "assetflow/client"
	"assetflow/cmd/assetflow/command"
	"assetflow/cmd/assetflow/serve"
	"assetflow/devstack"
	"assetflow/jobs"
	"assetflow/storage"
	"assetflow/worker/workertest"
	"assetflow/workflows"
)

// rounds is how many backups are taken, each at another moment of a stack of its own.
const rounds = 2

// One stack runs per process, so neither test is parallel.

func TestBackupAndRestoreOnSQLite(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) { backupAndRestore(t, sqliteFile{}) })
	}
}

func TestBackupAndRestoreOnPostgreSQL(t *testing.T) {
	backupAndRestore(t, postgres{catalogtest.PostgresURL(t)})
}

func start(t *testing.T, dir string, db database, steps *workertest.Holds) *devstack.Stack {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	stack, err := devstack.Start(ctx, devstack.Options{
		DataDir: dir, Database: db.url(), NoUI: true, Interceptors: []interceptor.WorkerInterceptor{steps.Interceptor()},
		SweepEvery: time.Second, SweepGrace: time.Minute,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	})
	require.NoError(t, err)
	return stack
}

func stop(t *testing.T, stack *devstack.Stack) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	require.NoError(t, stack.Stop(ctx))
}

// operator runs a command of an operator's.
type operator func(t *testing.T, args ...string) (stdout, stderr string, code int)

// configured runs commands in this process, with settings from a file.
func configured(settings string) operator {
	return func(t *testing.T, args ...string) (string, string, int) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		code := command.Run(t.Context(), append(args, "--config", settings), bytes.NewReader(nil), &stdout, &stderr)
		return stdout.String(), stderr.String(), code
	}
}

func (o operator) does(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := o(t, args...)
	require.Equal(t, command.ExitOK, code, "%v: %s%s", args, stdout, stderr)
	return stdout
}

// requireNothingLost has the bucket compared with the catalog. What may be missing are archives that were downloaded, and so
// removed, after the backup of the catalog: whoever did it has them.
func (o operator) requireNothingLost(t *testing.T) {
	t.Helper()
	stdout, stderr, code := o(t, "check", "--read", "-o", "json")
	var report serve.ContentReport
	require.NoError(t, json.Unmarshal([]byte(stdout), &report), stderr)
	require.Equal(t, code == command.ExitOK, len(report.Findings) == 0)
	for _, f := range report.Findings {
		require.True(t, strings.HasPrefix(f.Key, "archives/"), "%+v", f)
		require.Equal(t, serve.ContentMissing, f.What)
	}
	require.NotZero(t, report.Blobs)
}

// settings writes the settings of the service as an operator has them.
func settings(t *testing.T, dir string, stack *devstack.Stack, db database) string {
	t.Helper()
	at, err := devstack.Attach(dir)
	require.NoError(t, err)
	url := db.url()
	if url == "" {
		url = at.CatalogURL
	}
	text, err := json.Marshal(map[string]any{ // which is YAML, too
		"database": map[string]any{"url": url},
		"temporal": map[string]any{"address": stack.TemporalAddr()},
		"log":      map[string]any{"level": "error"},
		"s3": map[string]any{
			"endpoint": at.Storage.Endpoint, "region": at.Storage.Region, "bucket": at.Storage.Bucket, "path_style": true,
			"access_key": at.Storage.AccessKey, "secret_key": at.Storage.SecretKey,
		},
	})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "assetflow.yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

// backupAndRestore takes a backup of a stack at work in the order of docs/operations.md, has things happen between any two
// of its steps, and looks at what a stack makes of it that is restored from nothing else.
func backupAndRestore(t *testing.T, db database) {
	dir, backup := t.TempDir(), t.TempDir()
	steps := workertest.NewHolds()
	stack := start(t, dir, db, steps)
	running := true
	t.Cleanup(func() {
		if running {
			stop(t, stack)
		}
	})
	operator := configured(settings(t, dir, stack, db))
	// Finn's assets will be purged while the bucket is copied. Their blobs look as if nobody had touched them for long.
	finn := newPerson(t, stack, "finn")
	finn.imports(t, finn.pack())
	finns := finn.selection(t)
	deletion, err := finn.StartDeletion(t.Context(), finns, caller.StartOptions{})
	require.NoError(t, err)
	finn.succeeds(t, canonical(t, deletion))
	db.exec(t, dir, "UPDATE blobs SET touched_at = '2026-01-01 00:00:00.000000+00:00'")
	crowd := newCrowd(t, stack, 3)
	defer crowd.leave()

	// Ada's import is caught by the whole backup, and two wait behind it.
	ada := newPerson(t, stack, "ada")
	adasHold := steps.Hold(t, ada.config.ProjectID, "CommitImport", workertest.Before)
	adas := []string{ada.submit(t, ada.pack()), ada.submit(t, ada.pack()), ada.submit(t, ada.pack())}
	adasHold.Wait(t)
	// Bob's import ends between the backups of Temporal and of the catalog, Cleo's after that of the catalog.
	bob, cleo := newPerson(t, stack, "bob"), newPerson(t, stack, "cleo")
	bobsHold, cleosHold := steps.Hold(t, bob.config.ProjectID, "StoreFiles", workertest.Before), steps.Hold(t, cleo.config.ProjectID, "CommitImport", workertest.Before)
	bobs, cleos := bob.submit(t, bob.pack()), cleo.submit(t, cleo.pack())
	// So does Dan's export; then he changes what he has exported.
	dan := newPerson(t, stack, "dan")
	dan.imports(t, dan.pack())
	dansHold := steps.Hold(t, dan.config.ProjectID, "WriteArchive", workertest.Before)
	export, err := dan.StartExport(t.Context(), dan.selection(t), caller.StartOptions{})
	require.NoError(t, err)
	export = canonical(t, export)
	// And Eve's delivery; then she delivers another version.
	eve := newPerson(t, stack, "eve")
	place, err := eve.CreateEnvironment(t.Context(), caller.NewEnvironment{Name: "stage", VPCID: "vpc-1"})
	require.NoError(t, err)
	eve.pushes(t, "1.0.0")
	evesHold := steps.Hold(t, eve.config.ProjectID, "ApplyChart", workertest.Before)
	addon, delivery, err := eve.InstallAddon(t.Context(), place.ID, caller.NewAddon{Name: "hello", TargetID: "gitops"}, "")
	require.NoError(t, err)
	// Gwen has an upload that she confirms too late.
	gwen := newPerson(t, stack, "gwen")
	picture := bytes.Repeat([]byte("picture "), 1000)
	gwens, upload := gwen.uploads(t, picture)
	for _, g := range []*workertest.Hold{bobsHold, cleosHold, dansHold, evesHold} {
		g.Wait(t)
	}
	<-time.After(time.Duration(rand.IntN(1000)) * time.Millisecond) // another moment each time

	operator.does(t, "sweep", "pause", "--note", "backup")

	objects := filepath.Join(backup, "bucket")
	copyBucket(t, stack.Storage(), objects)

	vacuumInto(t, filepath.Join(dir, "temporal.db"), filepath.Join(backup, "temporal.db"))

	for _, g := range []*workertest.Hold{bobsHold, dansHold, evesHold} {
		g.Release()
	}
	bob.succeeds(t, bobs)
	archive := dan.succeeds(t, export)
	require.NotEmpty(t, archive.Result)
	dan.changes(t)
	eve.succeeds(t, canonical(t, delivery))
	eve.pushes(t, "1.1.0")
	redelivery, err := eve.DeliverAddon(t.Context(), place.ID, addon, "redeploy", "")
	require.NoError(t, err)
	eve.succeeds(t, canonical(t, redelivery))
	// Hal's import is one that the backup of Temporal does not know, and another waits behind it.
	hal := newPerson(t, stack, "hal")
	halsHold := steps.Hold(t, hal.config.ProjectID, "StoreFiles", workertest.Before)
	hals := []string{hal.submit(t, hal.pack()), hal.submit(t, hal.pack())}
	halsHold.Wait(t)
	require.Eventually(t, func() bool { // it was started before it is out of the queue
		job, err := hal.ShowJob(t.Context(), hals[0])
		require.NoError(t, err)
		return job.State == caller.JobRunning
	}, time.Minute, 20*time.Millisecond)

	db.dump(t, dir, filepath.Join(backup, "catalog"))

	cleosHold.Release()
	cleo.succeeds(t, cleos)
	require.NoError(t, gwen.ConfirmFile(t.Context(), upload, "CREATED"))
	for _, id := range append(finns.Tasks, finns.Applications...) {
		require.NoError(t, finn.PurgeAsset(t.Context(), id))
	}

	copyBucket(t, stack.Storage(), objects)
	for _, name := range []string{"credentials.json", "master.key", "s3-root.json", "key-ring.json"} {
		copyFile(t, filepath.Join(dir, name), filepath.Join(backup, name))
	}

	// Everything is lost.
	crowd.leave()
	stop(t, stack)
	running = false
	require.NoError(t, os.RemoveAll(dir))

	restored := t.TempDir()
	for _, name := range []string{"credentials.json", "master.key", "s3-root.json", "key-ring.json", "temporal.db"} {
		copyFile(t, filepath.Join(backup, name), filepath.Join(restored, name))
	}
	fillBucket(t, objects, restored)
	db = db.restore(t, restored, filepath.Join(backup, "catalog"))
	// The restore is an hour later, so that nobody waits for starts that were under way.
	db.exec(t, restored, laterBy[db.url() == ""])

	url := db.url()
	if url == "" {
		url = "sqlite:" + filepath.Join(restored, "catalog.db")
	}
	was := jobsOf(t, url)
	stack = start(t, restored, db, workertest.NewHolds())
	running = true
	operator = configured(settings(t, restored, stack, db))
	require.Contains(t, operator.does(t, "sweep", "status"), "backup", "it was paused when the backup was taken")
	operator.requireNothingLost(t)

	people := append([]*person{ada, bob, cleo, dan, eve, finn, gwen, hal}, crowd.people...)
	for _, p := range people {
		p.goTo(t, stack)
	}
	requireJobs(t, people, was)
	for _, id := range adas {
		ada.succeeds(t, id)
	}
	cleo.succeeds(t, cleos)
	unknown := hal.ends(t, hals[0])
	require.Equal(t, caller.JobFailed, unknown.State)
	require.Contains(t, unknown.Reasons[0].Message, "The job never started")
	hal.succeeds(t, hals[1])
	require.NoError(t, gwen.ConfirmFile(t.Context(), upload, "CREATED"))
	finn.restores(t, finns)

	// The archive is the one that the job has committed, although the job ran once more, on other assets.
	var result catalog.ExportResult
	require.NoError(t, json.Unmarshal(archive.Result, &result))
	requireWorkflowsClosed(t, stack)
	sum := sha256.New()
	_, err = dan.DownloadArchive(t.Context(), result.ArchiveID, sum, nil)
	require.NoError(t, err)
	require.Equal(t, result.SHA256, hex.EncodeToString(sum.Sum(nil)))
	// The add-on is the later job's, although the earlier one ran once more.
	eve.requireDelivered(t, stack, place.ID, addon, "1.1.0")
	var kept bytes.Buffer
	asset, err := gwen.DigitalAsset(t.Context(), gwens)
	require.NoError(t, err)
	require.NoError(t, gwen.DownloadFile(t.Context(), asset.Files[0], &kept, nil))
	require.Equal(t, picture, kept.Bytes())

	requireFree(t, people)
	operator.does(t, "sweep", "resume", "--note", "restored")
	sweepLater(t, stack)
	requireNothingLeft(t, stack)
	require.Contains(t, operator.does(t, "check", "--read"), "Everything is there")
}

// laterBy makes the jobs that run an hour older.
var laterBy = map[bool]string{
	true:  "UPDATE jobs SET created_at = strftime('%Y-%m-%d %H:%M:%f000+00:00', created_at, '-1 hour') WHERE state = 'running'",
	false: "UPDATE jobs SET created_at = created_at - interval '1 hour' WHERE state = 'running'",
}

// jobsOf reads the jobs of a catalog that nobody uses.
func jobsOf(t *testing.T, url string) []catalog.Job {
	t.Helper()
	c, err := catalog.Open(t.Context(), url, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	projects, err := c.ListProjects(t.Context())
	require.NoError(t, err)
	var all []catalog.Job
	for _, p := range projects {
		filter := catalog.JobFilter{ProjectID: p.ID, Limit: 500}
		for {
			page, next, err := c.ListJobs(t.Context(), filter)
			require.NoError(t, err)
			all = append(all, page...)
			if filter.Cursor = next; next == "" {
				break
			}
		}
	}
	require.NotEmpty(t, all)
	return all
}

// requireJobs waits until the jobs that ran have ended, with a reason where they failed, and looks whether those that had
// ended are as they were.
func requireJobs(t *testing.T, people []*person, was []catalog.Job) {
	t.Helper()
	for _, job := range was {
		p := ownerOf(t, people, job)
		if now := p.ends(t, job.ID); job.State.Ended() {
			require.Equal(t, string(job.State), now.State, "%s of %s", job.Kind, job.UserName)
			require.JSONEq(t, orNull(job.Result), orNull(now.Result))
			require.Equal(t, job.EndedAt.UTC(), now.EndedAt.UTC())
		} else if now.State != caller.JobSucceeded {
			require.NotEmpty(t, now.Reasons, "%s of %s", job.Kind, job.UserName)
		}
	}
}

// requireFree looks whether no place is taken for ever, and what worked before works.
func requireFree(t *testing.T, people []*person) {
	t.Helper()
	for _, p := range people {
		p.imports(t, p.pack())
		id, err := p.StartExport(t.Context(), p.selection(t), caller.StartOptions{})
		require.NoError(t, err)
		done, err := p.WaitJob(t.Context(), id, nil)
		require.NoError(t, err)
		_, err = p.DownloadArchive(t.Context(), done.ArchiveID, io.Discard, nil)
		require.NoError(t, err)
	}
}

func ownerOf(t *testing.T, people []*person, job catalog.Job) *person {
	t.Helper()
	for _, p := range people {
		if p.config.ProjectID == job.ProjectID {
			return p
		}
	}
	require.FailNow(t, "nobody's job", job.ID)
	return nil
}

func orNull(text json.RawMessage) string {
	if len(text) == 0 {
		return "null"
	}
	return string(text)
}

// requireWorkflowsClosed waits until no workflow of a job is open any more.
func requireWorkflowsClosed(t *testing.T, stack service) {
	t.Helper()
	require.Eventually(t, func() bool {
		open, err := stack.Temporal().ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: "ExecutionStatus = 'Running'"})
		require.NoError(t, err)
		return len(open.GetExecutions()) == 0
	}, 2*time.Minute, 100*time.Millisecond)
}

// sweepLater runs the service's own sweep at a time at which everything is past its grace, twice: for what it has only
// found the first time.
func sweepLater(t *testing.T, stack service) {
	t.Helper()
	const queue, later = "backup-sweep", 4 * 24 * time.Hour
	w := worker.New(stack.Temporal(), queue, worker.Options{})
	w.RegisterWorkflow(workflows.SweepAll)
	quiet := slog.New(slog.DiscardHandler)
	w.RegisterActivity(&activities.Sweep{
		Catalog: stack.Catalog(), Storage: stack.Storage(), Logger: quiet, Grace: later / 2, KeepTrash: 2 * later,
		Now:    func() time.Time { return time.Now().Add(later) },
		Settle: jobs.NewService(stack.Temporal(), stack.Catalog(), stack.Storage(), quiet).Settle,
	})
	require.NoError(t, w.Start())
	defer w.Stop()
	for range 2 {
		run, err := stack.Temporal().ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: queue}, workflows.SweepAll)
		require.NoError(t, err)
		require.NoError(t, run.Get(t.Context(), nil))
	}
}

// requireNothingLeft looks whether everything that is in the bucket is needed.
func requireNothingLeft(t *testing.T, stack service) {
	t.Helper()
	needed := map[string]bool{}
	for after := ""; ; {
		page, err := stack.Catalog().KeptBlobs(t.Context(), after, 500)
		require.NoError(t, err)
		for _, b := range page {
			require.True(t, b.Used, b.SHA256)
			needed[storage.BlobKey(b.SHA256)] = true
			after = b.SHA256
		}
		if len(page) < 500 {
			break
		}
	}
	require.NotEmpty(t, needed)
	for object, err := range stack.Storage().ListBlobs(t.Context()) {
		require.NoError(t, err)
		require.True(t, needed[object.Key], "%s is in no version", object.Key)
	}
	for _, list := range []func() error{
		func() error { return empty(stack.Storage().ListStaged(t.Context(), "")) },
		func() error { return empty(stack.Storage().ListArchives(t.Context(), "")) },
		func() error { return empty(stack.Storage().ListUploads(t.Context(), "")) },
	} {
		require.NoError(t, list())
	}
}

func empty(objects func(func(storage.ObjectInfo, error) bool)) error {
	for object, err := range objects {
		if err != nil {
			return err
		}
		return fmt.Errorf("%s is left", object.Key)
	}
	return nil
}
