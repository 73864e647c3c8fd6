package activities_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"assetflow/activities"
	"assetflow/addons"
	"assetflow/addons/addonstest"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

// delivering is a service with a bucket that add-ons are delivered to, and an environment.
type delivering struct {
	*service
	t      *testing.T
	steps  *activities.Delivery
	target *troubled
	place  catalog.Environment
}

// troubled is a target in whose way something comes.
type troubled struct {
	addons.Target
	mu      sync.Mutex
	trouble func(method string, after bool) error // before the method, or after its effect; nil: none
	health  func() (addons.Health, error)         // instead of the target's
	remains func() ([]addons.Object, error)       // the same
	planned *addons.Plan                          // the same
	calls   []string                              // those that change something
}

func (d *troubled) For(projectID, id string) (addons.Target, error) {
	if id != "bucket" {
		return nil, fault.New(fault.NotFound, addons.CodeNoTarget, "there is no target %q that is open to the project", id)
	}
	return d, nil
}

// do calls a method of the target that changes something.
func (d *troubled) do(method string, call func() (addons.Applied, error)) (addons.Applied, error) {
	d.mu.Lock()
	trouble := d.trouble
	d.calls = append(d.calls, method)
	d.mu.Unlock()
	if trouble != nil {
		if err := trouble(method, false); err != nil {
			return addons.Applied{}, err
		}
	}
	applied, err := call()
	if err == nil && trouble != nil {
		err = trouble(method, true)
	}
	return applied, err
}

func (d *troubled) Plan(ctx context.Context, r addons.Release, c addons.Chart) (addons.Plan, error) {
	if d.planned != nil {
		return *d.planned, nil
	}
	if d.trouble != nil {
		if err := d.trouble("Plan", false); err != nil {
			return addons.Plan{}, err
		}
	}
	return d.Target.Plan(ctx, r, c)
}

func (d *troubled) Apply(ctx context.Context, job addons.Delivery, r addons.Release, c addons.Chart) (addons.Applied, error) {
	return d.do("Apply", func() (addons.Applied, error) { return d.Target.Apply(ctx, job, r, c) })
}

func (d *troubled) Restart(ctx context.Context, job addons.Delivery, r addons.Release, c addons.Chart) (addons.Applied, error) {
	return d.do("Restart", func() (addons.Applied, error) { return d.Target.Restart(ctx, job, r, c) })
}

func (d *troubled) RollBack(ctx context.Context, job addons.Delivery, r addons.Release, to string) (addons.Applied, error) {
	return d.do("RollBack", func() (addons.Applied, error) { return d.Target.RollBack(ctx, job, r, to) })
}

func (d *troubled) Remove(ctx context.Context, job addons.Delivery, r addons.Release) (addons.Applied, error) {
	return d.do("Remove", func() (addons.Applied, error) { return d.Target.Remove(ctx, job, r) })
}

func (d *troubled) Health(ctx context.Context, r addons.Release) (addons.Health, error) {
	if d.health != nil {
		return d.health()
	}
	return d.Target.Health(ctx, r)
}

func (d *troubled) Remains(ctx context.Context, r addons.Release) ([]addons.Object, error) {
	if d.remains != nil {
		return d.remains()
	}
	return d.Target.Remains(ctx, r)
}

