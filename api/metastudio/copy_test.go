package metastudio_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/metastudio"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/replication"
	"assetflow/storage"
)

// open opens a replication info as the region does.
func (r *region) open(info string) replication.Payload {
	r.t.Helper()
	var sealed replication.Info
	require.NoError(r.t, json.Unmarshal([]byte(info), &sealed))
	payload, err := replication.Open(r.config.KeyRing, sealed, r.name, time.Now())
	require.NoError(r.t, err)
	return payload
}

// lifetime gives for how many seconds a presigned URL is good.
func lifetime(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	require.NoError(t, err)
	return u.Query().Get("X-Amz-Expires")
}

func TestReplicationInfo(t *testing.T) {
	t.Parallel()
	north, south := newFullRegion(t, "north"), newRegion(t, "south")
	v := apitest.Validator(t, metastudio.Document())
	id := north.newAsset("the film")
	north.call(north.developer, "PUT", "/digital-assets/"+id, `{"asset_description": "<d>", "tags": ["t"], "asset_extra_meta": {"a": 1.0},
		"system_properties": ["p"], "asset_order": 7}`, nil)
	path := "/digital-assets/" + id + "/replication-info"
	apitest.Run(t, north.handler, v, []apitest.Scenario{
		north.refused("without a main file", "GET", path, "", "MSS.00000003", "only one that is ACTIVED"),
		north.refused("no such asset", "GET", "/digital-assets/none/replication-info", "", "MSS.10001001", ""),
	})
	contents := map[string]string{"main.mp4": "main", "cover.png": "cover"}
	files := map[string]string{
		"main.mp4":  north.upload(id, "main.mp4", "MAIN", "main"),
		"cover.png": north.upload(id, "cover.png", "COVER", "cover"),
	}
	north.announce(id, "unfinished", "OTHER", "x")
	answered := north.as(north.modifier, "answered", "GET", path, "", 200)
	answered.WantNotBody = []string{"http", "film"}
	apitest.Run(t, north.handler, v, []apitest.Scenario{answered})

	before := time.Now()
	text := north.replicationInfo(id)
	var info replication.Info
	require.NoError(t, json.Unmarshal([]byte(text), &info))
	require.Equal(t, id, info.AssetID)
	require.EqualValues(t, "1", info.EncryptionInfo.KeyID)
	require.WithinRange(t, time.Unix(info.ExpireTime, 0), before.Add(time.Hour-time.Second), time.Now().Add(time.Hour))
	payload := south.open(text)
	require.Equal(t, "north", payload.SourceRegion)
	require.WithinRange(t, payload.IssuedAt, before.Add(-time.Second), time.Now())
	require.Equal(t, replication.Metadata{
		Name: "the film", Description: "<d>", Type: "VIDEO", Tags: []string{"t"}, ExtraMeta: json.RawMessage(`{"a":1.0}`),
		SystemProperties: []string{`"p"`}, Order: 7,
	}, payload.Metadata)

	// The URLs outlive the replication info by the time that a copy may take.
	require.Equal(t, "86400", lifetime(t, payload.ManifestURL))
	body, _ := get(t, payload.ManifestURL)
	require.EqualValues(t, payload.ManifestSize, len(body))
	manifest, err := replication.ReadManifest(strings.NewReader(body), id, payload.ManifestSize, payload.ManifestSHA256)
	require.NoError(t, err)
	require.Equal(t, replication.ManifestHeader{Format: replication.ManifestFormat, AssetID: id, Files: 2, Bytes: 9}, manifest.Header())
	for range 2 {
		file, err := manifest.Next()
		require.NoError(t, err)
		require.Equal(t, files[file.Name], file.FileID)
		require.Equal(t, "86400", lifetime(t, file.URL))
		content, _ := get(t, file.URL)
		require.Equal(t, contents[file.Name], content)
	}
	_, err = manifest.Next()
	require.ErrorIs(t, err, io.EOF)
}

