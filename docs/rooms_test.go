package docs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "assetflow/"

// room is a row of the table of architecture.md: what may be imported there.
type room struct {
	everything bool     // but for what names says
	names      []string // of rooms, or of packages in them
}

func (r room) named(importPath string) (string, bool) {
	for _, name := range r.names {
		if importPath == name || strings.HasPrefix(importPath, name+"/") {
			return name, true
		}
	}
	return "", false
}

var (
	roomRow = regexp.MustCompile(`^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$`)
	quoted  = regexp.MustCompile("`([^`]+)`")
)

// readRooms reads the table of rooms.
func readRooms(t *testing.T) map[string]room {
	t.Helper()
	page, err := os.ReadFile("architecture.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "\n## Rooms\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	rooms := map[string]room{}
	for line := range strings.Lines(section) {
		m := roomRow.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || !strings.Contains(m[1], "`") {
			continue
		}
		r := room{everything: strings.HasPrefix(m[2], "everything")}
		for _, name := range quoted.FindAllStringSubmatch(m[2], -1) {
			r.names = append(r.names, name[1])
		}
		for _, name := range quoted.FindAllStringSubmatch(m[1], -1) {
			rooms[strings.TrimSuffix(name[1], "/")] = r
		}
	}
	require.NotEmpty(t, rooms)
	return rooms
}

// roomOf is the room that a package is in.
func roomOf(importPath string) string {
	parts := strings.Split(importPath, "/")
	if parts[0] == "cmd" && len(parts) > 1 {
		return path.Join(parts[:2]...)
	}
	return parts[0]
}

// arrows are the imports between rooms, of all code but tests and what helps them: from room to package.
func arrows(t *testing.T) map[string]map[string]string {
	t.Helper()
	const root = ".."
	found := map[string]map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			own, err := os.Stat(filepath.Join(file, "go.mod"))
			if file != root && err == nil && own.Mode().IsRegular() || entry.Name() == "testdata" || strings.HasSuffix(entry.Name(), "test") || strings.HasPrefix(entry.Name(), ".") && file != root {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		from := roomOf(path.Dir(filepath.ToSlash(relative)))
		if found[from] == nil {
			found[from] = map[string]string{}
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if to, ours := strings.CutPrefix(imported, module); ours && roomOf(to) != from {
				found[from][to] = relative
			}
		}
		return nil
	}))
	return found
}

// TestRooms holds the imports against the table of rooms: none goes where it may not, and every arrow of the table is one
// that is needed.
func TestRooms(t *testing.T) {
	t.Parallel()
	rooms := readRooms(t)
	for from, imports := range arrows(t) {
		r, known := rooms[from]
		require.True(t, known, "the table lacks the room %s", from)
		used := map[string]bool{}
		for to, file := range imports {
			name, named := r.named(to)
			used[name] = true
			if roomOf(to) == "fault" {
				continue
			}
			require.Equal(t, !r.everything, named, "%s imports %s, which %s may not", file, to, from)
		}
		for _, name := range r.names {
			require.True(t, r.everything || used[name], "%s may import %s and does not: take it out of the table", from, name)
		}
	}
}
