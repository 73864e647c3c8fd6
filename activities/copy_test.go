package activities_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/replication"
	"assetflow/storage"
)

const keyRing = `{"primary": "1", "keys": {"1": "AAECAwQFBgcICQoLDA0ODw=="}}`

const signature = "?X-Amz-Signature=very-secret"

// northern is a source region: an object store that answers with what the test wants.
type northern struct {
	url     string
	mu      sync.Mutex
	objects map[string][]byte
	answers map[string]http.HandlerFunc // instead of the object
	asked   map[string][]int64          // where the ranges begin
}

func newNorthern(t *testing.T) *northern {
	n := &northern{objects: map[string][]byte{}, answers: map[string]http.HandlerFunc{}, asked: map[string][]int64{}}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	n.url = server.URL
	return n
}

func (n *northern) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var off int64
	_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &off)
	n.mu.Lock()
	n.asked[r.URL.Path] = append(n.asked[r.URL.Path], off)
	content, answer := n.objects[r.URL.Path], n.answers[r.URL.Path]
	n.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// requests gives how often an object was asked for.
func (n *northern) requests(path string) int { return len(n.ranges(path)) }

// ranges gives where the ranges begin that an object was asked for, as they arrived.
func (n *northern) ranges(path string) []int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked[path])
}

// copying is a copy that is about to be made.
type copying struct {
	*service
	t      *testing.T
	north  *northern
	steps  *activities.Copy
	job    activities.CopyJob
	files  []replication.ManifestFile
	sealed replication.Payload
	mu     sync.Mutex
	beats  []heartbeat // as the server hears them
	told   heartbeat   // the last one, whether the server has heard it or not
}

// heartbeat is what the copying step tells.
type heartbeat struct {
	Done, Total int64
	Next        int
	Uploads     map[string]map[string]any
}

func newCopying(t *testing.T, sizes ...int) *copying {
	t.Helper()
	c := &copying{service: newService(t), t: t, north: newNorthern(t)}
	ring, err := replication.ParseKeyRing(keyRing)
	require.NoError(t, err)
	fetcher, err := replication.NewFetcher(replication.FetcherOptions{Sources: []string{c.north.url}, FirstPause: time.Millisecond, Silence: 5 * time.Minute})
	require.NoError(t, err)
	t.Cleanup(fetcher.Close)
	c.steps = &activities.Copy{
		Catalog: c.Catalog, Storage: c.store, Logger: slog.New(slog.DiscardHandler), KeyRing: ring, Region: "south",
		Fetcher: fetcher, Window: activities.NewWindow(), ParallelFiles: 3,
	}
	random := rand.NewChaCha8(sha256.Sum256([]byte(t.Name())))
	for i, size := range sizes {
		content := make([]byte, size)
		_, _ = random.Read(content)
		c.add(fmt.Sprintf("f%d", i), content)
	}
	c.job = activities.CopyJob{ProjectID: c.Project.ID, UserID: c.User.ID, AssetID: uuid.NewString(), AssetName: "the film"}
	c.job.JobID = catalog.NewID()
	require.NoError(t, c.Catalog.InsertJob(t.Context(), catalog.Job{
		ID: c.job.JobID, Kind: catalog.AssetCopy, ProjectID: c.job.ProjectID, UserID: c.job.UserID, WorkflowID: c.job.JobID,
		State: catalog.JobRunning, CreatedAt: time.Now(),
	}))
	c.sealed = replication.Payload{SourceRegion: "north", IssuedAt: time.Now(), Metadata: replication.Metadata{
		Name: "the film", Type: "VIDEO", ExtraMeta: json.RawMessage(`{"a":"<&>"}`),
	}}
	return c
}

// add lets the north have one more file.
func (c *copying) add(name string, content []byte) {
	sum, md := sha256.Sum256(content), md5.Sum(content)
	f := replication.ManifestFile{
		FileID: uuid.NewString(), Name: name, MD5: base64.StdEncoding.EncodeToString(md[:]), Size: int64(len(content)),
		SHA256: hex.EncodeToString(sum[:]), Type: "mp4", Category: "OTHER", URL: c.north.url + "/" + name + signature,
	}
	if len(c.files) == 0 {
		f.Category = catalog.MainCategory
	}
	c.north.objects["/"+name], c.files = content, append(c.files, f)
}

