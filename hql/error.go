package hql

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"assetflow/fault"
)

// Error says where an expression cannot be read, and what is wrong there. In its chain is a fault of kind Invalid with
// the code "hql.invalid" and the same text, which is safe to show.
type Error struct {
	What    string // "filter" or "sort order"
	Column  int    // of the offending character, counted in characters from 1; one past the end where something is missing
	Message string // a sentence without its full stop
}

// Error gives the whole sentence.
func (e *Error) Error() string {
	return fmt.Sprintf("The %s cannot be read at column %d: %s.", e.What, e.Column, e.Message)
}

// Unwrap gives the fault that this error stands for.
func (e *Error) Unwrap() error { return fault.New(fault.Invalid, "hql.invalid", "%s", e.Error()) }

// quote makes text from a caller safe to show in a sentence.
func quote(s string) string {
	const most = 40
	cut := 0
	for range most {
		_, size := utf8.DecodeRuneInString(s[cut:])
		cut += size
	}
	if cut < len(s) {
		s = s[:cut] + "…"
	}
	return strconv.QuoteToGraphic(s)
}
