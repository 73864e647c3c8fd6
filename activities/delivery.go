package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"assetflow/addons"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

// DeliveryJob is what every step of a delivery is told.
type DeliveryJob struct {
	JobID           string              `json:"job_id"`
	ProjectID       string              `json:"project_id"`
	UserID          string              `json:"user_id"`
	Action          catalog.AddonAction `json:"action"`
	EnvironmentID   string              `json:"environment_id"`
	EnvironmentName string              `json:"environment_name"`
	AddonID         string              `json:"addon_id"`
	Name            string              `json:"name"`   // of the add-on and its chart
	TargetID        string              `json:"cce_id"` // as the contract calls it
	CSEID           string              `json:"cse_id,omitempty"`
	// CreatedAt is when the job was made: the same in every try.
	CreatedAt time.Time `json:"created_at"`
	// Deadline is how long the job is tried while its target is away, and HealthTimeout how long its workloads have to
	// become ready; in nanoseconds.
	Deadline      time.Duration `json:"deadline"`
	HealthTimeout time.Duration `json:"health_timeout"`
}

func (j DeliveryJob) entry() catalog.Delivery {
	return catalog.Delivery{
		JobID: j.JobID, ProjectID: j.ProjectID, UserID: j.UserID, Action: j.Action,
		EnvironmentID: j.EnvironmentID, AddonID: j.AddonID, Name: j.Name, TargetID: j.TargetID, CSEID: j.CSEID,
	}
}

func (j DeliveryJob) delivery() addons.Delivery {
	return addons.Delivery{ID: j.JobID, At: j.CreatedAt.UTC()}
}

func (j DeliveryJob) release() addons.Release {
	return addons.Release{Name: j.Name, EnvironmentID: j.EnvironmentID, ProjectID: j.ProjectID}
}

// DeliveryStep is what one step of a delivery is told besides the job.
type DeliveryStep struct {
	Task     int         `json:"task"`               // the place of its task among those of the job
	Until    time.Time   `json:"until,omitzero"`     // how long it waits for the target
	Chart    LoadedChart `json:"chart,omitzero"`     // what LoadChart gave
	Revision string      `json:"revision,omitempty"` // what the job's change of the target came to
	// Before is how the steps before this one ended that could not say so themselves.
	Before *EndedTask `json:"before,omitempty"`
}

// EndedTask is how a step ended that was cut off.
type EndedTask struct {
	State   catalog.TaskState `json:"state"`
	Message string            `json:"message"`
}

// LoadedChart is the chart that a delivery is about, without its bytes, of which an uninstall has none; and what the target
// is known to hold, which is nothing before the first delivery has succeeded.
type LoadedChart struct {
	Version      string `json:"version,omitempty"`
	SHA256       string `json:"sha256,omitempty"`
	Size         int64  `json:"size,omitempty"`
	GoodVersion  string `json:"good_version,omitempty"`
	GoodRevision string `json:"good_revision,omitempty"`
}

// Changed is what a change of the target came to: its own name for the state after that, empty where nothing is left.
type Changed struct {
	Revision string `json:"revision,omitempty"`
}

// Targets finds the targets of deliveries.
type Targets interface {
	// For finds a target that is open to the project. NotFound "addons.no_target".
	For(projectID, id string) (addons.Target, error)
}

// Delivery holds the steps of the delivery of an add-on. Each is a task of the job's answer.
type Delivery struct {
	Catalog *catalog.Catalog
	Storage *storage.Store
	Targets Targets
	Logger  *slog.Logger
	// Poll is how often a target is looked at that takes its time; 0 stands for a second.
	Poll time.Duration
}