func newDelivering(t *testing.T) *delivering {
	t.Helper()
	d := &delivering{service: newService(t), t: t}
	targets, err := addons.ParseTargets(`[{"id": "bucket", "kind": "bucket", "prefix": "gitops/"}]`, addons.Options{
		Client: d.store.Client(), Bucket: d.store.Bucket(), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	target, err := targets.For(d.Project.ID, "bucket")
	require.NoError(t, err)
	d.target = &troubled{Target: target}
	d.steps = &activities.Delivery{
		Catalog: d.Catalog, Storage: d.store, Targets: d.target, Logger: slog.New(slog.DiscardHandler), Poll: 10 * time.Millisecond,
	}
	d.place = d.NewEnvironment(t)
	return d
}

// push puts a chart into the library, and its archive into the content store.
func (d *delivering) push(name, version string, opts ...addonstest.Option) addons.Chart {
	d.t.Helper()
	chart := addonstest.Chart(d.t, name, version, opts...)
	require.NoError(d.t, d.store.PutBlob(d.t.Context(), chart.SHA256, int64(len(chart.Archive)), bytes.NewReader(chart.Archive)))
	d.AddChart(d.t, name, version, string(chart.Archive))
	return chart
}

func jobOf(e catalog.Delivery) activities.DeliveryJob {
	return activities.DeliveryJob{
		JobID: e.JobID, ProjectID: e.ProjectID, UserID: e.UserID, Action: e.Action, EnvironmentID: e.EnvironmentID, EnvironmentName: "here",
		AddonID: e.AddonID, Name: e.Name, TargetID: e.TargetID, CSEID: e.CSEID, CreatedAt: time.Now().UTC().Truncate(time.Second),
		Deadline: time.Hour, HealthTimeout: time.Minute,
	}
}

func (d *delivering) install(name string) activities.DeliveryJob {
	d.t.Helper()
	return jobOf(d.NewDelivery(d.t, d.place, name))
}

func (d *delivering) next(a catalog.Addon, action catalog.AddonAction) activities.DeliveryJob {
	d.t.Helper()
	return jobOf(d.NextDelivery(d.t, a, action))
}

// deliverStep runs a step once.
func deliverStep[T any](d *delivering, step any, job activities.DeliveryJob, told activities.DeliveryStep) (result T, err error) {
	d.t.Helper()
	env := environment(d.steps)
	env.SetTestTimeout(time.Minute)
	answer, err := env.ExecuteActivity(step, job, told)
	if err != nil {
		return result, err
	}
	if answer.HasValue() {
		require.NoError(d.t, answer.Get(&result))
	}
	return result, nil
}

type nothing struct{}

// pass runs the steps of a job that succeeds, each as often as it takes, and once more than that. Trouble comes of each
// method of the target before its effect and after it.
func (d *delivering) pass(job activities.DeliveryJob) catalog.DeliveryResult {
	d.t.Helper()
	troubles := map[string]int{}
	d.target.trouble = func(method string, after bool) error {
		if troubles[fmt.Sprint(method, after)]++; troubles[fmt.Sprint(method, after)] == 1 {
			return fault.New(fault.Unavailable, addons.CodeTargetAway, "the target does not answer")
		}
		return nil
	}
	told := activities.DeliveryStep{Until: time.Now().Add(time.Minute)}
	told.Chart = passStep[activities.LoadedChart](d, d.steps.LoadChart, job, told)
	change, wait := any(d.steps.ApplyChart), any(d.steps.AwaitHealthy)
	switch job.Action {
	case catalog.AddonRestart:
		change = d.steps.RestartWorkloads
	case catalog.AddonUninstall:
		change, wait = d.steps.RemoveRelease, d.steps.AwaitRemoved
	default:
		told.Task++
		passStep[nothing](d, d.steps.PlanChart, job, told)
	}
	told.Task++
	told.Revision = passStep[activities.Changed](d, change, job, told).Revision
	told.Task++
	passStep[nothing](d, wait, job, told)
	told.Task++
	return passStep[catalog.DeliveryResult](d, d.steps.CommitDelivery, job, told)
}

func passStep[T any](d *delivering, step any, job activities.DeliveryJob, told activities.DeliveryStep) T {
	d.t.Helper()
	var results []T
	for range 5 {
		result, err := deliverStep[T](d, step, job, told)
		if err == nil {
			if results = append(results, result); len(results) == 2 {
				break
			}
			continue
		}
		requireApplicationError(d.t, err, activities.TargetAway, false, "The target does not answer.")
	}
	require.Len(d.t, results, 2)
	require.Equal(d.t, results[0], results[1], "a second run answers the same")
	return results[0]
}

func requireApplicationError(t *testing.T, err error, kind string, final bool, message string) {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, kind, app.Type())
	require.Equal(t, final, app.NonRetryable())
	require.Equal(t, message, app.Message())
}

// tasks are those of the job, each as its activity, its state and its messages.
func (d *delivering) tasks(job activities.DeliveryJob) []string {
	d.t.Helper()
	tasks, err := d.Catalog.JobTasks(d.t.Context(), job.JobID)
	require.NoError(d.t, err)
	texts := make([]string, len(tasks))
	for i, task := range tasks {
		texts[i] = fmt.Sprintf("%d %s %s: %s", task.Index, task.Activity, task.State, strings.Join(task.Messages, "; "))
	}
	return texts
}

func (d *delivering) addon(job activities.DeliveryJob) catalog.Addon {
	d.t.Helper()
	a, err := d.Catalog.Addon(d.t.Context(), job.ProjectID, job.EnvironmentID, job.AddonID)
	require.NoError(d.t, err)
	return a
}

// Every step may be interrupted before its effect and after it, and run again: it has its effect once.
func TestDeliveriesOnceEach(t *testing.T) {
	t.Parallel()
	d := newDelivering(t)
	first := d.push("hello", "1.0.0")
	install := d.install("hello")
	result := d.pass(install)
	require.Equal(t, "1.0.0", result.Version)
	one := d.addon(install)
	require.Equal(t, catalog.AddonSucceeded, one.State)
	require.Equal(t, first.SHA256, one.SHA256)
	require.Equal(t, result.Revision, one.Revision)
	const away = "The target does not answer."
	require.Equal(t, []string{
		fmt.Sprintf("0 LoadChart succeeded: Chart hello 1.0.0, %d bytes", len(first.Archive)),
		"1 PlanChart succeeded: " + away + "; Rendered 3 objects",
		"2 ApplyChart succeeded: " + away + "; Applied as revision " + one.Revision,
		"3 AwaitHealthy succeeded: Ready 1 of 1",
		"4 CommitDelivery succeeded: ",
	}, d.tasks(install))

	second := d.push("hello", "1.1.0")
	redeploy := d.next(one, catalog.AddonRedeploy)
	d.pass(redeploy)
	two := d.addon(redeploy)
	require.Equal(t, second.SHA256, two.SHA256)
	require.NotEqual(t, one.Revision, two.Revision)

	restart := d.next(two, catalog.AddonRestart)
	d.pass(restart)
	three := d.addon(restart)
	require.Equal(t, second.SHA256, three.SHA256)
	require.NotEqual(t, two.Revision, three.Revision)
	require.Equal(t, "1 RestartWorkloads succeeded: "+away+"; Restarted as revision "+three.Revision, d.tasks(restart)[1])

	// The target has one revision of each change, however often the steps ran: an earlier one is still the one it was.
	release := addons.Release{Name: "hello", EnvironmentID: d.place.ID, ProjectID: d.Project.ID}
	d.target.trouble = nil
	for _, earlier := range []catalog.Addon{one, two, three} {
		applied, err := d.target.Target.RollBack(t.Context(), addons.Delivery{ID: catalog.NewID(), At: time.Now()}, release, earlier.Revision)
		require.NoError(t, err)
		require.Equal(t, earlier.Revision, applied.Revision)
	}

	uninstall := d.next(three, catalog.AddonUninstall)
	require.Empty(t, d.pass(uninstall).Revision)
	_, err := d.Catalog.Addon(t.Context(), d.Project.ID, d.place.ID, three.ID)
	require.Equal(t, "catalog.addon_not_found", fault.CodeOf(err))
	left, err := d.target.Remains(t.Context(), release)
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, []string{
		"0 LoadChart succeeded: ", "1 RemoveRelease succeeded: " + away + "; Removed", "2 AwaitRemoved succeeded: Everything is gone",
		"3 CommitDelivery succeeded: ",
	}, d.tasks(uninstall))
}

