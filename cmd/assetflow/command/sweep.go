package command

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
)

// sweepPatience bounds how long the sweep that runs is given to end: a step hears of its end within seconds.
const sweepPatience = 5 * time.Minute

func (a *app) sweepCommand() *cobra.Command {
	return group("sweep", "Pause and resume what tidies up",
		`Pauses and resumes the sweep, which removes from time to time what jobs leave behind and what nobody needs any more. A
backup of a running service needs it paused. These commands ask Temporal alone.`,
		a.sweepPauseCommand(), a.sweepResumeCommand(), a.sweepStatusCommand())
}

func (a *app) sweepPauseCommand() *cobra.Command {
	var note string
	cmd := a.sweepChange("pause", "Keep the sweep from running",
		`Keeps the sweep from running until `+"`assetflow sweep resume`"+`, ends the one that runs, and returns when none does any
more. It stays paused when workers are started again, also in a Temporal that was restored from a backup. Meanwhile jobs run
as ever; what they leave behind takes room.`,
		`  assetflow sweep pause --note "backup" --config /etc/assetflow.yaml`,
		&note, "Sweeps are paused, and none runs.",
		func(ctx context.Context, cfg config.Temporal) error { return serve.PauseSweep(ctx, cfg, note) })
	cmd.Flags().StringVar(&note, "note", "paused on the command line", "`why`, for whoever looks at it")
	return cmd
}

func (a *app) sweepResumeCommand() *cobra.Command {
	var note string
	cmd := a.sweepChange("resume", "Let the sweep run again",
		`Lets the sweep run again, from the next time it is due. Again is no error.`,
		`  assetflow sweep resume --config /etc/assetflow.yaml`,
		&note, "Sweeps run again.",
		func(ctx context.Context, cfg config.Temporal) error { return serve.ResumeSweep(ctx, cfg, note) })
	cmd.Flags().StringVar(&note, "note", "resumed on the command line", "`why`, for whoever looks at it")
	return cmd
}

func (a *app) sweepChange(use, short, long, example string, note *string, done string, change func(context.Context, config.Temporal) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long + "\n\n" + settingsHelp, Example: example, Args: noArguments,
	}
	flags := addSettings(cmd, allSettings)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := a.settings(flags, 0)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), sweepPatience)
		defer cancel()
		if err := change(ctx, cfg.Temporal); err != nil {
			return err
		}
		return a.emit(map[string]any{"paused": use == "pause", "note": *note}, func(s *sheet) { s.line("%s", done) })
	}
	return cmd
}

func (a *app) sweepStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell whether the sweep is paused or runs",
		Long: `Tells whether the sweep is paused, and why; when it runs next, and whether it runs now.

` + settingsHelp,
		Example: `  assetflow sweep status --temporal-address temporal:7233`,
		Args:    noArguments,
	}
	flags := addSettings(cmd, allSettings)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := a.settings(flags, 0)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
		defer cancel()
		state, err := serve.Sweeping(ctx, cfg.Temporal)
		if err != nil {
			return err
		}
		result := map[string]any{"paused": state.Paused, "note": state.Note, "running": state.Running}
		if !state.Next.IsZero() {
			result["next"] = state.Next
		}
		return a.emit(result, func(s *sheet) {
			paused := "no"
			if state.Paused {
				paused = "yes"
			}
			s.fields([2]string{"Paused", paused}, [2]string{"Note", state.Note}, [2]string{"Next", a.time(state.Next)},
				[2]string{"Running", strings.Join(state.Running, ", ")})
		})
	}
	return cmd
}
