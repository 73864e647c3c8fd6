package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"assetflow/client"
)

var jobKinds = []string{client.KindImport, client.KindExport, client.KindDelete, client.KindCopy, client.KindDelivery}

func (a *app) jobCommand() *cobra.Command {
	return group("job", "Show, watch, list and cancel jobs",
		`A job is what the service does for you: an import, an export, a deletion, a copy or the delivery of an add-on. It is
durable: it goes on when nobody watches, and after a restart of the service. Its id is a UUID; the 32 digits without dashes
that other clients show, or JOB and the UUID, are the same.`,
		a.jobShowCommand(), a.jobWatchCommand(), a.jobListCommand(), a.jobCancelCommand())
}

func (a *app) jobShowCommand() *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "show JOB",
		Short: "Show a job",
		Long: `Shows a job as it is now: its state, what it was started with, and what it has done or why it failed. Of the delivery of
an add-on it shows each step with what it has to say, and while it runs what it waits for: how many replicas of each
workload are ready, and, where the target is away, which attempt this is and why the last one failed.`,
		Example: `  assetflow job show 0194f7a0-cccc-7000-8000-00000000cccc
  assetflow job show 0194f7a0cccc7000800000000000cccc -o json | jq -r .state`,
		Args: arguments("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conn, err := a.connect(&flags, 0)
			if err != nil {
				return err
			}
			defer c.Close()
			job, err := c.ShowJob(cmd.Context(), args[0])
			if err != nil {
				return conn.blame(err)
			}
			return a.emit(job, func(s *sheet) { a.showJob(s, job) })
		},
	}
	flags.add(cmd)
	return cmd
}

func (a *app) jobWatchCommand() *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "watch JOB",
		Short: "Wait until a job has ended",
		Long: `Shows a job's progress until it has ended, and then the job. The exit code is 0 when it succeeded and 6 when it failed
or was cancelled. Ctrl-C ends the watching; the job goes on. Of the delivery of an add-on it shows each step as it comes,
with what it has to say and what it waits for.`,
		Example: `  assetflow job watch 0194f7a0-cccc-7000-8000-00000000cccc
  assetflow job watch "$id" --quiet && echo imported`,
		Args: arguments("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conn, err := a.connect(&flags, 0)
			if err != nil {
				return err
			}
			defer c.Close()
			return conn.blame(a.watch(cmd.Context(), c, args[0]))
		},
	}
	flags.add(cmd)
	return cmd
}

// watch waits until a job has ended, and shows it.
func (a *app) watch(ctx context.Context, c *client.Client, id string) error {
	uuid, err := client.CanonicalJobID(id)
	if err != nil {
		return err
	}
	job, err := a.await(ctx, c, uuid, followHint(uuid), " Watch it again:  assetflow job watch "+uuid)
	if err != nil {
		return err
	}
	return a.ended(job)
}

// await waits until a job has ended. later says how to go on where the waiting is given up, again where it fails.
func (a *app) await(ctx context.Context, c *client.Client, uuid, later, again string) (client.JobDetail, error) {
	m := a.jobMeter()
	answered := false
	delivery := deliveryWatch{meter: m, now: a.now}
	job, err := c.WatchJob(ctx, uuid, func(j client.JobDetail) {
		answered = true
		if len(j.Tasks) > 0 {
			delivery.report(j)
			return
		}
		step := j.Step
		if j.State == client.JobQueued {
			step = "Waiting for the jobs before it"
		}
		m.at(int64(j.Progress*jobSteps), step)
	})
	m.end()
	switch {
	case err != nil && ctx.Err() != nil:
		err = &hintError{err: err, hint: "The job goes on.\n" + later}
	case err != nil && answered:
		err = &hintError{err: err, hint: "The job goes on all the same." + again}
	}
	return job, err
}

// ended shows a job that has ended, and fails where it did.
func (a *app) ended(job client.JobDetail) error {
	if err := a.emit(job, func(s *sheet) { a.showEnd(s, job) }); err != nil {
		return err
	}
	if job.State != client.JobSucceeded {
		return &jobFailedError{id: job.ID, state: job.State}
	}
	return nil
}

