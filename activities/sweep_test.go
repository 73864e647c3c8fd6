package activities_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"assetflow/activities"
	"assetflow/assetpackage"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/storage"
	"assetflow/storage/storagetest"
)

// server is the S3 server that all tests of the package share: one runs per process.
var server storage.Config

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var stop func() error
		var err error
		if server, stop, err = storagetest.Server(); err != nil {
			panic(err)
		}
		defer func() {
			if err := stop(); err != nil {
				panic(err)
			}
		}()
		return m.Run()
	}())
}

const (
	grace   = 24 * time.Hour
	archive = 10 * time.Hour // how long the archives of these tests live
)

// service is a catalog and a bucket with a sweep over both, whose time the test sets.
type service struct {
	catalogtest.Scene
	store    *storage.Store
	sweep    *activities.Sweep
	database string // path of the catalog's file
}

func newService(t *testing.T) *service {
	t.Helper()
	url := catalogtest.SQLiteURL(t)
	s := &service{Scene: catalogtest.NewScene(t, catalogtest.Open(t, url)), database: strings.TrimPrefix(url, "sqlite:")}
	cfg := server
	cfg.Bucket = "test-" + uuid.NewString()
	var err error
	s.store, err = storage.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, s.store.EnsureBucket(t.Context()))
	s.sweep = &activities.Sweep{
		Catalog: s.Catalog, Storage: s.store, Logger: slog.New(slog.DiscardHandler), Grace: grace, KeepTrash: grace,
		Settle: func(ctx context.Context, _, jobID string) error {
			_, err := s.Catalog.EndJob(ctx, jobID, catalog.JobOutcome{State: catalog.JobFailed})
			return errors.Join(err, s.Catalog.SettleJob(ctx, jobID))
		},
	}
	return s
}

// later lets the sweep see everything as old.
func (s *service) later() {
	s.sweep.Now = func() time.Time { return time.Now().Add(2*grace + time.Minute) }
}

// age makes all blobs look touched long ago, behind the catalog's back.
func (s *service) age(t *testing.T) {
	t.Helper()
	db, err := sql.Open("sqlite", s.database)
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "PRAGMA busy_timeout = 5000; UPDATE blobs SET touched_at = '2026-01-01 00:00:00.000000+00:00'")
	require.NoError(t, err)
}

func environment(steps ...any) *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	for _, s := range steps {
		env.RegisterActivity(s)
	}
	return env
}

// run runs one step of the sweep.
func (s *service) run(t *testing.T, step any) activities.Swept {
	t.Helper()
	answer, err := environment(s.sweep).ExecuteActivity(step)
	require.NoError(t, err)
	var swept activities.Swept
	require.NoError(t, answer.Get(&swept))
	require.Zero(t, swept.Failed)
	return swept
}

// all runs a whole sweep and gives what was done, without the steps that did nothing.
func (s *service) all(t *testing.T) map[string]int {
	t.Helper()
	done := map[string]int{}
	for _, step := range []struct {
		name string
		step any
	}{
		{"jobs", s.sweep.SettleJobs},
		{"trash", s.sweep.PurgeTrash},
		{"archives", s.sweep.RemoveArchives},
		{"stray archives", s.sweep.RemoveStrayArchives},
		{"staged", s.sweep.RemoveStaged},
		{"uploads", s.sweep.AbortUploads},
		{"blobs", s.sweep.RemoveBlobs},
		{"adopted", s.sweep.AdoptBlobs},
		{"submissions", s.sweep.ForgetSubmissions},
	} {
		if n := s.run(t, step.step).Done; n > 0 {
			done[step.name] = n
		}
	}
	return done
}

// An export that has ended may run once more, as a delivery may. Its archive is the one that the catalog knows.
func TestAnExportThatHasEndedWritesNoArchive(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id := s.export(t, archive)
	steps := &activities.Export{Catalog: s.Catalog, Storage: s.store, Logger: slog.New(slog.DiscardHandler)}
	_, err := environment(steps).ExecuteActivity(steps.WriteArchive, activities.SelectionJob{
		JobID: id, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, ArchiveKey: storage.ArchiveKey(s.Project.ID, id),
	})
	requireApplicationError(t, err, activities.JobEnded, true, "the job has ended already, in state succeeded")
	size, found, err := s.store.StatArchive(t.Context(), storage.ArchiveKey(s.Project.ID, id))
	require.NoError(t, err)
	require.True(t, found)
	require.EqualValues(t, len("archive"), size)
}