// stage writes the manifest of the files and stages the replication info. expires may have passed.
func (c *copying) stage(expires time.Time) {
	c.t.Helper()
	header := replication.ManifestHeader{AssetID: c.job.AssetID, Files: len(c.files)}
	for _, f := range c.files {
		header.Bytes += f.Size
	}
	var manifest bytes.Buffer
	require.NoError(c.t, replication.WriteManifest(&manifest, header, func(yield func(replication.ManifestFile, error) bool) {
		for _, f := range c.files {
			if !yield(f, nil) {
				return
			}
		}
	}))
	sum := sha256.Sum256(manifest.Bytes())
	c.north.objects["/manifest"] = manifest.Bytes()
	if c.sealed.ManifestURL == "" {
		c.sealed.ManifestURL = c.north.url + "/manifest" + signature
	}
	c.sealed.ManifestSize, c.sealed.ManifestSHA256 = int64(manifest.Len()), hex.EncodeToString(sum[:])
	info, err := replication.Seal(c.steps.KeyRing, c.sealed, c.job.AssetID, expires, nil)
	require.NoError(c.t, err)
	text, err := json.Marshal(info)
	require.NoError(c.t, err)
	staged, err := c.store.Stage(c.t.Context(), storage.StagingKey(c.job.ProjectID, c.job.JobID), bytes.NewReader(text), 0)
	require.NoError(c.t, err)
	c.job.Staged = activities.StagedPackage(staged)
}

// do runs a step with the heartbeat of an earlier try, if there is one.
func do[T any](c *copying, last any, step any, args ...any) (result T, err error) {
	c.t.Helper()
	env := environment(c.steps)
	env.SetTestTimeout(5 * time.Minute)
	if last != nil {
		env.SetHeartbeatDetails(last)
	}
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var beat heartbeat
		if details.Get(&beat) == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.beats = append(c.beats, beat)
		}
	})
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&watch{told: c.hear}}})
	answer, err := env.ExecuteActivity(step, args...)
	if err != nil {
		require.NotContains(c.t, err.Error(), "very-secret")
		require.NotContains(c.t, fmt.Sprintf("%+v", err), "very-secret")
		return result, err
	}
	require.NoError(c.t, answer.Get(&result))
	return result, nil
}

// hear notes what a step tells.
func (c *copying) hear(details any) {
	text, err := json.Marshal(details)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.told = heartbeat{}
		err = json.Unmarshal(text, &c.told)
	}
	if err != nil {
		c.t.Error(err)
	}
}

func (c *copying) read() (activities.CopyManifest, error) {
	c.t.Helper()
	return do[activities.CopyManifest](c, nil, c.steps.ReadManifest, c.job)
}

func (c *copying) fetch(last any, found activities.CopyManifest) (activities.CopiedFiles, error) {
	c.t.Helper()
	return do[activities.CopiedFiles](c, last, c.steps.CopyFiles, c.job, found)
}

// requireRefused requires an error that no further try can help, with such a reason.
func requireRefused(t *testing.T, err error, reason string) {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.True(t, app.NonRetryable(), "%v", err)
	require.Contains(t, []string{activities.Refused, activities.JobEnded}, app.Type())
	require.Contains(t, app.Message(), reason)
}

func (c *copying) requireBlobs() {
	c.t.Helper()
	for _, f := range c.files {
		blob, _, err := c.store.OpenBlob(c.t.Context(), f.SHA256)
		require.NoError(c.t, err)
		content, err := io.ReadAll(blob)
		require.NoError(c.t, err)
		require.NoError(c.t, blob.Close())
		require.True(c.t, bytes.Equal(c.north.objects["/"+f.Name], content), f.Name)
	}
}