// applied brings a new job to where its chart is applied, and gives what its next step is told.
func (d *delivering) applied(job activities.DeliveryJob) activities.DeliveryStep {
	d.t.Helper()
	chart, err := deliverStep[activities.LoadedChart](d, d.steps.LoadChart, job, activities.DeliveryStep{})
	require.NoError(d.t, err)
	changed, err := deliverStep[activities.Changed](d, d.steps.ApplyChart, job, activities.DeliveryStep{Task: 1, Chart: chart})
	require.NoError(d.t, err)
	return activities.DeliveryStep{Task: 2, Chart: chart, Revision: changed.Revision, Until: time.Now().Add(time.Minute)}
}

func TestRollBack(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]bool{"of a redelivery": true, "of a first installation": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDelivering(t)
			d.push("hello", "1.0.0")
			job, good := d.install("hello"), catalog.Addon{}
			if again {
				d.pass(job)
				good = d.addon(job)
				d.target.trouble = nil
				d.push("hello", "1.1.0")
				job = d.next(good, catalog.AddonRedeploy)
			}
			told := d.applied(job)
			require.Equal(t, good.Revision, told.Chart.GoodRevision)
			require.NoError(t, d.Catalog.SetTask(t.Context(), catalog.JobTask{
				JobID: job.JobID, Index: 2, Activity: "AwaitHealthy", State: catalog.TaskRunning, Messages: []string{"So far so good."},
			}))
			told.Task, told.Before = 3, &activities.EndedTask{State: catalog.TaskCancelled, Message: "The job was cancelled."}

			failures := 0
			d.target.trouble = func(string, bool) error {
				if failures++; failures < 3 {
					return fault.New(fault.Unavailable, addons.CodeTargetAway, "the target does not answer")
				}
				return nil
			}
			back := passStep[activities.Changed](d, d.steps.RollBack, job, told)
			require.Equal(t, good.Revision, back.Revision)
			a := d.addon(job)
			require.Equal(t, good.Revision, a.Revision)
			require.Equal(t, good.Version, a.Version)
			tasks := d.tasks(job)
			require.Equal(t, "2 AwaitHealthy cancelled: So far so good.; The job was cancelled.", tasks[2])
			said := "Removed"
			if again {
				said = "Rolled back as revision " + good.Revision
			}
			require.Equal(t, "3 RollBack succeeded: The target does not answer.; "+said, tasks[3])
			release := addons.Release{Name: "hello", EnvironmentID: d.place.ID, ProjectID: d.Project.ID}
			health, err := d.target.Target.Health(t.Context(), release)
			if again {
				require.NoError(t, err)
				require.True(t, health.Ready)
			} else {
				require.Equal(t, addons.CodeNoRevision, fault.CodeOf(err))
			}
		})
	}
}

