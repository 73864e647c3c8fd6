package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	temporalclient "go.temporal.io/sdk/client"

	"assetflow/api"
	"assetflow/client"
	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/telemetry"
	"assetflow/worker"
)

// service is an api and a worker, each as a process of its own would be, that reach the store and Temporal through
// switches.
type service struct {
	backends     *serve.Backends // of the api
	endpoint     string          // of the api
	api, worker  string          // where operators ask them
	s3, temporal *breaker
	both         []*telemetry.Metrics
	stop         func()
}

// startService starts a service on machines. Its end is waited for by stop, or at the end of the test.
func startService(t *testing.T, cfg config.Config) *service {
	t.Helper()
	s3, err := url.Parse(cfg.S3.Endpoint)
	require.NoError(t, err)
	s := &service{s3: newBreaker(t, s3.Host), temporal: newBreaker(t, cfg.Temporal.Address)}
	cfg.S3.Endpoint, cfg.Temporal.Address = "http://"+s.s3.addr, s.temporal.addr
	cfg.Telemetry.Metrics.Addr = "127.0.0.1:0"
	s.backends = open(t, cfg)
	require.NoError(t, s.backends.Prepare(t.Context()))
	require.NoError(t, s.backends.ListenForOperators(t.Context()))
	working := open(t, cfg)
	require.NoError(t, working.ListenForOperators(t.Context()))
	s.api, s.worker = "http://"+s.backends.OperatorsAddr(), "http://"+working.OperatorsAddr()
	s.both = []*telemetry.Metrics{s.backends.Metrics, working.Metrics}

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.endpoint = "http://" + ln.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 2)
	go func() { ended <- s.backends.API(ctx, ln, "test") }()
	go func() { ended <- working.Worker(ctx) }()
	stopped := false
	s.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.NoError(t, <-ended)
			require.NoError(t, <-ended)
		}
	}
	t.Cleanup(s.stop)
	s.awaitReady(t, s.api, "database=ok s3=ok temporal=ok")
	s.awaitReady(t, s.worker, "database=ok poller=ok s3=ok temporal=ok")
	return s
}

