// Package collectortest is a collector of traces for tests: it takes what exporters send over OTLP/HTTP.
package collectortest

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Collector keeps the spans that it is sent.
type Collector struct {
	URL string // base URL

	mu      sync.Mutex
	spans   []Span
	raw     strings.Builder
	headers []http.Header
}

// Span is a span as it was sent. Ids are in hex; a ParentID is empty where there is no parent.
type Span struct {
	TraceID, SpanID, ParentID string
	Name                      string
	Kind                      tracepb.Span_SpanKind
	Attributes                map[string]string
	Resource                  map[string]string
	Failed                    bool
	Links                     []string // ids of spans
}

// Start starts a collector that ends with the test.
func Start(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// ServeHTTP takes spans as a collector does.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request coltracepb.ExportTraceServiceRequest
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" ||
		r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	c.headers = append(c.headers, r.Header)
	c.spans = append(c.spans, Spans(&request)...)
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty message
}

// Spans gives the spans that have been sent so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Raw gives everything that has been sent so far, as it was.
func (c *Collector) Raw() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.String()
}

// Headers gives the headers of each request so far.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.headers)
}

// Spans reads the spans of a request.
func Spans(request *coltracepb.ExportTraceServiceRequest) []Span {
	var all []Span
	for _, process := range request.GetResourceSpans() {
		for _, scope := range process.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := Span{
					TraceID: hex.EncodeToString(s.GetTraceId()), SpanID: hex.EncodeToString(s.GetSpanId()),
					ParentID: hex.EncodeToString(s.GetParentSpanId()), Name: s.GetName(), Kind: s.GetKind(),
					Attributes: attributes(s.GetAttributes()), Resource: attributes(process.GetResource().GetAttributes()),
					Failed: s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
				}
				for _, link := range s.GetLinks() {
					span.Links = append(span.Links, hex.EncodeToString(link.GetSpanId()))
				}
				all = append(all, span)
			}
		}
	}
	return all
}

func attributes(list []*commonpb.KeyValue) map[string]string {
	all := make(map[string]string, len(list))
	for _, a := range list {
		value := a.GetValue().GetStringValue()
		if _, ok := a.GetValue().GetValue().(*commonpb.AnyValue_StringValue); !ok {
			value = a.GetValue().String()
		}
		all[a.GetKey()] = value
	}
	return all
}

// Find gives the only span of that name.
func Find(t testing.TB, spans []Span, name string) Span {
	t.Helper()
	found := Named(spans, name)
	require.Len(t, found, 1, name)
	return found[0]
}

// Named gives the spans of that name. One that was sent again, as that of a workflow which was replayed, counts once.
func Named(spans []Span, name string) []Span {
	var found []Span
	for _, s := range spans {
		if s.Name == name && !slices.ContainsFunc(found, func(f Span) bool { return f.SpanID == s.SpanID }) {
			found = append(found, s)
		}
	}
	return found
}
