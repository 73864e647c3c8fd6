// Package catalog keeps what exists, in SQL: people and what they may do, jobs, assets with their versions, and which
// blobs are stored. It serves SQLite and PostgreSQL through one query layer, and both give the same answers.
//
// # What is promised
//
//   - An answer that was given is durable: SQLite runs with synchronous FULL, PostgreSQL as it is configured.
//   - Every change is one transaction, and its entry in the audit trail is part of it. The commit of a job is exactly
//     once, whatever its kind: its effect row is unique by job id.
//   - What was deleted is in the trash, with all its versions, until it is purged. Versions never change.
//   - A blob that a version or a chart uses is never removed, whatever a sweep does at that moment (see sweep.go).
//   - Times are UTC with microseconds. Names are compared byte by byte and sorted the same way in both databases.
//   - Nothing of one project is ever seen or changed through another project's id.
//
// # Errors
//
// A refusal is a *fault.Error with a code of this package ("catalog.…"); each method says which. An error without a
// code is our own failure. Code "catalog.unavailable" (kind Unavailable) says that the database could not be reached or
// was busy for too long, and that trying again may help.
package catalog
