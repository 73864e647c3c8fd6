package command

import (
	"strings"

	"github.com/spf13/cobra"

	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show, check and describe the service's settings",
		Long: `Shows every setting, as ` + "`assetflow config print`" + ` does; the commands below check and describe settings.

` + settingsHelp,
		Args: noArguments,
	}
	a.printsSettings(cmd)
	cmd.AddCommand(a.configCheckCommand(), a.configPrintCommand(), a.configDocsCommand())
	return cmd
}

// printsSettings makes the command one that prints the settings.
func (a *app) printsSettings(cmd *cobra.Command) {
	flags := addSettings(cmd, allSettings)
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := a.settings(flags, 0)
		if err != nil {
			return err
		}
		return a.emit(map[string]any{"settings": cfg.Settings()}, func(s *sheet) {
			rows := make([][]string, 0, len(cfg.Settings())+1)
			rows = append(rows, []string{"SETTING", "VALUE", "FROM"})
			for _, setting := range cfg.Settings() {
				rows = append(rows, []string{setting.Key, setting.Value, setting.Origin})
			}
			s.table(rows)
		})
	}
}

func (a *app) configPrintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Show the service's settings and where they come from",
		Long: `Shows every setting as api and worker would see it here, and where it comes from. Secrets are not shown.

` + settingsHelp,
		Example: `  assetflow config print --config /etc/assetflow.yaml
  ASSETFLOW_LOG_LEVEL=debug assetflow config print -o json`,
		Args: noArguments,
	}
	a.printsSettings(cmd)
	return cmd
}

func (a *app) configCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the service's settings",
		Long: `Checks the settings as api and worker do when they start, and says everything that is wrong: the setting, its value,
where it comes from and what is allowed. The exit code is 2 where something is. A worker needs no master key: --for worker
does not ask for one.

Nothing is connected to. With --connect the database, the object store and Temporal are asked as well, as at the start:
whether they answer, and whether ` + "`assetflow migrate`" + ` has prepared them. Nothing is changed in them.

` + settingsHelp,
		Example: `  assetflow config check --config /etc/assetflow.yaml
  assetflow config check --for worker --connect`,
		Args: noArguments,
	}
	flags := addSettings(cmd, allSettings)
	var (
		service string
		connect bool
	)
	cmd.Flags().StringVar(&service, "for", "api", "`service` that the settings are for: api or worker")
	cmd.Flags().BoolVar(&connect, "connect", false, "ask the database, the object store and Temporal as well")
	_ = cmd.RegisterFlagCompletionFunc("for", cobra.FixedCompletions([]string{"api", "worker"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		needs := config.NeedDatabase | config.NeedMasterKey
		switch service {
		case "api":
		case "worker":
			needs = config.NeedDatabase
		default:
			return usagef("--for %q: must be api or worker", service)
		}
		ctx := cmd.Context()
		cfg, err := a.settings(flags, needs)
		if err != nil {
			return err
		}
		if err := serve.Validate(ctx, cfg); err != nil {
			return err
		}
		if connect {
			if err := a.withBackends(ctx, flags, needs, func(b *serve.Backends) error { return b.Check(ctx) }); err != nil {
				return err
			}
		}
		return a.emit(map[string]bool{"right": true, "connected": connect}, func(s *sheet) {
			s.line("The settings are right.")
			if connect {
				s.line("Database, object store and Temporal answer, and are prepared.")
			}
		})
	}
	return cmd
}

func (a *app) configDocsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "docs",
		Short: "Describe every setting",
		Long: `Writes the table of all settings in Markdown: key, variable, flag, default, meaning, and what is allowed. It is the
table of docs/configuration.md, for this version of the program.`,
		Example: `  assetflow config docs > settings.md
  assetflow config docs -o json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			return a.emit(map[string]any{"settings": config.Describe()}, func(s *sheet) {
				s.line("%s", strings.TrimSuffix(config.Reference(), "\n"))
			})
		},
	}
}
