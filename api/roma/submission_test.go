package roma_test

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/middleware"
	"assetflow/api/roma"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
)

func (d *deployment) keyed(name, operation, body, key string, status int) apitest.Scenario {
	s := apitest.Scenario{
		Name: name, Method: http.MethodPost, URL: d.prefix + "/" + operation, Body: body,
		Headers: map[string]string{
			"X-Auth-Token": d.developer.token, "Content-Type": "application/json", "Idempotency-Key": key,
		},
		WantStatus: status, WantHeaders: map[string]string{"X-Request-Id": "*", "Idempotency-Replayed": ""},
	}
	if strings.HasPrefix(operation, "import") {
		s.Headers["Content-Type"] = formType
	}
	return s
}

func TestIdempotentSelection(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	v := apitest.Validator(t, roma.Document())
	good := `{"apps": [{"id": "a"}], "tasks": []}`
	var answers []string
	keep := func(s apitest.Scenario) apitest.Scenario {
		s.Check = func(_ testing.TB, resp *http.Response, body []byte) {
			answers = append(answers, resp.Header.Get("Content-Type")+" "+string(body))
		}
		return s
	}
	replayed := func(s apitest.Scenario) apitest.Scenario {
		s.WantHeaders["Idempotency-Replayed"] = "true"
		return keep(s)
	}
	refused := func(s apitest.Scenario) apitest.Scenario {
		s.Check = refusal("ROMA.13000", "another request", "")
		return s
	}
	key := strings.Repeat("!~", 127) + "k"
	otherQuery := d.keyed("other query", "export?x=1", good, key, 400)
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		keep(d.keyed("first", "export", good, key, 200)),
		replayed(d.keyed("again", "export", good, key, 200)),
		refused(d.keyed("other body", "export", good+" ", key, 400)),
		refused(d.keyed("other operation", "delete", good, key, 400)),
		refused(otherQuery),
		keep(d.keyed("other key", "export", good, "other", 200)),
	})
	require.Equal(t, answers[0], answers[1])
	require.NotEqual(t, answers[0], answers[2])
	require.Len(t, d.jobs.exports, 2)

	// A refusal is forgotten.
	d.jobs.startErr = fault.New(fault.Conflict, jobs.CodeRunning, "A job runs.").WithDetails("01936b2e-7f00-7abc-8def-0123456789ab")
	runs := d.keyed("refused", "delete", good, "r", 403)
	apitest.Run(t, d.handler, v, []apitest.Scenario{runs, runs})
	d.jobs.startErr = nil
	apitest.Run(t, d.handler, v, []apitest.Scenario{d.keyed("accepted", "delete", good, "r", 200)})
	require.Len(t, d.jobs.deletions, 1)

	// The job service was away: the next try starts the job that may run already.
	d.jobs.startErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Away.")
	apitest.Run(t, d.handler, v, []apitest.Scenario{d.keyed("away", "delete", good, "a", 503)})
	claim, _, err := d.catalog.ClaimSubmission(t.Context(), d.developer.user.ID, "a", "some other fingerprint", catalog.NewID(), time.Now())
	require.NoError(t, err)
	d.jobs.startErr = nil
	apitest.Run(t, d.handler, v, []apitest.Scenario{d.keyed("there again", "delete", good, "a", 200)})
	require.Equal(t, claim.JobID, d.jobs.deletions[1].JobID)
}