// LoadChart shows the add-on as one that the job works on, and reads the chart to deliver. A second run gives the same one,
// whatever was pushed meanwhile.
func (a *Delivery) LoadChart(ctx context.Context, job DeliveryJob, step DeliveryStep) (loaded LoadedChart, err error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	err = a.perform(ctx, job, step, func(ctx context.Context) ([]string, error) {
		addon, chart, err := a.Catalog.BeginDelivery(ctx, job.entry())
		if err != nil {
			return nil, fmt.Errorf("begin the delivery: %w", err)
		}
		if _, err := a.Targets.For(job.ProjectID, job.TargetID); err != nil {
			return nil, err
		}
		loaded = LoadedChart{
			Version: chart.Version, SHA256: chart.SHA256, Size: chart.Size,
			GoodVersion: addon.Version, GoodRevision: addon.Revision,
		}
		if loaded.SHA256 == "" {
			return nil, nil
		}
		if _, err := a.read(ctx, job, loaded); err != nil {
			return nil, err
		}
		return []string{fmt.Sprintf("Chart %s %s, %d bytes", job.Name, chart.Version, chart.Size)}, nil
	})
	return loaded, err
}

// PlanChart has the target check what the chart renders to. It changes nothing.
func (a *Delivery) PlanChart(ctx context.Context, job DeliveryJob, step DeliveryStep) error {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	return a.perform(ctx, job, step, func(ctx context.Context) ([]string, error) {
		target, err := a.Targets.For(job.ProjectID, job.TargetID)
		if err != nil {
			return nil, err
		}
		chart, err := a.read(ctx, job, step.Chart)
		if err != nil {
			return nil, err
		}
		plan, err := target.Plan(ctx, job.release(), chart)
		if err != nil {
			return nil, fmt.Errorf("plan the chart: %w", err)
		}
		return append([]string{"Rendered " + count(len(plan.Objects), "object")}, plan.Notes...), nil
	})
}

// ApplyChart makes the release on the target consist of the chart, once.
func (a *Delivery) ApplyChart(ctx context.Context, job DeliveryJob, step DeliveryStep) (Changed, error) {
	return a.change(ctx, job, step, "Applied", func(ctx context.Context, target addons.Target) (addons.Applied, error) {
		chart, err := a.read(ctx, job, step.Chart)
		if err != nil {
			return addons.Applied{}, err
		}
		return target.Apply(ctx, job.delivery(), job.release(), chart)
	})
}

// RestartWorkloads rolls the workloads of the release, once.
func (a *Delivery) RestartWorkloads(ctx context.Context, job DeliveryJob, step DeliveryStep) (Changed, error) {
	return a.change(ctx, job, step, "Restarted", func(ctx context.Context, target addons.Target) (addons.Applied, error) {
		chart, err := a.read(ctx, job, step.Chart)
		if err != nil {
			return addons.Applied{}, err
		}
		return target.Restart(ctx, job.delivery(), job.release(), chart)
	})
}

// RemoveRelease takes the release away from the target. Where it is gone it does nothing.
func (a *Delivery) RemoveRelease(ctx context.Context, job DeliveryJob, step DeliveryStep) (Changed, error) {
	return a.change(ctx, job, step, "Removed", func(ctx context.Context, target addons.Target) (addons.Applied, error) {
		return target.Remove(ctx, job.delivery(), job.release())
	})
}

// CommitDelivery writes down, exactly once, that the delivery has succeeded, and ends the job: the transaction inserts the
// job's effect, and a second run finds it and answers the same.
func (a *Delivery) CommitDelivery(ctx context.Context, job DeliveryJob, step DeliveryStep) (result catalog.DeliveryResult, err error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	err = a.show(ctx, job, step, func(ctx context.Context) ([]string, error) {
		if result, err = a.Catalog.CommitDelivery(ctx, job.entry(), step.Revision); err != nil {
			return nil, fmt.Errorf("commit the delivery: %w", err)
		}
		return nil, nil
	})
	return result, err
}

// RollBack brings the release back to the last good revision, or removes it where there is none, and writes down what that
// came to. It does nothing where the delivery was committed after all, or has ended otherwise: the add-on is not its own
// any more.
func (a *Delivery) RollBack(ctx context.Context, job DeliveryJob, step DeliveryStep) (Changed, error) {
	what := "Rolled back"
	if step.Chart.GoodRevision == "" {
		what = "Removed"
	}
	if err := requireRunning(ctx, a.Catalog, job.JobID); fault.KindOf(err) == fault.Conflict {
		return Changed{Revision: step.Revision}, nil
	} // perform tells of others
	return a.change(ctx, job, step, what, func(ctx context.Context, target addons.Target) (addons.Applied, error) {
		applied, err := target.RollBack(ctx, job.delivery(), job.release(), step.Chart.GoodRevision)
		if err != nil {
			return addons.Applied{}, err
		}
		if err := a.Catalog.RecordRevision(ctx, job.entry(), applied.Revision, false); err != nil {
			return addons.Applied{}, fmt.Errorf("write the revision down: %w", err)
		}
		return applied, nil
	})
}

