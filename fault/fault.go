// Package fault holds the one error type that crosses room borders.
//
// A fault has a kind (what sort of refusal it is), a code (our own short word for the exact case, such as
// "job.running") and a message that is safe to show to the caller. Each contract package of the API turns kinds
// and codes into its own status, code and body in one place. The wrapped cause is for logs only and never leaves
// the service.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of refusal an error is.
type Kind uint8

// The kinds. Internal is the zero value, so an error nobody classified is never blamed on the caller.
const (
	Internal        Kind = iota // our own failure
	Invalid                     // the request or the package is wrong; repeating it will not help
	Unauthenticated             // nobody known is calling
	Forbidden                   // the caller is known and may not do this
	NotFound                    // it does not exist, or the caller may not know that it does
	Conflict                    // it contradicts what exists or runs at the moment
	TooLarge                    // it exceeds a limit on size
	Unavailable                 // a dependency is away; repeating it later may help
)

var kindNames = [...]string{
	Internal: "internal", Invalid: "invalid", Unauthenticated: "unauthenticated", Forbidden: "forbidden",
	NotFound: "not found", Conflict: "conflict", TooLarge: "too large", Unavailable: "unavailable",
}

// String returns the kind as a person reads it in a log.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Error is a refusal or failure with its kind.
type Error struct {
	Kind    Kind
	Code    string // our own word for the exact case, "<room>.<case>"
	Message string // one sentence, safe to show to the caller, saying what to do where that is not obvious
	Details string // optional further fact for the caller, such as the id of the job that is in the way
	Err     error  // the cause, for logs only
}

// New makes a fault with a formatted message.
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithDetails returns a copy of e that carries a further fact for the caller.
func (e *Error) WithDetails(details string) *Error {
	c := *e
	c.Details = details
	return &c
}

// Wrap returns a copy of e whose cause is err.
func (e *Error) Wrap(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// Error gives message and cause: for logs, not for callers.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is a fault of the same code, so that errors.Is works with the constructors' values.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code && t.Kind == e.Kind
}

// As finds the fault in err's chain.
func As(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// KindOf gives the kind of the fault in err's chain; Internal where there is none.
func KindOf(err error) Kind {
	if e, ok := As(err); ok {
		return e.Kind
	}
	return Internal
}

// CodeOf gives the code of the fault in err's chain; empty where there is none.
func CodeOf(err error) string {
	if e, ok := As(err); ok {
		return e.Code
	}
	return ""
}