func TestCopySteps(t *testing.T) {
	t.Parallel()
	c := newCopying(t, 1000, 20<<20, 0, 9<<20, 200_000, 3<<20)
	c.add("the same", c.north.objects["/f0"])
	c.stage(time.Now().Add(time.Hour))
	found, err := c.read()
	require.NoError(t, err)
	require.Equal(t, 7, found.Files)
	require.EqualValues(t, 2000+200_000+32<<20, found.Bytes)
	asset, err := c.Catalog.DigitalAsset(t.Context(), c.Project.ID, c.job.AssetID)
	require.NoError(t, err)
	require.Equal(t, catalog.DigitalCreating, asset.State)

	copied, err := c.fetch(nil, found)
	require.NoError(t, err)
	require.Equal(t, activities.CopiedFiles{Files: 6, Bytes: 1000 + 200_000 + 32<<20, Present: 1}, copied)
	c.requireBlobs()
	require.Zero(t, c.north.requests("/the same"))
	require.Zero(t, c.north.requests("/f2"), "nothing can come of an empty file")
	require.Equal(t, 3, c.north.requests("/f1"))

	// Another try after all was stored: nothing is asked for.
	before := c.north.requests("/f1")
	copied, err = c.fetch(nil, found)
	require.NoError(t, err)
	require.Equal(t, activities.CopiedFiles{Present: 7}, copied)
	require.Equal(t, before, c.north.requests("/f1"))

	// The commit needs nothing of the source region.
	c.steps.Fetcher, c.steps.KeyRing = nil, nil
	for range 2 {
		result, err := do[catalog.CopyResult](c, nil, c.steps.CommitCopy, c.job, found)
		require.NoError(t, err)
		require.Equal(t, catalog.CopyResult{AssetID: c.job.AssetID, VersionNumber: 2, Files: 7, Bytes: found.Bytes}, result)
	}
	asset, err = c.Catalog.DigitalAsset(t.Context(), c.Project.ID, c.job.AssetID)
	require.NoError(t, err)
	require.Equal(t, catalog.DigitalActived, asset.State)
	require.JSONEq(t, `{"a":"<&>"}`, string(asset.ExtraMeta))
	_, err = environment(c.steps).ExecuteActivity(c.steps.FailCopy, activities.CopyFailure{JobID: c.job.JobID, AssetID: asset.ID, Reason: "x"})
	require.NoError(t, err)
	asset, err = c.Catalog.DigitalAsset(t.Context(), c.Project.ID, c.job.AssetID)
	require.NoError(t, err)
	require.Equal(t, catalog.DigitalActived, asset.State, "too late to fail")

	end := &activities.End{Catalog: c.Catalog, Storage: c.store, Logger: slog.New(slog.DiscardHandler)}
	_, err = environment(end).ExecuteActivity(end.EndJob, activities.Ending{JobID: c.job.JobID, StagedKey: c.job.Staged.Key, State: catalog.JobSucceeded})
	require.NoError(t, err)
	require.Empty(t, c.leftovers())
}

// leftovers lists what is staged and what is uploaded and not finished.
func (c *copying) leftovers() (keys []string) {
	c.t.Helper()
	for o, err := range c.store.ListStaged(c.t.Context(), "") {
		require.NoError(c.t, err)
		keys = append(keys, o.Key)
	}
	for u, err := range c.store.ListUnfinishedUploads(c.t.Context(), "") {
		require.NoError(c.t, err)
		keys = append(keys, u.Key)
	}
	return keys
}

// An info that has expired since it was accepted is opened all the same: its links tell for themselves.
func TestReadManifestRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(c *copying)
		spoil  func(c *copying) // after it was staged
		reason string
	}{
		"nothing, as a check":     {},
		"it expired meanwhile":    {spoil: func(*copying) {}},
		"its key was retired":     {spoil: func(c *copying) { c.otherRing() }, reason: "key_id"},
		"another asset's":         {spoil: func(c *copying) { c.job.AssetID = "other" }, reason: "another asset's"},
		"staged anew":             {spoil: func(c *copying) { c.job.Staged.SHA256 = strings.Repeat("0", 64) }, reason: "not the one that was accepted"},
		"our own":                 {change: func(c *copying) { c.sealed.SourceRegion = "south" }, reason: "this region itself"},
		"a manifest elsewhere":    {change: func(c *copying) { c.sealed.ManifestURL = "http://localhost:1/m" + signature }, reason: "replication.sources"},
		"a file elsewhere":        {change: func(c *copying) { c.files[1].URL = "http://169.254.169.254/f" + signature }, reason: "replication.sources"},
		"no main file":            {change: func(c *copying) { c.files[0].Category = "OTHER" }, reason: "0 main files"},
		"two main files":          {change: func(c *copying) { c.files[1].Category = "MAIN" }, reason: "2 main files"},
		"a file larger than any":  {change: func(c *copying) { c.files[1].Size = 1 << 40 }, reason: "larger than"},
		"the link has expired":    {spoil: func(c *copying) { c.north.answers["/manifest"] = status(403) }, reason: "expired"},
		"the manifest is gone":    {spoil: func(c *copying) { c.north.answers["/manifest"] = status(404) }, reason: "any more"},
		"a redirect":              {spoil: func(c *copying) { c.north.answers["/manifest"] = redirect }, reason: "no object store"},
		"the manifest is another": {spoil: func(c *copying) { c.north.objects["/manifest"][20] ^= 1 }, reason: "not the one that was sealed"},
		"the manifest is longer": {
			spoil:  func(c *copying) { c.north.objects["/manifest"] = append(c.north.objects["/manifest"], '\n') },
			reason: "not the one that was sealed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCopying(t, 10, 20)
			if test.change != nil {
				test.change(c)
			}
			c.stage(time.Now().Add(-time.Minute))
			if test.spoil != nil {
				test.spoil(c)
			}
			_, err := c.read()
			if test.reason == "" {
				require.NoError(t, err)
				return
			}
			requireRefused(t, err, test.reason)
			require.Equal(t, []string{c.job.Staged.Key}, c.leftovers())
		})
	}
}

func (c *copying) otherRing() {
	var err error
	c.steps.KeyRing, err = replication.ParseKeyRing(replication.GenerateKeyRing("2"))
	require.NoError(c.t, err)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func redirect(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/elsewhere"+signature, http.StatusFound)
}

// A file that is not what was announced, or cannot be read any more, ends the copy with its name in the reason, and is
// not stored.
func TestCopyFilesRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil  func(n *northern, path string)
		reason string
	}{
		"another byte":        {func(n *northern, path string) { n.objects[path][len(n.objects[path])-1] ^= 1 }, "not the one that was sealed"},
		"a byte too many":     {func(n *northern, path string) { n.objects[path] = append(n.objects[path], 0) }, "not the one that was sealed"},
		"a byte too few":      {func(n *northern, path string) { n.objects[path] = n.objects[path][1:] }, "not the one that was sealed"},
		"the link is expired": {func(n *northern, path string) { n.answers[path] = status(403) }, "ask it for new replication info"},
		"gone":                {func(n *northern, path string) { n.answers[path] = status(404) }, "any more"},
		"a redirect":          {func(n *northern, path string) { n.answers[path] = redirect }, "no object store"},
	} {
		for size, bytes := range map[string]int{"small": 1000, "large": 17 << 20} {
			t.Run(name+"/"+size, func(t *testing.T) {
				t.Parallel()
				c := newCopying(t, 100, bytes)
				c.stage(time.Now().Add(time.Hour))
				found, err := c.read()
				require.NoError(t, err)
				test.spoil(c.north, "/f1")
				_, err = c.fetch(nil, found)
				requireRefused(t, err, test.reason)
				requireRefused(t, err, `The file "f1" could not be copied`)
				require.Zero(t, c.north.requests("/elsewhere"))
				has, err := c.store.HasBlob(t.Context(), c.files[1].SHA256)
				require.NoError(t, err)
				require.False(t, has)
				// The end of the job takes what was begun.
				require.NoError(t, c.store.ClearStaging(t.Context(), c.job.ProjectID, c.job.JobID))
				require.Empty(t, c.leftovers())
			})
		}
	}
}

