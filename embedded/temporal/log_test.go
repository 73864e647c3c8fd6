package temporal

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/server/common/log/tag"
)

func TestLogAdapter(t *testing.T) {
	t.Parallel()
	newAdapter := func(verbose bool) (*logAdapter, *bytes.Buffer) {
		var out bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))
		return newLogAdapter(logger, verbose), &out
	}

	t.Run("level and tags", func(t *testing.T) {
		t.Parallel()
		a, out := newAdapter(false)
		a.Info("quiet")
		a.With(tag.NewStringTag("service", "history")).Warn("loud", tag.NewInt("shard", 1))
		require.NotContains(t, out.String(), "quiet")
		require.Contains(t, out.String(), "level=WARN msg=loud component=temporal service=history shard=1")
	})
	t.Run("verbose, as far as the logger wants it", func(t *testing.T) {
		t.Parallel()
		a, out := newAdapter(true)
		a.Debug("too much")
		a.Info("quiet")
		require.NotContains(t, out.String(), "too much")
		require.Contains(t, out.String(), "quiet")
	})
	t.Run("nothing once it stops", func(t *testing.T) {
		t.Parallel()
		a, out := newAdapter(false)
		with := a.With(tag.NewStringTag("service", "history"))
		a.stopping.Store(true)
		with.Error("shutting down")
		require.Empty(t, out.String())
	})
	t.Run("fatal ends the goroutine, not the process", func(t *testing.T) {
		t.Parallel()
		a, out := newAdapter(false)
		ended := make(chan bool, 1)
		go func() {
			returned := false
			defer func() { ended <- returned }()
			a.With(tag.NewStringTag("service", "frontend")).Fatal("no listener", tag.NewStringTag("address", "1.2.3.4:5"))
			returned = true
		}()
		require.False(t, <-ended)
		<-a.fatal.done
		require.EqualError(t, a.fatal.err(), "no listener, address: 1.2.3.4:5")
		require.Contains(t, out.String(), "no listener")
	})
}

// Nothing but the frontend may be reachable from elsewhere.
func TestServicesListenOnTheLoopbackInterface(t *testing.T) {
	t.Parallel()
	addr, err := frontendAddress(":0")
	require.NoError(t, err)
	cfg, hosts, err := serverConfig(addr)
	require.NoError(t, err)
	require.Len(t, cfg.Services, 4)
	require.Len(t, hosts, 4)
	ports := map[int]string{}
	for name, service := range cfg.Services {
		require.Equal(t, "127.0.0.1", service.RPC.BindOnIP, name)
		require.NotContains(t, ports, service.RPC.GRPCPort, name)
		ports[service.RPC.GRPCPort] = name
	}
}
