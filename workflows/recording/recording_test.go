// Package recording records the histories that the replay tests in workflows replay.
//
//	go test ./workflows/recording -record
//
// It runs every workflow on a real Temporal server, with steps that answer, refuse, fail once or wait for a
// cancellation, or fall silent as a dead worker does, as each scene says. Without -record it only proves that what would be recorded replays.
package recording

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"assetflow/activities"
	"assetflow/catalog"
	embedded "assetflow/embedded/temporal"
	"assetflow/payload"
	assetworker "assetflow/worker"
	"assetflow/workflows"
)

var record = flag.Bool("record", false, "write the histories to workflows/testdata")

// scene says how the steps of one run behave: which one waits for a cancellation, is refused, or fails once. Of a delivery
// also which one has not heard of a cancellation when it ends, or never does, and which one finds the target away.
type scene struct {
	name      string
	folder    string // of the histories of its workflow
	workflow  any
	input     any
	waitIn    string
	refusedIn string
	retriedIn string
	lateIn    string
	deadIn    string
	awayIn    string
	leaves    bool                     // the cancellation leaves things as they are
	stuck     bool                     // the roll-back is refused, or waits for a second cancellation where that leaves things as they are
	queued    []activities.QueuedStart // what waits, for the queue
	encrypted bool                     // with the keys in testdata/encrypted
	taken     bool                     // a run that ends when it is cancelled holds the jobs' workflow id at first
	want      enumspb.WorkflowExecutionStatus
}

const (
	completed = enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	failed    = enumspb.WORKFLOW_EXECUTION_STATUS_FAILED
	cancelled = enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED
)