// A source that is away is worth another try, which goes on from the last heartbeat.
func TestCopyFilesGoesOn(t *testing.T) {
	t.Parallel()
	const size = 5*storage.PartSize - 1
	for name, test := range map[string]struct {
		spoil func(c *copying, last *heartbeat)
		from  int // the first part that is asked for again
	}{
		"where it was":                    {func(*copying, *heartbeat) {}, 2},
		"anew after the upload was lost":  {func(c *copying, _ *heartbeat) { c.abortUploads() }, 0},
		"anew after somebody wrote to it": {func(c *copying, _ *heartbeat) { c.overwritePart() }, 0},
		"anew where the note makes no sense": {func(_ *copying, last *heartbeat) {
			for _, u := range last.Uploads {
				u["hash"] = "AAAA"
			}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCopying(t, 100, size)
			c.stage(time.Now().Add(time.Hour))
			found, err := c.read()
			require.NoError(t, err)
			content := c.north.objects["/f1"]
			c.north.answers["/f1"] = func(w http.ResponseWriter, r *http.Request) {
				var off int64
				_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &off)
				switch off / storage.PartSize {
				case 0, 1:
					http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
				case 2:
					// What is refused must overtake nothing: neither what was answered, nor a request that would be taken for
					// one of the next try.
					for !c.toldOf(2) || !c.askedForAll() {
						select {
						case <-time.After(20 * time.Millisecond):
						case <-r.Context().Done():
							return
						}
					}
					w.WriteHeader(http.StatusServiceUnavailable)
				default:
					<-r.Context().Done() // the step has ended
				}
			}
			_, err = c.fetch(nil, found)
			require.Error(t, err)
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			require.False(t, app.NonRetryable(), "%v", err)
			require.NotEmpty(t, c.beats)
			last := c.beats[len(c.beats)-1]
			require.Equal(t, 1, last.Next)
			require.EqualValues(t, 100+2*storage.PartSize, last.Done)
			require.EqualValues(t, 2, last.Uploads[c.files[1].SHA256]["parts"])

			test.spoil(c, &last)
			c.north.mu.Lock()
			c.north.answers, c.north.asked = map[string]http.HandlerFunc{}, map[string][]int64{}
			c.north.mu.Unlock()
			copied, err := c.fetch(map[string]any{"done": last.Done, "total": last.Total, "next": last.Next, "uploads": last.Uploads}, found)
			require.NoError(t, err)
			require.Equal(t, activities.CopiedFiles{Files: 1, Bytes: size, Present: 1}, copied)
			var missing []int64
			for part := test.from; part < 5; part++ {
				missing = append(missing, int64(part)*storage.PartSize)
			}
			require.ElementsMatch(t, missing, c.north.ranges("/f1"))
			require.Zero(t, c.north.requests("/f0"))
			c.requireBlobs()
			require.NoError(t, c.store.ClearStaging(t.Context(), c.job.ProjectID, c.job.JobID))
			require.Empty(t, c.leftovers())
		})
	}
}

// toldOf tells whether the step has told that the small file is stored, and so many parts of the large one.
func (c *copying) toldOf(parts float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told.Next == 1 && c.told.Uploads[c.files[1].SHA256]["parts"] == parts
}

// askedForAll tells whether every part of the large file has been asked for.
func (c *copying) askedForAll() bool {
	asked := c.north.ranges("/f1")
	for off := int64(0); off < c.files[1].Size; off += storage.PartSize {
		if !slices.Contains(asked, off) {
			return false
		}
	}
	return true
}

func (c *copying) abortUploads() {
	for u, err := range c.store.ListUnfinishedUploads(c.t.Context(), "blobs/") {
		require.NoError(c.t, err)
		require.NoError(c.t, c.store.AbortUnfinishedUpload(c.t.Context(), u))
	}
}

// overwritePart does what a worker does that was taken for dead, whose source has other bytes.
func (c *copying) overwritePart() {
	for u, err := range c.store.ListUnfinishedUploads(c.t.Context(), "blobs/") {
		require.NoError(c.t, err)
		upload, err := c.store.ContinueBlobUpload(c.files[1].SHA256, u.UploadID)
		require.NoError(c.t, err)
		_, err = upload.PutPart(c.t.Context(), 2, make([]byte, storage.PartSize))
		require.NoError(c.t, err)
	}
}
