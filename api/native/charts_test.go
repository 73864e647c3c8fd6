package native_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/addons"
	"assetflow/addons/addonstest"
	"assetflow/api/apitest"
	"assetflow/api/native"
	"assetflow/auth/signature"
	"assetflow/catalog"
	"assetflow/fault"
)

func (d *deployment) chartsURL() string { return "/api/v1/projects/" + d.project.ID + "/charts" }

// push gives a scenario that pushes the archive as the administrator.
func (d *deployment) push(name string, archive []byte, status int) apitest.Scenario {
	return apitest.Scenario{
		Name: name, Method: http.MethodPost, URL: d.chartsURL(), Body: string(archive), WantStatus: status,
		Headers: map[string]string{"X-Auth-Token": d.adminToken, "Content-Type": "application/gzip"},
	}
}

// refusedPush gives one that is refused.
func (d *deployment) refusedPush(name string, archive []byte, status int, code, detail string) apitest.Scenario {
	s := d.push(name, archive, status)
	s.Check = problem(code, detail)
	return s
}

// addCharts pushes charts, each given as its name and version.
func (d *deployment) addCharts(charts ...string) {
	d.t.Helper()
	for _, chart := range charts {
		name, version, _ := strings.Cut(chart, " ")
		d.run(d.push("push "+chart, addonstest.Chart(d.t, name, version).Archive, 201))
	}
}

// hasBlob tells whether the content store has these bytes.
func (d *deployment) hasBlob(archive []byte) bool {
	d.t.Helper()
	has, err := d.store.HasBlob(d.t.Context(), digestOf(archive))
	require.NoError(d.t, err)
	return has
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func TestPushChart(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	chart := addonstest.Chart(t, "redis", "1.2.3+build.7")
	want := func(createdAt string) string {
		return fmt.Sprintf(`{"name": "redis", "version": "1.2.3+build.7", "app_version": "1.0", "description": "A chart of a test.", "sha256": %q,
			"size": %d, "creator_id": %q, "creator_name": "admin", "created_at": %q}`, chart.SHA256, len(chart.Archive), d.admin.ID, createdAt)
	}
	var created string
	first := d.push("new", chart.Archive, 201)
	before := time.Now().Truncate(time.Millisecond)
	first.Check = func(t testing.TB, resp *http.Response, body []byte) {
		t.Helper()
		read(func(t testing.TB, got native.Chart) {
			require.WithinRange(t, got.CreatedAt, before, time.Now())
			created = got.CreatedAt.Format(time.RFC3339Nano)
		})(t, resp, body)
		require.JSONEq(t, want(created), string(body))
	}
	d.run(first)
	require.True(t, d.hasBlob(chart.Archive))
	again := d.push("the same bytes", chart.Archive, 200)
	again.Headers["Content-Type"] = "application/octet-stream"
	again.WantJSON = want(created)
	differs := addonstest.Chart(t, "redis", "1.2.3+other", addonstest.File("values.yaml", "replicas: 2\n"))
	shown := apitest.Scenario{Name: "show", URL: d.chartsURL() + "/redis/1.2.3+build.7", WantStatus: 200, WantJSON: want(created)}
	encoded := shown
	encoded.Name, encoded.URL = "show, encoded", d.chartsURL()+"/redis/1.2.3%2Bbuild.7"
	bare := shown
	bare.Name, bare.URL = "show, without the build", d.chartsURL()+"/redis/1.2.3"
	d.run(again, d.refusedPush("other bytes", differs.Archive, 409, "catalog.chart_differs", "1.2.3"), shown, encoded, bare)
	require.False(t, d.hasBlob(differs.Archive), "a refused chart leaves nothing")
	entries, _, err := d.catalog.ListAudit(t.Context(), catalog.AuditFilter{ProjectID: d.project.ID, Action: catalog.ChartAdded})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, "admin", entries[0].ActorName)

	// Signed as the vendor's SDK does it: the body is not covered, or it is.
	accessKey, secretKey, err := d.auth.AddAccessKey(t.Context(), d.admin.ID)
	require.NoError(t, err)
	for version, payload := range map[string]string{"2.0.0": "UNSIGNED-PAYLOAD", "3.0.0": "", "4.0.0": "forged"} {
		signed := addonstest.Chart(t, "redis", version)
		s := d.push("signed: "+payload, signed.Archive, 201)
		delete(s.Headers, "X-Auth-Token")
		if payload == "forged" {
			s.WantStatus, s.Check = 401, problem("auth.signature_mismatch", "verify aksk signature fail")
			payload = strings.Repeat("0", 64)
		}
		s.Prepare = func(t testing.TB, r *http.Request) {
			t.Helper()
			if payload != "" {
				r.Header.Set(signature.PayloadHeader, payload)
			}
			require.NoError(t, signature.Sign(r, accessKey, secretKey, time.Now()))
		}
		d.run(s)
		require.Equal(t, s.WantStatus == 201, d.hasBlob(signed.Archive), version)
	}
}

