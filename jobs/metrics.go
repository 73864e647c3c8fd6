package jobs

import (
	"context"

	"assetflow/catalog"
	"assetflow/telemetry"
)

// Kinds are the names of all kinds of jobs.
func Kinds() []string {
	kinds := catalog.JobKinds()
	all := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		all = append(all, string(kind))
	}
	return all
}

// CountChanges gives the function that catalog.WithJobWatch takes: it counts what happens to jobs.
func CountChanges(m *telemetry.Metrics) func(catalog.JobChange) {
	return func(c catalog.JobChange) {
		switch kind := string(c.Kind); c.Event {
		case catalog.JobWritten:
			m.JobSubmitted(kind)
		case catalog.JobHasTurn:
			m.JobTurn(kind, c.After)
		case catalog.JobHasEnded:
			m.JobEnded(kind, string(c.State), c.After)
		case catalog.JobForgotten:
			m.JobEnded(kind, telemetry.JobRefused, c.After)
		}
	}
}

// OpenJobs gives the function that telemetry.Metrics.WatchJobs takes.
func OpenJobs(c *catalog.Catalog) func(context.Context) ([]telemetry.OpenJobs, error) {
	return func(ctx context.Context) ([]telemetry.OpenJobs, error) {
		counted, err := c.CountOpenJobs(ctx)
		all := make([]telemetry.OpenJobs, 0, len(counted))
		for _, o := range counted {
			all = append(all, telemetry.OpenJobs{Kind: string(o.Kind), Running: o.Running, Queued: o.Queued})
		}
		return all, err
	}
}