// The largest metadata that is taken fits into a replication info, whatever the characters.
func TestReplicationInfoOfTheLargestMetadata(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "north")
	id := r.newAsset("a")
	r.upload(id, "m", "MAIN", "m")
	body, err := json.Marshal(map[string]any{
		"asset_name": strings.Repeat(`"`, 256), "asset_description": strings.Repeat("\u2028", 1024), "asset_type": "BUSINESS_CARD_TEMPLET",
		"tags":              strings.Split(strings.Repeat(strings.Repeat("😀", 128)+",", 49)+strings.Repeat("😀", 128), ","),
		"asset_extra_meta":  map[string]string{"x": strings.Repeat("x", 16<<10-8)},
		"system_properties": strings.Split(strings.Repeat(strings.Repeat(`'`, 158)+",", 49)+strings.Repeat(`'`, 158), ","),
	})
	require.NoError(t, err)
	r.call(r.developer, "PUT", "/digital-assets/"+id, string(body), nil)
	require.Less(t, len(r.replicationInfo(id)), 100_400)
}

func TestNoKeyRing(t *testing.T) {
	t.Parallel()
	north, r := newRegion(t, "north"), newRegion(t, "south")
	source := north.newAsset("a")
	north.upload(source, "m", "MAIN", "m")
	r.config.KeyRing = nil
	r.handler = r.newHandler(r.catalog)
	id := r.newAsset("a")
	r.upload(id, "m", "MAIN", "m")
	give := r.as(r.developer, "give", "GET", "/digital-assets/"+id+"/replication-info", "", 503)
	take := r.as(r.developer, "take", "POST", "/digital-assets-by-replication-info", north.replicationInfo(source), 503)
	give.Check, take.Check = refusal("MSS.10001006", "key ring"), refusal("MSS.10001006", "key ring")
	apitest.Run(t, r.handler, apitest.Validator(t, metastudio.Document()), []apitest.Scenario{give, take})
	for o, err := range r.store.ListManifests(t.Context()) {
		require.NoError(t, err)
		require.NotContains(t, o.Key, r.project.ID)
	}
}

const copyPath = "/digital-assets-by-replication-info"

// copied gives a scenario of a copy that starts, and where it writes the job's id.
func (r *region) copied(name, info string, jobID *string) apitest.Scenario {
	s := r.as(r.developer, name, "POST", copyPath, info, 200)
	s.WantHeaders["X-Job-Id"], s.WantHeaders["Content-Type"], s.WantHeaders["Idempotency-Replayed"] = "*", "", ""
	s.Check = func(t testing.TB, answer *http.Response, body []byte) {
		t.Helper()
		require.Empty(t, body)
		*jobID = answer.Header.Get("X-Job-Id")
	}
	return s
}

// staged lists what is staged in the project.
func (r *region) staged() []string {
	r.t.Helper()
	var keys []string
	for o, err := range r.store.ListStaged(r.t.Context(), "staging/"+r.project.ID+"/") {
		require.NoError(r.t, err)
		keys = append(keys, o.Key)
	}
	return keys
}

