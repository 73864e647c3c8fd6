package catalog

import (
	"cmp"
	"fmt"

	"assetflow/fault"
)

// ConflictsError says that an import or a deletion contradicts what its instance or project holds, and that nothing was
// changed.
// It is a fault.Conflict too, with the code "catalog.import_conflicts" or "catalog.deletion_conflicts" (errors.As finds
// either).
type ConflictsError struct {
	Reasons []Reason // all conflicts, at least one

	deletion bool
	place    string // that holds it; empty: instance
}

// Error tells the first conflict and how many there are.
func (e *ConflictsError) Error() string {
	what := "import"
	if e.deletion {
		what = "deletion"
	}
	place := cmp.Or(e.place, "instance")
	if len(e.Reasons) == 1 {
		return fmt.Sprintf("the %s conflicts with the %s: %s", what, place, e.Reasons[0].Message)
	}
	return fmt.Sprintf("the %s conflicts with the %s in %d points, first: %s", what, place, len(e.Reasons), e.Reasons[0].Message)
}

// Unwrap gives the fault that says the same to callers who do not look at single reasons.
func (e *ConflictsError) Unwrap() error {
	code := "catalog.import_conflicts"
	if e.deletion {
		code = "catalog.deletion_conflicts"
	}
	return fault.New(fault.Conflict, code, "%s", e.Error())
}