func (s *service) stage(t *testing.T, jobID, content string) storage.Staged {
	t.Helper()
	staged, err := s.store.Stage(t.Context(), storage.StagingKey(s.Project.ID, jobID), strings.NewReader(content), 0)
	require.NoError(t, err)
	return staged
}

func (s *service) put(t *testing.T, keys ...string) {
	t.Helper()
	for _, key := range keys {
		_, _, err := s.store.PutArchive(t.Context(), key, strings.NewReader("content"))
		require.NoError(t, err)
	}
}

func (s *service) end(t *testing.T, jobID string) {
	t.Helper()
	_, err := s.Catalog.EndJob(t.Context(), jobID, catalog.JobOutcome{State: catalog.JobFailed})
	require.NoError(t, err)
}

func (s *service) upload(t *testing.T, keys ...string) {
	t.Helper()
	bucket := s.store.Bucket()
	for _, key := range keys {
		_, err := s.store.Client().CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
		require.NoError(t, err)
	}
}

func (s *service) blob(t *testing.T, content string) catalog.Blob {
	t.Helper()
	file := catalogtest.File("", content)
	require.NoError(t, s.store.PutBlob(t.Context(), file.SHA256, file.Size, strings.NewReader(content)))
	return catalog.Blob{SHA256: file.SHA256, Size: file.Size}
}

// unused stores a blob that the catalog knows and no version uses.
func (s *service) unused(t *testing.T, content string) catalog.Blob {
	t.Helper()
	blob := s.blob(t, content)
	_, err := s.Catalog.TouchBlobs(t.Context(), []catalog.Blob{blob})
	require.NoError(t, err)
	return blob
}

// export commits an export whose archive lives for so long, and gives its id, which is the job's.
func (s *service) export(t *testing.T, lives time.Duration) string {
	t.Helper()
	job := s.NewJob(t)
	size, sum, err := s.store.PutArchive(t.Context(), storage.ArchiveKey(s.Project.ID, job), strings.NewReader("archive"))
	require.NoError(t, err)
	_, err = s.Catalog.CommitExport(t.Context(), catalog.ExportCommit{JobID: job, ProjectID: s.Project.ID, Archive: catalog.Archive{
		ID: job, InstanceID: s.Instance.ID, UserID: s.User.ID, FileName: "a.zip", SHA256: sum, Size: size, ExpiresAt: time.Now().Add(lives),
	}})
	require.NoError(t, err)
	return job
}

// create imports an application with a file of the content.
func (s *service) create(t *testing.T, name, content string) string {
	t.Helper()
	s.blob(t, content)
	return s.Import(t, catalog.Import{
		Applications: []catalog.ImportAsset{{Name: name, Files: []catalog.File{catalogtest.File("f", content)}}},
	}).Assets[0].ID
}

func (s *service) trash(t *testing.T, assetID string) {
	t.Helper()
	_, err := s.Catalog.CommitDeletion(t.Context(), catalog.Deletion{
		JobID: s.NewJob(t), ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID, Applications: []string{assetID},
	})
	require.NoError(t, err)
}

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for one, err := range seq {
		require.NoError(t, err)
		all = append(all, one)
	}
	return all
}

// left gives the keys of what is in the bucket, unfinished uploads with a mark.
func (s *service) left(t *testing.T) []string {
	t.Helper()
	var keys []string
	for _, objects := range []iter.Seq2[storage.ObjectInfo, error]{
		s.store.ListStaged(t.Context(), ""), s.store.ListArchives(t.Context(), ""), s.store.ListBlobs(t.Context()),
		s.store.ListManifests(t.Context()), s.store.ListUploads(t.Context(), ""),
	} {
		for _, o := range collect(t, objects) {
			keys = append(keys, o.Key)
		}
	}
	for _, u := range collect(t, s.store.ListUnfinishedUploads(t.Context(), "")) {
		keys = append(keys, "upload of "+u.Key)
	}
	return keys
}

