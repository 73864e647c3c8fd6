package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/client"
)

func (a *app) addonCommand() *cobra.Command {
	cmd := group("addon", "Push charts, and deliver them as add-ons to environments",
		`An add-on is a Helm chart that is delivered to a target, in an environment. The charts are in the project's library, where
push puts them; check and pack work on files, with the same code as the service, and need no service and no signing in. The
targets are in the service's configuration: Kubernetes clusters, and buckets from which a GitOps controller pulls.

install, redeploy, restart and uninstall start jobs. Each step of one is a task that `+"`assetflow job show`"+` shows with what
it has to say. An add-on has one job at a time, whoever starts it. An add-on is named by its id or by its name.`,
		a.addonPushCommand(), a.addonCheckCommand(), a.addonPackCommand(), a.addonChartsCommand(), a.addonPullCommand(),
		a.addonDeleteChartCommand(), a.addonTargetsCommand(), a.addonInstallCommand(), a.addonListCommand(), a.addonShowCommand(),
		a.addonRedeployCommand(), a.addonRestartCommand(), a.addonUninstallCommand())
	cmd.Aliases = []string{"addons"}
	return cmd
}

// addonFlags are the flags of commands about an environment's add-ons.
type addonFlags struct {
	connectionFlags
	environment string
}

func (f *addonFlags) add(cmd *cobra.Command) {
	f.connectionFlags.add(cmd)
	cmd.Flags().StringVar(&f.environment, "environment", "", "`name` or id of the environment (default: the project's only one)")
}

// startedFlags are the flags of commands that start a delivery.
type startedFlags struct {
	key  string
	wait bool
}

func (f *startedFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until the job has ended")
	keyFlag(cmd, &f.key)
}

func (a *app) addonTargetsCommand() *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "targets",
		Short: "List where add-ons can be delivered to",
		Long: `Lists the targets that are open to the project: clusters, where Helm keeps the add-on as a release, and buckets, where it
is published as manifests. Which there are is in the service's configuration.`,
		Example: `  assetflow addon targets
  assetflow addon targets -o json | jq -r '.targets[].id'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			targets, err := c.ListTargets(cmd.Context())
			if err != nil {
				return conn.blame(err)
			}
			return a.emit(map[string][]client.Target{"targets": orEmpty(targets)}, func(s *sheet) {
				if len(targets) == 0 {
					a.note("No targets. The service's configuration says which there are.")
					return
				}
				rows := make([][]string, 0, len(targets)+1)
				rows = append(rows, []string{"TARGET", "KIND"})
				for _, t := range targets {
					rows = append(rows, []string{t.ID, t.Kind})
				}
				s.table(rows)
			})
		},
	}
	flags.add(cmd)
	return cmd
}

// orEmpty gives a list that is never null in JSON.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// chosenTarget gives a target's id as it was given, or the only one that there is: then a note says so.
func (a *app) chosenTarget(ctx context.Context, c *client.Client, id string) (string, error) {
	if id != "" {
		return id, nil
	}
	targets, err := c.ListTargets(ctx)
	switch {
	case err != nil:
		return "", err
	case len(targets) == 0:
		return "", &hintError{
			err: errors.New("the service has no target for this project"), code: ExitNotFound,
			hint: "Its configuration says which there are.",
		}
	case len(targets) > 1:
		lines := make([]string, 0, choices+1)
		for _, t := range targets[:min(len(targets), choices)] {
			lines = append(lines, fmt.Sprintf("  %s  %s", t.ID, t.Kind))
		}
		return "", choose("which target?", "target", lines, len(targets) > choices)
	}
	a.note("To the target %s, the only one.", targets[0].ID)
	return targets[0].ID, nil
}

func (a *app) addonInstallCommand() *cobra.Command {
	var (
		flags   addonFlags
		started startedFlags
		addon   client.NewAddon
	)
	cmd := &cobra.Command{
		Use:   "install NAME",
		Short: "Deliver a chart to an environment",
		Long: `Starts a job that delivers the newest version of a chart of the library to a target, as an add-on of the environment. The
job goes on without this command; with --wait the command stays until the add-on is healthy, and its exit code says how it
went. An installation that fails or is cancelled is taken away again.

Where the project has one environment, or the service one target, it need not be named. A target that is away is waited for,
for as long as the service sets.