func TestPushChartRefusals(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	good := addonstest.Chart(t, "redis", "1.0.0-refused") // the bucket is that of all tests
	large := append(bytes.Clone(good.Archive), make([]byte, addons.MaxChartBytes)...)
	bomb := addonstest.Chart(t, "redis", "1.0.0-refused", addonstest.File("files/zeros", strings.Repeat("\x00", 11<<20))).Archive
	require.Less(t, len(bomb), addons.MaxChartBytes)
	other := d.refusedPush("another content type", good.Archive, 400, "api.parameter", "application/gzip")
	other.Headers["Content-Type"] = "application/json"
	form := d.refusedPush("a form", good.Archive, 400, "api.parameter", "application/gzip")
	form.Headers["Content-Type"] = "multipart/form-data; boundary=b"
	none := d.refusedPush("no content type", good.Archive, 400, "api.parameter", "application/gzip")
	none.Headers["Content-Type"] = ""
	chunked := d.refusedPush("a large body of no declared length", large, 413, "addons.chart_too_large", "1048576 bytes")
	chunked.Prepare = func(_ testing.TB, r *http.Request) { r.ContentLength, r.TransferEncoding = -1, []string{"chunked"} }
	d.run(
		d.refusedPush("no body", nil, 400, "addons.bad_chart", ""),
		d.refusedPush("not a gzip", []byte("PK\x03\x04"), 400, "addons.bad_chart", "helm package"),
		d.refusedPush("cut short", good.Archive[:len(good.Archive)/2], 400, "addons.bad_chart", ""),
		d.refusedPush("another name in it", addonstest.Chart(t, "Redis", "1.0.0").Archive, 400, "addons.bad_chart", ""),
		d.refusedPush("a long name", addonstest.Chart(t, strings.Repeat("x", 54), "1.0.0").Archive, 400, "addons.bad_chart", ""),
		d.refusedPush("no version", addonstest.Chart(t, "redis", "latest").Archive, 400, "addons.bad_chart", ""),
		d.refusedPush("a large body", large, 413, "addons.chart_too_large", "1048576 bytes"),
		d.refusedPush("one that unpacks to too much", bomb, 413, "addons.chart_too_large", ""),
		other, form, none, chunked,
	)
	charts, _, err := d.catalog.ListCharts(t.Context(), d.project.ID, 0, "")
	require.NoError(t, err)
	require.Empty(t, charts)
	for _, archive := range [][]byte{good.Archive, large, bomb} {
		require.False(t, d.hasBlob(archive))
	}
}

// The store fails, the sweep takes the content away: what is said is put right, or told.
func TestPushChartAgainstFaults(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	chart := addonstest.Chart(t, "redis", "1.0.0")
	with := func(blobs native.Blobs, cat native.Catalog) http.Handler {
		return d.handlerOf(cat, blobs)
	}
	away := d.refusedPush("the store is away", chart.Archive, 503, "storage.unavailable", "Try again")
	away.WantNotBody = []string{"secret"}
	d.handler = with(faultyBlobs{d.store, fault.New(fault.Unavailable, "storage.unavailable", "Try again.").Wrap(errors.New("a secret"))}, d.catalog)
	d.run(away)
	charts, _, err := d.catalog.ListCharts(t.Context(), d.project.ID, 0, "")
	require.NoError(t, err)
	require.Empty(t, charts)

	sweeping := &sweptCatalog{Catalog: d.catalog, times: 2}
	d.handler = with(d.store, sweeping)
	d.run(d.push("swept twice", chart.Archive, 201))
	require.Zero(t, sweeping.times)
	require.True(t, d.hasBlob(chart.Archive))
	sweeping.times = 3
	d.run(d.refusedPush("swept again and again", addonstest.Chart(t, "redis", "2.0.0").Archive, 404, "catalog.blobs_not_found", ""))

	// What the library has and the store does not is no fault of the caller.
	d.handler = with(faultyBlobs{d.store, fault.New(fault.NotFound, "storage.not_found", "a secret")}, d.catalog)
	lost := refused("lost", d.chartsURL()+"/redis/1.0.0/archive", 500, "internal", "")
	lost.WantNotBody = []string{"secret"}
	broken := refused("not what was stored", d.chartsURL()+"/redis/1.0.0/archive", 500, "internal", "")
	d.run(lost)
	d.handler = with(otherBlobs{d.store}, d.catalog)
	d.run(broken)
}

