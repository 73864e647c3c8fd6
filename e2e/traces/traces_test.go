// Package traces tests that one trace leads from a request to the last statement of its job, on the real stack, with a
// collector beside it that is spoken to as in production.
package traces

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"

	"assetflow/assetpackage/packagetest"
	"assetflow/client"
	"assetflow/devstack"
	"assetflow/jobs"
	"assetflow/telemetry"
	"assetflow/telemetry/collectortest"
	"assetflow/workflows"
)

// Traces of callers.
const (
	firstTrace, firstSpan = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	queuedTrace           = "4bf92f3577b34da6a3ce929d0e0e4736"
	vendorState           = "vendor=hidden-state"
)

// attributes are all that may stand in a span.
var attributes = []string{
	"assetflow.job_id", "assetflow.request_id", "assetflow.user_id", "aws.s3.bucket", "db.collection.name", "db.operation.name",
	"db.query.text", "db.system.name", "error.type", "http.request.method", "http.response.status_code", "http.route", "rpc.method",
	"rpc.system.name", "temporalActivityID", "temporalRunID", "temporalWorkflowID",
}

// stack is a stack that is traced.
type stack struct {
	*devstack.Stack
	devstack.Credentials
	dir       string
	collector *collectortest.Collector
	tracing   *telemetry.Tracing
	callers   *client.Client
}

func start(t *testing.T) *stack {
	t.Helper()
	s := &stack{dir: t.TempDir(), collector: collectortest.Start(t)}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	s.tracing, err = telemetry.NewTracing(t.Context(), telemetry.TracingOptions{
		Endpoint: s.collector.URL, SampleRatio: 1, Service: "assetflow-test", Logger: quiet,
	})
	require.NoError(t, err)
	s.Stack, err = devstack.Start(t.Context(), devstack.Options{
		DataDir: s.dir, NoUI: true, Logger: quiet, Traces: s.tracing.Provider(), SweepEvery: time.Second,
	})
	require.NoError(t, err)
	s.Credentials = s.Stack.Credentials()
	s.callers = client.New(client.Config{
		Endpoint: s.Endpoint, ProjectID: s.ProjectID, InstanceID: s.InstanceID, AccessKey: s.AccessKey, SecretKey: s.SecretKey,
	})
	t.Cleanup(func() {
		s.callers.Close()
		require.NoError(t, s.Stop(t.Context()))
	})
	return s
}

func TestOneTraceFromTheRequestToTheLastStatement(t *testing.T) {
	s := start(t)
	token := s.importWithAToken(t)
	s.importBehindOthers(t)
	s.awaitSweeps(t)
	requireOnlyIDs(t, s.headers(t))
	require.NoError(t, s.Stop(t.Context()))
	require.NoError(t, s.tracing.Shutdown(t.Context()))
	spans := s.collector.Spans()

	t.Run("a job", func(t *testing.T) { requireJob(t, of(spans, firstTrace)) })
	t.Run("a job that had to wait", func(t *testing.T) { requireQueuedJob(t, spans) })
	t.Run("housekeeping begins no trace but for a workflow", func(t *testing.T) {
		for _, span := range spans {
			if span.ParentID == "" && span.Kind != tracepb.Span_SPAN_KIND_SERVER {
				require.Fail(t, "a span without a parent", span.Name)
			}
			require.NotContains(t, span.Name, "/readyz")
		}
	})
	t.Run("no secrets", func(t *testing.T) {
		for _, span := range spans {
			for key := range span.Attributes {
				require.Contains(t, attributes, key, span.Name)
			}
		}
		attached, err := devstack.Attach(s.dir)
		require.NoError(t, err)
		sent := s.collector.Raw()
		for _, secret := range []string{
			token, s.Password, s.AccessKey, s.SecretKey, attached.MasterKey, attached.KeyRing, attached.Storage.AccessKey,
			attached.Storage.SecretKey, "Signature", "hidden-state", "?project",
		} {
			require.False(t, strings.Contains(sent, strings.TrimSpace(secret)), "a secret was sent")
		}
	})
}

