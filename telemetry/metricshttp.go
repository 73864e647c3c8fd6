package telemetry

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Other is the value of a label for whatever is not among those it has: an unknown route or method, for example.
const Other = "other"

type httpMetrics struct {
	requests, received, sent, refused, lockouts *prometheus.CounterVec
	durations                                   *prometheus.HistogramVec
	inFlight                                    *prometheus.GaugeVec
}

func newHTTPMetrics() httpMetrics {
	h := httpMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assetflow_http_requests_total",
			Help: `Requests that were answered, by the class of the status; "aborted" where the connection was cut within the answer.`,
		}, []string{"contract", "route", "method", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "assetflow_http_request_duration_seconds",
			Help:    "Time from the header of a request to the end of its answer, bodies included: what a slow client takes is in it.",
			Buckets: requestBuckets,
		}, []string{"contract", "route", "method"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "assetflow_http_requests_in_flight", Help: "Requests that are being answered.",
		}, []string{"contract"}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assetflow_http_request_bytes_total", Help: "Bytes of bodies of requests that were read. Presigned uploads go past the service.",
		}, []string{"contract", "route"}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assetflow_http_response_bytes_total", Help: "Bytes of bodies of answers that were written. Presigned downloads go past the service.",
		}, []string{"contract", "route"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assetflow_auth_failures_total", Help: "Requests that were refused because of who called or what the caller may do, by the reason.",
		}, []string{"reason"}),
		lockouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assetflow_auth_lockouts_total", Help: "Failures that locked an access key or a user's password, for the first time or anew.",
		}, []string{"of"}),
	}
	for _, of := range []string{LockedKey, LockedPassword} {
		h.lockouts.WithLabelValues(of)
	}
	return h
}

func (h httpMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{h.requests, h.durations, h.inFlight, h.received, h.sent, h.refused, h.lockouts}
}

// Request is one that was answered.
type Request struct {
	Contract string // that its path belongs to
	Route    string // the pattern that its path matches; empty: none
	Method   string
	Status   int // 0: the connection was cut within the answer
	Took     time.Duration
	Received int64 // bytes of the body that were read
	Sent     int64 // bytes of the answer's body
}

// RequestBegan counts a request that is being answered until the returned function is called.
func (m *Metrics) RequestBegan(contract string) (ended func()) {
	if m == nil {
		return func() {}
	}
	running := m.http.inFlight.WithLabelValues(contract)
	running.Inc()
	return running.Dec
}

// RequestEnded counts a request.
func (m *Metrics) RequestEnded(r Request) {
	if m == nil {
		return
	}
	if r.Route == "" {
		r.Route = Other
	}
	method := methodOf(r.Method)
	m.http.requests.WithLabelValues(r.Contract, r.Route, method, statusClass(r.Status)).Inc()
	m.http.durations.WithLabelValues(r.Contract, r.Route, method).Observe(r.Took.Seconds())
	m.http.received.WithLabelValues(r.Contract, r.Route).Add(float64(r.Received))
	m.http.sent.WithLabelValues(r.Contract, r.Route).Add(float64(r.Sent))
}

// methodOf keeps a caller from making up labels.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return Other
}

func statusClass(status int) string {
	if status == 0 {
		return "aborted"
	}
	return strconv.Itoa(status/100) + "xx"
}

// Refused counts a request that was refused. The reason is a word of ours.
func (m *Metrics) Refused(reason string) {
	if m != nil {
		m.http.refused.WithLabelValues(reason).Inc()
	}
}

// What can be locked.
const (
	LockedKey      = "access_key"
	LockedPassword = "password"
)

// LockedOut counts a failure that locked something.
func (m *Metrics) LockedOut(of string) {
	if m != nil {
		m.http.lockouts.WithLabelValues(of).Inc()
	}
}
