package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// textHandler writes one line per record for a person:
//
//	18:53:01.204 INFO  listening address=127.0.0.1:8080
//
// The time is local and has no date: somebody is watching.
type textHandler struct {
	mu     *sync.Mutex // shared by all handlers made from one, because they share w
	w      io.Writer
	level  slog.Level
	colour bool
	prefix string // open groups, "a.b."
	attrs  string // attributes added so far, as they will be printed
}

func newTextHandler(w io.Writer, level slog.Level, colour bool) *textHandler {
	return &textHandler{mu: new(sync.Mutex), w: w, level: level, colour: colour}
}

func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level
}

func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	var b bytes.Buffer
	if !r.Time.IsZero() {
		b.WriteString(r.Time.Local().Format("15:04:05.000 "))
	}
	b.WriteString(h.paint(levelColour(r.Level), fmt.Sprintf("%-5s", r.Level)))
	b.WriteByte(' ')
	b.WriteString(printable(r.Message))
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		h.appendAttr(&b, h.prefix, a)
		return true
	})
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.w.Write(b.Bytes())
	return err
}

func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b bytes.Buffer
	for _, a := range attrs {
		h.appendAttr(&b, h.prefix, a)
	}
	c := *h
	c.attrs += b.String()
	return &c
}

func (h *textHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	c := *h
	c.prefix += name + "."
	return &c
}

func (h *textHandler) appendAttr(b *bytes.Buffer, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Key == "" && v.Kind() != slog.KindGroup || a.Equal(slog.Attr{}) {
		return
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range v.Group() {
			h.appendAttr(b, prefix, inner)
		}
		return
	}
	b.WriteByte(' ')
	b.WriteString(h.paint(faint, prefix+a.Key+"="))
	b.WriteString(valueText(v))
}

func valueText(v slog.Value) string {
	s := v.String()
	if v.Kind() == slog.KindTime {
		s = v.Time().Format(time.RFC3339Nano)
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || r == '"' || r == '=' || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// printable keeps a message on its line: a line feed or an escape sequence in it would let one record look like another.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

const (
	faint  = "2"
	red    = "31"
	yellow = "33"
	blue   = "34"
)

func levelColour(l slog.Level) string {
	levels := []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	i, found := slices.BinarySearch(levels, l)
	if !found {
		i--
	}
	return [...]string{faint, blue, yellow, red}[i+1]
}

func (h *textHandler) paint(colour, s string) string {
	if !h.colour {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}