// importWithAToken imports a package as a script with curl would, in a trace of its own, and gives the token.
func (s *stack) importWithAToken(t *testing.T) string {
	t.Helper()
	token, _, err := client.New(client.Config{Endpoint: s.Endpoint}).Login(t.Context(), s.Domain, s.User, s.Password, s.ProjectID)
	require.NoError(t, err)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("ImportAssetRequestBody", "first.zip")
	require.NoError(t, err)
	_, err = part.Write(packagetest.Small("first").Bytes())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		s.Endpoint+"/v2/"+s.ProjectID+"/instances/"+s.InstanceID+"/assets/import?type=Merge", &form)
	require.NoError(t, err)
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("X-Auth-Token", token)
	r.Header.Set("Traceparent", "00-"+firstTrace+"-"+firstSpan+"-01")
	r.Header.Set("Tracestate", vendorState)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, string(body))
	var started struct {
		JobID string `json:"job_id"`
	}
	require.NoError(t, json.Unmarshal(body, &started))
	s.succeeds(t, started.JobID)
	return token
}

// importBehindOthers imports a package with our own client, which the queue starts.
func (s *stack) importBehindOthers(t *testing.T) {
	t.Helper()
	traceID, err := trace.TraceIDFromHex(queuedTrace)
	require.NoError(t, err)
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
	pkg := packagetest.Small("queued").Bytes()
	job, err := s.callers.Import(ctx, "queued.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{OnConflict: client.Queue})
	require.NoError(t, err)
	s.succeeds(t, job)
}

func (s *stack) succeeds(t *testing.T, job string) {
	t.Helper()
	ended, err := s.callers.WaitJob(t.Context(), job, nil)
	require.NoError(t, err)
	require.Equal(t, client.Succeeded, ended.Status, "%+v", ended.Reasons)
}

// awaitSweeps waits until two sweeps have been traced, each by itself, while readiness is asked for.
func (s *stack) awaitSweeps(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		answer, err := http.Get(s.Endpoint + "/readyz")
		require.NoError(t, err)
		answer.Body.Close()
		sweeps := map[string]bool{}
		for _, span := range s.collector.Spans() {
			if span.Name == "RunWorkflow:SweepAll" && span.ParentID == "" {
				sweeps[span.TraceID] = true
			}
		}
		return len(sweeps) >= 2
	}, 2*time.Minute, 100*time.Millisecond)
}

// headers gives what stands in the headers of the histories of both imports' workflow id.
func (s *stack) headers(t *testing.T) []*commonpb.Header {
	t.Helper()
	var all []*commonpb.Header
	caller, err := s.callers.Me(t.Context())
	require.NoError(t, err)
	id := jobs.WorkflowID("asset-import", s.ProjectID, caller.UserID)
	for _, workflowID := range []string{id, workflows.QueueWorkflowID(id)} {
		events := s.Temporal().GetWorkflowHistory(t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			require.NoError(t, err)
			for _, header := range []*commonpb.Header{
				event.GetWorkflowExecutionStartedEventAttributes().GetHeader(), event.GetWorkflowExecutionSignaledEventAttributes().GetHeader(),
				event.GetActivityTaskScheduledEventAttributes().GetHeader(), event.GetStartChildWorkflowExecutionInitiatedEventAttributes().GetHeader(),
			} {
				if header != nil {
					all = append(all, header)
				}
			}
		}
	}
	return all
}

// requireOnlyIDs proves that nothing else stands in clear in histories.
func requireOnlyIDs(t *testing.T, headers []*commonpb.Header) {
	t.Helper()
	require.Greater(t, len(headers), len(workflows.ImportSteps))
	for _, header := range headers {
		require.Equal(t, []string{"_tracer-data"}, slices.Collect(maps.Keys(header.GetFields())))
		var fields map[string]string
		require.NoError(t, json.Unmarshal(header.GetFields()["_tracer-data"].GetData(), &fields))
		require.Len(t, fields, 1)
		require.Regexp(t, "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$", fields["traceparent"])
	}
}

