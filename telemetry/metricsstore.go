package telemetry

import "github.com/prometheus/client_golang/prometheus"

type storeMetrics struct {
	written, read *prometheus.CounterVec
	copied        prometheus.Counter
}

func newStoreMetrics() storeMetrics {
	return storeMetrics{
		written: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assetflow_storage_written_bytes_total",
			Help: `Bytes of objects that were written whole, by the folder: "staging" are uploads, "blobs" content, "archives" exports.`,
		}, []string{"folder"}),
		read: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "assetflow_storage_read_bytes_total", Help: "Bytes of objects that came in from the object store, by the folder; what was read twice counts twice.",
		}, []string{"folder"}),
		copied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "assetflow_copied_bytes_total", Help: "Bytes that came in from other regions; what was fetched twice counts twice.",
		}),
	}
}

func (s storeMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{s.written, s.read, s.copied}
}

// ObjectWritten counts an object that is there.
func (m *Metrics) ObjectWritten(folder string, bytes int64) {
	if m != nil {
		m.store.written.WithLabelValues(folder).Add(float64(bytes))
	}
}

// ObjectRead counts bytes of an object that came in.
func (m *Metrics) ObjectRead(folder string, bytes int64) {
	if m != nil {
		m.store.read.WithLabelValues(folder).Add(float64(bytes))
	}
}

// Copied counts bytes that came in from another region.
func (m *Metrics) Copied(bytes int64) {
	if m != nil {
		m.store.copied.Add(float64(bytes))
	}
}