// Whatever the workflow believes, what was committed is not rolled back.
func TestRollBackAfterTheCommit(t *testing.T) {
	t.Parallel()
	d := newDelivering(t)
	d.push("hello", "1.0.0")
	job := d.install("hello")
	told := d.applied(job)
	_, err := deliverStep[catalog.DeliveryResult](d, d.steps.CommitDelivery, job, told)
	require.NoError(t, err)
	told.Task++
	changed, err := deliverStep[activities.Changed](d, d.steps.RollBack, job, told)
	require.NoError(t, err)
	require.Equal(t, told.Revision, changed.Revision)
	require.Equal(t, []string{"Apply"}, d.target.calls)
	require.Equal(t, told.Revision, d.addon(job).Revision)
}

// A job that has ended may run once more: where Temporal was restored from a backup that is older than the catalog's. By then
// the add-on is another job's, so it changes nothing.
func TestADeliveryThatHasEnded(t *testing.T) {
	t.Parallel()
	for state, end := range map[catalog.JobState]func(d *delivering, job activities.DeliveryJob, told activities.DeliveryStep){
		catalog.JobSucceeded: func(d *delivering, job activities.DeliveryJob, told activities.DeliveryStep) {
			_, err := deliverStep[catalog.DeliveryResult](d, d.steps.CommitDelivery, job, told)
			require.NoError(d.t, err)
		},
		catalog.JobFailed: func(d *delivering, job activities.DeliveryJob, _ activities.DeliveryStep) {
			_, err := d.Catalog.EndJob(d.t.Context(), job.JobID, catalog.JobOutcome{State: catalog.JobFailed})
			require.NoError(d.t, err)
		},
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			d := newDelivering(t)
			d.push("hello", "1.0.0")
			job := d.install("hello")
			told := d.applied(job)
			end(d, job, told)
			tasks := d.tasks(job)
			for _, step := range []any{
				d.steps.LoadChart, d.steps.PlanChart, d.steps.ApplyChart, d.steps.RestartWorkloads, d.steps.RemoveRelease, d.steps.AwaitHealthy,
				d.steps.AwaitRemoved, d.steps.RecordRevision,
			} {
				_, err := deliverStep[nothing](d, step, job, told)
				requireApplicationError(t, err, activities.JobEnded, true, "The job has ended already, in state "+string(state)+".")
			}
			changed, err := deliverStep[activities.Changed](d, d.steps.RollBack, job, told)
			require.NoError(t, err)
			require.Equal(t, told.Revision, changed.Revision)
			require.Equal(t, []string{"Apply"}, d.target.calls)
			require.Equal(t, tasks, d.tasks(job))
		})
	}
}