func of(spans []collectortest.Span, traceID string) (all []collectortest.Span) {
	for _, span := range spans {
		if span.TraceID == traceID {
			all = append(all, span)
		}
	}
	return all
}

// requireJob proves that the trace is a tree under the caller's span, with everything in its place.
func requireJob(t *testing.T, spans []collectortest.Span) {
	t.Helper()
	request := collectortest.Find(t, spans, "POST /v2/:project_id/instances/:instance_id/assets/import")
	require.Equal(t, firstSpan, request.ParentID)
	require.Equal(t, "assetflow-test", request.Resource["service.name"])
	started := collectortest.Find(t, spans, "StartWorkflow:ImportAssets")
	require.Equal(t, request.SpanID, started.ParentID)
	workflow := collectortest.Find(t, spans, "RunWorkflow:ImportAssets")
	require.Equal(t, started.SpanID, workflow.ParentID)
	require.False(t, request.Failed || started.Failed || workflow.Failed)

	places := map[string]string{firstSpan: "caller", request.SpanID: "request", workflow.SpanID: "workflow", started.SpanID: "start"}
	for _, step := range workflows.ImportSteps {
		scheduled := collectortest.Find(t, spans, "StartActivity:"+step.Activity)
		require.Equal(t, workflow.SpanID, scheduled.ParentID, step.Activity)
		places[scheduled.SpanID] = "workflow"
		tries := collectortest.Named(spans, "RunActivity:"+step.Activity)
		require.NotEmpty(t, tries, step.Activity)
		for _, ran := range tries {
			require.Equal(t, scheduled.SpanID, ran.ParentID, step.Activity)
			places[ran.SpanID] = step.Activity
		}
	}
	found := map[string]bool{}
	for _, span := range spans {
		place, ok := places[span.ParentID]
		require.True(t, ok, "%s hangs on a span that is not there", span.Name)
		found[place+": "+span.Name] = true
	}
	for _, want := range []string{
		"request: S3.PutObject", "request: INSERT jobs", "InspectPackage: S3.GetObject", "StoreFiles: S3.PutObject",
		"CommitImport: BEGIN", "CommitImport: INSERT assets", "CommitImport: COMMIT", "EndJob: S3.DeleteObject", "EndJob: UPDATE jobs",
	} {
		require.True(t, found[want], "%s is not among %v", want, slices.Sorted(maps.Keys(found)))
	}
}

// requireQueuedJob proves that a job which the queue starts belongs to the trace of its own request, and the queue to none.
func requireQueuedJob(t *testing.T, all []collectortest.Span) {
	t.Helper()
	spans := of(all, queuedTrace)
	request := collectortest.Find(t, spans, "POST /v2/:project_id/instances/:instance_id/assets/import")
	woken := collectortest.Find(t, spans, "SignalWithStartWorkflow:ServeQueue")
	require.Equal(t, request.SpanID, woken.ParentID)
	started := collectortest.Find(t, spans, "StartChildWorkflow:ImportAssets")
	require.Equal(t, request.SpanID, started.ParentID)
	require.Equal(t, started.SpanID, collectortest.Find(t, spans, "RunWorkflow:ImportAssets").ParentID)
	collectortest.Find(t, spans, "RunActivity:CommitImport")

	served := false
	for _, queue := range collectortest.Named(all, "RunWorkflow:ServeQueue") {
		require.Empty(t, queue.ParentID)
		require.NotEqual(t, queuedTrace, queue.TraceID)
		served = served || slices.Equal(queue.Links, []string{woken.SpanID})
	}
	require.True(t, served, "the queue was woken by the request")
}
