package jobs_test

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/proto"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/embedded/temporal/temporaltest"
	"assetflow/jobs"
	"assetflow/payload"
	"assetflow/telemetry"
	assetworker "assetflow/worker"
	"assetflow/workflows"
)

const (
	mayKey      = `"2026-05": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="`
	novemberKey = `"2026-11": "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="`
)

// hidden stands in everything that a job of these tests says and nobody may see.
const hidden = "hidden-thing"

// encrypting is a server with clients that encrypt, and one that sees what the server keeps.
type encrypting struct {
	server client.Options
	raw    client.Client
}

func newEncrypting(t *testing.T) encrypting {
	t.Helper()
	e := encrypting{server: temporaltest.Prepared(t)}
	var err error
	e.raw, err = client.Dial(e.server)
	require.NoError(t, err)
	t.Cleanup(e.raw.Close)
	return e
}

// client gives one with the ring, and its data converter.
func (e encrypting) client(t *testing.T, ring string) (client.Client, converter.DataConverter) {
	t.Helper()
	keys, err := payload.ParseKeys(ring)
	require.NoError(t, err)
	data, failures := payload.Converters(payload.NewCodec(keys, true))
	traces, err := telemetry.JobInterceptor(sdktrace.NewTracerProvider())
	require.NoError(t, err)
	options := e.server
	options.DataConverter, options.FailureConverter = data, failures
	options.Interceptors = []interceptor.ClientInterceptor{traces}
	c, err := client.Dial(options)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, data
}

// history gives what the server keeps of the latest run.
func (e encrypting) history(t *testing.T, workflowID string) *historypb.History {
	t.Helper()
	history := &historypb.History{}
	events := e.raw.GetWorkflowHistory(t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		history.Events = append(history.Events, event)
	}
	return history
}

// traceHeader is what the header of a traced job holds.
var traceHeader = regexp.MustCompile(`^{"traceparent":"00-[0-9a-f]{32}-[0-9a-f]{16}-01"}$`)

// traced gives a context in which a request is traced.
func traced(t *testing.T) context.Context {
	t.Helper()
	return telemetry.WithCaller(t.Context(), propagation.MapCarrier{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
}

// requireHidden proves that nothing of a job can be read in what the server keeps or answers, and that there is something.
func requireHidden(t *testing.T, message proto.Message) {
	t.Helper()
	text, err := proto.Marshal(message)
	require.NoError(t, err)
	require.NotContains(t, string(text), hidden)
	seen := 0
	require.NoError(t, proxy.VisitPayloads(t.Context(), message, proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true,
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
			for _, p := range payloads {
				if traceHeader.Match(p.GetData()) { // the ids of a trace alone are in clear
					continue
				}
				require.Equal(t, payload.Encoding, string(p.GetMetadata()[converter.MetadataEncoding]), "%v", p)
				seen++
			}
			return payloads, nil
		},
	}))
	require.NotZero(t, seen)
}

// steps are stand-ins for the first steps of an import, and the real last one.
type steps struct {
	beating, release chan struct{}
	failure          error // of StoreFiles
}

func (s *steps) inspect(ctx context.Context, job activities.ImportJob) (activities.Inspection, error) {
	if job.FileName != hidden+".zip" {
		return activities.Inspection{}, temporal.NewNonRetryableApplicationError("the input is not what was sent", "Test", nil)
	}
	activity.RecordHeartbeat(ctx, activities.Progress{Done: 1, Total: 2})
	close(s.beating)
	select {
	case <-s.release:
	case <-ctx.Done():
	}
	return activities.Inspection{VersionLabel: hidden, Files: 1}, ctx.Err()
}