// What the target has forgotten cannot be brought back, and another try does not help.
func TestRollBackToNowhere(t *testing.T) {
	t.Parallel()
	d := newDelivering(t)
	d.push("hello", "1.0.0")
	job := d.install("hello")
	told := d.applied(job)
	told.Chart.GoodRevision = "r99999"
	_, err := deliverStep[activities.Changed](d, d.steps.RollBack, job, told)
	requireApplicationError(t, err, activities.Refused, true, `The target has no revision "r99999" of hello.`)
}

func TestRecordRevision(t *testing.T) {
	t.Parallel()
	d := newDelivering(t)
	d.push("hello", "1.0.0")
	job := d.install("hello")
	told := d.applied(job)
	for range 2 {
		_, err := deliverStep[nothing](d, d.steps.RecordRevision, job, told)
		require.NoError(t, err)
	}
	a := d.addon(job)
	require.Equal(t, told.Revision, a.Revision)
	require.Equal(t, "1.0.0", a.Version)
	require.Equal(t, "2 RecordRevision succeeded: Version 1.0.0 stays, as revision "+told.Revision, d.tasks(job)[2])

	told.Revision = ""
	_, err := deliverStep[nothing](d, d.steps.RecordRevision, job, told)
	require.NoError(t, err)
	require.Empty(t, d.addon(job).Version)
}

// What goes wrong is told to a person in our own words, and decides whether the step is tried again.
func TestDeliveryFailures(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.1.2.3:6443: token=very-secret")
	for name, test := range map[string]struct {
		err     error
		kind    string
		final   bool
		message string
	}{
		"the target is away": {
			fault.New(fault.Unavailable, addons.CodeTargetAway, "the cluster cannot be reached").Wrap(secret),
			activities.TargetAway, false, "The cluster cannot be reached.",
		},
		"something else is away": {
			fmt.Errorf("read: %w", fault.New(fault.Unavailable, "storage.unavailable", "the object store cannot be reached").Wrap(secret)),
			activities.Unavailable, false, "The object store cannot be reached.",
		},
		"nobody knows": {secret, activities.Internal, false, "The step failed for a reason of the service's own; it is tried again."},
		"the target refuses": {
			fault.New(fault.Invalid, addons.CodeRefused, "Deployment hello: no such field").Wrap(secret),
			activities.Refused, true, "Deployment hello: no such field.",
		},
		"the target refuses at length": {
			fault.New(fault.Invalid, addons.CodeRefused, "%s", strings.Repeat("x", 5000)), activities.Refused, true, "X" + strings.Repeat("x", 1023) + "…",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDelivering(t)
			d.push("hello", "1.0.0")
			job := d.install("hello")
			chart, err := deliverStep[activities.LoadedChart](d, d.steps.LoadChart, job, activities.DeliveryStep{})
			require.NoError(t, err)
			d.target.trouble = func(string, bool) error { return test.err }
			told := activities.DeliveryStep{Task: 1, Chart: chart}
			for range 2 {
				_, err = deliverStep[activities.Changed](d, d.steps.ApplyChart, job, told)
				requireApplicationError(t, err, test.kind, test.final, test.message)
			}
			state := "running"
			if test.final {
				state = "failed"
			}
			tasks := d.tasks(job)
			require.Len(t, tasks, 2)
			said, _ := strings.CutSuffix(test.message, "…") // the catalog cuts as well
			require.True(t, strings.HasPrefix(tasks[1], "1 ApplyChart "+state+": "+said), tasks[1])
			require.NotContains(t, strings.Join(tasks, ""), "secret")
			require.LessOrEqual(t, strings.Count(tasks[1], said), 1, "it is said once")
		})
	}
}