// RecordRevision writes down that what the job has changed on the target stays, although the job has not succeeded.
func (a *Delivery) RecordRevision(ctx context.Context, job DeliveryJob, step DeliveryStep) error {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	return a.perform(ctx, job, step, func(ctx context.Context) ([]string, error) {
		if err := a.Catalog.RecordRevision(ctx, job.entry(), step.Revision, true); err != nil {
			return nil, fmt.Errorf("write the revision down: %w", err)
		}
		if step.Revision == "" {
			return []string{"The target holds nothing of the add-on"}, nil
		}
		return []string{fmt.Sprintf("Version %s stays, as revision %s", step.Chart.Version, step.Revision)}, nil
	})
}

// change performs a step that changes the target.
func (a *Delivery) change(ctx context.Context, job DeliveryJob, step DeliveryStep, what string,
	do func(context.Context, addons.Target) (addons.Applied, error),
) (changed Changed, err error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	err = a.perform(ctx, job, step, func(ctx context.Context) ([]string, error) {
		target, err := a.Targets.For(job.ProjectID, job.TargetID)
		if err != nil {
			return nil, err
		}
		applied, err := do(ctx, target)
		if err != nil {
			return nil, fmt.Errorf("change the target: %w", err)
		}
		changed.Revision = applied.Revision
		said := what
		if applied.Revision != "" {
			said = fmt.Sprintf("%s as revision %s", what, applied.Revision)
		}
		return append([]string{said}, applied.Notes...), nil
	})
	return changed, err
}

// read reads a chart's archive from the content store.
func (a *Delivery) read(ctx context.Context, job DeliveryJob, loaded LoadedChart) (addons.Chart, error) {
	blob, size, err := a.Storage.OpenBlob(ctx, loaded.SHA256)
	if err != nil {
		return addons.Chart{}, about("The chart cannot be read", err)
	}
	defer func() { _ = blob.Close() }() // read only: a failed close loses nothing
	if size > addons.MaxChartBytes {
		return addons.Chart{}, fault.New(fault.TooLarge, addons.CodeChartTooLarge, "The chart is larger than %d bytes.", addons.MaxChartBytes)
	}
	archive, err := io.ReadAll(io.LimitReader(blob, addons.MaxChartBytes))
	if err != nil {
		return addons.Chart{}, about("The chart cannot be read", err)
	}
	if sum := sha256.Sum256(archive); hex.EncodeToString(sum[:]) != loaded.SHA256 {
		return addons.Chart{}, fault.New(fault.Invalid, "addons.chart_damaged",
			"The chart %s %s is damaged in the store; push it again as another version.", job.Name, loaded.Version)
	}
	return addons.Chart{Name: job.Name, Version: loaded.Version, SHA256: loaded.SHA256, Archive: archive}, nil
}

// perform shows a step of a job that runs. One that comes after its job has ended changes neither target nor tasks, and ends
// in a JobEnded error.
func (a *Delivery) perform(ctx context.Context, job DeliveryJob, step DeliveryStep, do func(context.Context) ([]string, error)) error {
	if err := requireRunning(ctx, a.Catalog, job.JobID); err != nil {
		return a.failure(ctx, job, err)
	}
	return a.show(ctx, job, step, do)
}