func TestCopy(t *testing.T) {
	t.Parallel()
	north, south := newRegion(t, "north"), newRegion(t, "south")
	v := apitest.Validator(t, metastudio.Document())
	id := north.newAsset("the film")
	north.upload(id, "m", "MAIN", "m")
	info := north.replicationInfo(id)
	var first, again, spaced, other string
	numbered := regexp.MustCompile(`"key_id":"1"`).ReplaceAllString(info, `"key_id": 1`)
	require.NotEqual(t, info, numbered)
	apitest.Run(t, south.handler, v, []apitest.Scenario{
		south.copied("the first time", info, &first),
		south.copied("the same body", info, &again),
		south.copied("the same, written otherwise", " "+numbered+"\n", &spaced),
	})
	require.Equal(t, first, again)
	require.Equal(t, first, spaced)
	asset := south.show(id)
	require.Equal(t, metastudio.AssetStateCREATING, asset.AssetState)
	require.Equal(t, "the film", asset.AssetName)

	parsed, err := uuid.Parse(first)
	require.NoError(t, err)
	require.EqualValues(t, 7, parsed.Version())
	require.Equal(t, uuid.RFC4122, parsed.Variant())
	seconds, nanoseconds := parsed.Time().UnixTime()
	require.WithinDuration(t, north.now(info), time.Unix(seconds, nanoseconds), time.Millisecond)

	// The job is given the replication info, by reference.
	sub := south.jobs.started[0]
	require.Equal(t, []string{storage.StagingKey(south.project.ID, first)}, south.staged())
	staged, err := io.ReadAll(io.NewSectionReader(south.store.OpenStaged(t.Context(), sub.Staged.Key, sub.Staged.Size), 0, sub.Staged.Size))
	require.NoError(t, err)
	require.JSONEq(t, info, string(staged))
	require.Equal(t, jobs.CopySubmission{
		JobID: first, ProjectID: south.project.ID, UserID: south.developer.user.ID, UserName: "dev", AssetID: id, AssetName: "the film",
		SourceRegion: "north", Staged: storage.Staged{Key: sub.Staged.Key, Size: int64(len(staged)), SHA256: sub.Staged.SHA256},
	}, sub)

	// Another replication info of the same asset is another job, one at a time.
	newer := north.replicationInfo(id)
	south.jobs.running = first
	apitest.Run(t, south.handler, v, []apitest.Scenario{
		south.refused("while the first runs", "POST", copyPath, newer, "MSS.10001006", first),
		south.copied("but the first body is the first job", info, &again),
	})
	require.Equal(t, first, again)
	require.Len(t, south.staged(), 1)
	south.jobs.running = ""

	// The first body stays the first job when that has ended.
	_, err = south.catalog.EndJob(t.Context(), first, catalog.JobOutcome{State: catalog.JobFailed, Reasons: []catalog.Reason{{Message: "The source is away."}}})
	require.NoError(t, err)
	require.NoError(t, south.store.DeleteStaged(t.Context(), sub.Staged.Key))
	apitest.Run(t, south.handler, v, []apitest.Scenario{south.copied("the first body, later", info, &again)})
	require.Equal(t, first, again)
	require.Empty(t, south.staged())
	asset = south.show(id)
	require.Equal(t, metastudio.AssetStateFAILED, asset.AssetState)
	require.Equal(t, "The source is away.", asset.Reason)
	apitest.Run(t, south.handler, v, []apitest.Scenario{south.copied("another one", newer, &other)})
	require.NotEqual(t, first, other)
	require.Equal(t, metastudio.AssetStateCREATING, south.show(id).AssetState)

	// The same body from somebody else is that one's job.
	colleague := south.newCaller("dev2", auth.RoleDevelop)
	theirs := south.copied("the same body, by somebody else", info, &other)
	theirs.Headers["X-Auth-Token"] = colleague.token
	apitest.Run(t, south.handler, v, []apitest.Scenario{theirs})
	require.NotEqual(t, first, other)
	require.Equal(t, parsed.Time(), uuid.MustParse(other).Time())
}

// now gives when a replication info was issued.
func (r *region) now(info string) time.Time {
	opener := *r
	opener.name = "a third one"
	return opener.open(info).IssuedAt
}