func (a *app) jobListCommand() *cobra.Command {
	var (
		flags  connectionFlags
		filter client.JobFilter
		paging paging
		mine   bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the jobs of a project, newest first",
		Long: `Lists the jobs of the project, of all its instances and users, newest first. With --instance (or
ASSETFLOW_INSTANCE) only those in that instance.`,
		Example: `  assetflow job list
  assetflow job list --state running --mine
  assetflow job list --all -o json | jq -r '.jobs[] | select(.state == "failed") | .id'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOfFlag("state", filter.State, jobStates...); err != nil {
				return err
			}
			if err := oneOfFlag("kind", filter.Kind, jobKinds...); err != nil {
				return err
			}
			if err := paging.check(); err != nil {
				return err
			}
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			override(&filter.InstanceID, a.env("ASSETFLOW_INSTANCE"), flags.instance)
			if mine {
				me, err := c.Me(cmd.Context())
				if err != nil {
					return conn.blame(err)
				}
				filter.UserID = me.UserID
			}
			jobs, next, err := collect(paging, func(limit int, cursor string) ([]client.JobDetail, string, error) {
				filter.Limit, filter.Cursor = limit, cursor
				page, err := c.ListJobs(cmd.Context(), filter)
				return page.Jobs, page.NextCursor, err
			})
			if err != nil {
				return conn.blame(err)
			}
			err = a.emit(client.JobPage{Jobs: jobs, NextCursor: next}, func(s *sheet) { a.listJobs(s, jobs) })
			a.noteMore(next)
			return err
		},
	}
	flags.add(cmd)
	paging.add(cmd)
	cmd.Flags().StringVar(&filter.State, "state", "", "only jobs in this `state`: queued, running, succeeded, failed or cancelled")
	cmd.Flags().StringVar(&filter.Kind, "kind", "", "only jobs of this `kind`: asset-import, asset-export, asset-delete, asset-copy or addon-delivery")
	cmd.Flags().StringVar(&filter.UserID, "user", "", "only jobs of the user with this `id`")
	cmd.Flags().BoolVar(&mine, "mine", false, "only my own jobs")
	cmd.MarkFlagsMutuallyExclusive("user", "mine")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(jobKinds, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(
		jobStates, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// jobStates are the states that a job can be in.
var jobStates = []string{client.JobQueued, client.JobRunning, client.JobSucceeded, client.JobFailed, client.JobCancelled}

func (a *app) jobCancelCommand() *cobra.Command {
	var (
		flags       connectionFlags
		wait, leave bool
	)
	cmd := &cobra.Command{
		Use:   "cancel JOB",
		Short: "Cancel a running or waiting job",
		Long: `Asks a running job to stop and clean up. It ends a moment later: cancelled and without any trace in the instance, or
succeeded when it was too late. One that waits its turn ends at once. With --wait the command stays until then; its exit
code is 0 when the job was cancelled.

The delivery of an add-on cleans up by bringing the target back to the last good version. With --leave the target keeps what
was changed so far, such as to look at why workloads do not become ready.`,
		Example: `  assetflow job cancel 0194f7a0-cccc-7000-8000-00000000cccc --wait
  assetflow job cancel 0194f7a0-cccc-7000-8000-00000000cccc --leave`,
		Args: arguments("JOB"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conn, err := a.connect(&flags, 0)
			if err != nil {
				return err
			}
			defer c.Close()
			cancel, done := c.CancelJob, "Job %s will stop and clean up."
			if leave {
				cancel, done = c.CancelJobLeaving, "Job %s will stop, and what it has changed on the target stays."
			}
			job, err := cancel(cmd.Context(), args[0])
			if err != nil {
				return conn.blame(err)
			}
			if wait {
				return conn.blame(a.waitCancelled(cmd.Context(), c, job.ID))
			}
			return a.emit(job, func(s *sheet) {
				s.line(done, job.ID)
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the job has ended")
	cmd.Flags().BoolVar(&leave, "leave", false, "of the delivery of an add-on: leave on the target what was changed")
	return cmd
}

// waitCancelled waits until a job that was cancelled has ended.
func (a *app) waitCancelled(ctx context.Context, c *client.Client, id string) error {
	job, err := c.WatchJob(ctx, id, nil)
	if err != nil {
		return err
	}
	if err := a.emit(job, func(s *sheet) { a.showEnd(s, job) }); err != nil {
		return err
	}
	if job.State != client.JobCancelled {
		return &hintError{err: fmt.Errorf("it was too late: job %s %s", job.ID, stateText(job.State)), code: ExitConflict}
	}
	return nil
}