// scenes gives the runs to record.
func scenes() []scene {
	selection := activities.SelectionJob{
		JobID: "0192f000-0000-7000-8000-000000000002", ProjectID: "7e1a", InstanceID: "2b6c", UserID: "9d3f",
		Applications: []string{"0192f000-0000-7000-8000-00000000000a"}, ArchiveKey: "archives/7e1a/0192f000/package.zip",
	}
	all := of("import-assets", workflows.ImportAssets, activities.ImportJob{
		JobID: "0192f000-0000-7000-8000-000000000001", ProjectID: "7e1a", InstanceID: "2b6c", UserID: "9d3f",
		FileName: "shop.zip", Mode: "AddNew",
		Staged: activities.StagedPackage{Key: "staging/7e1a/0192f000/package", Size: 4096, SHA256: "5f70bf18"},
	},
		scene{name: "success", want: completed},
		scene{name: "success-after-retry", retriedIn: "StoreFiles", want: completed},
		scene{name: "failure-rejected-package", refusedIn: "InspectPackage", want: failed},
		scene{name: "failure-name-taken-at-commit", refusedIn: "CommitImport", want: failed},
		scene{name: "cancel-in-inspect", waitIn: "InspectPackage", want: cancelled},
		scene{name: "cancel-in-store", waitIn: "StoreFiles", want: cancelled},
		scene{name: "cancel-in-commit", waitIn: "CommitImport", want: cancelled},
	)
	all = append(all, of("delete-assets", workflows.DeleteAssets, selection,
		scene{name: "success", want: completed},
		scene{name: "failure-in-use", refusedIn: "CommitDeletion", want: failed},
		scene{name: "cancel-in-commit", waitIn: "CommitDeletion", want: cancelled},
	)...)
	all = append(all, of("export-assets", workflows.ExportAssets, selection,
		scene{name: "success", want: completed},
		scene{name: "success-after-retry", retriedIn: "WriteArchive", want: completed},
		scene{name: "failure-unknown-asset", refusedIn: "WriteArchive", want: failed},
		scene{name: "cancel-in-write", waitIn: "WriteArchive", want: cancelled},
		scene{name: "cancel-in-commit", waitIn: "CommitExport", want: cancelled},
	)...)
	all = append(all, of("copy-asset", workflows.CopyAsset, activities.CopyJob{
		JobID: "0192f000-0000-7000-8000-000000000003", ProjectID: "7e1a", UserID: "9d3f",
		AssetID: "0192f000-0000-7000-8000-00000000000f", AssetName: "the film",
		Staged: activities.StagedPackage{Key: "staging/7e1a/0192f000/package", Size: 4096, SHA256: "5f70bf18"},
	},
		scene{name: "success", want: completed},
		scene{name: "success-after-retry", retriedIn: "CopyFiles", want: completed},
		scene{name: "failure-in-copy", refusedIn: "CopyFiles", want: failed},
		scene{name: "failure-name-taken-at-commit", refusedIn: "CommitCopy", want: failed},
		scene{name: "cancel-in-read", waitIn: "ReadManifest", want: cancelled},
		scene{name: "cancel-in-copy", waitIn: "CopyFiles", want: cancelled},
		scene{name: "cancel-in-commit", waitIn: "CommitCopy", want: cancelled},
	)...)
	all = append(all, of("import-service-templates", workflows.ImportServiceTemplates, activities.TemplateJob{
		JobID: "0192f000-0000-7000-8000-000000000004", ProjectID: "7e1a", UserID: "9d3f", FileName: "templates.zip",
		Staged: activities.StagedPackage{Key: "staging/7e1a/0192f000/package", Size: 4096, SHA256: "5f70bf18"},
	},
		scene{name: "success", want: completed},
		scene{name: "success-after-retry", retriedIn: "StoreTemplates", want: completed},
		scene{name: "failure-rejected-upload", refusedIn: "InspectTemplates", want: failed},
		scene{name: "failure-release-differs-at-commit", refusedIn: "CommitTemplates", want: failed},
		scene{name: "cancel-in-inspect", waitIn: "InspectTemplates", want: cancelled},
		scene{name: "cancel-in-store", waitIn: "StoreTemplates", want: cancelled},
		scene{name: "cancel-in-commit", waitIn: "CommitTemplates", want: cancelled},
	)...)
	all = append(all, deliveries()...)
	jobs := func(replaces ...bool) (queued []activities.QueuedStart) {
		for i, r := range replaces {
			input := selection
			input.JobID = fmt.Sprintf("0192f000-0000-7000-8000-00000000010%d", i)
			text, err := json.Marshal(input)
			if err != nil {
				panic(err)
			}
			queued = append(queued, activities.QueuedStart{
				JobID: input.JobID, Kind: catalog.AssetDelete, ProjectID: input.ProjectID, UserID: input.UserID,
				Summary: "Delete 1 application", Workflow: "DeleteAssets", Input: text, Replaces: r,
			})
		}
		return queued
	}
	all = append(all, of("serve-queue", workflows.ServeQueue, nil,
		scene{name: "success", queued: jobs(false, false), want: completed},
		scene{name: "success-behind-another", queued: jobs(true), taken: true, want: completed},
		scene{name: "success-replaced", queued: jobs(false, true), waitIn: "CommitDeletion", want: completed},
		scene{name: "cancel", queued: jobs(false), taken: true, want: cancelled},
	)...)
	return append(all, of("sweep-all", workflows.SweepAll, nil,
		scene{name: "success", want: completed},
		scene{name: "failure-of-one-step", refusedIn: "RemoveStaged", want: failed},
		scene{name: "cancel-in-remove-blobs", waitIn: "RemoveBlobs", want: cancelled},
	)...)
}

// encrypted gives runs of an import once more, with encrypted payloads.
func encrypted() []scene {
	all := slices.DeleteFunc(scenes(), func(s scene) bool {
		return s.folder != "import-assets" || !slices.Contains([]string{"success", "failure-rejected-package", "cancel-in-store"}, s.name)
	})
	for i := range all {
		all[i].folder, all[i].encrypted = "encrypted/"+all[i].folder, true
	}
	return all
}

// deliveries gives the runs of DeliverAddon.
func deliveries() []scene {
	job := activities.DeliveryJob{
		JobID: "0192f000-0000-7000-8000-000000000005", ProjectID: "7e1a", UserID: "9d3f",
		EnvironmentID: "0192f000-0000-7000-8000-00000000000c", EnvironmentName: "development",
		AddonID: "0192f000-0000-7000-8000-00000000000d", Name: "hello", TargetID: "gitops",
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Deadline: time.Hour, HealthTimeout: 10 * time.Minute,
	}
	by := func(action catalog.AddonAction, scenes ...scene) []scene {
		job.Action = action
		return of("deliver-addon", workflows.DeliverAddon, job, scenes...)
	}
	all := by(catalog.AddonInstall,
		scene{name: "success-install", want: completed},
		scene{name: "success-after-retry", retriedIn: "ApplyChart", want: completed},
		scene{name: "failure-refused-plan", refusedIn: "PlanChart", want: failed},
		scene{name: "failure-in-apply-removed", refusedIn: "ApplyChart", want: failed},
		scene{name: "failure-at-commit", refusedIn: "CommitDelivery", want: failed},
		scene{name: "cancel-in-load", waitIn: "LoadChart", want: cancelled},
		scene{name: "cancel-in-plan", waitIn: "PlanChart", want: cancelled},
		scene{name: "cancel-in-apply", waitIn: "ApplyChart", want: cancelled},
		scene{name: "cancel-too-late", lateIn: "CommitDelivery", want: completed},
	)
	all = append(all, by(catalog.AddonRedeploy,
		scene{name: "success-redeploy", want: completed},
		scene{name: "failure-unhealthy-rolled-back", refusedIn: "AwaitHealthy", want: failed},
		scene{name: "failure-in-roll-back", refusedIn: "AwaitHealthy", stuck: true, want: failed},
		scene{name: "cancel-in-health", waitIn: "AwaitHealthy", want: cancelled},
		scene{name: "cancel-in-health-leaving", waitIn: "AwaitHealthy", leaves: true, want: cancelled},
		scene{name: "cancel-in-apply-leaving", waitIn: "ApplyChart", leaves: true, want: cancelled},
		scene{name: "cancel-in-roll-back-leaving", waitIn: "AwaitHealthy", stuck: true, want: cancelled},
		scene{name: "cancel-while-its-worker-is-dead", deadIn: "ApplyChart", want: cancelled},
	)...)
	all = append(all, by(catalog.AddonRestart,
		scene{name: "success-restart", want: completed},
		scene{name: "failure-in-restart", refusedIn: "AwaitHealthy", want: failed},
		scene{name: "cancel-in-restart", waitIn: "RestartWorkloads", want: cancelled},
		scene{name: "cancel-in-health-of-restart", waitIn: "AwaitHealthy", want: cancelled},
	)...)
	all = append(all, by(catalog.AddonUninstall,
		scene{name: "success-uninstall", want: completed},
		scene{name: "failure-in-removal", refusedIn: "AwaitRemoved", want: failed},
		scene{name: "cancel-in-removal", waitIn: "RemoveRelease", want: cancelled},
		scene{name: "cancel-after-removal", waitIn: "AwaitRemoved", want: cancelled},
	)...)
	job.Deadline = time.Second
	return append(all, by(catalog.AddonRedeploy, scene{name: "failure-target-away", awayIn: "ApplyChart", want: failed})...)
}

func of(folder string, workflow, input any, scenes ...scene) []scene {
	for i := range scenes {
		scenes[i].folder, scenes[i].workflow, scenes[i].input = folder, workflow, input
	}
	return scenes
}

func TestRecordHistories(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.DiscardHandler)
	server, err := embedded.Start(t.Context(), embedded.Options{
		Addr: "127.0.0.1:0", SearchAttributes: workflows.SearchAttributeNames(), Logger: quiet,
	})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	text, err := os.ReadFile("../testdata/encrypted/payload-keys")
	require.NoError(t, err)
	keys, err := payload.ParseKeys(string(text))
	require.NoError(t, err)

	for _, s := range append(scenes(), encrypted()...) {
		t.Run(s.folder+"/"+s.name, func(t *testing.T) {
			t.Parallel()
			data, failures := payload.Converters(payload.NewCodec(keys, s.encrypted))
			c, err := client.Dial(client.Options{
				HostPort: server.Addr(), Identity: "recorder", Logger: log.NewStructuredLogger(quiet),
				DataConverter: data, FailureConverter: failures,
			})
			require.NoError(t, err)
			t.Cleanup(c.Close)
			history := play(t, c, s)

			replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
				DataConverter: data, FailureConverter: failures,
				DisableDeadlockDetection: true, // a workflow's turn may take longer than a second where the machine is busy
			})
			require.NoError(t, err)
			assetworker.RegisterWorkflows(replayer)
			// A replay decrypts the texts of failures in place.
			require.NoError(t, replayer.ReplayWorkflowHistory(nil, proto.Clone(history).(*historypb.History)))
			if *record {
				write(t, filepath.Join("..", "testdata", s.folder, s.name+".json"), history)
			}
		})
	}
}

// play runs the scene to its end on a task queue of its own and returns its history.
func play(t *testing.T, c client.Client, s scene) *historypb.History {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	queue := s.folder + "/" + s.name
	w := worker.New(c, queue, worker.Options{
		MaxHeartbeatThrottleInterval: 100 * time.Millisecond, DeadlockDetectionTimeout: time.Minute,
	})
	assetworker.RegisterWorkflows(w)
	steps := &steps{scene: s, waiting: make(chan struct{}), rolling: make(chan struct{}), cancelled: make(chan struct{}), over: make(chan struct{})}
	w.RegisterWorkflowWithOptions(holdPlace, workflow.RegisterOptions{Name: "HoldPlace"})
	for name, step := range map[string]any{
		"InspectPackage": steps.inspect, "StoreFiles": steps.store, "CommitImport": steps.commit, "EndJob": steps.end,
		"CommitDeletion": steps.delete, "WriteArchive": steps.writeArchive, "CommitExport": steps.commitExport,
		"ReadManifest": steps.readManifest, "CopyFiles": steps.copyFiles, "CommitCopy": steps.commitCopy, "FailCopy": steps.failCopy,
		"InspectTemplates": steps.inspectTemplates, "StoreTemplates": steps.storeTemplates, "CommitTemplates": steps.commitTemplates,
		"LoadChart": steps.loadChart, "PlanChart": steps.planChart, "ApplyChart": steps.change("ApplyChart", "2"),
		"RestartWorkloads": steps.change("RestartWorkloads", "2"), "RemoveRelease": steps.change("RemoveRelease", ""),
		"AwaitHealthy": steps.await("AwaitHealthy"), "AwaitRemoved": steps.await("AwaitRemoved"),
		"CommitDelivery": steps.commitDelivery, "RollBack": steps.rollBack, "RecordRevision": steps.await("RecordRevision"),
		"FirstQueued": steps.firstQueued, "DequeueJob": steps.dequeue, "RunningJob": steps.runningJob,
	} {
		w.RegisterActivityWithOptions(step, activity.RegisterOptions{Name: name})
	}
	for _, name := range sweepSteps {
		w.RegisterActivityWithOptions(steps.sweep(name), activity.RegisterOptions{Name: name})
	}
	require.NoError(t, w.Start())
	defer w.Stop()
	defer close(steps.over)

	var input []any
	if s.input != nil {
		input = append(input, s.input)
	}
	if s.queued != nil {
		input = append(input, workflows.Queue{WorkflowID: "jobs/" + queue})
	}
	if s.taken {
		_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: "jobs/" + queue, TaskQueue: queue}, "HoldPlace")
		require.NoError(t, err)
		defer func() { _ = c.TerminateWorkflow(context.WithoutCancel(ctx), "jobs/"+queue, "", "the scene is over") }()
	}
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: queue, TaskQueue: queue, StaticSummary: "A recorded job",
	}, s.workflow, input...)
	require.NoError(t, err)
	if s.waitIn != "" || s.lateIn != "" || s.want == cancelled {
		await(ctx, t, steps.waiting, s.waitIn)
		if s.want == cancelled || s.lateIn != "" {
			if s.leaves {
				require.NoError(t, c.SignalWorkflow(ctx, run.GetID(), run.GetRunID(), workflows.LeaveSignal, nil))
			}
			require.NoError(t, c.CancelWorkflow(ctx, run.GetID(), run.GetRunID()))
			close(steps.cancelled)
			if s.stuck {
				await(ctx, t, steps.rolling, "RollBack")
				require.NoError(t, c.SignalWorkflow(ctx, run.GetID(), run.GetRunID(), workflows.LeaveSignal, nil))
			}
		} else {
			require.NoError(t, c.SignalWorkflow(ctx, run.GetID(), run.GetRunID(), workflows.WakeSignal, nil))
		}
	}
	_ = run.Get(ctx, nil) // the status below says how it ended
	desc, err := c.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
	require.NoError(t, err)
	require.Equal(t, s.want, desc.GetWorkflowExecutionInfo().GetStatus())

	history := &historypb.History{}
	for events := c.GetWorkflowHistory(ctx, run.GetID(), run.GetRunID(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		event, err := events.Next()
		require.NoError(t, err)
		history.Events = append(history.Events, event)
	}
	return history
}

// await waits until a step has begun.
func await(ctx context.Context, t *testing.T, begun <-chan struct{}, step string) {
	t.Helper()
	select {
	case <-begun:
	case <-ctx.Done():
		t.Fatalf("%s never began", step)
	}
}

func write(t *testing.T, path string, history *historypb.History) {
	t.Helper()
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(history)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, append(text, '\n'), 0o644))
}

// steps stand for the real activities: a history depends on what they answer, not on what they do.
type steps struct {
	scene
	waiting   chan struct{}
	reached   sync.Once     // the end of waiting is told
	rolling   chan struct{} // closed when a roll-back waits
	cancelled chan struct{} // closed when a cancellation is on its way
	over      chan struct{} // closed when the scene is
	mu        sync.Mutex
}

// holdPlace holds a workflow id until it is cancelled.
func holdPlace(ctx workflow.Context) error {
	return workflow.Await(ctx, func() bool { return ctx.Err() != nil })
}

func (s *steps) firstQueued(context.Context, string) (*activities.QueuedStart, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queued) == 0 {
		return nil, nil //nolint:nilnil // nothing is an answer here
	}
	return &s.queued[0], nil
}

func (s *steps) dequeue(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued = slices.DeleteFunc(slices.Clone(s.queued), func(q activities.QueuedStart) bool { return q.JobID == id })
	return nil
}

func (s *steps) runningJob(context.Context, string) (string, error) {
	s.reached.Do(func() { close(s.waiting) })
	return "0192f000-0000-7000-8000-000000000999", nil
}

func (s *steps) inspect(ctx context.Context, _ activities.ImportJob) (activities.Inspection, error) {
	return activities.Inspection{VersionLabel: "1.4.0", Applications: 3, Tasks: 2, Files: 4, Bytes: 2048}, s.behave(ctx, "InspectPackage")
}

func (s *steps) store(ctx context.Context, _ activities.ImportJob) (activities.Stored, error) {
	return activities.Stored{Files: 4, Bytes: 2048}, s.behave(ctx, "StoreFiles")
}

func (s *steps) commit(ctx context.Context, _ activities.ImportJob) (catalog.ImportResult, error) {
	return catalog.ImportResult{Created: 5, DataSourcesCreated: 1}, s.behave(ctx, "CommitImport")
}

func (s *steps) delete(ctx context.Context, _ activities.SelectionJob) (catalog.DeletionResult, error) {
	return catalog.DeletionResult{Deleted: 1}, s.behave(ctx, "CommitDeletion")
}

func (s *steps) writeArchive(ctx context.Context, _ activities.SelectionJob) (activities.WrittenArchive, error) {
	return activities.WrittenArchive{Size: 4096, SHA256: "5f70bf18", Applications: 1, Files: 4}, s.behave(ctx, "WriteArchive")
}

func (s *steps) commitExport(ctx context.Context, _ activities.SelectionJob, _ activities.WrittenArchive) (activities.Archived, error) {
	return activities.Archived{ArchiveID: "0192f000-0000-7000-8000-000000000002", Size: 4096, SHA256: "5f70bf18"}, s.behave(ctx, "CommitExport")
}

func (s *steps) readManifest(ctx context.Context, _ activities.CopyJob) (activities.CopyManifest, error) {
	return activities.CopyManifest{
		Files: 2, Bytes: 8192, Staged: activities.StagedPackage{Key: "staging/7e1a/0192f000/manifest", Size: 1024, SHA256: "5f70bf19"},
	}, s.behave(ctx, "ReadManifest")
}

func (s *steps) copyFiles(ctx context.Context, _ activities.CopyJob, _ activities.CopyManifest) (activities.CopiedFiles, error) {
	return activities.CopiedFiles{Files: 1, Bytes: 4096, Present: 1}, s.behave(ctx, "CopyFiles")
}

func (s *steps) commitCopy(ctx context.Context, _ activities.CopyJob, _ activities.CopyManifest) (catalog.CopyResult, error) {
	return catalog.CopyResult{AssetID: "0192f000-0000-7000-8000-00000000000f", VersionNumber: 1, Files: 2, Bytes: 8192}, s.behave(ctx, "CommitCopy")
}

func (s *steps) failCopy(context.Context, activities.CopyFailure) error { return nil }

func (s *steps) inspectTemplates(ctx context.Context, _ activities.TemplateJob) (activities.TemplateInspection, error) {
	return activities.TemplateInspection{Archive: true, Templates: 2, Bytes: 2048}, s.behave(ctx, "InspectTemplates")
}

func (s *steps) storeTemplates(ctx context.Context, _ activities.TemplateJob) (activities.Stored, error) {
	return activities.Stored{Files: 2, Bytes: 2048}, s.behave(ctx, "StoreTemplates")
}

func (s *steps) commitTemplates(ctx context.Context, _ activities.TemplateJob) (catalog.TemplateImportResult, error) {
	return catalog.TemplateImportResult{Created: 1, Replaced: 1}, s.behave(ctx, "CommitTemplates")
}