With --idempotency-key the command can be given again when its outcome is not known, such as after a broken connection:
within 24 hours the same key gives the job that has started already, and no second one.`,
		Example: `  assetflow addon install demo --wait
  assetflow addon install demo --environment production --target prod-1 --wait
  id=$(assetflow addon install demo --environment test --target gitops -o json | jq -r .id)`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			c, conn, err := a.connect(&flags.connectionFlags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			environment, err := a.chosenEnvironment(ctx, c, flags.environment)
			if err != nil {
				return conn.blame(err)
			}
			if addon.TargetID, err = a.chosenTarget(ctx, c, addon.TargetID); err != nil {
				return conn.blame(err)
			}
			addon.Name = args[0]
			id, jobID, err := c.InstallAddon(ctx, environment, addon, started.key)
			if err != nil {
				return conn.blame(notInstalled(err, started.key))
			}
			if started.wait {
				return conn.blame(a.started(ctx, c, jobID, true))
			}
			return a.emit(map[string]string{"job_id": jobID, "id": id}, func(s *sheet) {
				if a.quiet {
					s.line("%s", jobID)
					return
				}
				s.line("Job %s has started, for the add-on %s.\n%s", jobID, id, followHint(jobID))
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&addon.TargetID, "target", "", "`target` to deliver to, by its id (default: the only one)")
	cmd.Flags().StringVar(&addon.CSEID, "cse-id", "", "`engine` of microservices; kept and shown, without effect")
	started.add(cmd)
	return cmd
}

// notInstalled says what to do where an installation has not started, or nobody knows.
func notInstalled(err error, key string) error {
	var refusal *client.Error
	if errors.As(err, &refusal) && refusal.Code == client.CodeStageRefused && refusal.RunningJob() == "" {
		return &hintError{err: err, hint: "See what there is with `assetflow addon charts`, `assetflow addon targets` and `assetflow addon list`."}
	}
	return unknownStart(err, "installation", key)
}

func (a *app) addonListCommand() *cobra.Command {
	var flags addonFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the add-ons of an environment",
		Long: `Lists the add-ons of an environment, the oldest first: which version of its chart each consists of, where, and how its last
job stands.`,
		Example: `  assetflow addon list --environment production
  assetflow addon list -o json | jq -r '.addons[] | select(.status == "FAILED") | .name'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, conn, err := a.connect(&flags.connectionFlags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			environment, err := a.chosenEnvironment(cmd.Context(), c, flags.environment)
			if err != nil {
				return conn.blame(err)
			}
			addons, err := c.ListAddons(cmd.Context(), environment)
			if err != nil {
				return conn.blame(err)
			}
			return a.emit(map[string][]client.Addon{"addons": orEmpty(addons)}, func(s *sheet) { a.listAddons(s, addons) })
		},
	}
	flags.add(cmd)
	return cmd
}

func (a *app) listAddons(s *sheet, addons []client.Addon) {
	if len(addons) == 0 {
		a.note("No add-ons. Deliver one with `assetflow addon install NAME`.")
		return
	}
	rows := make([][]string, 0, len(addons)+1)
	rows = append(rows, []string{"ADD-ON", "NAME", "VERSION", "TARGET", "STATUS", "LAST JOB"})
	for _, addon := range addons {
		rows = append(rows, []string{addon.ID, addon.Name, addon.Version, addon.TargetID, addon.Status, plainJobID(addon.JobID)})
	}
	s.table(rows)
}

// plainJobID gives a job's id as all other commands show it.
func plainJobID(id string) string {
	if uuid, err := client.CanonicalJobID(id); err == nil {
		return uuid
	}
	return id
}