func TestIdempotentImport(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	v := apitest.Validator(t, roma.Document())
	good := form(packagePart("shop.zip", content))
	d.jobs.running = "01936b2e-7f00-7abc-8def-0123456789ab" // the job of the first request, for what the cheap check knows
	again := d.keyed("again", "import", strings.ReplaceAll(good, boundary, "b"), "k", 200)
	again.Headers["Content-Type"] = "multipart/form-data; boundary=b"
	again.WantHeaders["Idempotency-Replayed"] = "true"
	refused := func(s apitest.Scenario) apitest.Scenario {
		s.Check = refusal("ROMA.13000", "another request", "")
		return s
	}
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		d.keyed("first", "import", good, "k", 200), again,
		refused(d.keyed("other parameters", "import?type=Merge", good, "k", 400)),
		refused(d.keyed("other bytes", "import", form(packagePart("shop.zip", content+"!")), "k", 400)),
		refused(d.keyed("other name", "import", form(packagePart("shop2.zip", content)), "k", 400)),
		d.keyed("bad package name", "import", form(packagePart("shop.tar", content)), "k", 400),
	})
	require.Len(t, d.jobs.started, 1)
	require.Equal(t, []string{d.jobs.started[0].Staged.Key}, d.staged(), "only what the job was given")
}

// Fifty requests at once start one job and get one answer.
func TestIdempotentImportsAtOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	server := newServer(t, d.handler)
	good := form(packagePart("shop.zip", content))
	answers := make([]string, 50)
	var requests sync.WaitGroup
	for i := range answers {
		requests.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+d.prefix+"/import", strings.NewReader(good))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("X-Auth-Token", d.developer.token)
			r.Header.Set("Content-Type", formType)
			r.Header.Set("Idempotency-Key", "k")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%v %d %s", err, resp.StatusCode, body)
			}
			answers[i] = string(body)
		})
	}
	requests.Wait()
	for _, answer := range answers {
		require.Equal(t, answers[0], answer)
	}
	require.Len(t, d.jobs.started, 1)
	require.Equal(t, []string{d.jobs.started[0].Staged.Key}, d.staged())
}

// The API process died after it had claimed a key: whoever repeats the request starts that job, with its own package.
func TestIdempotentImportIsCarriedThrough(t *testing.T) {
	t.Parallel()
	good := form(packagePart("shop.zip", content))
	for _, started := range []bool{false, true} {
		d := newDeployment(t)
		v := apitest.Validator(t, roma.Document())
		// The first request, whose start fails with an unknown outcome, stands for the dead process.
		d.jobs.startErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Away.")
		apitest.Run(t, d.handler, v, []apitest.Scenario{d.keyed("first", "import", good, "k", 503)})
		d.jobs.startErr = nil
		first := d.staged()
		require.Len(t, first, 1)
		id := strings.Split(first[0], "/")[2]
		if started {
			d.jobs.rows = map[string]string{id: d.project.ID}
		} else {
			require.NoError(t, d.store.DeleteStaged(t.Context(), first[0])) // as if its upload had been swept
		}
		second := d.keyed("second", "import", good, "k", 200)
		second.WantBody = []string{strings.ReplaceAll(id, "-", "")}
		apitest.Run(t, d.handler, v, []apitest.Scenario{second})
		require.Len(t, d.jobs.started, 1)
		got := d.jobs.started[0]
		require.Equal(t, id, got.JobID)
		require.Equal(t, storage.StagingKey(d.project.ID, id), got.Staged.Key)
		require.EqualValues(t, len(content), got.Staged.Size)
		require.Equal(t, []string{got.Staged.Key}, d.staged(), "one package")
	}
}

// The form of a refusal that is seen only after a long wait.
func TestPendingForm(t *testing.T) {
	t.Parallel()
	engine := middleware.NewEngine(slog.New(slog.DiscardHandler), nil, middleware.NewForms("roma", roma.WriteError))
	engine.POST("/v2/x", func(c *gin.Context) {
		roma.WriteError(c, fault.New(fault.Conflict, middleware.CodePending, "Try again.").WithDetails("7"))
	})
	apitest.Run(t, engine, nil, []apitest.Scenario{{
		Name: "pending", Method: http.MethodPost, URL: "/v2/x", WantStatus: 409, WantHeaders: map[string]string{"Retry-After": "7"},
		Check: refusal("ROMA.13000", "Try again", ""),
	}})
}
