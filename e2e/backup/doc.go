// Package backup tests the procedure of docs/operations.md: a backup of the three stores is taken while the service works,
// everything is lost, the backup is restored, and the service goes on from it.
package backup
