package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"assetflow/catalog"
	"assetflow/jobs"
	"assetflow/workflows"
)

// benchLarge imports a package of many large assets, watches the process's memory, and reads from the job's history
// how long each step took.
func benchLarge(ctx context.Context, s *stack, z sizes, out io.Writer) error {
	path := filepath.Join(s.dir, "package.zip")
	size, err := buildPackageFile(path, spec(serial.Add(1), z.largeAssets, z.largeBytes))
	if err != nil {
		return err
	}
	caller, userID, err := s.caller(ctx, "importer")
	if err != nil {
		return err
	}
	idle, _, err := s.resident()
	if err != nil {
		return err
	}
	if err := s.resetPeak(); err != nil {
		return err
	}
	uploaded, job, err := s.upload(ctx, caller, path, size, "")
	if err != nil {
		return err
	}
	ended, err := caller.WaitJob(ctx, job, nil)
	if err != nil {
		return err
	}
	if len(ended.Reasons) > 0 {
		return fmt.Errorf("the import failed: %+v", ended.Reasons)
	}
	_, peak, err := s.resident()
	if err != nil {
		return err
	}
	table(out, fmt.Sprintf("(c) Memory during upload and import of a %s package of %d assets", mib(size), z.largeAssets),
		[]string{"idle", "peak", "above idle"}, [][]string{{mib(idle), mib(peak), fmt.Sprintf("**%s**", mib(peak-idle))}})

	steps, err := s.steps(ctx, jobs.WorkflowID(catalog.AssetImport, s.Credentials.ProjectID, userID))
	if err != nil {
		return err
	}
	rows := [][]string{{"Upload", millis(uploaded), speed(size, uploaded)}}
	for _, step := range workflows.ImportSteps {
		rows = append(rows, []string{step.Title, millis(steps[step.Activity]), speed(size, steps[step.Activity])})
	}
	table(out, "(d) The same import by step", []string{"step", "time", "of the package's bytes"}, rows)
	return nil
}

func speed(size int64, took time.Duration) string {
	return fmt.Sprintf("%.0f MiB/s", float64(size)/(1<<20)/took.Seconds())
}

// steps reads from a run's history how long each activity ran.
func (s *stack) steps(ctx context.Context, workflowID string) (map[string]time.Duration, error) {
	took := make(map[string]time.Duration)
	names := make(map[int64]string)
	begins := make(map[int64]time.Time)
	events := s.temporal.GetWorkflowHistory(ctx, workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return nil, err
		}
		switch event.GetEventType() {
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			names[event.GetEventId()] = event.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName()
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			begins[event.GetActivityTaskStartedEventAttributes().GetScheduledEventId()] = event.GetEventTime().AsTime()
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
			id := event.GetActivityTaskCompletedEventAttributes().GetScheduledEventId()
			took[names[id]] += event.GetEventTime().AsTime().Sub(begins[id])
		default:
		}
	}
	return took, nil
}
