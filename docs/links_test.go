package docs

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

var (
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	code    = regexp.MustCompile("`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// pages are all Markdown files of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir("..", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && file != "..":
			return filepath.SkipDir
		case !entry.IsDir() && strings.HasSuffix(file, ".md"):
			all = append(all, file)
		}
		return nil
	}))
	require.NotEmpty(t, all)
	return all
}

// TestLinks follows every link from one file of the repository to another, and to its heading.
func TestLinks(t *testing.T) {
	t.Parallel()
	followed := 0
	for _, page := range pages(t) {
		content, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(fence.ReplaceAllString(string(content), ""), ""), -1) {
			target, err := url.Parse(m[1])
			require.NoError(t, err, "%s: %s", page, m[1])
			if target.Scheme != "" || target.Host != "" {
				continue
			}
			followed++
			file := page
			if target.Path != "" {
				file = filepath.Join(filepath.Dir(page), filepath.FromSlash(target.Path))
			}
			info, err := os.Stat(file)
			require.NoError(t, err, "%s links to %s", page, m[1])
			if target.Fragment != "" {
				require.False(t, info.IsDir(), "%s links to %s", page, m[1])
				require.Contains(t, anchors(t, file), target.Fragment, "%s links to %s", page, m[1])
			}
		}
	}
	require.NotZero(t, followed)
}

// anchors are the names of a page's headings in links.
func anchors(t *testing.T, page string) []string {
	t.Helper()
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	var names []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(string(content), ""), -1) {
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, m[1]))
	}
	return names
}
