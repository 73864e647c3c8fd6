package command

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"assetflow/config"
)

// TestDocs keeps docs/cli.md as the help says: everything after the marker is made of the commands themselves.
func TestDocs(t *testing.T) {
	t.Parallel()
	const (
		path   = "../../../docs/cli.md"
		marker = "<!-- Made of the commands' help by `go test ./cmd/assetflow/command -run Docs -update`: change it there. -->\n"
	)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	written, _, ok := strings.Cut(string(content), marker)
	require.True(t, ok, "the marker is missing")
	want := written + marker + reference(newApp(t).root())
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o600))
		return
	}
	require.Equal(t, want, string(content), "run the test with -update")
}

// reference describes all commands.
func reference(root *cobra.Command) string {
	var b strings.Builder
	for _, group := range root.Groups() {
		fmt.Fprintf(&b, "\n### %s\n", strings.TrimSuffix(group.Title, ":"))
		for _, cmd := range root.Commands() {
			if cmd.GroupID == group.ID {
				describe(&b, cmd)
			}
		}
	}
	b.WriteString("\n### Else\n")
	for _, cmd := range root.Commands() {
		if cmd.GroupID == "" && cmd.Name() == "version" {
			describe(&b, cmd)
		}
	}
	return b.String()
}

func describe(b *strings.Builder, cmd *cobra.Command) {
	if cmd.HasSubCommands() {
		fmt.Fprintf(b, "\n#### assetflow %s\n\n%s\n", commandName(cmd), paragraphs(cmd.Long))
		for _, sub := range cmd.Commands() {
			describe(b, sub)
		}
		return
	}
	fmt.Fprintf(b, "\n#### %s\n\n%s\n", strings.TrimSuffix(cmd.UseLine(), " [flags]"), paragraphs(cmd.Long))
	describeFlags(b, cmd)
	fmt.Fprintf(b, "\n```sh\n%s\n```\n", unindent(cmd.Example))
}

// describeFlags leaves out the flags that many commands have and that stand in a place of their own.
func describeFlags(b *strings.Builder, cmd *cobra.Command) {
	connects, configured := false, false
	elsewhere := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(elsewhere)
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	own.SortFlags = false
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Name == "credentials":
			connects = true
		case f.Name == "config" || elsewhere.Lookup(f.Name) != nil:
			configured = true
		case strings.HasPrefix(f.Usage, "`id`") || f.Name == "endpoint" || strings.HasPrefix(f.Usage, "`name` of the profile that"):
		case f.Name != "help":
			own.AddFlag(f)
		}
	})
	if own.HasFlags() {
		fmt.Fprintf(b, "\n```\n%s```\n", own.FlagUsages())
	}
	if connects {
		b.WriteString("\nTakes the flags of [a connection](#where-the-connection-comes-from).\n")
	}
	if configured {
		b.WriteString("\nTakes the settings of [configuration.md](configuration.md) that it needs.\n")
	}
}

// paragraphs gives text as Markdown: indented lines are a table of their own.
func paragraphs(long string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(long) {
		if indented := strings.HasPrefix(line, "  "); indented != inside && strings.TrimSpace(line) != "" {
			b.WriteString("```\n")
			inside = indented
		}
		b.WriteString(line)
	}
	if inside {
		b.WriteString("\n```")
	}
	return b.String()
}

func unindent(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}