// show does a step as a task of the job: it says that the step runs, then what it came to, or why this try failed. A
// step that is cut off, or cancelled, cannot say how it ended: the steps after it do.
func (a *Delivery) show(ctx context.Context, job DeliveryJob, step DeliveryStep, do func(context.Context) ([]string, error)) error {
	if err := a.endTasks(ctx, job, step); err != nil {
		return a.failure(ctx, job, err)
	}
	if err := a.setTask(ctx, job, step, catalog.TaskRunning, nil); err != nil {
		return a.failure(ctx, job, err)
	}
	messages, err := do(ctx)
	if err == nil {
		err = a.setTask(ctx, job, step, catalog.TaskSucceeded, messages)
	}
	if err == nil {
		return nil
	}
	err = a.failure(ctx, job, err)
	a.noteFailure(ctx, job, step, err)
	return err
}

// noteTimeout is how long a failed try takes to say why it failed.
const noteTimeout = 5 * time.Second

// noteFailure adds to the task why the try failed. Where it cannot, the job's answer lacks it.
func (a *Delivery) noteFailure(ctx context.Context, job DeliveryJob, step DeliveryStep, err error) {
	var app *temporal.ApplicationError
	if !errors.As(err, &app) {
		return
	}
	state := catalog.TaskRunning
	if app.NonRetryable() {
		state = catalog.TaskFailed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	if err := a.setTask(ctx, job, step, state, []string{app.Message()}); err != nil {
		a.Logger.WarnContext(ctx, "the job's answer lacks a message", "job_id", job.JobID, "error", err)
	}
}

// endTasks ends the tasks before the step's that still run.
func (a *Delivery) endTasks(ctx context.Context, job DeliveryJob, step DeliveryStep) error {
	if step.Before == nil {
		return nil
	}
	tasks, err := a.Catalog.JobTasks(ctx, job.JobID)
	if err != nil {
		return fmt.Errorf("read the tasks: %w", err)
	}
	for _, task := range tasks {
		if task.State != catalog.TaskRunning || task.Index >= step.Task {
			continue
		}
		task.State, task.Messages = step.Before.State, []string{step.Before.Message}
		if err := a.Catalog.SetTask(ctx, task); err != nil {
			return fmt.Errorf("write the task down: %w", err)
		}
	}
	return nil
}

func (a *Delivery) setTask(ctx context.Context, job DeliveryJob, step DeliveryStep, state catalog.TaskState, messages []string) error {
	err := a.Catalog.SetTask(ctx, catalog.JobTask{
		JobID: job.JobID, Index: step.Task, Activity: activity.GetInfo(ctx).ActivityType.Name, State: state, Messages: messages,
	})
	if err != nil {
		return fmt.Errorf("write the task down: %w", err)
	}
	return nil
}

// failure turns an error of a step into what Temporal should do about it. Whatever is tried again says why in a sentence
// for a person, because that shows with the running job.
func (a *Delivery) failure(ctx context.Context, job DeliveryJob, err error) error {
	info := activity.GetInfo(ctx)
	a.Logger.WarnContext(ctx, "step failed", "job_id", job.JobID, "step", info.ActivityType.Name, "attempt", info.Attempt, "error", err)
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return err
	}
	cause := err
	f, known := fault.As(err)
	if known {
		told := *f
		told.Message = sentence(cut(f.Message, catalog.MaxTaskMessage)) // a target may quote what it was told
		f, err = &told, &told
	}
	final := stepError(ctx, err)
	if errors.As(final, &app) || ctx.Err() != nil {
		return final
	}
	switch {
	case known && f.Code == addons.CodeTargetAway:
		return again(TargetAway, f.Message, cause)
	case known && f.Kind == fault.Unavailable:
		return again(Unavailable, f.Message, cause)
	default:
		return again(Internal, "the step failed for a reason of the service's own; it is tried again", cause)
	}
}

// again is an error of a step that is tried again.
func again(kind, message string, cause error) error {
	return temporal.NewApplicationErrorWithOptions(sentence(message), kind, temporal.ApplicationErrorOptions{Cause: cause})
}

// sentence makes a sentence of a message.
func sentence(message string) string {
	first, size := utf8.DecodeRuneInString(message)
	message = string(unicode.ToUpper(first)) + message[size:]
	if strings.HasSuffix(message, ".") || strings.HasSuffix(message, "…") {
		return message
	}
	return message + "."
}
