package command

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

var (
	block   = regexp.MustCompile("(?ms)^ *```(?:sh|bash)\n(.*?)^ *```")
	inline  = regexp.MustCompile("`((?:bin/)?assetflow [^`]+)`")
	call    = regexp.MustCompile(`(?:^|[|;&(\s])(?:bin/)?assetflow ((?:[a-z][a-z-]*)(?: .*)?)$`)
	longKey = regexp.MustCompile(`(?:^|\s)--([a-z][a-z0-9-]*)`)
	plain   = regexp.MustCompile(`^[a-z][a-z-]*$`)
	ending  = regexp.MustCompile(`[|;&>)]| #`)
)

// TestPages looks whether every command of ours that a page names exists, with the flags it is given there.
func TestPages(t *testing.T) {
	t.Parallel()
	const root = "../../.."
	found := 0
	require.NoError(t, filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".md") {
			if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && file != root {
				return filepath.SkipDir
			}
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		page := string(content)
		var lines []string
		for _, m := range block.FindAllStringSubmatch(page, -1) {
			lines = append(lines, strings.Split(strings.ReplaceAll(m[1], "\\\n", " "), "\n")...)
		}
		for _, m := range inline.FindAllStringSubmatch(block.ReplaceAllString(page, ""), -1) {
			lines = append(lines, m[1])
		}
		for _, line := range lines {
			if m := call.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				found++
				requireCommand(t, file, m[1])
			}
		}
		return nil
	}))
	require.Greater(t, found, 100)
}

// requireCommand looks a command line up, up to where the shell goes on with something else.
func requireCommand(t *testing.T, page, text string) {
	t.Helper()
	if at := ending.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	cmd := newApp(t).root()
	cmd.InitDefaultHelpCmd()
	cmd.InitDefaultCompletionCmd()
	for _, word := range strings.Fields(text) {
		next := child(cmd, word)
		if next == nil {
			require.False(t, cmd.HasSubCommands() && plain.MatchString(word), "%s names the command %q of `assetflow %s`, which does not exist", page, word, text)
			break
		}
		cmd = next
	}
	cmd.InitDefaultHelpFlag()
	for _, m := range longKey.FindAllStringSubmatch(text, -1) {
		require.NotNil(t, cmd.Flag(m[1]), "%s gives --%s to `assetflow %s`, which does not take it", page, m[1], text)
	}
}

func child(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name || c.HasAlias(name) {
			return c
		}
	}
	return nil
}