type faultyBlobs struct {
	native.Blobs
	err error
}

func (b faultyBlobs) PutBlob(context.Context, string, int64, io.Reader) error { return b.err }

func (b faultyBlobs) OpenBlob(context.Context, string) (io.ReadCloser, int64, error) {
	return nil, 0, b.err
}

// otherBlobs gives other bytes of the same length.
type otherBlobs struct{ native.Blobs }

func (b otherBlobs) OpenBlob(ctx context.Context, sha256 string) (io.ReadCloser, int64, error) {
	body, size, err := b.Blobs.OpenBlob(ctx, sha256)
	if err != nil {
		return nil, 0, err
	}
	_ = body.Close()
	return io.NopCloser(bytes.NewReader(make([]byte, size))), size, nil
}

// sweptCatalog loses blobs between touching and using them.
type sweptCatalog struct {
	*catalog.Catalog
	times int
}

func (c *sweptCatalog) AddChart(ctx context.Context, userID string, chart catalog.Chart) (catalog.Chart, bool, error) {
	if c.times > 0 {
		c.times--
		return catalog.Chart{}, false, fault.New(fault.NotFound, "catalog.blobs_not_found", "the content of a file is gone")
	}
	return c.Catalog.AddChart(ctx, userID, chart)
}

// Many who push one version have pushed it once; of two contents one is in the library.
func TestPushedAtOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	var archives [2][]byte
	for i := range archives {
		archives[i] = addonstest.Chart(t, "redis", "1.0.0", addonstest.File("values.yaml", fmt.Sprintf("replicas: %d\n", i+1))).Archive
	}
	var pushes sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for i := range 20 {
		pushes.Go(func() {
			answer := d.do(http.MethodPost, d.chartsURL(), archives[i%2])
			mu.Lock()
			defer mu.Unlock()
			statuses[answer.Code]++
		})
	}
	pushes.Wait()
	require.Equal(t, map[int]int{201: 1, 200: 9, 409: 10}, statuses)
	kept, err := d.catalog.Chart(t.Context(), d.project.ID, "redis", "")
	require.NoError(t, err)
	answer := d.do(http.MethodGet, d.chartsURL()+"/redis/1.0.0/archive", nil)
	require.Equal(t, kept.SHA256, digestOf(answer.Body.Bytes()))
}

