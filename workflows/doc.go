// Package workflows holds the jobs: one file per workflow, each the deterministic list of its steps with their
// timeouts and retries and what happens when one fails or the job is cancelled.
//
// A change to a released workflow keeps the histories in testdata replayable (workflow.GetVersion).
package workflows
