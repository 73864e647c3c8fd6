// Package activities holds the steps of the jobs: small structs whose fields are their dependencies.
//
// A step may run twice, its effect may not: every method here can be killed at any line and run again. What makes
// that safe is said at each one. Inputs and results carry keys, sizes and digests, never bytes and never secrets.
package activities
