package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"assetflow/client"
)

// emit writes a result: as JSON for scripts, or what text puts on the sheet for people.
func (a *app) emit(value any, text func(s *sheet)) error {
	if a.output == outputJSON {
		e := json.NewEncoder(a.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(value)
	}
	var s sheet
	text(&s)
	_, err := io.WriteString(a.stdout, s.text.String())
	return err
}

// say writes to stderr. A stderr that is gone is nobody's concern.
func (a *app) say(format string, args ...any) {
	_, _ = fmt.Fprintln(a.stderr, printableLines(fmt.Sprintf(format, args...)))
}

// note says something on stderr that is good to know and no error: not in scripts, and not to those who want quiet.
func (a *app) note(format string, args ...any) {
	if !a.silent() {
		a.say(format, args...)
	}
}

// silent tells whether nothing but the result and errors is wanted.
func (a *app) silent() bool { return a.quiet || a.output == outputJSON }

// sheet is a result as a person reads it. What is put on it cannot steer a terminal.
type sheet struct{ text strings.Builder }

// line adds a line, or several.
func (s *sheet) line(format string, args ...any) {
	s.text.WriteString(printableLines(fmt.Sprintf(format, args...)))
	s.text.WriteByte('\n')
}

// table adds aligned columns, the first row being their titles.
func (s *sheet) table(rows [][]string) {
	var aligned strings.Builder
	t := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		_, _ = t.Write([]byte(strings.Join(cells, "\t") + "\n"))
	}
	_ = t.Flush() // a builder takes everything
	for line := range strings.Lines(aligned.String()) {
		s.line("%s", strings.TrimRight(line, " \n"))
	}
}

// fields adds names and values, leaving out those that are empty.
func (s *sheet) fields(pairs ...[2]string) {
	rows := make([][]string, 0, len(pairs))
	for _, p := range pairs {
		if p[1] != "" {
			rows = append(rows, p[:])
		}
	}
	s.table(rows)
}

// printable makes a text from elsewhere safe for a terminal: no escape sequences, no line feeds, no text that runs
// backwards.
func printable(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// printableLines is printable for text of several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// time gives a time on the caller's clock, to the second.
func (a *app) time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(a.location).Format("2006-01-02 15:04:05")
}

// took gives a duration as a person says it.
func took(d time.Duration) string {
	switch {
	case d < 0:
		return ""
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}

// size gives a number of bytes in MiB, small ones in bytes or KiB.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 100<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
}

// count gives a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func stateText(state string) string {
	if state == client.JobCancelled {
		return "was cancelled"
	}
	return state
}
