package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/client"
)

// anyVPC is the network of an environment that none was named for: the contract wants one, and nothing comes of it.
const anyVPC = "default"

func (a *app) environmentCommand() *cobra.Command {
	cmd := group("environment", "Make, list, show, change and delete environments",
		`An environment is a part of a project in which add-ons run, such as test or production. It is named by its id or by its
name, which is unique in the project. The command may be written `+"`assetflow env`"+` as well.`,
		a.environmentCreateCommand(), a.environmentListCommand(), a.environmentShowCommand(), a.environmentUpdateCommand(),
		a.environmentDeleteCommand())
	cmd.Aliases = []string{"env", "environments"}
	return cmd
}

func (a *app) environmentCreateCommand() *cobra.Command {
	var (
		flags  connectionFlags
		made   client.NewEnvironment
		labels []string
	)
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an environment",
		Long: `Makes an environment without add-ons in the project, whose other environments have other names. Deploy mode and VPC are
kept and shown, and change nothing about how add-ons are delivered.`,
		Example: `  assetflow environment create test
  assetflow environment create production --description "What customers see" --label team=shop --label tier=1
  id=$(assetflow environment create test -o json | jq -r .id)`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := oneOfFlag("deploy-mode", made.DeployMode, client.DeployModes...)
			if err != nil {
				return err
			}
			if made.Labels, err = parseLabels(labels); err != nil {
				return err
			}
			made.Name = args[0]
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			e, err := c.CreateEnvironment(cmd.Context(), made)
			if err != nil {
				return conn.blame(err)
			}
			return a.emit(e, func(s *sheet) {
				if a.quiet {
					s.line("%s", e.ID)
					return
				}
				s.line("Created %s (%s). Deliver to it:  assetflow addon install NAME --environment %s", e.Name, e.ID, e.Name)
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&made.Description, "description", "", "what it is for, in at most 256 characters")
	cmd.Flags().StringVar(&made.DeployMode, "deploy-mode", "", "what it is made of: "+strings.Join(client.DeployModes, ", "))
	cmd.Flags().StringVar(&made.VPCID, "vpc-id", anyVPC, "its VPC")
	labelFlag(cmd, &labels)
	_ = cmd.RegisterFlagCompletionFunc("deploy-mode", cobra.FixedCompletions(client.DeployModes, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func labelFlag(cmd *cobra.Command, labels *[]string) {
	cmd.Flags().StringArrayVar(labels, "label", nil, "a label, as `key=value`; may be repeated, up to 20")
}

// parseLabels reads labels of the form key=value.
func parseLabels(texts []string) ([]client.Label, error) {
	labels := make([]client.Label, len(texts)) // never null in JSON
	for i, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, usagef("--label %q: must be key=value", text)
		}
		labels[i] = client.Label{Key: key, Value: value}
	}
	return labels, nil
}

func labelsText(labels []client.Label) string {
	texts := make([]string, len(labels))
	for i, l := range labels {
		texts[i] = l.Key + "=" + l.Value
	}
	return strings.Join(texts, ", ")
}

func (a *app) environmentListCommand() *cobra.Command {
	var (
		flags  connectionFlags
		paging paging
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the environments of a project",
		Long:  "Lists the environments of the project, the oldest first.",
		Example: `  assetflow environment list
  assetflow environment list --all -o json | jq -r '.environments[].name'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := paging.check(); err != nil {
				return err
			}
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			page, next, err := environments(cmd.Context(), c, paging)
			if err != nil {
				return conn.blame(err)
			}
			err = a.emit(page, func(s *sheet) { a.listEnvironments(s, page.Environments) })
			a.noteMore(next)
			return err
		},
	}
	flags.add(cmd)
	paging.add(cmd)
	return cmd
}

// maxEnvironments is the largest page of environments that the service gives.
const maxEnvironments = 100

// environments lists environments. next is empty where there are no more.
func environments(ctx context.Context, c *client.Client, p paging) (page client.EnvironmentPage, next string, err error) {
	page.Environments, next, err = collectCounted(p, func(limit, offset int) ([]client.Environment, int, error) {
		list, err := c.ListEnvironments(ctx, min(limit, maxEnvironments), offset)
		page.Count = list.Count
		return list.Environments, list.Count, err
	})
	return page, next, err
}

func (a *app) listEnvironments(s *sheet, list []client.Environment) {
	if len(list) == 0 {
		a.note("No environments. Make one with `assetflow environment create NAME`.")
		return
	}
	rows := make([][]string, 0, len(list)+1)
	rows = append(rows, []string{"ENVIRONMENT", "NAME", "MODE", "LABELS", "CREATED"})
	for _, e := range list {
		rows = append(rows, []string{e.ID, e.Name, e.DeployMode, labelsText(e.Labels), a.time(e.Created())})
	}
	s.table(rows)
}

func (a *app) environmentShowCommand() *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "show ENVIRONMENT",
		Short: "Show an environment",
		Long:  "Shows what is said of an environment, by its id or name. `assetflow addon list` shows what runs in it.",
		Example: `  assetflow environment show production
  assetflow environment show 0194f7a0-dddd-7000-8000-00000000dddd -o json | jq .labels`,
		Args: arguments("ENVIRONMENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			id, err := environmentID(cmd.Context(), c, args[0])
			if err != nil {
				return conn.blame(err)
			}
			e, err := c.Environment(cmd.Context(), id)
			if err != nil {
				return conn.blame(err)
			}
			return a.emit(e, func(s *sheet) {
				s.fields(
					[2]string{"Environment", e.ID}, [2]string{"Name", e.Name}, [2]string{"Description", e.Description},
					[2]string{"Mode", e.DeployMode}, [2]string{"VPC", e.VPCID}, [2]string{"Labels", labelsText(e.Labels)},
					[2]string{"Project", e.ProjectID}, [2]string{"Creator", e.Creator},
					[2]string{"Created", a.time(e.Created())}, [2]string{"Changed", a.time(e.Updated())},
				)
			})
		},
	}
	flags.add(cmd)
	return cmd
}

func (a *app) environmentUpdateCommand() *cobra.Command {
	var (
		flags             connectionFlags
		name, description string
		labels            []string
		noLabels          bool
	)
	cmd := &cobra.Command{
		Use:   "update ENVIRONMENT",
		Short: "Change what is said of an environment",
		Long: `Changes what is said of an environment, named by its id or name. What is not given stays as it is; labels are replaced
as a whole.`,
		Example: `  assetflow environment update test --name staging
  assetflow environment update production --description "" --label team=shop --label tier=1
  assetflow environment update production --no-labels`,
		Args: arguments("ENVIRONMENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var change client.EnvironmentChange
			said := cmd.Flags().Changed
			if said("name") {
				change.Name = &name
			}
			if said("description") {
				change.Description = &description
			}
			if said("label") || noLabels {
				list, err := parseLabels(labels)
				if err != nil {
					return err
				}
				change.Labels = &list
			}
			if change == (client.EnvironmentChange{}) {
				return usagef("nothing is to be changed: say what, such as with --description")
			}
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			id, err := environmentID(cmd.Context(), c, args[0])
			if err != nil {
				return conn.blame(err)
			}
			e, err := c.UpdateEnvironment(cmd.Context(), id, change)
			if err != nil {
				return conn.blame(err)
			}
			return a.emit(e, func(s *sheet) {
				if !a.quiet {
					s.line("Changed %s (%s).", e.Name, e.ID)
				}
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&name, "name", "", "its new `name`")
	cmd.Flags().StringVar(&description, "description", "", "what it is for, in at most 256 characters")
	labelFlag(cmd, &labels)
	cmd.Flags().BoolVar(&noLabels, "no-labels", false, "take all labels away")
	cmd.MarkFlagsMutuallyExclusive("label", "no-labels")
	return cmd
}

func (a *app) environmentDeleteCommand() *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "delete ENVIRONMENT",
		Short: "Delete an environment without add-ons",
		Long: `Deletes an environment, named by its id or name. It must have no add-ons: take them away first with
` + "`assetflow addon uninstall`" + `. This cannot be undone.`,
		Example: `  assetflow environment delete test`,
		Args:    arguments("ENVIRONMENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			id, err := environmentID(cmd.Context(), c, args[0])
			if err != nil {
				return conn.blame(err)
			}
			err = c.DeleteEnvironment(cmd.Context(), id)
			var refusal *client.Error
			switch {
			case errors.As(err, &refusal) && refusal.Code == client.CodeStageRefused:
				return &hintError{err: err, code: ExitConflict, hint: "See its add-ons with `assetflow addon list`, and take them away with `assetflow addon uninstall`."}
			case err != nil:
				return conn.blame(err)
			}
			return a.emit(map[string]string{"deleted": id}, func(s *sheet) {
				if !a.quiet {
					s.line("Environment %s is deleted.", id)
				}
			})
		},
	}
	flags.add(cmd)
	return cmd
}

// environmentID gives the id of the environment that text is the id or the name of. An id is not looked up.
func environmentID(ctx context.Context, c *client.Client, text string) (string, error) {
	if uuidForm.MatchString(text) {
		return strings.ToLower(text), nil
	}
	page, _, err := environments(ctx, c, paging{all: true})
	if err != nil {
		return "", err
	}
	for _, e := range page.Environments {
		if e.Name == text {
			return e.ID, nil
		}
	}
	return "", &hintError{
		err: fmt.Errorf("the project has no environment of the name %q", text), code: ExitNotFound,
		hint: "See what there is with `assetflow environment list`.",
	}
}

// chosenEnvironment is environmentID where the environment may be left out: then it is the project's only one, and a note
// says so.
func (a *app) chosenEnvironment(ctx context.Context, c *client.Client, text string) (string, error) {
	if text != "" {
		return environmentID(ctx, c, text)
	}
	page, next, err := environments(ctx, c, paging{limit: choices})
	switch {
	case err != nil:
		return "", err
	case len(page.Environments) == 0:
		return "", &hintError{
			err: errors.New("the project has no environment"), code: ExitNotFound,
			hint: "Make one with `assetflow environment create NAME`.",
		}
	case len(page.Environments) > 1:
		lines := make([]string, len(page.Environments))
		for i, e := range page.Environments {
			lines[i] = "  " + e.Name
		}
		return "", choose("which environment?", "environment", lines, next != "")
	}
	only := page.Environments[0]
	a.note("In the environment %s, the only one of the project.", only.Name)
	return only.ID, nil
}

// choices is how many things to choose from are listed with an error.
const choices = 10

// choose asks for a flag whose value is one of several.
func choose(question, flag string, lines []string, more bool) error {
	if more {
		lines = append(lines, "  …")
	}
	return &usageError{text: question, hint: fmt.Sprintf("Say with --%s which of them:\n%s", flag, strings.Join(lines, "\n"))}
}
