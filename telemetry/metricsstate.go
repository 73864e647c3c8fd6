package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gatherTimeout bounds what a scrape asks others for.
const gatherTimeout = 2 * time.Second

var (
	openJobs = prometheus.NewDesc("assetflow_jobs",
		"Jobs that have not ended, as the catalog has them at this moment: the same from every process that says so, so take the maximum and not the sum. Absent while the database does not answer.",
		[]string{"kind", "state"}, nil)
	dependencyUp = prometheus.NewDesc("assetflow_dependency_up",
		"1 where the dependency answered this process just now, 0 where it did not: what /readyz says.", []string{"dependency"}, nil)
)

// OpenJobs are the jobs of a kind that have not ended.
type OpenJobs struct {
	Kind            string
	Running, Queued int64
}

// WatchJobs adds the jobs that have not ended, which count tells at every scrape.
func (m *Metrics) WatchJobs(count func(context.Context) ([]OpenJobs, error)) error {
	if m == nil {
		return nil
	}
	return m.registry.Register(&stateCollector{desc: openJobs, collect: func(ctx context.Context, ch chan<- prometheus.Metric) {
		all, err := count(ctx)
		if err != nil {
			m.logger.WarnContext(ctx, "the open jobs could not be counted", "error", err)
			return
		}
		for _, o := range all {
			ch <- prometheus.MustNewConstMetric(openJobs, prometheus.GaugeValue, float64(o.Running), o.Kind, "running")
			ch <- prometheus.MustNewConstMetric(openJobs, prometheus.GaugeValue, float64(o.Queued), o.Kind, "queued")
		}
	}})
}

// WatchDependencies adds whether the dependencies answer, each of which is asked at every scrape.
func (m *Metrics) WatchDependencies(checks map[string]func(context.Context) error) error {
	if m == nil {
		return nil
	}
	return m.registry.Register(&stateCollector{desc: dependencyUp, collect: func(ctx context.Context, ch chan<- prometheus.Metric) {
		for name, err := range Check(ctx, checks) {
			up := 1.0
			if err != nil {
				up = 0
			}
			ch <- prometheus.MustNewConstMetric(dependencyUp, prometheus.GaugeValue, up, name)
		}
	}})
}

// stateCollector asks for the state of things when it is scraped, one scrape after the other.
type stateCollector struct {
	desc    *prometheus.Desc
	collect func(context.Context, chan<- prometheus.Metric)
	asking  sync.Mutex
}

func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	c.asking.Lock()
	defer c.asking.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), gatherTimeout)
	defer cancel()
	c.collect(ctx, ch)
}