func (s *steps) work(t *testing.T, c client.Client, cat *catalog.Catalog) {
	t.Helper()
	w := worker.New(c, workflows.DataQueue, worker.Options{MaxHeartbeatThrottleInterval: 50 * time.Millisecond})
	assetworker.RegisterWorkflows(w)
	for name, step := range map[string]any{
		"InspectPackage": s.inspect,
		"StoreFiles": func(context.Context, activities.ImportJob) (activities.Stored, error) {
			return activities.Stored{}, s.failure
		},
		"CommitImport": func(context.Context, activities.ImportJob) (catalog.ImportResult, error) {
			return catalog.ImportResult{}, nil
		},
	} {
		w.RegisterActivityWithOptions(step, activity.RegisterOptions{Name: name})
	}
	w.RegisterActivity(&activities.End{Catalog: cat, Storage: emptyStore(t), Logger: quiet})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
}

func submissionIn(scene catalogtest.Scene) jobs.ImportSubmission {
	return jobs.ImportSubmission{
		JobID: jobs.NewID(), ProjectID: scene.Project.ID, InstanceID: scene.Instance.ID, UserID: scene.User.ID, UserName: hidden,
		FileName: hidden + ".zip", Mode: string(catalog.Merge), Prefix: hidden,
	}
}

// The server keeps nothing of a job in clear: not its input, its summaries, its heartbeats, the results of its steps or why
// it failed. Its progress and its reasons are shown all the same.
func TestEncryptedJob(t *testing.T) {
	t.Parallel()
	e, scene := newEncrypting(t), catalogtest.NewScene(t, catalogtest.New(t))
	c, data := e.client(t, `{"primary": "2026-11", "keys": {`+novemberKey+`}}`)
	service := jobs.NewService(c, scene.Catalog, emptyStore(t), quiet, jobs.WithNamespace(e.server.Namespace), jobs.WithDataConverter(data))
	reasons := []catalog.Reason{{ResourceType: "task", ResourceName: hidden, Code: "name_taken", Message: hidden}}
	s := &steps{
		beating: make(chan struct{}), release: make(chan struct{}),
		failure: temporal.NewNonRetryableApplicationError(hidden, activities.PackageRejected, nil, reasons),
	}
	s.work(t, c, scene.Catalog)
	sub := submissionIn(scene)
	job, err := service.StartImport(traced(t), sub)
	require.NoError(t, err)

	<-s.beating
	require.Eventually(t, func() bool { // until the server has the heartbeat
		got, err := service.Get(t.Context(), sub.ProjectID, sub.JobID)
		require.NoError(t, err)
		require.Equal(t, catalog.JobRunning, got.State)
		return got.Step == "Inspect the package" && got.Progress == 0.125
	}, 20*time.Second, 20*time.Millisecond)
	desc, err := e.raw.DescribeWorkflowExecution(t.Context(), job.WorkflowID, "")
	require.NoError(t, err)
	require.NotNil(t, desc.GetPendingActivities()[0].GetHeartbeatDetails())
	requireHidden(t, desc)
	elsewhere := jobs.NewService(c, scene.Catalog, emptyStore(t), quiet, jobs.WithNamespace(e.server.Namespace)) // it has not been told
	got, err := elsewhere.Get(t.Context(), sub.ProjectID, sub.JobID)
	require.NoError(t, err)
	require.Zero(t, got.Progress)
	close(s.release)

	got, err = service.Await(t.Context(), sub.ProjectID, sub.JobID, 30*time.Second)
	require.NoError(t, err)
	require.Equal(t, catalog.JobFailed, got.State)
	require.Equal(t, reasons, got.Reasons)
	history := e.history(t, job.WorkflowID)
	require.Equal(t, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED, history.Events[len(history.Events)-1].GetEventType())
	requireHidden(t, history)
	require.NotEmpty(t, history.Events[0].GetUserMetadata().GetSummary().GetData())
	for _, event := range history.Events {
		if step := event.GetActivityTaskScheduledEventAttributes(); step != nil {
			header := string(step.GetHeader().GetFields()["_tracer-data"].GetData())
			require.Contains(t, header, "0af7651916cd43dd8448eb211c80319c", "the trace goes on to each step")
		}
	}
}

