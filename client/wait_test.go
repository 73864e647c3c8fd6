package client_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/client"
)

// script answers one step after the other, the last one for ever.
func script(t *testing.T, steps ...func(w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	t.Helper()
	var at atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		steps[min(int(at.Add(1)), len(steps))-1](w, r)
	}
}

func romaJob(status string, progress float64, more string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, fmt.Sprintf(`{"id":%q,"type":"importAsset","status":%q,"progress_percent":%v,"begin_time":"2026-01-01T00:00:00Z"%s}`,
			jobHex, status, progress, more))
	}
}

func failing(status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		answer(w, status, "application/json", `{"error_msg":"no"}`)
	}
}

func TestJobAsROMAShowsIt(t *testing.T) {
	t.Parallel()
	for _, id := range []string{jobHex, jobUUID} {
		cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, "/v2/"+project+"/instances/"+instance+"/assets/jobs/"+jobHex, r.RequestURI)
			romaJob("FAILED", 0.35, `,"end_time":"2026-01-01T00:00:05Z","reasons":[{"resource_type":"application",
				"resource_name":"A","error_code":"name_taken","error_msg":"taken"}],"reason":[]`)(w, r)
		})
		job, err := cl.Job(t.Context(), id)
		require.NoError(t, err)
		begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		require.Equal(t, client.Job{
			ID: jobHex, Type: "importAsset", Status: client.Failed, Progress: 0.35, BeginTime: begin, EndTime: begin.Add(5 * time.Second),
			Reasons: []client.Reason{{ResourceType: "application", ResourceName: "A", Code: "name_taken", Message: "taken"}},
		}, job)
	}
	uuid, err := client.CanonicalJobID(jobHex)
	require.NoError(t, err)
	require.Equal(t, jobUUID, uuid)
}

func TestWaitJobNeverGoesBack(t *testing.T) {
	t.Parallel()
	cl := serve(t, script(t,
		romaJob("RUNNING", 0, ""), romaJob("RUNNING", 0.5, ""), romaJob("RUNNING", 0.2, ""), romaJob("FAILED", 0.4, "")))
	var seen []float64
	job, err := cl.WaitJob(t.Context(), jobHex, func(j client.Job) { seen = append(seen, j.Progress) })
	require.NoError(t, err)
	require.Equal(t, []float64{0, 0.5, 0.5, 0.5}, seen)
	require.Equal(t, client.Failed, job.Status)
	require.Equal(t, 0.5, job.Progress)
}

func TestWatchJobNeverGoesBackEither(t *testing.T) {
	t.Parallel()
	step := func(state string, progress float64) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			answerJSON(w, fmt.Sprintf(`{"id":%q,"state":%q,"progress":%v,"step":"Store the files"}`, jobUUID, state, progress))
		}
	}
	cl := serve(t, script(t, step("running", 0.5), step("running", 0.2), step("succeeded", 1)))
	var seen []float64
	job, err := cl.WatchJob(t.Context(), jobHex, func(j client.JobDetail) { seen = append(seen, j.Progress) })
	require.NoError(t, err)
	require.Equal(t, []float64{0.5, 0.5, 1}, seen)
	require.Equal(t, client.JobSucceeded, job.State)
}

func TestWaitJobOutlivesARestart(t *testing.T) {
	t.Parallel()
	var told atomic.Int32
	cl := serve(t, script(t, romaJob("RUNNING", 0.1, ""), failing(500), failing(500), romaJob("SUCCEEDED", 1, "")),
		func(cfg *client.Config) { cfg.Retrying = func(error, time.Duration) { told.Add(1) } })
	job, err := cl.WaitJob(t.Context(), jobHex, nil)
	require.NoError(t, err)
	require.Equal(t, client.Succeeded, job.Status)
	require.EqualValues(t, 2, told.Load())
}

func TestWaitJobGivesUpWhereWaitingCannotHelp(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]func(http.ResponseWriter, *http.Request){
		"never answered":  {failing(500)},
		"token ran out":   {romaJob("RUNNING", 0.1, ""), failing(401)},
		"the job is gone": {romaJob("RUNNING", 0.1, ""), failing(404)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := serve(t, script(t, steps...)).WaitJob(t.Context(), jobHex, nil)
			var refusal *client.Error
			require.ErrorAs(t, err, &refusal)
		})
	}
}

func TestWaitJobEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cl := serve(t, romaJob("RUNNING", 0.1, ""))
	_, err := cl.WaitJob(ctx, jobHex, func(client.Job) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
}
