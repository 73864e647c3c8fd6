package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"testing/slogtest"

	"github.com/stretchr/testify/require"

	"assetflow/telemetry"
)

func TestJSONHandlerKeepsSlogsRules(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger, err := telemetry.NewLogger(&out, telemetry.Options{Format: telemetry.FormatJSON})
	require.NoError(t, err)
	require.NoError(t, slogtest.TestHandler(logger.Handler(), func() []map[string]any { return lines(t, &out) }))
}

func lines(t *testing.T, out *bytes.Buffer) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range bytes.Lines(out.Bytes()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal(line, &m), "%s", line)
		all = append(all, m)
	}
	return all
}

func TestContextAttributesStandAtTheTop(t *testing.T) {
	t.Parallel()
	ctx := telemetry.WithRequestID(t.Context(), "r1")
	ctx = telemetry.WithJobID(ctx, "j1")
	ctx = telemetry.WithUserID(ctx, "u1")
	require.Equal(t, "r1", telemetry.RequestID(ctx))
	require.Equal(t, "j1", telemetry.JobID(ctx))
	require.Equal(t, "u1", telemetry.UserID(ctx))
	require.Empty(t, telemetry.RequestID(context.Background()))

	var out bytes.Buffer
	logger, err := telemetry.NewLogger(&out, telemetry.Options{Format: telemetry.FormatJSON})
	require.NoError(t, err)
	logger.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").InfoContext(ctx, "done", "c", 3)
	logger.InfoContext(context.Background(), "bare")

	got := lines(t, &out)
	delete(got[0], "time")
	require.Equal(t, map[string]any{
		"level": "INFO", "msg": "done", "a": 1.0, "request_id": "r1", "job_id": "j1", "user_id": "u1",
		"g": map[string]any{"b": 2.0, "h": map[string]any{"c": 3.0}},
	}, got[0])
	require.NotContains(t, got[1], "request_id")
	require.NotContains(t, got[1], "g")
}

func TestTextIsOneReadableLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		log  func(context.Context, *slog.Logger)
		want string
	}{
		"plain": {
			func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "listening", "addr", "127.0.0.1:8080") },
			"INFO  listening request_id=r1 addr=127.0.0.1:8080\n",
		},
		"quoted": {
			func(ctx context.Context, l *slog.Logger) {
				l.WarnContext(ctx, "odd", "err", errors.New(`a "b"`), "empty", "")
			},
			`WARN  odd request_id=r1 err="a \"b\"" empty=""` + "\n",
		},
		"one line, no escapes": {
			func(ctx context.Context, l *slog.Logger) { l.ErrorContext(ctx, "a\nb\x1b[2J", "k", "c\nd\x1b") },
			`ERROR a\nb\x1b[2J request_id=r1 k="c\nd\x1b"` + "\n",
		},
		"groups": {
			func(ctx context.Context, l *slog.Logger) {
				l.With("a", 1).WithGroup("g").With("b", 2).InfoContext(ctx, "m", slog.Group("h", "c", 3), slog.Group("", "d", 4), slog.Attr{})
			},
			"INFO  m a=1 request_id=r1 g.b=2 g.h.c=3 g.d=4\n",
		},
		"below the level": {
			func(ctx context.Context, l *slog.Logger) { l.DebugContext(ctx, "quiet") },
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			logger, err := telemetry.NewLogger(&out, telemetry.Options{Format: telemetry.FormatText})
			require.NoError(t, err)
			c.log(telemetry.WithRequestID(t.Context(), "r1"), logger)
			got := out.String()
			if c.want != "" {
				require.Regexp(t, `^\d\d:\d\d:\d\d\.\d{3} `, got)
				got = got[len("15:04:05.000 "):]
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestAutoIsJSONWhereThereIsNoTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger, err := telemetry.NewLogger(&out, telemetry.Options{})
	require.NoError(t, err)
	logger.Info("hello")
	require.Len(t, lines(t, &out), 1)
}

func TestLevelsAndFormatsThatDoNotExist(t *testing.T) {
	t.Parallel()
	_, err := telemetry.NewLogger(&bytes.Buffer{}, telemetry.Options{Level: "loud"})
	require.EqualError(t, err, `log level "loud": must be debug, info, warn or error`)
	_, err = telemetry.NewLogger(&bytes.Buffer{}, telemetry.Options{Format: "xml"})
	require.EqualError(t, err, `log format "xml": must be auto, text or json`)

	for name, want := range map[string]slog.Level{
		"": slog.LevelInfo, "debug": slog.LevelDebug, "INFO": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	} {
		got, err := telemetry.ParseLevel(name)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
}
