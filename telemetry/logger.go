// Package telemetry sets up what the service says about itself: structured logs, readable on a terminal and JSON
// elsewhere, whose records carry the request, job and user of the context they are logged with.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/term"
)

// The log formats.
const (
	FormatAuto = "auto" // text on a terminal, JSON elsewhere
	FormatText = "text" // one line for a person
	FormatJSON = "json" // one JSON object per line
)

// Options are the settings of a logger.
type Options struct {
	Level  string // "debug", "info", "warn" or "error"; empty is "info"
	Format string // FormatAuto, FormatText or FormatJSON; empty is auto
}

// NewLogger makes a logger that writes to w. Records logged with a context carry its request_id, job_id and user_id.
// It fails only for a level or format that does not exist.
func NewLogger(w io.Writer, opts Options) (*slog.Logger, error) {
	level, err := ParseLevel(opts.Level)
	if err != nil {
		return nil, err
	}
	var h slog.Handler
	switch format := opts.Format; {
	case format == FormatJSON, (format == FormatAuto || format == "") && !IsTerminal(w):
		h = slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	case format == FormatText, format == FormatAuto, format == "":
		h = newTextHandler(w, level, IsTerminal(w) && os.Getenv("NO_COLOR") == "") //nolint:misspell // its name: no-color.org
	default:
		return nil, fmt.Errorf("log format %q: must be auto, text or json", format)
	}
	return slog.New(WithContextAttributes(h)), nil
}

// ParseLevel reads a level's name; empty is info.
func ParseLevel(name string) (slog.Level, error) {
	switch strings.ToLower(name) {
	case "debug":
		return slog.LevelDebug, nil
	case "info", "":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("log level %q: must be debug, info, warn or error", name)
}

// IsTerminal tells whether w is a terminal.
func IsTerminal(w any) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}