func TestSweepTakesEveryKindOfLeftover(t *testing.T) {
	t.Parallel()
	s := newService(t)
	used := catalogtest.File("", "used").SHA256
	s.create(t, "living", "used")
	s.trash(t, s.create(t, "deleted", "trashed"))
	s.unused(t, "unused")
	s.blob(t, "unknown")
	ended := s.NewJob(t)
	s.end(t, ended)
	s.stage(t, ended, "package")
	s.stage(t, catalog.NewID(), "no job was ever made")
	s.export(t, archive)
	taken, waiting := s.export(t, 10*grace), s.export(t, 10*grace)
	_, err := s.Catalog.RecordDelivery(t.Context(), taken, 0, int64(len("archive")))
	require.NoError(t, err)
	for _, job := range []string{ended, catalog.NewID()} {
		_, _, err := s.store.PutArchive(t.Context(), storage.ArchiveKey(s.Project.ID, job), strings.NewReader("stray"))
		require.NoError(t, err)
	}
	s.upload(t, storage.StagingKey(s.Project.ID, ended), storage.StagingKey(s.Project.ID, catalog.NewID()),
		storage.ArchiveKey(s.Project.ID, ended), storage.BlobKey(catalogtest.File("", "half").SHA256),
		storage.ManifestKey(s.Project.ID, "a", "half"), "elsewhere/object")
	s.put(t, storage.ManifestKey(s.Project.ID, "a", "1"), storage.UploadKey(s.Project.ID, catalog.NewID()))
	_, _, err = s.Catalog.ClaimSubmission(t.Context(), s.User.ID, "key", "fingerprint", catalog.NewID(), time.Now())
	require.NoError(t, err)
	lost := s.NewJob(t) // its workflow never started

	before := s.left(t)
	// Everything is young. Only the archive that was taken goes: nobody can have it again.
	require.Equal(t, map[string]int{"archives": 1}, s.all(t))
	require.Len(t, s.left(t), len(before)-1)
	require.NotContains(t, s.left(t), storage.ArchiveKey(s.Project.ID, taken))

	s.later()
	first := s.all(t)
	require.Positive(t, first["jobs"])
	job, err := s.Catalog.Job(t.Context(), lost)
	require.NoError(t, err)
	require.True(t, job.Settled)
	delete(first, "jobs") // the others that nobody has asked about
	require.Equal(t, map[string]int{
		"trash": 1, "archives": 1, "stray archives": 2, "staged": 4, "uploads": 4, "blobs": 2, "adopted": 1, "submissions": 1,
	}, first)
	require.Equal(t, map[string]int{"blobs": 1}, s.all(t), "what was adopted goes when it has been known for the grace")
	require.Equal(t, []string{storage.ArchiveKey(s.Project.ID, waiting), storage.BlobKey(used), "upload of elsewhere/object"}, s.left(t))
	require.Empty(t, s.all(t))
}

