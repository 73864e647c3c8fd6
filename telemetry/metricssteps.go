package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// How one try of a step ends, in labels.
const (
	StepSucceeded = "succeeded"
	StepFailed    = "failed"    // it is tried again, unless its time is over
	StepRefused   = "refused"   // another try cannot help, a bad package for example
	StepCancelled = "cancelled" // its job was cancelled, or its worker stops
)

type stepMetrics struct {
	durations *prometheus.HistogramVec
	retries   *prometheus.CounterVec
	swept     *prometheus.CounterVec
}

func newStepMetrics() stepMetrics {
	return stepMetrics{
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "assetflow_step_duration_seconds",
			Help:    `Time that one try of a step took in this worker. The tries that fail and are made again are "failed"; "refused" are those that another try cannot help.`,
			Buckets: stepBuckets,
		}, []string{"kind", "step", "outcome"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assetflow_step_retries_total", Help: "Tries of steps that were not the first, those after the death of a worker included.",
		}, []string{"kind", "step"}),
		swept: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assetflow_swept_total",
			Help: `Things that the steps of the sweep dealt with ("done") or could not ("failed"), counted when a step succeeds.`,
		}, []string{"step", "result"}),
	}
}

func (s stepMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{s.durations, s.retries, s.swept}
}

// Step is one try of a step.
type Step struct {
	Kind    string // of the job
	Name    string // of the activity
	Outcome string
	Attempt int32 // 1 is the first
	Took    time.Duration
}

// StepEnded counts one try of a step.
func (m *Metrics) StepEnded(s Step) {
	if m == nil {
		return
	}
	m.steps.durations.WithLabelValues(s.Kind, s.Name, s.Outcome).Observe(s.Took.Seconds())
	if retries := m.steps.retries.WithLabelValues(s.Kind, s.Name); s.Attempt > 1 {
		retries.Inc()
	}
}

// Swept counts what a step of the sweep did.
func (m *Metrics) Swept(step string, done, failed int) {
	if m != nil {
		m.steps.swept.WithLabelValues(step, "done").Add(float64(done))
		m.steps.swept.WithLabelValues(step, "failed").Add(float64(failed))
	}
}