func TestCopyRefusals(t *testing.T) {
	t.Parallel()
	north, south := newRegion(t, "north"), newRegion(t, "south")
	v := apitest.Validator(t, metastudio.Document())
	id := north.newAsset("the film")
	north.upload(id, "m", "MAIN", "m")
	good := north.replicationInfo(id)
	changed := func(change func(*replication.Info)) string {
		var info replication.Info
		require.NoError(t, json.Unmarshal([]byte(good), &info))
		change(&info)
		text, err := json.Marshal(info)
		require.NoError(t, err)
		return string(text)
	}
	sealed := func(expires time.Time, change func(*replication.Payload)) string {
		payload := south.open(good)
		change(&payload)
		info, err := replication.Seal(north.config.KeyRing, payload, id, expires, nil)
		require.NoError(t, err)
		text, err := json.Marshal(info)
		require.NoError(t, err)
		return string(text)
	}
	soon := time.Now().Add(time.Minute)
	refused := func(name, body, message string) apitest.Scenario {
		return south.refused(name, "POST", copyPath, body, "MSS.00000003", message)
	}
	badKey := south.refused("a bad key", "POST", copyPath, good, "MSS.00000003", "Idempotency-Key")
	badKey.Headers["Idempotency-Key"] = "a b"
	apitest.Run(t, south.handler, v, []apitest.Scenario{
		south.refused("no body", "POST", copyPath, "", "MSS.00000002", ""),
		south.refused("a list", "POST", copyPath, "["+good+"]", "MSS.00000002", ""),
		south.refused("a number for an id", "POST", copyPath, `{"asset_id": 1}`, "MSS.00000002", ""),
		south.refused("a key id that is neither", "POST", copyPath, strings.Replace(good, `"key_id":"1"`, `"key_id":1.5`, 1), "MSS.00000002", ""),
		refused("nothing", "{}", "asset_id"),
		refused("an unknown algorithm", changed(func(i *replication.Info) { i.EncryptionInfo.Algorithm = "AES" }), "algorithm"),
		refused("an unknown key", changed(func(i *replication.Info) { i.EncryptionInfo.KeyID = "2" }), "key_id"),
		refused("bad base64", changed(func(i *replication.Info) { i.AssetInfo += "!" }), "base64"),
		refused("another asset", changed(func(i *replication.Info) { i.AssetID = "x" }), "cannot be opened"),
		refused("another time", changed(func(i *replication.Info) { i.ExpireTime++ }), "cannot be opened"),
		refused("expired", sealed(time.Now(), func(*replication.Payload) {}), "expired"),
		refused("of this region", sealed(soon, func(p *replication.Payload) { p.SourceRegion = "south" }), "this region itself"),
		refused("of a region that is not trusted", sealed(soon, func(p *replication.Payload) { p.ManifestURL = "http://127.0.0.1:1/m" }), "replication.sources"),
		badKey,
	})
	require.Empty(t, south.jobs.started)
	require.Empty(t, south.staged())

	closed := newRegion(t, "closed")
	closed.config.Trusts = nil
	closed.handler = closed.newHandler(closed.catalog)
	apitest.Run(t, closed.handler, v, []apitest.Scenario{
		closed.refused("to a region that copies from none", "POST", copyPath, good, "MSS.00000003", "does not copy from"),
	})

	// What stands in the way here.
	south.newAsset("the film")
	apitest.Run(t, south.handler, v, []apitest.Scenario{
		south.refused("the name is another asset's", "POST", copyPath, good, "MSS.10001005", "the film"),
	})
	third := newRegion(t, "third")
	var job string
	apitest.Run(t, third.handler, v, []apitest.Scenario{third.copied("into one project", good, &job)})
	require.NoError(t, third.auth.GrantRole(t.Context(), third.developer.user.ID, third.other.ID, "Develop"))
	elsewhere := third.refused("into another project as well", "POST", copyPath, good, "MSS.00000003", "another asset")
	elsewhere.URL = strings.Replace(elsewhere.URL, third.project.ID, third.other.ID, 1)
	apitest.Run(t, third.handler, v, []apitest.Scenario{elsewhere})
	require.Len(t, third.jobs.started, 1)
	require.Empty(t, south.jobs.started)
	require.Empty(t, south.staged())
	require.Equal(t, 1, south.count())
}

func (r *region) count() int {
	r.t.Helper()
	var page metastudio.AssetPage
	r.call(r.developer, "GET", "/digital-assets", "", &page)
	return page.Count
}

