package hql

import (
	"strconv"
	"strings"
	"time"
)

// Type is what a field holds.
type Type uint8

// The types of fields.
const (
	Text    Type = iota // compared by code points
	Number              // a whole number from 0 to 2^63-1
	Boolean             // false before true
	Time                // an instant
)

// String names the type as a sentence needs it.
func (t Type) String() string {
	return [...]string{Text: "text", Number: "a number", Boolean: "true or false", Time: "a time"}[t]
}

// Operator is how a field is compared.
type Operator string

// The operators, each in one spelling: "=" is read as Equal, "!=" and "<>" as NotEqual, and so on.
const (
	Equal          Operator = "eq"
	NotEqual       Operator = "ne"
	Greater        Operator = "gt"
	Less           Operator = "lt"
	GreaterOrEqual Operator = "ge"
	LessOrEqual    Operator = "le"
	Starts         Operator = "starts" // text only
	Ends           Operator = "ends"   // text only
	In             Operator = "in"
	NotIn          Operator = "not in"
)

// Expr is an expression: And, Or or Comparison.
type Expr interface {
	// String renders the expression so that Parse reads the same one again.
	String() string
	isExpr()
}

// And holds where each of its parts holds. It has at least two, none of them an And.
type And []Expr

// Or holds where one of its parts does. It has at least two, none of them an Or.
type Or []Expr

// Comparison compares a field with one value, or with a list of at least one where the operator is In or NotIn. All
// values are of the field's type.
type Comparison struct {
	Field    string
	Operator Operator
	Values   []Value
}

// Value is what a field is compared with. Only the member of its type is set.
type Value struct {
	Type    Type
	Text    string
	Number  int64
	Boolean bool
	Time    time.Time // in UTC
}

// Sort is one field of a sort order.
type Sort struct {
	Field      string
	Descending bool
}

func (And) isExpr()        {}
func (Or) isExpr()         {}
func (Comparison) isExpr() {}

// String renders the conjunction.
func (e And) String() string { return join(e, " and ") }

// String renders the disjunction.
func (e Or) String() string { return join(e, " or ") }

func join(parts []Expr, word string) string {
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = part.String()
		if _, or := part.(Or); or { // "and" binds tighter: no more parentheses than were read, of which there is a limit
			texts[i] = "(" + texts[i] + ")"
		}
	}
	return strings.Join(texts, word)
}

// String renders the comparison.
func (e Comparison) String() string {
	texts := make([]string, len(e.Values))
	for i, value := range e.Values {
		texts[i] = value.String()
	}
	list := strings.Join(texts, ",")
	if e.Operator == In || e.Operator == NotIn {
		list = "[" + list + "]"
	}
	// The name stands in brackets, so that one that is also a word of the language is read as a name.
	return "[" + e.Field + "] " + string(e.Operator) + " " + list
}

// String renders the value as an expression writes it.
func (v Value) String() string {
	switch v.Type {
	case Number:
		return strconv.FormatInt(v.Number, 10)
	case Boolean:
		return strconv.FormatBool(v.Boolean)
	case Time:
		return "'" + v.Time.Format(time.RFC3339Nano) + "'"
	default:
		return "'" + strings.ReplaceAll(v.Text, "'", "''") + "'"
	}
}
