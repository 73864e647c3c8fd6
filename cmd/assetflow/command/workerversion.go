package command

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"assetflow/cmd/assetflow/serve"
	"assetflow/worker"
)

// versionTimeout bounds a look at the versions of the workers, or a change.
const versionTimeout = 10 * time.Second

func (a *app) workerVersionCommand() *cobra.Command {
	return group("worker-version", "Bring a new version of the workers into use",
		`Workers that have a version (worker.deployment_name and worker.build_id) get jobs when their version is promoted. A job
ends on the version that it began on, so workers of the old one stay until it is drained.`,
		a.workerVersionListCommand(), a.workerVersionPromoteCommand())
}

func (a *app) workerVersionListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the versions of the workers, newest first",
		Long: `Lists the versions that workers have asked Temporal for tasks with, and what each is good for:

  inactive   its workers have come, and it was never promoted: it gets no jobs
  ramping    it gets a part of the new jobs
  current    it gets new jobs
  draining   it gets no new jobs, and some of its own may still run: its workers must stay
  drained    none of its jobs runs: its workers can be stopped

Temporal finds out a few minutes late that a version is drained.

` + settingsHelp,
		Example: `  assetflow worker-version list --config /etc/assetflow.yaml
  assetflow worker-version list --deployment assetflow -o json | jq -r '.versions[] | select(.state == "drained") | .build_id'`,
		Args: noArguments,
	}
	a.versionCommandRun(cmd, func(ctx context.Context, c client.Client, deployment string, _ []string) error {
		d, err := worker.Versions(ctx, c, deployment)
		if err != nil {
			return err
		}
		return a.showVersions(d)
	})
	return cmd
}

func (a *app) workerVersionPromoteCommand() *cobra.Command {
	var (
		ramp        float32
		unversioned bool
	)
	cmd := &cobra.Command{
		Use:   "promote [BUILD_ID]",
		Short: "Give new jobs to a version of the workers",
		Long: `Makes a version the current one: new jobs go to its workers from now on. Jobs that run stay with the version that they
began on, and jobs from before there were versions go on with the current one. To take a promotion back, promote the version
from before.

With --ramp the version gets a part of the new jobs, and the current one the rest; --ramp 0 takes the part away again. With
--unversioned, in place of a build id, new jobs go to workers without a version.

A version whose workers have not all come yet is refused: those of every task queue that the current one serves must ask for
tasks.

` + settingsHelp,
		Example: `  assetflow worker-version promote 1.3.0 --ramp 10 --deployment assetflow
  assetflow worker-version promote 1.3.0 --deployment assetflow`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case unversioned && len(args) > 0:
				return usagef("--unversioned and a build id cannot be used together")
			case unversioned:
				return nil
			}
			return arguments("BUILD_ID")(cmd, args)
		},
	}
	a.versionCommandRun(cmd, func(ctx context.Context, c client.Client, deployment string, args []string) error {
		buildID := ""
		if !unversioned {
			buildID = args[0]
		}
		promote := worker.Promote
		if cmd.Flags().Changed("ramp") {
			if ramp < 0 || ramp > 100 {
				return usagef("--ramp %v: must be from 0 to 100", ramp)
			}
			promote = func(ctx context.Context, c client.Client, deployment, buildID string) error {
				return worker.Ramp(ctx, c, deployment, buildID, ramp)
			}
		}
		if err := promote(ctx, c, deployment, buildID); err != nil {
			return err
		}
		d, err := worker.Versions(ctx, c, deployment)
		if err != nil {
			return err
		}
		return a.showVersions(d)
	})
	cmd.Flags().Float32Var(&ramp, "ramp", 0, "give it only so many `per cent` of the new jobs")
	cmd.Flags().BoolVar(&unversioned, "unversioned", false, "give new jobs to workers without a version")
	cmd.MarkFlagsMutuallyExclusive("ramp", "unversioned")
	return cmd
}

// versionCommandRun has a command work on the deployment that its flag or the settings name.
func (a *app) versionCommandRun(cmd *cobra.Command, run func(ctx context.Context, c client.Client, deployment string, args []string) error) {
	flags := addSettings(cmd, allSettings)
	name := cmd.Flags().String("deployment", "", "`name` of the Worker Deployment; that of worker.deployment_name where it is left out")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := a.settings(flags, 0)
		if err != nil {
			return err
		}
		deployment := cfg.Worker.DeploymentName
		override(&deployment, *name)
		if deployment == "" {
			return usagef("--deployment is needed: worker.deployment_name is not set")
		}
		c, err := serve.TemporalClient(cfg.Temporal)
		if err != nil {
			return err
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), versionTimeout)
		defer cancel()
		return run(ctx, c, deployment, args)
	}
}

func (a *app) showVersions(d worker.Deployment) error {
	return a.emit(d, func(s *sheet) {
		rows := make([][]string, 0, len(d.Versions)+1)
		rows = append(rows, []string{"BUILD ID", "STATE", "CREATED"})
		for _, v := range d.Versions {
			state := string(v.State)
			if v.State == worker.VersionRamping {
				state = fmt.Sprintf("%s %s%%", state, strconv.FormatFloat(float64(v.Percent), 'f', -1, 32))
			}
			rows = append(rows, []string{v.BuildID, state, a.time(v.CreatedAt)})
		}
		s.table(rows)
		if d.Current == "" {
			s.line("\nNo version is current: new jobs go to workers without a version.")
		}
	})
}