// The start decides, not what was seen before; and what is not known stays possible.
func TestCopyThatIsNotStarted(t *testing.T) {
	t.Parallel()
	north, south := newRegion(t, "north"), newRegion(t, "south")
	v := apitest.Validator(t, metastudio.Document())
	id := north.newAsset("a")
	north.upload(id, "m", "MAIN", "m")
	info := north.replicationInfo(id)
	south.jobs.startErr = fault.New(fault.Conflict, jobs.CodeRunning, "A job of this kind runs.").WithDetails("the-other-job")
	apitest.Run(t, south.handler, v, []apitest.Scenario{
		south.refused("another was faster", "POST", copyPath, info, "MSS.10001006", "It is the job the-other-job."),
	})
	require.Zero(t, south.count(), "nothing shows of a copy that was refused")
	south.jobs.startErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Try again.").Wrap(fmt.Errorf("a secret of ours"))
	away := south.as(south.developer, "away", "POST", copyPath, info, 503)
	away.Check, away.WantNotBody = refusal("MSS.10001006", "Try again."), []string{"secret"}
	south.jobs.startErr = fmt.Errorf("a secret of ours")
	broken := south.as(south.developer, "broken", "POST", copyPath, info, 500)
	broken.Check, broken.WantNotBody = refusal("MSS.10001006", "internal error"), []string{"secret"}
	apitest.Run(t, south.handler, v, []apitest.Scenario{broken})
	south.jobs.startErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Try again.").Wrap(fmt.Errorf("a secret of ours"))
	apitest.Run(t, south.handler, v, []apitest.Scenario{away})
	south.jobs.startErr = nil
	var job string
	apitest.Run(t, south.handler, v, []apitest.Scenario{south.copied("there again", info, &job)})
	require.Equal(t, []string{storage.StagingKey(south.project.ID, job)}, south.staged())
}

func TestIdempotentCopy(t *testing.T) {
	t.Parallel()
	north, south := newRegion(t, "north"), newRegion(t, "south")
	v := apitest.Validator(t, metastudio.Document())
	id := north.newAsset("a")
	north.upload(id, "m", "MAIN", "m")
	info := north.replicationInfo(id)
	keyed := func(s apitest.Scenario, key string) apitest.Scenario {
		s.Headers["Idempotency-Key"] = key
		return s
	}
	var first, again, plain string
	replayed := keyed(south.copied("again", info, &again), "k")
	replayed.WantHeaders["Idempotency-Replayed"] = "true"
	apitest.Run(t, south.handler, v, []apitest.Scenario{
		keyed(south.refused("a refusal is not remembered", "POST", copyPath, "{}", "MSS.00000003", "asset_id"), "k"),
		keyed(south.copied("first", info, &first), "k"),
		replayed,
		south.copied("without a key it is the same job", info, &plain),
		keyed(south.refused("another body", "POST", copyPath, north.replicationInfo(id), "MSS.00000003", "another request"), "k"),
	})
	require.Equal(t, first, again)
	require.Equal(t, first, plain)
	require.Len(t, south.jobs.started, 2, "the replayed one asks for no job")

	// The answer is given again after the replication info has expired.
	var info2 replication.Info
	require.NoError(t, json.Unmarshal([]byte(info), &info2))
	payload := south.open(info)
	expiring, err := replication.Seal(north.config.KeyRing, payload, id, time.Now().Add(10*time.Second), nil)
	require.NoError(t, err)
	text, err := json.Marshal(expiring)
	require.NoError(t, err)
	var short string
	apitest.Run(t, south.handler, v, []apitest.Scenario{keyed(south.copied("just in time", string(text), &short), "short")})
	require.Eventually(t, func() bool { return time.Now().Unix() >= expiring.ExpireTime }, time.Minute, 50*time.Millisecond)
	late := keyed(south.copied("the answer outlives it", string(text), &again), "short")
	late.WantHeaders["Idempotency-Replayed"] = "true"
	apitest.Run(t, south.handler, v, []apitest.Scenario{
		late, south.refused("without the key it is too late", "POST", copyPath, string(text), "MSS.00000003", "expired"),
	})
	require.Equal(t, short, again)
}

// Many requests with one body start one job with one replication info.
func TestCopiesAtOnce(t *testing.T) {
	t.Parallel()
	north, south := newRegion(t, "north"), newRegion(t, "south")
	id := north.newAsset("a")
	north.upload(id, "m", "MAIN", "m")
	info := north.replicationInfo(id)
	ids := make([]string, 20)
	var calls sync.WaitGroup
	for i := range ids {
		calls.Go(func() {
			ids[i] = south.call(south.developer, "POST", copyPath, info, nil).Get("X-Job-Id")
		})
	}
	calls.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	require.Equal(t, []string{storage.StagingKey(south.project.ID, ids[0])}, south.staged())
	require.Equal(t, 1, south.count())
}
