package command

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

const (
	outputText = "text"
	outputJSON = "json"
)

// Groups of the help text.
const (
	groupClient  = "client"
	groupPackage = "package"
	groupAddon   = "addon"
	groupService = "service"
	groupAdmin   = "admin"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "assetflow",
		Short: "Import, export, copy and deploy asset packages as durable jobs",
		Long: `Assetflow imports, exports, deletes, copies and deploys asset packages as durable jobs. This program is the service
itself, its administration, and the client with which packages are moved, add-ons are delivered and jobs are followed.

` + connectionHelp + `

` + exitCodesHelp,
		Example: `  assetflow login --endpoint https://assetflow.example.com --user ada --project shop
  assetflow import shop.zip --wait
  assetflow job list --state running
  assetflow assets list -o json`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArguments,
		RunE:          showHelp,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmd.ValidateFlagGroups(); err != nil {
				return usagef("%s", flagGroupText(err))
			}
			if !slices.Contains([]string{outputText, outputJSON}, a.output) {
				return usagef("--output %q: must be %s or %s", a.output, outputText, outputJSON)
			}
			return nil
		},
	}
	root.PersistentFlags().StringVarP(&a.output, "output", "o", outputText, "`form` of the output: text for people, json for scripts")
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "no progress and no notes, only results and errors")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{text: err.Error()} })
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{outputText, outputJSON}, cobra.ShellCompDirectiveNoFileComp))

	root.AddGroup(
		&cobra.Group{ID: groupClient, Title: "Import, export and look:"},
		&cobra.Group{ID: groupPackage, Title: "Make packages and templates:"},
		&cobra.Group{ID: groupAddon, Title: "Deliver add-ons to environments:"},
		&cobra.Group{ID: groupService, Title: "Run the service:"},
		&cobra.Group{ID: groupAdmin, Title: "Administer it (works on the database directly):"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupClient, a.loginCommand(), a.logoutCommand(), a.importCommand(), a.exportCommand(), a.jobCommand(), a.assetsCommand(),
		a.trashCommand(), a.auditCommand())
	add(groupPackage, a.packageCommand(), a.templateCommand())
	add(groupAddon, a.environmentCommand(), a.addonCommand())
	add(groupService, a.apiCommand(), a.workerCommand(), a.workerVersionCommand(), a.migrateCommand(), a.configCommand(), a.healthCommand(),
		a.checkCommand(), a.sweepCommand(), a.masterKeyCommand(), a.keyRingCommand())
	add(groupAdmin, a.userCommand(), a.projectCommand(), a.instanceCommand())
	root.AddCommand(a.versionCommand())
	return root
}

// group makes a command that only holds others.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: noArguments, RunE: showHelp}
	cmd.AddCommand(commands...)
	return cmd
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// noArguments refuses arguments: of a command that holds others, they are names of commands that do not exist.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasSubCommands() {
		return usagef("%s takes no arguments, got %q", commandName(cmd), args[0])
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if cmd.HasParent() {
		text = fmt.Sprintf("unknown command %q for %s", args[0], commandName(cmd))
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
	}
	return &usageError{text: text}
}

// arguments demands exactly the named arguments.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef("%s needs %s", commandName(cmd), strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return usagef("%s takes %s, got %q as well", commandName(cmd), strings.Join(names, " and "), args[len(names)])
		}
		return nil
	}
}

var allSet = regexp.MustCompile(`\[([^]]+)\] were all set`)

// flagGroupText says in plain words which flags exclude each other.
func flagGroupText(err error) string {
	m := allSet.FindStringSubmatch(err.Error())
	if m == nil {
		return err.Error()
	}
	return "--" + strings.Join(strings.Fields(m[1]), " and --") + " cannot be used together"
}

// commandName gives a command as it is typed after the program's name.
func commandName(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// someArguments demands at least one argument.
func someArguments(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usagef("%s needs %s", commandName(cmd), name)
		}
		return nil
	}
}

// oneOfFlag checks a flag that has a few values.
func oneOfFlag(name, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return usagef("--%s %q: must be %s", name, value, strings.Join(allowed, " or "))
}