// An upload stays as long as its file can be confirmed, and not longer.
func TestSweepLeavesUploadsThatCanBeConfirmed(t *testing.T) {
	t.Parallel()
	s := newService(t)
	asset, err := s.Catalog.CreateDigitalAsset(t.Context(), s.User.ID, s.Project.ID, catalog.DigitalMetadata{Name: "a", Type: "VIDEO"})
	require.NoError(t, err)
	file := func() string {
		f, err := s.Catalog.CreateDigitalFile(t.Context(), s.User.ID, catalog.DigitalFile{
			AssetID: asset.ID, ProjectID: s.Project.ID, Name: "x.bin", MD5: "1B2M2Y8AsgTpgAmY7PhCfg==", Type: "bin", Category: "OTHER", Size: 7,
		})
		require.NoError(t, err)
		s.put(t, storage.UploadKey(s.Project.ID, f.ID))
		return f.ID
	}
	open, done, cancelled, deleted := file(), file(), file(), file()
	blob := s.unused(t, "content")
	_, err = s.Catalog.CompleteDigitalFile(t.Context(), s.User.ID, s.Project.ID, done, blob.SHA256)
	require.NoError(t, err)
	require.NoError(t, s.Catalog.AbandonDigitalFile(t.Context(), s.User.ID, s.Project.ID, cancelled, catalog.FileCancelled))
	require.NoError(t, s.Catalog.DeleteDigitalFile(t.Context(), s.User.ID, s.Project.ID, deleted))
	elsewhere := storage.UploadKey(catalog.NewID(), open) // the file is not that project's
	manifest := storage.ManifestKey(s.Project.ID, asset.ID, "1")
	s.put(t, elsewhere, manifest)

	at := func(d time.Duration) { s.sweep.Now = func() time.Time { return time.Now().Add(d) } }
	require.Empty(t, s.all(t), "everything is young")
	at(grace + time.Minute)
	require.Equal(t, 4, s.run(t, s.sweep.RemoveStaged).Done)
	require.ElementsMatch(t, []string{manifest, storage.UploadKey(s.Project.ID, open), storage.BlobKey(blob.SHA256)}, s.left(t))
	at(grace + catalog.UploadLifetime - time.Minute)
	require.Zero(t, s.run(t, s.sweep.RemoveStaged).Done)
	at(grace + catalog.UploadLifetime + time.Minute)
	require.Equal(t, 2, s.run(t, s.sweep.RemoveStaged).Done)
	require.Equal(t, []string{storage.BlobKey(blob.SHA256)}, s.left(t), "the one that a version uses")
}

// However old it is, what a running job has staged, uploads or has touched is never taken, and all of it goes when the
// job has ended.
func TestSweepLeavesRunningJobsAlone(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.sweep.Settle = func(context.Context, string, string) error { return nil } // its workflow is open
	job := s.NewJob(t)
	s.stage(t, job, "package")
	s.unused(t, "of the job")
	_, _, err := s.store.PutArchive(t.Context(), storage.ArchiveKey(s.Project.ID, job), strings.NewReader("archive"))
	require.NoError(t, err)
	s.upload(t, storage.StagingKey(s.Project.ID, job), storage.ArchiveKey(s.Project.ID, job), storage.BlobKey(catalogtest.File("", "half").SHA256))
	before := s.left(t)
	s.later()
	for range 2 {
		require.Empty(t, s.all(t))
		require.Equal(t, before, s.left(t))
	}
	s.end(t, job)
	require.Equal(t, map[string]int{"staged": 1, "stray archives": 1, "uploads": 2, "blobs": 1}, s.all(t))
	require.Empty(t, s.left(t))
}

// through gives the same store whose requests pass fn, which may call next.
func through(store *storage.Store, fn func(req *http.Request, next http.RoundTripper) (*http.Response, error)) *storage.Store {
	options := store.Client().Options()
	options.ExpressCredentials = nil // the new client would write into the one that the old client uses
	options.RetryMaxAttempts = 1
	return storage.New(s3.New(options, func(o *s3.Options) {
		o.HTTPClient = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			return fn(req, http.DefaultTransport)
		})}
	}), store.Bucket())
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// importing is an import of a package with two files, one of which the content store may have.
type importing struct {
	*service
	steps *activities.Import
	job   activities.ImportJob
}

var shared = []string{"shared content", "more shared content"}

func (s *service) begin(t *testing.T) *importing {
	t.Helper()
	contents := map[string]string{}
	app := assetpackage.Asset{ID: "a", Name: "again", Definition: json.RawMessage("{}")}
	for i, content := range shared {
		file := catalogtest.File("f"+string(rune('0'+i)), content)
		app.Files = append(app.Files, assetpackage.File(file))
		contents[file.Path] = content
	}
	var pkg bytes.Buffer
	require.NoError(t, assetpackage.Write(t.Context(), &pkg, &assetpackage.Manifest{
		Format: assetpackage.Format, Version: "1", Applications: []assetpackage.Asset{app},
	}, func(_ context.Context, path string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(contents[path])), nil
	}))
	id := s.NewJob(t)
	return &importing{service: s, steps: &activities.Import{
		Catalog: s.Catalog, Storage: s.store, Limits: assetpackage.DefaultLimits(), Logger: slog.New(slog.DiscardHandler),
	}, job: activities.ImportJob{
		JobID: id, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID, FileName: "p.zip", Mode: "AddNew",
		Staged: activities.StagedPackage(s.stage(t, id, pkg.String())),
	}}
}

