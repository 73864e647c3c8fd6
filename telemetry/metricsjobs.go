package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// How a job ends, in labels.
const (
	JobSucceeded = "succeeded"
	JobFailed    = "failed"
	JobCancelled = "cancelled"
	JobRefused   = "refused" // it was submitted and could not begin, because another runs
)

// The counters of jobs are told by the catalog after the transaction that changed the job, and that transaction changes
// it once, however often a step is tried: so nothing is counted twice. A process that is killed between the commit and
// the count, or before it is scraped, takes at most these few with it. What must be exact is read from the catalog:
// assetflow_jobs.
type jobMetrics struct {
	submitted, ended     *prometheus.CounterVec
	durations            *prometheus.HistogramVec
	turnWait, workerWait *prometheus.HistogramVec
}

func newJobMetrics(kinds []string) jobMetrics {
	j := jobMetrics{
		submitted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assetflow_jobs_submitted_total", Help: "Jobs that were written down, by the process that did.",
		}, []string{"kind"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assetflow_jobs_ended_total",
			Help: "Jobs that ended, once each, by the process whose transaction ended them; the sum over all processes is what counts. " +
				`"refused" are submitted ones that could not begin because another runs.`,
		}, []string{"kind", "outcome"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "assetflow_job_duration_seconds", Help: "Time from the submission of a job to its end, waiting included.", Buckets: jobBuckets,
		}, []string{"kind", "outcome"}),
		turnWait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "assetflow_job_turn_wait_seconds",
			Help:    "Time that a job which was submitted behind others of its user waited for its turn. Its user chose that: it is no lack of workers.",
			Buckets: jobBuckets,
		}, []string{"kind"}),
		workerWait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "assetflow_job_worker_wait_seconds",
			Help:    "Time from the start of a job's workflow until a worker took it up. Measured anew where the worker died over it.",
			Buckets: stepBuckets,
		}, []string{"kind"}),
	}
	for _, kind := range kinds {
		j.submitted.WithLabelValues(kind)
		j.turnWait.WithLabelValues(kind)
		j.workerWait.WithLabelValues(kind)
		for _, outcome := range []string{JobSucceeded, JobFailed, JobCancelled, JobRefused} {
			j.ended.WithLabelValues(kind, outcome)
		}
	}
	return j
}

func (j jobMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{j.submitted, j.ended, j.durations, j.turnWait, j.workerWait}
}

// JobSubmitted counts a job that was written down.
func (m *Metrics) JobSubmitted(kind string) {
	if m != nil {
		m.jobs.submitted.WithLabelValues(kind).Inc()
	}
}

// JobTurn measures how long a job that was queued waited for its turn.
func (m *Metrics) JobTurn(kind string, waited time.Duration) {
	if m != nil {
		m.jobs.turnWait.WithLabelValues(kind).Observe(waited.Seconds())
	}
}

// JobTaken measures how long a job's workflow waited for a worker.
func (m *Metrics) JobTaken(kind string, waited time.Duration) {
	if m != nil {
		m.jobs.workerWait.WithLabelValues(kind).Observe(max(0, waited).Seconds())
	}
}

// JobEnded counts a job that ended. A refused one has taken no time worth measuring.
func (m *Metrics) JobEnded(kind, outcome string, took time.Duration) {
	if m == nil {
		return
	}
	m.jobs.ended.WithLabelValues(kind, outcome).Inc()
	if outcome != JobRefused {
		m.jobs.durations.WithLabelValues(kind, outcome).Observe(max(0, took).Seconds())
	}
}
