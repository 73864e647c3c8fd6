// Package jobs owns a job's identity, start, state and cancel. It is the only package that talks to the Temporal
// client.
//
// A job has an id of its own (UUIDv7), made before anything starts. The id of its workflow names what must not run
// twice, so the Temporal server itself decides who may start: one running job of a kind per user. Temporal owns a
// running job, the catalog an ended one, and a job is shown as ended only when the next one can start.
package jobs