// A worker that does not know a key yet does not fail the job: it waits for one that does.
func TestAWorkerWithoutTheKey(t *testing.T) {
	t.Parallel()
	e, scene := newEncrypting(t), catalogtest.NewScene(t, catalogtest.New(t))
	c, data := e.client(t, `{"primary": "2026-11", "keys": {`+novemberKey+`}}`)
	service := jobs.NewService(c, scene.Catalog, emptyStore(t), quiet, jobs.WithNamespace(e.server.Namespace), jobs.WithDataConverter(data))
	old, _ := e.client(t, `{"primary": "2026-05", "keys": {`+mayKey+`}}`)
	behind := worker.New(old, workflows.DataQueue, worker.Options{LocalActivityWorkerOnly: true})
	assetworker.RegisterWorkflows(behind)
	require.NoError(t, behind.Start())
	sub := submissionIn(scene)
	job, err := service.StartImport(t.Context(), sub)
	require.NoError(t, err)

	var failed *historypb.HistoryEvent
	require.Eventually(t, func() bool {
		for _, event := range e.history(t, job.WorkflowID).Events {
			if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_FAILED {
				failed = event
			}
		}
		return failed != nil
	}, 20*time.Second, 20*time.Millisecond)
	cause := failed.GetWorkflowTaskFailedEventAttributes().GetCause()
	require.Equal(t, enumspb.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE, cause)
	got, err := service.Get(t.Context(), sub.ProjectID, sub.JobID)
	require.NoError(t, err)
	require.Equal(t, catalog.JobRunning, got.State)
	behind.Stop()

	ahead, _ := e.client(t, `{"primary": "2026-05", "keys": {`+mayKey+`, `+novemberKey+`}}`)
	s := &steps{beating: make(chan struct{}), release: make(chan struct{})}
	close(s.release)
	s.work(t, ahead, scene.Catalog)
	<-s.beating
	got, err = service.Await(t.Context(), sub.ProjectID, sub.JobID, 30*time.Second)
	require.NoError(t, err)
	require.Equal(t, catalog.JobSucceeded, got.State)
	history := e.history(t, job.WorkflowID)
	require.Equal(t, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, history.Events[len(history.Events)-1].GetEventType())
	requireHidden(t, history)
}

// Why a step of a delivery is tried again is shown, and is nothing for the server either.
func TestEncryptedDelivery(t *testing.T) {
	t.Parallel()
	e, scene := newEncrypting(t), catalogtest.NewScene(t, catalogtest.New(t))
	c, data := e.client(t, `{"primary": "2026-11", "keys": {`+novemberKey+`}}`)
	service := jobs.NewService(c, scene.Catalog, emptyStore(t), quiet, jobs.WithNamespace(e.server.Namespace), jobs.WithDataConverter(data))
	w := worker.New(c, workflows.AddonQueue, worker.Options{})
	assetworker.RegisterWorkflows(w)
	w.RegisterActivityWithOptions(func(context.Context, activities.DeliveryJob, activities.DeliveryStep) error {
		return temporal.NewApplicationError(hidden, activities.TargetAway)
	}, activity.RegisterOptions{Name: "LoadChart"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	sub := jobs.DeliverySubmission{
		JobID: jobs.NewID(), ProjectID: scene.Project.ID, UserID: scene.User.ID, UserName: hidden, Action: catalog.AddonInstall,
		EnvironmentID: catalog.NewID(), EnvironmentName: hidden, AddonID: catalog.NewID(), Name: "hello", TargetID: "gitops",
	}
	job, err := service.StartDelivery(t.Context(), sub)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		got, err := service.Get(t.Context(), sub.ProjectID, sub.JobID)
		require.NoError(t, err)
		return got.LastFailure == hidden
	}, 20*time.Second, 20*time.Millisecond)
	desc, err := e.raw.DescribeWorkflowExecution(t.Context(), job.WorkflowID, "")
	require.NoError(t, err)
	require.Equal(t, "Encoded failure", desc.GetPendingActivities()[0].GetLastFailure().GetMessage())
	requireHidden(t, desc)
}