func TestLoadChartRefuses(t *testing.T) {
	t.Parallel()
	put := func(d *delivering, content string, instead []byte) {
		sum := sha256.Sum256([]byte(content))
		bucket, key := d.store.Bucket(), storage.BlobKey(hex.EncodeToString(sum[:]))
		_, err := d.store.Client().PutObject(d.t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(instead)})
		require.NoError(d.t, err)
	}
	for name, test := range map[string]struct {
		prepare func(d *delivering, job *activities.DeliveryJob)
		kind    string
		message string
	}{
		"no chart": {func(*delivering, *activities.DeliveryJob) {}, activities.Refused, "library"},
		"no target": {func(d *delivering, job *activities.DeliveryJob) {
			d.push("hello", "1.0.0")
			job.TargetID = "elsewhere"
		}, activities.Refused, `There is no target "elsewhere" that is open to the project`},
		"no archive": {func(d *delivering, _ *activities.DeliveryJob) { d.AddChart(d.t, "hello", "1.0.0", "lost") },
			activities.Refused, "The chart cannot be read: "},
		"a damaged archive": {func(d *delivering, _ *activities.DeliveryJob) {
			d.AddChart(d.t, "hello", "1.0.0", "good")
			put(d, "good", []byte("evil"))
		}, activities.Refused, "The chart hello 1.0.0 is damaged in the store; push it again as another version."},
		"a huge archive": {func(d *delivering, _ *activities.DeliveryJob) {
			d.AddChart(d.t, "hello", "1.0.0", "good")
			put(d, "good", make([]byte, addons.MaxChartBytes+1))
		}, activities.Refused, "The chart is larger than 1048576 bytes."},
		"an ended job": {func(d *delivering, job *activities.DeliveryJob) {
			d.push("hello", "1.0.0")
			_, err := d.Catalog.EndJob(d.t.Context(), job.JobID, catalog.JobOutcome{State: catalog.JobCancelled})
			require.NoError(d.t, err)
		}, activities.JobEnded, "The job has ended already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDelivering(t)
			job := d.install("hello")
			test.prepare(d, &job)
			_, err := deliverStep[activities.LoadedChart](d, d.steps.LoadChart, job, activities.DeliveryStep{})
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			require.Equal(t, test.kind, app.Type())
			require.True(t, app.NonRetryable())
			require.Contains(t, app.Message(), test.message)
		})
	}
}

// The chart that the job began with stays the chart of the job.
func TestLoadChartKeepsItsChart(t *testing.T) {
	t.Parallel()
	d := newDelivering(t)
	d.push("hello", "1.0.0")
	job := d.install("hello")
	for range 2 {
		chart, err := deliverStep[activities.LoadedChart](d, d.steps.LoadChart, job, activities.DeliveryStep{})
		require.NoError(t, err)
		require.Equal(t, "1.0.0", chart.Version)
		d.push("hello", "1.1."+fmt.Sprint(time.Now().UnixNano()))
	}
}

func TestPlanChart(t *testing.T) {
	t.Parallel()
	d := newDelivering(t)
	d.push("hello", "1.0.0")
	job := d.install("hello")
	chart, err := deliverStep[activities.LoadedChart](d, d.steps.LoadChart, job, activities.DeliveryStep{})
	require.NoError(t, err)
	d.target.planned = &addons.Plan{Objects: make([]addons.Object, 1), Notes: []string{"extensions/v1beta1 is deprecated."}}
	_, err = deliverStep[nothing](d, d.steps.PlanChart, job, activities.DeliveryStep{Task: 1, Chart: chart})
	require.NoError(t, err)
	require.Equal(t, "1 PlanChart succeeded: Rendered 1 object; extensions/v1beta1 is deprecated.", d.tasks(job)[1])
}