func TestListCharts(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	empty := apitest.Scenario{Name: "an empty library", URL: d.chartsURL(), WantStatus: 200, WantJSON: `{"charts": []}`}
	d.run(empty)
	d.addCharts("web 1.0.0", "redis 1.9.0", "redis 1.10.0", "redis 1.11.0-rc.1", "mysql 0.1.0")
	var next string
	page := func(name, query string, want ...string) apitest.Scenario {
		return apitest.Scenario{Name: name, URL: d.chartsURL() + query, WantStatus: 200, Check: read(func(t testing.TB, got native.ChartPage) {
			t.Helper()
			charts := []string{}
			for _, c := range got.Charts {
				charts = append(charts, c.Name+" "+c.Version)
			}
			require.Equal(t, want, charts)
			next = ""
			if got.NextCursor != nil {
				next = *got.NextCursor
			}
		})}
	}
	d.run(
		page("all, by name, the newest of each", "", "mysql 0.1.0", "redis 1.11.0-rc.1", "web 1.0.0"),
		page("the first page", "?limit=2", "mysql 0.1.0", "redis 1.11.0-rc.1"),
	)
	require.NotEmpty(t, next)
	d.run(page("the last page", "?limit=2&cursor="+next, "web 1.0.0"))
	require.Empty(t, next)
	d.run(
		apitest.Scenario{
			Name: "versions", URL: d.chartsURL() + "/redis", WantStatus: 200,
			Check: read(func(t testing.TB, got native.ChartVersions) {
				t.Helper()
				versions := []string{}
				for _, c := range got.Versions {
					versions = append(versions, c.Version)
				}
				require.Equal(t, []string{"1.11.0-rc.1", "1.10.0", "1.9.0"}, versions)
			}),
		},
		refused("limit 0", d.chartsURL()+"?limit=0", 400, "api.parameter", "limit"),
		refused("limit 501", d.chartsURL()+"?limit=501", 400, "api.parameter", "limit"),
		refused("a bad cursor", d.chartsURL()+"?cursor=zzz", 400, "catalog.bad_cursor", ""),
	)
	for name, path := range map[string]string{
		"no such chart": "/none", "no such version": "/redis/9.9.9", "no version": "/redis/latest", "an empty name": "/%00/1.0.0", "a NUL": "/redis/%00",
		"a path": "/%2e%2e%2f/1.0.0", "capitals": "/Redis/1.9.0", "a long one": "/" + strings.Repeat("x", 5000) + "/1.0.0", "SQL": "/'%20OR%201=1/1.0.0",
		"no such version's archive": "/redis/9.9.9/archive",
	} {
		d.run(refused(name, d.chartsURL()+path, 404, "catalog.chart_not_found", ""))
	}
}

func TestDownloadChart(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	chart := addonstest.Chart(t, "redis", "1.0.0+b")
	d.run(d.push("push", chart.Archive, 201))
	url := d.chartsURL() + "/redis/1.0.0+b/archive"
	etag := `"` + chart.SHA256 + `"`
	headers := map[string]string{
		"Content-Type": "application/gzip", "ETag": etag, "Content-Length": fmt.Sprint(len(chart.Archive)),
	}
	whole := func(name, ifNoneMatch string) apitest.Scenario {
		s := apitest.Scenario{Name: name, URL: url, WantStatus: 200, WantHeaders: map[string]string{}, Headers: as(d.adminToken)}
		for name, value := range headers {
			s.WantHeaders[name] = value
		}
		s.WantHeaders["Content-Disposition"] = "attachment; filename=redis-1.0.0+b.tgz"
		if ifNoneMatch != "" {
			s.Headers["If-None-Match"] = ifNoneMatch
		}
		s.Check = func(t testing.TB, _ *http.Response, body []byte) {
			t.Helper()
			require.Equal(t, chart.Archive, body)
		}
		return s
	}
	known := func(name, ifNoneMatch string) apitest.Scenario {
		return apitest.Scenario{
			Name: name, URL: url, WantStatus: 304, Headers: map[string]string{"X-Auth-Token": d.adminToken, "If-None-Match": ifNoneMatch},
			WantHeaders: map[string]string{"ETag": etag}, Check: func(t testing.TB, _ *http.Response, body []byte) {
				t.Helper()
				require.Empty(t, body)
			},
		}
	}
	head := whole("HEAD", "")
	head.Method, head.Check = http.MethodHead, nil
	delete(head.WantHeaders, "Content-Disposition")
	knownHead := known("HEAD, known", etag)
	knownHead.Method = http.MethodHead
	missing := apitest.Scenario{Name: "HEAD of none", Method: http.MethodHead, URL: d.chartsURL() + "/redis/2.0.0/archive", WantStatus: 404, OutsideDocument: true}
	d.run(
		whole("all of it", ""), whole("another is known", `"`+strings.Repeat("0", 64)+`"`), whole("a part of a tag is none", chart.SHA256),
		known("known", etag), known("known, weakly", "W/"+etag), known("one of several", `"x", `+etag), known("anything", "*"),
		head, knownHead, missing,
	)
}

