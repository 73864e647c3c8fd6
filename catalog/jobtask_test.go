package catalog_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func setTask(t *testing.T, c *catalog.Catalog, jobID string, index int, state catalog.TaskState, messages ...string) {
	t.Helper()
	require.NoError(t, c.SetTask(ctx, catalog.JobTask{JobID: jobID, Index: index, Activity: fmt.Sprint("Step", index), State: state, Messages: messages}))
}

func tasks(t *testing.T, c *catalog.Catalog, jobID string) []catalog.JobTask {
	t.Helper()
	list, err := c.JobTasks(ctx, jobID)
	require.NoError(t, err)
	return list
}

func TestJobTasks(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		e := s.NewEnvironment(t)
		job, other := s.NewDelivery(t, e, "redis").JobID, s.NewDelivery(t, e, "redis").JobID
		require.Empty(t, tasks(t, c, job))
		setTask(t, c, job, 1, catalog.TaskRunning)
		setTask(t, c, job, 0, catalog.TaskSucceeded, "done")
		setTask(t, c, other, 0, catalog.TaskRunning, "theirs")
		list := tasks(t, c, job)
		require.Equal(t, []catalog.JobTask{
			{JobID: job, Index: 0, Activity: "Step0", State: catalog.TaskSucceeded, Messages: []string{"done"}, CreatedAt: list[0].CreatedAt, UpdatedAt: list[0].CreatedAt},
			{JobID: job, Index: 1, Activity: "Step1", State: catalog.TaskRunning, Messages: []string{}, CreatedAt: list[1].CreatedAt, UpdatedAt: list[1].CreatedAt},
		}, list)
		require.WithinDuration(t, time.Now(), list[0].CreatedAt, time.Minute)

		setTask(t, c, job, 1, catalog.TaskSucceeded, "it is there")
		after := tasks(t, c, job)[1]
		require.Equal(t, list[1].CreatedAt, after.CreatedAt)
		require.Greater(t, after.UpdatedAt, list[1].UpdatedAt)
		require.Equal(t, catalog.TaskSucceeded, after.State)
		require.Equal(t, []string{"it is there"}, after.Messages)

		require.NoError(t, c.DeleteJob(ctx, job))
		_, err := c.JobTasks(ctx, job)
		requireFault(t, err, fault.NotFound, "catalog.job_not_found")
		requireFault(t, c.SetTask(ctx, after), fault.NotFound, "catalog.job_not_found")
		require.Len(t, tasks(t, c, other), 1)
	})
}

func TestTasksOfAJobThatHasEnded(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		e := s.NewEnvironment(t)
		for state, want := range map[catalog.JobState]catalog.TaskState{
			catalog.JobSucceeded: catalog.TaskSucceeded, catalog.JobFailed: catalog.TaskFailed, catalog.JobCancelled: catalog.TaskCancelled,
		} {
			job := s.NewDelivery(t, e, "redis").JobID
			for i, state := range []catalog.TaskState{catalog.TaskSucceeded, catalog.TaskFailed, catalog.TaskCancelled, catalog.TaskRunning} {
				setTask(t, c, job, i, state, "a")
			}
			before := tasks(t, c, job)
			endAs(t, c, job, state)
			setTask(t, c, job, 3, catalog.TaskRunning, "too late")
			setTask(t, c, job, 4, catalog.TaskRunning)
			before[3].State = want
			require.Equal(t, before, tasks(t, c, job))
		}
	})
}

func TestMessagesOfATask(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		job := s.NewDelivery(t, s.NewEnvironment(t), "redis").JobID
		for i, step := range []struct{ added, want []string }{
			{nil, []string{}},
			{[]string{"a"}, []string{"a"}},
			{[]string{"a"}, []string{"a"}},
			{[]string{"a", "a", "b"}, []string{"a", "b"}},
			{[]string{"a", "b"}, []string{"a", "b"}}, // the same step again
			{[]string{"b", "", "c"}, []string{"a", "b", "c"}},
			{[]string{"a"}, []string{"a", "b", "c", "a"}},
			{[]string{"\x00\xff", "é<"}, []string{"a", "b", "c", "a", "\uFFFD\uFFFD", "é<"}},
		} {
			setTask(t, c, job, 0, catalog.TaskRunning, step.added...)
			require.Equal(t, step.want, tasks(t, c, job)[0].Messages, i)
		}
		setTask(t, c, job, 1, catalog.TaskRunning, "a"+strings.Repeat("é", catalog.MaxTaskMessage))
		long := tasks(t, c, job)[1].Messages[0]
		require.Equal(t, "a"+strings.Repeat("é", catalog.MaxTaskMessage/2-1), long, "cut, but not within a letter")
		setTask(t, c, job, 1, catalog.TaskRunning, "a"+strings.Repeat("é", catalog.MaxTaskMessage))
		require.Len(t, tasks(t, c, job)[1].Messages, 1)

		var want []string
		for i := range 2 * catalog.MaxTaskMessages {
			want = append(want, fmt.Sprint(i))
			setTask(t, c, job, 2, catalog.TaskRunning, want[i])
		}
		want = want[catalog.MaxTaskMessages:]
		require.Equal(t, want, tasks(t, c, job)[2].Messages, "the last ones")
		setTask(t, c, job, 3, catalog.TaskRunning, append([]string{"first"}, want...)...)
		require.Equal(t, want, tasks(t, c, job)[3].Messages)
	})
}

func TestTasksThatAreRefused(t *testing.T) {
	t.Parallel()
	c := catalogtest.New(t)
	s := catalogtest.NewScene(t, c)
	job := s.NewDelivery(t, s.NewEnvironment(t), "redis").JobID
	for _, change := range []func(*catalog.JobTask){
		func(task *catalog.JobTask) { task.State = "" },
		func(task *catalog.JobTask) { task.Index = -1 },
		func(task *catalog.JobTask) { task.Activity = "" },
		func(task *catalog.JobTask) { task.Activity = "a\x00" },
	} {
		task := catalog.JobTask{JobID: job, Activity: "Step", State: catalog.TaskRunning}
		change(&task)
		requireFault(t, c.SetTask(ctx, task), fault.Invalid, "catalog.bad_task")
	}
	require.Empty(t, tasks(t, c, job))
}

func TestOneTaskWrittenByManyAtOnce(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		job := s.NewDelivery(t, s.NewEnvironment(t), "redis").JobID
		const n = 8
		var all sync.WaitGroup
		var errs [n]error
		var want []string
		for i := range n {
			message := fmt.Sprint(i)
			want = append(want, message)
			all.Go(func() {
				errs[i] = c.SetTask(ctx, catalog.JobTask{JobID: job, Activity: "Step", State: catalog.TaskRunning, Messages: []string{message}})
			})
		}
		all.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.ElementsMatch(t, want, tasks(t, c, job)[0].Messages)
	})
}