func (a *app) addonShowCommand() *cobra.Command {
	var flags addonFlags
	cmd := &cobra.Command{
		Use:   "show ADDON",
		Short: "Show an add-on",
		Long:  "Shows an add-on, by its id or name: which version of its chart it consists of, where, and how its last job stands.",
		Example: `  assetflow addon show demo --environment production
  assetflow job show "$(assetflow addon show demo -o json | jq -r .job_id)"`,
		Args: arguments("ADDON"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conn, err := a.connect(&flags.connectionFlags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			environment, id, err := a.chosenAddon(cmd.Context(), c, flags.environment, args[0])
			if err != nil {
				return conn.blame(err)
			}
			addon, err := c.Addon(cmd.Context(), environment, id)
			if err != nil {
				return conn.blame(err)
			}
			if err := a.emit(addon, func(s *sheet) { showAddon(s, addon) }); err != nil {
				return err
			}
			switch job := plainJobID(addon.JobID); addon.Status {
			case client.AddonSucceeded:
			case client.AddonFailed:
				a.note("See why with `assetflow job show %s`.", job)
			default:
				a.note("%s", followHint(job))
			}
			return nil
		},
	}
	flags.add(cmd)
	return cmd
}

func showAddon(s *sheet, addon client.Addon) {
	s.fields(
		[2]string{"Add-on", addon.ID}, [2]string{"Name", addon.Name}, [2]string{"Status", addon.Status},
		[2]string{"Version", addon.Version}, [2]string{"Target", addon.TargetID}, [2]string{"Engine", addon.CSEID},
		[2]string{"Environment", addon.EnvironmentID}, [2]string{"Last job", plainJobID(addon.JobID)},
	)
}

// chosenAddon gives the environment, as chosenEnvironment does, and the id of the add-on in it that text is the id or the
// name of. An id is not looked up.
func (a *app) chosenAddon(ctx context.Context, c *client.Client, environment, text string) (environmentID, id string, err error) {
	if environmentID, err = a.chosenEnvironment(ctx, c, environment); err != nil {
		return "", "", err
	}
	if uuidForm.MatchString(text) {
		return environmentID, strings.ToLower(text), nil
	}
	addons, err := c.ListAddons(ctx, environmentID)
	if err != nil {
		return "", "", err
	}
	var found []client.Addon
	for _, addon := range addons {
		if addon.Name == text {
			found = append(found, addon)
		}
	}
	switch len(found) {
	case 1:
		return environmentID, found[0].ID, nil
	case 0:
		return "", "", &hintError{
			err: fmt.Errorf("the environment has no add-on of the name %q", text), code: ExitNotFound,
			hint: "See what there is with `assetflow addon list`.",
		}
	}
	lines := make([]string, len(found))
	for i, addon := range found {
		lines[i] = fmt.Sprintf("  %s  on %s", addon.ID, addon.TargetID)
	}
	return "", "", &usageError{
		text: fmt.Sprintf("%d add-ons have the name %q", len(found), text),
		hint: "Use the id of one:\n" + strings.Join(lines, "\n"),
	}
}

func (a *app) addonRedeployCommand() *cobra.Command {
	return a.addonJobCommand(&cobra.Command{
		Use:   "redeploy ADDON",
		Short: "Deliver the newest version of an add-on's chart",
		Long: `Starts a job that delivers the newest version of the add-on's chart in the library to its target, whatever state the
add-on is in: an upgrade, or the same version once more. Where it fails or is cancelled, the add-on goes back to its last
good version.`,
		Example: `  assetflow addon push demo-1.3.0.tgz && assetflow addon redeploy demo --wait
  assetflow addon redeploy demo --environment production --idempotency-key "release-$VERSION" --wait`,
	}, func(ctx context.Context, c *client.Client, environment, id, key string) (string, error) {
		return c.DeliverAddon(ctx, environment, id, client.Redeploy, key)
	})
}

func (a *app) addonRestartCommand() *cobra.Command {
	return a.addonJobCommand(&cobra.Command{
		Use:   "restart ADDON",
		Short: "Restart the workloads of an add-on",
		Long: `Starts a job that rolls the workloads of an add-on, which goes on to consist of the version of its chart that it has. In a
bucket it is published again with a new annotation, for the controller to roll them.`,
		Example: `  assetflow addon restart demo --environment production --wait`,
	}, func(ctx context.Context, c *client.Client, environment, id, key string) (string, error) {
		return c.DeliverAddon(ctx, environment, id, client.Restart, key)
	})
}

func (a *app) addonUninstallCommand() *cobra.Command {
	return a.addonJobCommand(&cobra.Command{
		Use:   "uninstall ADDON",
		Short: "Take an add-on away",
		Long: `Starts a job that takes an add-on away from its target, with all that belongs to it, and from its environment. Its chart
stays in the library.`,
		Example: `  assetflow addon uninstall demo --environment test --wait`,
	}, func(ctx context.Context, c *client.Client, environment, id, key string) (string, error) {
		return c.UninstallAddon(ctx, environment, id, key)
	})
}

// addonJobCommand completes a command that starts a job for an add-on.
func (a *app) addonJobCommand(cmd *cobra.Command,
	start func(ctx context.Context, c *client.Client, environment, id, key string) (jobID string, err error),
) *cobra.Command {
	var (
		flags   addonFlags
		started startedFlags
	)
	cmd.Args = arguments("ADDON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		c, conn, err := a.connect(&flags.connectionFlags, needProject)
		if err != nil {
			return err
		}
		defer c.Close()
		environment, id, err := a.chosenAddon(ctx, c, flags.environment, args[0])
		if err != nil {
			return conn.blame(err)
		}
		jobID, err := start(ctx, c, environment, id, started.key)
		if err != nil {
			return conn.blame(unknownStart(err, cmd.Name(), started.key))
		}
		return conn.blame(a.started(ctx, c, jobID, started.wait))
	}
	flags.add(cmd)
	started.add(cmd)
	return cmd
}
