// Package hqltest helps to test what evaluates expressions of package hql: Match says what is right, and Random makes
// expressions.
package hqltest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"assetflow/hql"
)

// Record is a row: a value of the field's type for each field.
type Record map[string]hql.Value

// Match reports whether an expression holds for a record. It panics where the record lacks a field.
func Match(e hql.Expr, r Record) bool {
	switch e := e.(type) {
	case hql.And:
		return !slices.ContainsFunc(e, func(part hql.Expr) bool { return !Match(part, r) })
	case hql.Or:
		return slices.ContainsFunc(e, func(part hql.Expr) bool { return Match(part, r) })
	case hql.Comparison:
		have, ok := r[e.Field]
		if !ok {
			panic(fmt.Sprintf("hqltest: the record has no field %s", e.Field))
		}
		return compare(have, e.Operator, e.Values)
	default:
		panic(fmt.Sprintf("hqltest: unknown expression %T", e))
	}
}

func compare(have hql.Value, op hql.Operator, values []hql.Value) bool {
	equal := func(v hql.Value) bool { return Compare(have, v) == 0 }
	switch op {
	case hql.In:
		return slices.ContainsFunc(values, equal)
	case hql.NotIn:
		return !slices.ContainsFunc(values, equal)
	case hql.Starts:
		return strings.HasPrefix(have.Text, values[0].Text)
	case hql.Ends:
		return strings.HasSuffix(have.Text, values[0].Text)
	default:
		return ordered(have, op, values[0])
	}
}

func ordered(have hql.Value, op hql.Operator, value hql.Value) bool {
	order := Compare(have, value)
	switch op {
	case hql.Equal:
		return order == 0
	case hql.NotEqual:
		return order != 0
	case hql.Greater:
		return order > 0
	case hql.Less:
		return order < 0
	case hql.GreaterOrEqual:
		return order >= 0
	case hql.LessOrEqual:
		return order <= 0
	default:
		panic(fmt.Sprintf("hqltest: unknown operator %s", op))
	}
}

// Compare orders two values of one type as the language does.
func Compare(a, b hql.Value) int {
	if a.Type != b.Type {
		panic(fmt.Sprintf("hqltest: %s is compared with %s", a.Type, b.Type))
	}
	switch a.Type {
	case hql.Number:
		return int(min(1, max(-1, a.Number-b.Number))) // numbers are not negative: no overflow
	case hql.Boolean:
		switch {
		case a.Boolean == b.Boolean:
			return 0
		case b.Boolean:
			return -1
		default:
			return 1
		}
	case hql.Time:
		return a.Time.Compare(b.Time)
	default:
		return strings.Compare(a.Text, b.Text) // bytes of UTF-8 are in the order of code points
	}
}

// Random makes an expression of up to depth levels over the values that records of a test have, so that it often
// holds for some and not for others.
func Random(r *rand.Rand, fields map[string]hql.Type, records []Record, depth int) hql.Expr {
	if depth > 0 && r.IntN(3) > 0 {
		parts := make([]hql.Expr, 2+r.IntN(2))
		or := r.IntN(2) == 0
		for i := range parts {
			parts[i] = Random(r, fields, records, depth-1)
		}
		return flat(or, parts)
	}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	field := names[r.IntN(len(names))]
	pick := func() hql.Value { return records[r.IntN(len(records))][field] }
	ops := []hql.Operator{hql.Equal, hql.NotEqual, hql.Greater, hql.Less, hql.GreaterOrEqual, hql.LessOrEqual, hql.In, hql.NotIn}
	if fields[field] == hql.Text {
		ops = append(ops, hql.Starts, hql.Ends)
	}
	c := hql.Comparison{Field: field, Operator: ops[r.IntN(len(ops))], Values: []hql.Value{pick()}}
	switch c.Operator {
	case hql.In, hql.NotIn:
		for range r.IntN(3) {
			c.Values = append(c.Values, pick())
		}
	case hql.Starts:
		text := []rune(c.Values[0].Text)
		c.Values[0].Text = string(text[:r.IntN(len(text)+1)])
	case hql.Ends:
		text := []rune(c.Values[0].Text)
		c.Values[0].Text = string(text[r.IntN(len(text)+1):])
	default: // the value as it is
	}
	return c
}

// flat joins parts as the parser does: no And in an And, no Or in an Or.
func flat(or bool, parts []hql.Expr) hql.Expr {
	if or {
		out := hql.Or{}
		for _, part := range parts {
			if inner, ok := part.(hql.Or); ok {
				out = append(out, inner...)
				continue
			}
			out = append(out, part)
		}
		return out
	}
	out := hql.And{}
	for _, part := range parts {
		if inner, ok := part.(hql.And); ok {
			out = append(out, inner...)
			continue
		}
		out = append(out, part)
	}
	return out
}