func TestDeleteChart(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addCharts("redis 1.0.0", "redis 2.0.0")
	e, err := d.catalog.CreateEnvironment(t.Context(), d.admin.ID, catalog.Environment{ProjectID: d.project.ID, Name: "prod"})
	require.NoError(t, err)
	delivery := d.addDelivery(e, "redis", catalog.AddonInstall)
	_, _, err = d.catalog.BeginDelivery(t.Context(), delivery)
	require.NoError(t, err)
	remove := func(name, path string, status int) apitest.Scenario {
		return apitest.Scenario{Name: name, Method: http.MethodDelete, URL: d.chartsURL() + path, WantStatus: status}
	}
	inUse := remove("about to be delivered", "/redis/2.0.0", 409)
	inUse.Check = problem("catalog.chart_in_use", "")
	inUse.WantBody = []string{delivery.AddonID}
	gone := remove("gone already", "/redis/1.0.0", 404)
	gone.Check = problem("catalog.chart_not_found", "")
	d.run(inUse, remove("another version", "/redis/1.0.0", 204), gone)
	_, err = d.catalog.CommitDelivery(t.Context(), delivery, "1")
	require.NoError(t, err)
	inUse.Name = "delivered"
	d.run(inUse)
}

// addDelivery inserts a delivery job that runs.
func (d *deployment) addDelivery(e catalog.Environment, name string, action catalog.AddonAction) catalog.Delivery {
	d.t.Helper()
	delivery := catalog.Delivery{
		JobID: catalog.NewID(), ProjectID: d.project.ID, UserID: d.admin.ID, Action: action, EnvironmentID: e.ID, AddonID: catalog.NewID(),
		Name: name, TargetID: "gitops",
	}
	require.NoError(d.t, d.catalog.InsertJob(d.t.Context(), catalog.Job{
		ID: delivery.JobID, Kind: catalog.AddonDelivery, ProjectID: d.project.ID, UserID: d.admin.ID, Subject: name, State: catalog.JobRunning,
		WorkflowID: "addon:" + delivery.JobID, CreatedAt: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC),
	}))
	return delivery
}

func TestTargets(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	url := "/api/v1/projects/" + d.project.ID + "/targets"
	open := apitest.Scenario{
		Name: "those that are open to the project", URL: url, Headers: as(d.submitterToken), WantStatus: 200,
		WantJSON: `{"targets": [{"id": "gitops", "kind": "bucket"}, {"id": "second", "kind": "bucket"}]}`,
	}
	none := open
	none.Name, none.WantJSON = "none", `{"targets": []}`
	d.run(open)
	d.targets = &addons.Targets{}
	d.handler = d.newHandler()
	d.run(none, refusedTo(d.strangerToken, "no role", url, 404, "auth.project_not_found"))
}

func TestWhoMayDoWhatWithCharts(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addCharts("redis 1.0.0")
	archive := string(addonstest.Chart(t, "redis", "2.0.0").Archive)
	for _, o := range []struct{ method, path, body string }{
		{"POST", "", archive}, {"GET", "", ""}, {"GET", "/redis", ""}, {"GET", "/redis/1.0.0", ""}, {"GET", "/redis/1.0.0/archive", ""}, {"DELETE", "/redis/1.0.0", ""},
	} {
		scenario := func(who, token string, status int, code string) apitest.Scenario {
			s := refused(o.method+" "+o.path+": "+who, d.chartsURL()+o.path, status, code, "")
			s.Method, s.Body, s.Headers = o.method, o.body, map[string]string{"X-Auth-Token": token, "Content-Type": "application/gzip"}
			return s
		}
		d.run(
			scenario("only sees", d.submitterToken, 403, "auth.forbidden"),
			scenario("no role", d.strangerToken, 404, "auth.project_not_found"),
			scenario("a token of another project", d.otherProjectToken, 403, "auth.project_mismatch"),
			scenario("nobody", "", 401, "auth.missing"),
		)
		// Another project has a library of its own.
		if o.path != "" {
			elsewhere := scenario("in another project", d.adminToken, 404, "catalog.chart_not_found")
			elsewhere.URL = strings.Replace(elsewhere.URL, d.project.ID, d.other.ID, 1)
			d.run(elsewhere)
		}
	}
	charts, _, err := d.catalog.ListCharts(t.Context(), d.project.ID, 0, "")
	require.NoError(t, err)
	require.Len(t, charts, 1)
	require.Equal(t, "1.0.0", charts[0].Version)
}