func TestPlanChartRefuses(t *testing.T) {
	t.Parallel()
	d := newDelivering(t)
	d.push("hello", "1.0.0", addonstest.NotRendering())
	job := d.install("hello")
	chart, err := deliverStep[activities.LoadedChart](d, d.steps.LoadChart, job, activities.DeliveryStep{})
	require.NoError(t, err)
	_, err = deliverStep[nothing](d, d.steps.PlanChart, job, activities.DeliveryStep{Task: 1, Chart: chart})
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, activities.Refused, app.Type())
	require.Contains(t, app.Message(), "this chart does not render")
	require.Contains(t, d.tasks(job)[1], "1 PlanChart failed: ")
}

// health is what a target says of its workloads.
func health(ready, wanted int, failed string) addons.Health {
	return addons.Health{Ready: ready == wanted, Failed: failed, Workloads: []addons.Workload{
		{Kind: "Deployment", Name: "hello", Ready: ready, Wanted: wanted, Message: "ImagePullBackOff."},
		{Kind: "Job", Name: "migrate", Ready: 1, Wanted: 1},
	}}
}

func TestAwaitHealthy(t *testing.T) {
	t.Parallel()
	late, soon := -time.Second, time.Minute
	unanswered := fault.New(fault.Unavailable, addons.CodeTargetAway, "the cluster cannot be reached")
	for name, test := range map[string]struct {
		until   time.Duration
		looks   []any // Health or an error, the last one again and again
		kind    string
		message string // of the error, or of the task
		most    int    // looks
	}{
		"ready at once":                        {soon, []any{health(2, 2, "")}, "", "Ready 3 of 3", 1},
		"ready at last":                        {soon, []any{health(0, 2, ""), health(1, 2, ""), health(2, 2, "")}, "", "Ready 3 of 3", 3},
		"ready, but late: the worker was away": {late, []any{health(2, 2, "")}, "", "Ready 3 of 3", 1},
		"a failure that passes":                {soon, []any{health(0, 2, "It crashed"), health(1, 2, ""), health(0, 2, "It crashed"), health(2, 2, "")}, "", "Ready 3 of 3", 4},
		"a failure that stays":                 {soon, []any{health(0, 2, "It crashed")}, activities.Unhealthy, "The add-on will not become healthy: It crashed.", 2},
		"never ready": {late, []any{health(1, 2, "")}, activities.Unhealthy,
			"The add-on did not become healthy within 1m0s: Deployment hello has 1 of 2 ready (ImagePullBackOff).", 1},
		"late and failed":    {late, []any{health(1, 2, "It crashed")}, activities.Unhealthy, "The add-on did not become healthy within 1m0s: It crashed.", 1},
		"the target is away": {soon, []any{health(1, 2, ""), unanswered}, activities.TargetAway, "The cluster cannot be reached.", 2},
		"it was removed": {soon, []any{fault.New(fault.NotFound, addons.CodeNoRevision, "There is no release.")},
			activities.Refused, "There is no release.", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDelivering(t)
			job := d.install("hello")
			looks := 0
			d.target.health = func() (addons.Health, error) {
				look := test.looks[min(looks, len(test.looks)-1)]
				looks++
				if err, is := look.(error); is {
					return addons.Health{}, err
				}
				return look.(addons.Health), nil
			}
			_, err := deliverStep[nothing](d, d.steps.AwaitHealthy, job, activities.DeliveryStep{Until: time.Now().Add(test.until)})
			require.Equal(t, test.most, looks)
			if test.kind == "" {
				require.NoError(t, err)
				require.Equal(t, []string{"0 AwaitHealthy succeeded: " + test.message}, d.tasks(job))
				return
			}
			requireApplicationError(t, err, test.kind, test.kind != activities.TargetAway, test.message)
			require.Contains(t, d.tasks(job)[0], test.message)
		})
	}
}