func (s *steps) loadChart(ctx context.Context, job activities.DeliveryJob, _ activities.DeliveryStep) (activities.LoadedChart, error) {
	var chart activities.LoadedChart
	if job.Action != catalog.AddonUninstall {
		chart.Version, chart.SHA256, chart.Size = "1.1.0", "5f70bf18", 2048
	}
	if job.Action != catalog.AddonInstall {
		chart.GoodVersion, chart.GoodRevision = "1.0.0", "1"
	}
	return chart, s.behave(ctx, "LoadChart")
}

func (s *steps) planChart(ctx context.Context, _ activities.DeliveryJob, _ activities.DeliveryStep) error {
	return s.behave(ctx, "PlanChart")
}

func (s *steps) change(step, revision string) func(context.Context, activities.DeliveryJob, activities.DeliveryStep) (activities.Changed, error) {
	return func(ctx context.Context, _ activities.DeliveryJob, _ activities.DeliveryStep) (activities.Changed, error) {
		return activities.Changed{Revision: revision}, s.behave(ctx, step)
	}
}

func (s *steps) await(step string) func(context.Context, activities.DeliveryJob, activities.DeliveryStep) error {
	return func(ctx context.Context, _ activities.DeliveryJob, _ activities.DeliveryStep) error {
		return s.behave(ctx, step)
	}
}

func (s *steps) commitDelivery(ctx context.Context, job activities.DeliveryJob, step activities.DeliveryStep) (catalog.DeliveryResult, error) {
	return catalog.DeliveryResult{
		Action: job.Action, AddonID: job.AddonID, Name: job.Name, TargetID: job.TargetID, Version: step.Chart.Version, Revision: step.Revision,
	}, s.behave(ctx, "CommitDelivery")
}

func (s *steps) rollBack(ctx context.Context, _ activities.DeliveryJob, _ activities.DeliveryStep) (activities.Changed, error) {
	switch {
	case s.stuck && s.refusedIn != "":
		return activities.Changed{}, s.refused()
	case s.stuck:
		close(s.rolling)
		return activities.Changed{}, untilCancelled(ctx)
	}
	return activities.Changed{Revision: "3"}, nil
}

func (s *steps) end(_ context.Context, e activities.Ending) (activities.Ended, error) {
	return activities.Ended{State: e.State}, nil
}

// sweepSteps are the activities of a sweep.
var sweepSteps = []string{
	"SettleJobs", "PurgeTrash", "RemoveArchives", "RemoveStrayArchives", "RemoveStaged", "AbortUploads", "RemoveBlobs",
	"AdoptBlobs", "ForgetSubmissions",
}

func (s *steps) sweep(name string) func(ctx context.Context) (activities.Swept, error) {
	return func(ctx context.Context) (activities.Swept, error) {
		return activities.Swept{Looked: 3, Done: 2}, s.behave(ctx, name)
	}
}

func (s *steps) behave(ctx context.Context, step string) error {
	switch step {
	case s.waitIn:
		first := false
		s.reached.Do(func() {
			first = true
			close(s.waiting)
		})
		if !first { // the job that replaces this one
			return nil
		}
		return untilCancelled(ctx)
	case s.lateIn:
		s.reached.Do(func() { close(s.waiting) })
		<-s.cancelled
	case s.deadIn: // no heartbeat either
		s.reached.Do(func() { close(s.waiting) })
		<-s.over
	case s.awayIn:
		return temporal.NewApplicationError("The target cannot be reached.", activities.TargetAway)
	case s.refusedIn:
		return s.refused()
	case s.retriedIn:
		if activity.GetInfo(ctx).Attempt == 1 {
			return errors.New("the store is away")
		}
	}
	return nil
}

// untilCancelled waits for a cancellation.
func untilCancelled(ctx context.Context) error {
	for beat := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			beat.Stop()
			return ctx.Err()
		case <-beat.C:
			activity.RecordHeartbeat(ctx, activities.Progress{Done: 1, Total: 2})
		}
	}
}

func (s *steps) refused() error {
	if s.folder == "deliver-addon" {
		return temporal.NewNonRetryableApplicationError("The chart cannot be rendered.", activities.Refused, nil)
	}
	return temporal.NewNonRetryableApplicationError("The name is taken.", activities.PackageRejected, nil, []catalog.Reason{{
		ResourceType: "application", ResourceName: "orders", Code: "name_taken", Message: "The name is taken.",
	}})
}
