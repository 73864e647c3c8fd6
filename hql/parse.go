package hql

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of an expression.
const (
	MaxLength = 4 << 10 // bytes of a filter or sort order
	MaxDepth  = 32      // parentheses around a comparison
)

// Parse reads a filter over fields. The error is an *Error.
func Parse(text string, fields map[string]Type) (Expr, error) {
	p := parser{what: "filter", text: text, fields: fields}
	if err := p.begin(); err != nil {
		return nil, err
	}
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	if p.current.kind != end {
		return nil, p.unexpected("\"and\", \"or\" or the end is expected")
	}
	return e, nil
}

// ParseSort reads a sort order over fields; no field may be in it twice. The error is an *Error.
func ParseSort(text string, fields map[string]Type) ([]Sort, error) {
	p := parser{what: "sort order", text: text, fields: fields}
	if err := p.begin(); err != nil {
		return nil, err
	}
	var order []Sort
	for {
		at := p.current.at
		s := Sort{}
		var err error
		if s.Field, _, err = p.field(); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(order, func(o Sort) bool { return o.Field == s.Field }) {
			return nil, p.fail(at, "the field %s is in it twice", quote(s.Field))
		}
		if p.current.is("asc") || p.current.is("desc") {
			s.Descending = p.current.is("desc")
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		order = append(order, s)
		if p.current.kind == end {
			return order, nil
		}
		if !p.current.is(",") {
			return nil, p.unexpected("\"asc\", \"desc\", a comma or the end is expected")
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
}

// parser reads an expression from left to right, one token ahead.
type parser struct {
	what    string
	text    string
	fields  map[string]Type
	current token
	next    int // offset behind current
	depth   int
}

// begin checks the text as a whole and reads the first token.
func (p *parser) begin() error {
	if len(p.text) > MaxLength {
		return p.fail(len(truncated(p.text)), "it is longer than %d bytes", MaxLength)
	}
	for at, r := range p.text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(p.text[at:]); size == 1 {
				return p.fail(at, "this is not valid UTF-8")
			}
		}
		if r == 0 {
			return p.fail(at, "the NUL character is not allowed")
		}
	}
	return p.advance()
}

// truncated cuts text to MaxLength bytes, and not in the middle of a character.
func truncated(text string) string {
	cut := MaxLength
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

func (p *parser) advance() error {
	t, next, flaw := scan(p.text, p.next)
	if flaw != "" {
		return p.fail(t.at, "%s", flaw)
	}
	p.current, p.next = t, next
	return nil
}

func (p *parser) fail(at int, format string, args ...any) error {
	column := utf8.RuneCountInString(p.text[:at]) + 1
	return &Error{What: p.what, Column: column, Message: fmt.Sprintf(format, args...)}
}

// unexpected says what should stand where the current token does.
func (p *parser) unexpected(expected string) error {
	return p.fail(p.current.at, "%s, but there is %s", expected, p.current.shown())
}

func (p *parser) expression() (Expr, error) {
	parts, err := p.chain("or", p.conjunction)
	if err != nil || len(parts) == 1 {
		return first(parts), err
	}
	out := Or{}
	for _, part := range parts {
		if inner, ok := part.(Or); ok {
			out = append(out, inner...)
			continue
		}
		out = append(out, part)
	}
	return out, nil
}

func (p *parser) conjunction() (Expr, error) {
	parts, err := p.chain("and", p.term)
	if err != nil || len(parts) == 1 {
		return first(parts), err
	}
	out := And{}
	for _, part := range parts {
		if inner, ok := part.(And); ok {
			out = append(out, inner...)
			continue
		}
		out = append(out, part)
	}
	return out, nil
}

func first(parts []Expr) Expr {
	if len(parts) == 0 {
		return nil
	}
	return parts[0]
}

// chain reads parts with a word between them.
func (p *parser) chain(between string, part func() (Expr, error)) ([]Expr, error) {
	var parts []Expr
	for {
		e, err := part()
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
		if !p.current.is(between) {
			return parts, nil
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
}

func (p *parser) term() (Expr, error) {
	if !p.current.is("(") {
		return p.comparison()
	}
	if p.depth == MaxDepth {
		return nil, p.fail(p.current.at, "at most %d parentheses may be nested", MaxDepth)
	}
	opened := p.current.at
	if err := p.advance(); err != nil {
		return nil, err
	}
	p.depth++
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	p.depth--
	if !p.current.is(")") {
		column := utf8.RuneCountInString(p.text[:opened]) + 1
		return nil, p.unexpected(fmt.Sprintf("\"and\", \"or\" or the \")\" for the \"(\" of column %d is expected", column))
	}
	return e, p.advance()
}

func (p *parser) comparison() (Expr, error) {
	field, of, err := p.field()
	if err != nil {
		return nil, err
	}
	at := p.current.at
	op, err := p.operator()
	if err != nil {
		return nil, err
	}
	if (op == Starts || op == Ends) && of != Text {
		return nil, p.fail(at, "%s is for text, but the field %s holds %s", quote(string(op)), quote(field), of)
	}
	c := Comparison{Field: field, Operator: op}
	if op == In || op == NotIn {
		c.Values, err = p.list(field, of)
		return c, err
	}
	v, err := p.value(field, of)
	c.Values = []Value{v}
	return c, err
}

// field reads the name of a field, in brackets or not.
func (p *parser) field() (string, Type, error) {
	const expected = "the name of a field is expected"
	bracket := p.current.is("[")
	if bracket {
		if err := p.advance(); err != nil {
			return "", 0, err
		}
	}
	if p.current.kind != word {
		if !bracket && p.what == "filter" {
			return "", 0, p.unexpected(expected + ", or \"(\"")
		}
		return "", 0, p.unexpected(expected)
	}
	name := p.current
	of, known := p.fields[name.text]
	if !known {
		names := strings.Join(slices.Sorted(maps.Keys(p.fields)), ", ")
		return "", 0, p.fail(name.at, "there is no field %s; the fields are %s", quote(name.text), names)
	}
	if err := p.advance(); err != nil {
		return "", 0, err
	}
	if bracket {
		if !p.current.is("]") {
			return "", 0, p.unexpected("\"]\" is expected")
		}
		if err := p.advance(); err != nil {
			return "", 0, err
		}
	}
	return name.text, of, nil
}

// operators by their spellings, but for "not in", which is two words.
var operators = map[string]Operator{
	"eq": Equal, "=": Equal, "ne": NotEqual, "<>": NotEqual, "!=": NotEqual,
	"gt": Greater, ">": Greater, "lt": Less, "<": Less,
	"ge": GreaterOrEqual, ">=": GreaterOrEqual, "le": LessOrEqual, "<=": LessOrEqual,
	"starts": Starts, "ends": Ends, "in": In,
}

func (p *parser) operator() (Operator, error) {
	const expected = "an operator is expected (eq = ne <> != gt > lt < ge >= le <= starts ends in, not in)"
	if p.current.is("not") {
		if err := p.advance(); err != nil {
			return "", err
		}
		if !p.current.is("in") {
			return "", p.unexpected("\"in\" is expected after \"not\"")
		}
		return NotIn, p.advance()
	}
	op, known := operators[strings.ToLower(p.current.text)]
	if !known || p.current.kind != word && p.current.kind != sign {
		return "", p.unexpected(expected)
	}
	return op, p.advance()
}

func (p *parser) list(field string, of Type) ([]Value, error) {
	if !p.current.is("[") {
		return nil, p.unexpected("a list such as ['a','b'] is expected")
	}
	var values []Value
	for {
		if err := p.advance(); err != nil { // the bracket or comma
			return nil, err
		}
		v, err := p.value(field, of)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		if p.current.is("]") {
			return values, p.advance()
		}
		if !p.current.is(",") {
			return nil, p.unexpected("a comma or \"]\" is expected")
		}
	}
}

// value reads a value for a field.
func (p *parser) value(field string, of Type) (Value, error) {
	v, flaw := valueOf(p.current, of)
	if flaw != "" {
		return v, p.unexpected(fmt.Sprintf("the field %s holds %s: %s is expected", quote(field), of, flaw))
	}
	return v, p.advance()
}

// valueOf reads a token as a value of a type. A flaw says what should have been there.
func valueOf(t token, of Type) (v Value, flaw string) {
	v.Type = of
	switch of {
	case Number:
		n, err := strconv.ParseInt(t.text, 10, 64)
		if t.kind != digits || err != nil {
			return v, "a whole number without quotes, at most 9223372036854775807,"
		}
		v.Number = n
	case Boolean:
		if t.kind != word || !t.is("true") && !t.is("false") {
			return v, "true or false, without quotes,"
		}
		v.Boolean = t.is("true")
	case Time:
		at, ok := readTime(t.text)
		if t.kind != quoted || !ok {
			return v, "a time in single quotes, such as '2014-08-18T16:53:50.000+0900',"
		}
		v.Time = at
	default:
		if t.kind != quoted {
			return v, "text in single quotes"
		}
		v.Text = t.text
	}
	return v, ""
}