func TestAwaitRemoved(t *testing.T) {
	t.Parallel()
	objects := make([]addons.Object, 7)
	for i := range objects {
		objects[i] = addons.Object{Kind: "Pod", Name: fmt.Sprint("p", i)}
	}
	for name, test := range map[string]struct {
		until   time.Duration
		looks   []int // objects that are there, the last again and again
		message string
	}{
		"at once":              {time.Minute, []int{0}, ""},
		"one by one":           {time.Minute, []int{3, 2, 1, 0}, ""},
		"gone, but late":       {-time.Second, []int{0}, ""},
		"one that never goes":  {-time.Second, []int{1}, "Not everything was gone in time; still there: Pod p0."},
		"many that never go":   {-time.Second, []int{7}, "Not everything was gone in time; still there: Pod p0, Pod p1, Pod p2, Pod p3, Pod p4 and 2 more."},
		"one that takes a bit": {50 * time.Millisecond, []int{1}, "Not everything was gone in time; still there: Pod p0."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDelivering(t)
			job := d.install("hello")
			looks := 0
			d.target.remains = func() ([]addons.Object, error) {
				looks++
				return objects[:test.looks[min(looks, len(test.looks))-1]], nil
			}
			_, err := deliverStep[nothing](d, d.steps.AwaitRemoved, job, activities.DeliveryStep{Until: time.Now().Add(test.until)})
			if test.message == "" {
				require.NoError(t, err)
				require.Equal(t, len(test.looks), looks)
				return
			}
			requireApplicationError(t, err, activities.Unfinished, true, test.message)
		})
	}
}

// While it waits, a step tells how far it is, and until the target answers what an earlier try saw.
func TestAwaitHealthyTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	earlier := activities.DeliveryProgress{
		Progress: activities.Progress{Done: 1, Total: 4}, Workloads: health(1, 3, "").Workloads, Attempt: 7,
	}
	for name, test := range map[string]struct {
		answers bool // before the beat
		want    activities.DeliveryProgress
	}{
		"not yet": {false, earlier},
		"now": {true, activities.DeliveryProgress{
			Progress: activities.Progress{Done: 3, Total: 4}, Workloads: health(2, 3, "").Workloads, Attempt: 1,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDelivering(t)
			job := d.install("hello")
			beats := make(chan activities.DeliveryProgress, 100)
			env := environment(d.steps)
			env.SetTestTimeout(time.Minute)
			env.SetHeartbeatDetails(earlier)
			env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
				var beat activities.DeliveryProgress
				require.NoError(t, details.Get(&beat))
				beats <- beat
			})
			var told *activities.DeliveryProgress
			d.target.health = func() (addons.Health, error) {
				if !test.answers && told == nil {
					beat := <-beats
					told = &beat
				}
				select {
				case beat := <-beats:
					told = &beat
				default:
				}
				if told == nil {
					return health(2, 3, ""), nil
				}
				return health(3, 3, ""), nil
			}
			_, err := env.ExecuteActivity(d.steps.AwaitHealthy, job, activities.DeliveryStep{Until: time.Now().Add(time.Minute)})
			require.NoError(t, err)
			require.Equal(t, test.want, *told)
		})
	}
}

// A worker that stops leaves the waiting to another one.
func TestAwaitHealthyEndsWithItsWorker(t *testing.T) {
	t.Parallel()
	d := newDelivering(t)
	job := d.install("hello")
	stopping := make(chan struct{})
	var once sync.Once
	d.target.health = func() (addons.Health, error) {
		once.Do(func() { close(stopping) })
		return health(0, 1, ""), nil
	}
	d.steps.Poll = time.Hour
	env := environment(d.steps)
	env.SetTestTimeout(time.Minute)
	env.SetWorkerStopChannel(stopping)
	_, err := env.ExecuteActivity(d.steps.AwaitHealthy, job, activities.DeliveryStep{Until: time.Now().Add(time.Minute)})
	requireApplicationError(t, err, activities.Unavailable, false, "The worker that performed the step was stopped; another one goes on.")
}