func ask(t *testing.T, address string) (int, string) {
	t.Helper()
	resp, err := http.Get(address)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

// awaitReady waits until /readyz says of the dependencies what is wanted, and that the status fits.
func (s *service) awaitReady(t *testing.T, address, want string) {
	t.Helper()
	var got string
	require.Eventually(t, func() bool {
		status, body := ask(t, address+"/readyz")
		var answer api.Readiness
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		var checks []string
		for _, name := range slices.Sorted(maps.Keys(answer.Checks)) {
			checks = append(checks, name+"="+answer.Checks[name])
		}
		got = strings.Join(checks, " ")
		away := strings.Contains(got, "=error")
		require.Equal(t, away, status == http.StatusServiceUnavailable, "%d %s", status, body)
		require.Equal(t, !away, status == http.StatusOK, "%d %s", status, body)
		return got == want
	}, 2*time.Minute, 50*time.Millisecond, "%s: want %s, the last was %s", address, want, got)
}

// scrape gives everything that a process says, by the names of the metrics.
func scrape(t *testing.T, address string) map[string]*dto.MetricFamily {
	t.Helper()
	status, body := ask(t, address+"/metrics")
	require.Equal(t, http.StatusOK, status, body)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(t, err)
	return families
}

// value sums the series of a metric that have the labels, "name=value"; of a histogram, how much was observed.
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	sum := 0.0
	for _, m := range families[name].GetMetric() {
		have := map[string]bool{}
		for _, l := range m.GetLabel() {
			have[l.GetName()+"="+l.GetValue()] = true
		}
		if !slices.ContainsFunc(labels, func(l string) bool { return !have[l] }) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// breaker is a switch between a client and a server.
type breaker struct {
	addr, target string

	mu    sync.Mutex
	open  bool // nothing gets through
	conns map[net.Conn]bool
}

func newBreaker(t *testing.T, target string) *breaker {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &breaker{addr: ln.Addr().String(), target: target, conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { b.join(conn) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		b.set(true)
		serving.Wait()
	})
	return b
}

// set ends all connections, and says whether others are refused.
func (b *breaker) set(open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = open
	for conn := range b.conns {
		_ = conn.Close()
	}
}

// keep has the connections ended by set, unless nothing gets through.
func (b *breaker) keep(conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range conns {
		b.conns[conn] = true
	}
	return !b.open
}

func (b *breaker) join(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	server, err := net.Dial("tcp", b.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !b.keep(conn, server) {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(conn, server)
		_ = conn.Close()
	}()
	_, _ = io.Copy(server, conn)
	_ = server.Close()
	<-back
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, conn)
	delete(b.conns, server)
}

// total is value of both processes together.
func (s *service) total(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	return value(t, scrape(t, s.api), name, labels...) + value(t, scrape(t, s.worker), name, labels...)
}

// await waits until both processes together say the value: what counts a request does so after its answer.
func (s *service) await(t *testing.T, want float64, name string, labels ...string) {
	t.Helper()
	require.Eventually(t, func() bool { return s.total(t, name, labels...) == want }, time.Minute, 50*time.Millisecond,
		"%s%v must become %v", name, labels, want)
}

// TestOperations runs jobs on a service that loses its store and Temporal meanwhile, and reads of them what operators do.
func TestOperations(t *testing.T) {
	cfg := machines(t)
	cfg.HTTP.ShutdownDelay = 5 * time.Second
	s := startService(t, cfg)
	s.backends.Metrics.Built("1.2.3")
	c := caller(t, s.backends, cfg, s.endpoint)
	run := func(id string, err error) client.Job {
		t.Helper()
		require.NoError(t, err)
		job, err := c.WaitJob(t.Context(), id, nil)
		require.NoError(t, err)
		return job
	}
	importing := func(pkg []byte) (string, error) {
		return c.Import(t.Context(), "shop.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{})
	}
	pkg := samplePackage(t)

	t.Run("before anything", func(t *testing.T) {
		for _, address := range []string{s.api, s.worker} {
			status, body := ask(t, address+"/healthz")
			require.Equal(t, http.StatusOK, status)
			require.JSONEq(t, `{"status": "ok"}`, body)
			for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/v2/p/instances/i/assets/jobs/j", "/"} {
				status, _ = ask(t, address+path)
				require.Equal(t, http.StatusNotFound, status, path)
			}
		}
		status, _ := ask(t, s.endpoint+"/metrics")
		require.Equal(t, http.StatusNotFound, status, "not on the port of the contracts")
		require.Contains(t, scrape(t, s.api), "assetflow_jobs_ended_total", "the first job shows as an increase")
		for _, kind := range []string{"asset-import", "asset-delete", "asset-export", "asset-copy", "template-import", "addon-delivery"} {
			require.Zero(t, s.total(t, "assetflow_jobs_ended_total", "kind="+kind))
		}
		require.EqualValues(t, 1, value(t, scrape(t, s.api), "assetflow_build_info", "version=1.2.3"))
	})

	t.Run("an import", func(t *testing.T) {
		id, err := importing(pkg)
		require.Equal(t, client.Succeeded, run(id, err).Status)
		s.await(t, 1, "assetflow_jobs_submitted_total", "kind=asset-import")
		s.await(t, 1, "assetflow_jobs_ended_total", "kind=asset-import", "outcome=succeeded")
		s.await(t, 1, "assetflow_job_duration_seconds", "kind=asset-import", "outcome=succeeded")
		s.await(t, 1, "assetflow_job_worker_wait_seconds", "kind=asset-import")
		for _, step := range []string{"InspectPackage", "StoreFiles", "CommitImport", "EndJob"} {
			s.await(t, 1, "assetflow_step_duration_seconds", "kind=asset-import", "step="+step, "outcome=succeeded")
		}
		s.await(t, 1, "assetflow_http_requests_total", "contract=roma", "method=POST", "status=2xx",
			"route=/v2/:project_id/instances/:instance_id/assets/import")
		s.await(t, float64(len(pkg)), "assetflow_storage_written_bytes_total", "folder=staging")
		s.await(t, float64(len(fileContent)), "assetflow_storage_written_bytes_total", "folder=blobs")
		families := scrape(t, s.api)
		require.Greater(t, value(t, families, "assetflow_http_request_bytes_total", "contract=roma"), float64(len(pkg)))
		require.Positive(t, value(t, families, "assetflow_http_response_bytes_total", "contract=roma"))
		require.Positive(t, value(t, scrape(t, s.worker), "assetflow_storage_read_bytes_total", "folder=staging"))
		require.Zero(t, s.total(t, "assetflow_step_retries_total"))
		require.Zero(t, value(t, families, "assetflow_jobs"), "nothing runs")
		require.Len(t, families["assetflow_jobs"].GetMetric(), 12, "of every kind, running and queued")
		require.Zero(t, value(t, families, "assetflow_http_requests_in_flight"))
	})

	t.Run("an import that fails", func(t *testing.T) {
		id, err := importing(pkg) // its names are taken
		require.Equal(t, client.Failed, run(id, err).Status)
		s.await(t, 1, "assetflow_jobs_ended_total", "kind=asset-import", "outcome=failed")
		s.await(t, 1, "assetflow_jobs_ended_total", "kind=asset-import", "outcome=succeeded")
		s.await(t, 1, "assetflow_step_duration_seconds", "step=InspectPackage", "outcome=refused")
		require.Zero(t, s.total(t, "assetflow_step_duration_seconds", "outcome=failed"), "a bad package is no fault of the step")
	})

	t.Run("what nobody may make labels of", func(t *testing.T) {
		for _, path := range []string{"/v2/nothing", "/v2/nothing/else", "/nothing"} {
			status, _ := ask(t, s.endpoint+path)
			require.Equal(t, http.StatusNotFound, status)
		}
		r, err := http.NewRequestWithContext(t.Context(), "BREW", s.endpoint+"/v2/nothing", http.NoBody)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		s.await(t, 3, "assetflow_http_requests_total", "contract=roma", "route=other", "status=4xx")
		s.await(t, 1, "assetflow_http_requests_total", "contract=roma", "route=other", "method=other")
		s.await(t, 2, "assetflow_http_requests_total", "contract=native", "route=other") // the first was for /metrics
		status, _ := ask(t, s.endpoint+"/v2/p/instances/i/assets/jobs/j")
		require.Equal(t, http.StatusUnauthorized, status)
		s.await(t, 1, "assetflow_auth_failures_total", "reason=missing")
	})

	t.Run("the store is away and comes back", func(t *testing.T) {
		s.s3.set(true)
		s.awaitReady(t, s.api, "database=ok s3=error temporal=ok")
		s.awaitReady(t, s.worker, "database=ok poller=ok s3=error temporal=ok")
		require.Zero(t, value(t, scrape(t, s.api), "assetflow_dependency_up", "dependency=s3"))
		require.EqualValues(t, 2, value(t, scrape(t, s.api), "assetflow_dependency_up"))

		page, err := c.ListAssets(t.Context(), client.AssetFilter{})
		require.NoError(t, err)
		require.Len(t, page.Assets, 1)
		id, err := c.StartExport(t.Context(), client.Selection{Applications: []string{page.Assets[0].ID}}, client.StartOptions{})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			return s.total(t, "assetflow_step_retries_total", "kind=asset-export", "step=WriteArchive") > 0
		}, 2*time.Minute, 50*time.Millisecond)
		require.EqualValues(t, 1, value(t, scrape(t, s.api), "assetflow_jobs", "kind=asset-export", "state=running"))
		s.s3.set(false)
		require.Equal(t, client.Succeeded, run(id, nil).Status)
		s.awaitReady(t, s.api, "database=ok s3=ok temporal=ok")
		s.awaitReady(t, s.worker, "database=ok poller=ok s3=ok temporal=ok")
		failed := s.total(t, "assetflow_step_duration_seconds", "kind=asset-export", "step=WriteArchive", "outcome=failed")
		require.Positive(t, failed)
		require.EqualValues(t, failed, s.total(t, "assetflow_step_retries_total", "kind=asset-export", "step=WriteArchive"))
		s.await(t, 1, "assetflow_step_duration_seconds", "kind=asset-export", "step=WriteArchive", "outcome=succeeded")
		s.await(t, 1, "assetflow_jobs_ended_total", "kind=asset-export")
		s.await(t, 1, "assetflow_jobs_submitted_total", "kind=asset-export")
	})

	t.Run("Temporal is away and comes back", func(t *testing.T) {
		s.temporal.set(true)
		s.awaitReady(t, s.api, "database=ok s3=ok temporal=error")
		s.awaitReady(t, s.worker, "database=ok poller=error s3=ok temporal=error")
		s.temporal.set(false)
		s.awaitReady(t, s.api, "database=ok s3=ok temporal=ok")
		s.awaitReady(t, s.worker, "database=ok poller=ok s3=ok temporal=ok")
		require.Error(t, s.backends.CheckPollersAt(t.Context(), time.Now().Add(time.Hour)), "its last poll is too long ago")
	})

	t.Run("a sweep", func(t *testing.T) {
		sweep := s.backends.Temporal.ScheduleClient().GetHandle(t.Context(), worker.ScheduleID)
		require.NoError(t, sweep.Trigger(t.Context(), temporalclient.ScheduleTriggerOptions{}))
		require.Eventually(t, func() bool {
			return s.total(t, "assetflow_step_duration_seconds", "kind=sweep", "step=ForgetSubmissions", "outcome=succeeded") > 0
		}, 2*time.Minute, 50*time.Millisecond)
		require.Contains(t, scrape(t, s.worker), "assetflow_swept_total")
	})

	t.Run("what Prometheus takes", func(t *testing.T) {
		for _, m := range s.both {
			problems, err := testutil.GatherAndLint(m.Registry())
			require.NoError(t, err)
			for _, p := range problems {
				require.Fail(t, "against the naming guide", "%s: %s", p.Metric, p.Text)
			}
		}
	})

	t.Run("no ids", func(t *testing.T) {
		id := regexp.MustCompile(`(?i)[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-|\bada\b|shop|127\.0\.0\.1`)
		for _, address := range []string{s.api, s.worker} {
			series := 0
			for name, family := range scrape(t, address) {
				for _, m := range family.GetMetric() {
					series++
					for _, l := range m.GetLabel() {
						if l.GetName() == "namespace" {
							continue // the operator's own name for it; a test has one of its own on a server of production
						}
						require.NotRegexp(t, id, l.GetValue(), "%s: %s", name, l.GetName())
					}
				}
			}
			require.Less(t, series, 1000)
		}
	})

	t.Run("the documentation", func(t *testing.T) { checkDocs(t, scrape(t, s.api), scrape(t, s.worker)) })

	t.Run("the end is announced here, too", func(t *testing.T) {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.stop()
		}()
		defer func() { <-ended }()
		require.Eventually(t, func() bool {
			status, body := ask(t, s.api+"/readyz")
			return status == http.StatusServiceUnavailable && strings.Contains(body, `"stopping"`)
		}, 5*time.Second, 20*time.Millisecond)
	})

	s.stop()
	for _, address := range []string{s.api, s.worker} {
		_, err := http.Get(address + "/healthz")
		require.Error(t, err, "the listener is closed")
	}
}
