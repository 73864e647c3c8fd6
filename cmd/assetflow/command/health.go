package command

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assetflow/api"
	"assetflow/cmd/assetflow/serve"
	"assetflow/fault"
)

// healthTimeout bounds a look at a service's health.
const healthTimeout = 5 * time.Second

func (a *app) healthCommand() *cobra.Command {
	return group("health", "Tell whether the service on this host is well",
		`Tells whether the api or the worker of this host, or of this container, is well: for health checks where there is no
other program to ask with. The exit code is 0 where it is, and 7 where it is not.`,
		a.healthAPICommand(), a.healthWorkerCommand())
}

func (a *app) healthAPICommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "api",
		Short: "Tell whether the api of this host is ready",
		Long: `Asks the api that listens on http.addr of this host whether it is ready: whether it answers, and its database, object
store and Temporal answer it.

` + settingsHelp,
		Example: `  assetflow health api --http-addr :8080`,
		Args:    noArguments,
	}
	flags := addSettings(cmd, allSettings)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := a.settings(flags, 0)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
		defer cancel()
		if err := askReady(ctx, localAddress(cfg.HTTP.Addr)); err != nil {
			return err
		}
		return a.emit(map[string]bool{"healthy": true}, func(s *sheet) { s.line("The api is ready.") })
	}
	return cmd
}

// localAddress gives an address under which this host reaches what listens on addr.
func localAddress(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// askReady asks the api at an address whether it is ready. Errors: Unavailable where it is not.
func askReady(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask whether the api is ready: %w", err)
	}
	transport := &http.Transport{} // no proxy stands between a host and itself
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fault.New(fault.Unavailable, "api.away", "The api does not answer at %s.", address).Wrap(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var answer api.Readiness
	_ = json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 1<<16)).Decode(&answer) // without it there is less to say
	var away []string
	for name, state := range answer.Checks {
		if state != "ok" {
			away = append(away, name)
		}
	}
	slices.Sort(away)
	text := fmt.Sprintf("The api at %s is not ready: it answers %d.", address, resp.StatusCode)
	if len(away) > 0 {
		text = fmt.Sprintf("The api at %s is not ready: it misses %s.", address, strings.Join(away, ", "))
	}
	return fault.New(fault.Unavailable, "api.not_ready", "%s", text)
}

func (a *app) healthWorkerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Tell whether the worker of this host asks for tasks",
		Long: `Asks Temporal whether a worker on this host has asked it for tasks within the last two minutes. A worker needs
no port for that, and one that hangs has a process, too.

` + settingsHelp,
		Example: `  assetflow health worker --temporal-address temporal:7233`,
		Args:    noArguments,
	}
	flags := addSettings(cmd, allSettings)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := a.settings(flags, 0)
		if err != nil {
			return err
		}
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("find out this host's name: %w", err)
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
		defer cancel()
		if err := serve.WorkerAlive(ctx, cfg.Temporal, host, time.Now()); err != nil {
			return err
		}
		return a.emit(map[string]bool{"healthy": true}, func(s *sheet) { s.line("The worker asks for tasks.") })
	}
	return cmd
}