func (i *importing) storeFiles() error {
	_, err := environment(i.steps).ExecuteActivity(i.steps.StoreFiles, i.job)
	return err
}

// commit commits, and checks that every blob that a version refers to is there.
func (i *importing) commit(t *testing.T) {
	t.Helper()
	_, err := environment(i.steps).ExecuteActivity(i.steps.CommitImport, i.job)
	require.NoError(t, err)
	i.requireShared(t)
	// And it stays, whoever sweeps afterwards.
	i.age(t)
	i.later()
	require.Zero(t, i.run(t, i.sweep.RemoveBlobs).Done)
	i.requireShared(t)
}

func (i *importing) requireShared(t *testing.T) {
	t.Helper()
	for _, content := range shared {
		blob, _, err := i.store.OpenBlob(t.Context(), catalogtest.File("", content).SHA256)
		require.NoError(t, err)
		got, err := io.ReadAll(blob)
		require.NoError(t, err)
		require.NoError(t, blob.Close())
		require.Equal(t, content, string(got))
	}
}

// An import uses blobs again at the very moment that the sweep takes them for unused. Whatever comes first, every blob
// that a version refers to is there in the end.
func TestAnImportUsesABlobThatIsBeingSwept(t *testing.T) {
	t.Parallel()
	// blobs that an asset used which has been purged since, long ago
	prepare := func(t *testing.T) *service {
		t.Helper()
		s := newService(t)
		for _, content := range shared {
			s.unused(t, content)
		}
		s.age(t)
		return s
	}
	t.Run("touched before it is condemned", func(t *testing.T) {
		t.Parallel()
		s := prepare(t)
		i := s.begin(t)
		require.NoError(t, i.storeFiles())
		s.later() // even a sweep without any grace leaves it
		require.Zero(t, s.run(t, s.sweep.RemoveBlobs).Done)
		i.commit(t)
	})
	t.Run("touched and committed before", func(t *testing.T) {
		t.Parallel()
		s := prepare(t)
		i := s.begin(t)
		require.NoError(t, i.storeFiles())
		i.commit(t)
		require.Zero(t, s.run(t, s.sweep.RemoveBlobs).Done)
	})
	t.Run("touched between condemned and removed", func(t *testing.T) {
		t.Parallel()
		s := prepare(t)
		// RemoveBlobs in slow motion.
		condemned, err := s.Catalog.SweepBlobs(t.Context(), time.Now().Add(-grace), 100)
		require.NoError(t, err)
		require.Len(t, condemned, len(shared))
		i := s.begin(t)
		require.NoError(t, i.storeFiles())
		for _, b := range condemned {
			gone, err := s.Catalog.RemoveBlob(t.Context(), b.SHA256, s.store.DeleteBlob)
			require.NoError(t, err)
			require.False(t, gone)
		}
		i.commit(t)
	})
	t.Run("touched between condemned and removed, with the removal before the store", func(t *testing.T) {
		t.Parallel()
		s := prepare(t)
		condemned, err := s.Catalog.SweepBlobs(t.Context(), time.Now().Add(-grace), 100)
		require.NoError(t, err)
		i := s.begin(t)
		swept := false
		i.steps.Storage = through(s.store, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if req.Method == http.MethodGet && !swept { // the package is read for the first time: before the touch
				swept = true
				for _, b := range condemned {
					if _, err := s.Catalog.RemoveBlob(req.Context(), b.SHA256, s.store.DeleteBlob); err != nil {
						return nil, err
					}
				}
			}
			return next.RoundTrip(req)
		})
		require.NoError(t, i.storeFiles())
		require.True(t, swept)
		i.commit(t)
	})
	for name, late := range map[string]bool{"touched while the request to delete is under way": false, "touched when the answer is under way": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t)
			began := make(chan *importing, len(shared))
			stored := make(chan error, 1)
			s.sweep.Storage = through(s.store, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
				if req.Method != http.MethodDelete {
					return next.RoundTrip(req)
				}
				if path.Base(req.URL.Path) != catalogtest.File("", shared[0]).SHA256 {
					return next.RoundTrip(req) // the other blob goes at once
				}
				var answer *http.Response
				if late {
					var err error
					if answer, err = next.RoundTrip(req); err != nil {
						return nil, err
					}
				}
				i := s.begin(t)
				began <- i
				go func() { stored <- i.storeFiles() }()
				select {
				case err := <-stored:
					t.Errorf("the import did not wait for the removal: %v", err)
				case <-time.After(300 * time.Millisecond):
				}
				if late {
					return answer, nil
				}
				return next.RoundTrip(req)
			})
			require.Equal(t, len(shared), s.run(t, s.sweep.RemoveBlobs).Done)
			require.NoError(t, <-stored)
			s.sweep.Storage = s.store
			(<-began).commit(t)
		})
	}
	t.Run("touched after it was removed", func(t *testing.T) {
		t.Parallel()
		s := prepare(t)
		require.Equal(t, len(shared), s.run(t, s.sweep.RemoveBlobs).Done)
		i := s.begin(t)
		require.NoError(t, i.storeFiles())
		i.commit(t)
	})
}

