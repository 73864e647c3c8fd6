package serve_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
)

// documentation is the folder of the documentation. The embedded S3 server changes the working directory, so it is found
// before.
var documentation = func() string {
	dir, err := filepath.Abs("../../../docs")
	if err != nil {
		panic(err)
	}
	return dir
}()

var update = flag.Bool("update", false, "write the documentation anew")

// checkDocs keeps the table in docs/telemetry.md as the processes have it: all metrics of ours, and of the others those
// that the table is to name.
func checkDocs(t *testing.T, api, worker map[string]*dto.MetricFamily) {
	t.Helper()
	path := documentation + "/telemetry.md"
	const (
		begin = "<!-- Made by `go test ./cmd/assetflow/serve -run Operations -update`. -->\n"
		end   = "<!-- The end of what is made. -->\n"
	)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(content), begin)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	want := before + begin + table(api, worker) + end + after
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o600))
		return
	}
	require.Equal(t, want, string(content), "run the test with -update")
}

// others are the metrics that come with the libraries and that are worth naming: for the dashboard and the alerts.
var others = regexp.MustCompile(`^(go_goroutines|go_memstats_heap_alloc_bytes|go_gc_duration_seconds|process_cpu_seconds_total|process_resident_memory_bytes|` +
	`process_open_fds|go_sql_(in_use|idle|max_open)_connections|go_sql_wait_(count|duration_seconds)_total|` +
	`temporal_(request|request_failure|num_pollers|worker_task_slots_(available|used)|workflow_(completed|failed)|activity_execution_failed)(_total)?|` +
	`temporal_(request|activity_schedule_to_start|workflow_task_schedule_to_start|activity_execution|workflow_endtoend)_latency_seconds)$`)

// meanings are those of the metrics of the Temporal SDK, which has no words for them.
var meanings = map[string]string{
	"temporal_request_total":                                   "Requests to Temporal, by their operation.",
	"temporal_request_failure_total":                           "Requests to Temporal that failed.",
	"temporal_request_latency_seconds":                         "Time that Temporal took to answer.",
	"temporal_num_pollers":                                     "Requests for tasks that wait at Temporal: 0 in a worker that asks for none.",
	"temporal_worker_task_slots_available":                     "Tasks that the worker could take besides.",
	"temporal_worker_task_slots_used":                          "Tasks that the worker has taken.",
	"temporal_workflow_completed_total":                        "Workflows that ended well.",
	"temporal_workflow_failed_total":                           "Workflows that ended with an error, as those of failed jobs do.",
	"temporal_activity_execution_failed_total":                 "Tries of steps that ended with an error.",
	"temporal_activity_schedule_to_start_latency_seconds":      "Time that a try of a step waited for a worker: it grows when there are too few.",
	"temporal_workflow_task_schedule_to_start_latency_seconds": "The same for the tasks of workflows.",
	"temporal_activity_execution_latency_seconds":              "Time that a try of a step took.",
	"temporal_workflow_endtoend_latency_seconds":               "Time from the start of a workflow to its end.",
}

// table describes metrics in Markdown.
func table(api, worker map[string]*dto.MetricFamily) string {
	all := maps.Clone(worker)
	maps.Copy(all, api)
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, prefix := range []string{"assetflow_", "temporal_", "go_sql_", ""} {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			ours := strings.HasPrefix(name, "assetflow_")
			if !strings.HasPrefix(name, prefix) || !ours && !others.MatchString(name) {
				continue
			}
			family := all[name]
			delete(all, name)
			labels := map[string]bool{}
			for _, m := range append(slices.Clone(api[name].GetMetric()), worker[name].GetMetric()...) {
				for _, l := range m.GetLabel() {
					labels["`"+l.GetName()+"`"] = true
				}
			}
			meaning := meanings[name]
			if meaning == "" {
				meaning = family.GetHelp()
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(family.GetType().String()),
				strings.Join(slices.Sorted(maps.Keys(labels)), ", "), strings.TrimSuffix(meaning, "."))
		}
	}
	return b.String()
}
