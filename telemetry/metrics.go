package telemetry

import (
	"database/sql"
	"log/slog"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// MetricsOptions say what a process counts.
type MetricsOptions struct {
	// JobKinds are the kinds of jobs that there are. A series of each is there from the start, so that its first job shows
	// as an increase.
	JobKinds []string
	Logger   *slog.Logger // slog.Default where nil
}

// Metrics are what a process counts and measures, in a registry of its own. No label holds an id, a name, a path or
// anything else of a caller's making, so the number of series has a bound. A nil *Metrics counts nothing. Its methods may
// be called at the same time.
type Metrics struct {
	registry *prometheus.Registry
	logger   *slog.Logger
	build    *prometheus.GaugeVec
	temporal temporalMetrics
	http     httpMetrics
	jobs     jobMetrics
	steps    stepMetrics
	store    storeMetrics
}

// Buckets of histograms, in seconds.
var (
	// requestBuckets reach from an answer out of memory to the upload of gigabytes.
	requestBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	// stepBuckets reach from a commit to the copy of a large asset.
	stepBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}
	// jobBuckets reach from an import of a few files to a delivery whose target is away.
	jobBuckets = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400}
)

// NewMetrics makes the metrics of a process: those of this package, of the Go runtime, of the process and of the Temporal
// SDK. It fails only when two have the same name.
func NewMetrics(opts MetricsOptions) (*Metrics, error) {
	m := &Metrics{registry: prometheus.NewRegistry(), logger: opts.Logger}
	if m.logger == nil {
		m.logger = slog.Default()
	}
	m.build = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "assetflow_build_info", Help: "Always 1; the labels are the version of the program and of the Go it was compiled with.",
	}, []string{"version", "go_version"})
	m.http, m.jobs, m.steps, m.store = newHTTPMetrics(), newJobMetrics(opts.JobKinds), newStepMetrics(), newStoreMetrics()
	all := []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.build,
	}
	for _, some := range [][]prometheus.Collector{m.http.all(), m.jobs.all(), m.steps.all(), m.store.all()} {
		all = append(all, some...)
	}
	for _, c := range all {
		if err := m.registry.Register(c); err != nil {
			return nil, err
		}
	}
	var err error
	m.temporal, err = newTemporalMetrics(m.registry)
	return m, err
}

// Built says which version of the program runs.
func (m *Metrics) Built(version string) {
	if m != nil {
		m.build.WithLabelValues(version, runtime.Version()).Set(1)
	}
}

// Registry is where everything is gathered from.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Handler answers with everything in the form that Prometheus asks for. What cannot be gathered is left out and logged.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: gatherLog{m.logger}, MaxRequestsInFlight: maxScrapes,
	})
}

// maxScrapes bounds how many scrapes run at a time: each asks the database and the dependencies.
const maxScrapes = 4

type gatherLog struct{ logger *slog.Logger }

func (l gatherLog) Println(v ...any) { l.logger.Warn("metrics could not be gathered", "error", v) }

// WatchDatabase adds the connections of a database's pool.
func (m *Metrics) WatchDatabase(name string, db *sql.DB) error {
	if m == nil {
		return nil
	}
	return m.registry.Register(collectors.NewDBStatsCollector(db, name))
}