// A thing that cannot be removed keeps no other from being removed, and the next try goes on where this one stopped.
func TestSweepGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var keys []string
	for range 4 {
		keys = append(keys, s.stage(t, catalog.NewID(), "package").Key)
	}
	s.later()
	s.sweep.Storage = through(s.store, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if req.Method == http.MethodDelete && strings.HasSuffix(req.URL.Path, keys[1]) {
			return nil, errors.New("the store is away")
		}
		return next.RoundTrip(req)
	})
	_, err := environment(s.sweep).ExecuteActivity(s.sweep.RemoveStaged)
	require.ErrorContains(t, err, "after 3 of 4")
	require.Equal(t, []string{keys[1]}, s.left(t))

	s.sweep.Storage = s.store
	later := s.stage(t, catalog.NewID(), "package").Key
	env := environment(s.sweep)
	env.SetHeartbeatDetails(map[string]any{"looked": 4, "done": 3, "failed": 1, "after": keys[1]})
	answer, err := env.ExecuteActivity(s.sweep.RemoveStaged)
	require.NoError(t, err)
	var swept activities.Swept
	require.NoError(t, answer.Get(&swept))
	require.Equal(t, activities.Swept{Looked: 5, Done: 4}, swept)
	require.Equal(t, []string{keys[1]}, s.left(t), "%s was after the mark", later)

	require.Equal(t, 1, s.run(t, s.sweep.RemoveStaged).Done)
}

// Jobs that really run stand before the lost ones in the list, however many they are.
func TestSweepSettlesJobsBehindManyThatRun(t *testing.T) {
	t.Parallel()
	s := newService(t)
	settle, lost := s.sweep.Settle, ""
	for range 510 {
		lost = s.NewJob(t)
	}
	var asked []string
	s.sweep.Settle = func(ctx context.Context, projectID, jobID string) error {
		asked = append(asked, jobID)
		require.Equal(t, s.Project.ID, projectID)
		if jobID == lost {
			return settle(ctx, projectID, jobID)
		}
		return nil // its workflow is open
	}
	require.Zero(t, s.run(t, s.sweep.SettleJobs).Looked, "young jobs are looked after by their callers")
	s.later()
	require.Equal(t, activities.Swept{Looked: 510, Done: 1}, s.run(t, s.sweep.SettleJobs))
	require.Len(t, asked, 510, "each once")

	asked = nil
	s.sweep.Settle = func(_ context.Context, _, jobID string) error {
		asked = append(asked, jobID)
		return errors.New("the job service is away")
	}
	_, err := environment(s.sweep).ExecuteActivity(s.sweep.SettleJobs)
	require.ErrorContains(t, err, "the job service is away")
	require.Len(t, asked, 20, "not every job has to be asked about to see that")

	s.sweep.Settle = nil
	require.Zero(t, s.run(t, s.sweep.SettleJobs))
}
