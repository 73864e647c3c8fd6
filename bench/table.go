package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// table prints rows as a Markdown table, so that the output goes into the docs as it is.
func table(out io.Writer, title string, head []string, rows [][]string) {
	fmt.Fprintf(out, "\n### %s\n\n| %s |\n|%s\n", title, strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, row := range rows {
		fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
	}
}

// quantile gives the q-quantile of some durations; they are sorted in place.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}

func mib(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }
