package hql

import (
	"strings"
	"unicode/utf8"
)

// token is a word, number, quoted text or sign, and where it stands.
type token struct {
	kind tokenKind
	text string // as written, but of quoted text the text that is meant
	at   int    // offset in bytes
}

type tokenKind uint8

const (
	end    tokenKind = iota
	word             // a name or keyword
	digits           // a number
	quoted           // text
	sign             // an operator, bracket or comma
)

// shown names the token in a sentence.
func (t token) shown() string {
	switch t.kind {
	case end:
		return "the end"
	case quoted:
		return "the text " + quote(t.text)
	default:
		return quote(t.text)
	}
}

// is reports whether the token is a keyword, in any case, or a sign.
func (t token) is(text string) bool {
	return t.kind == sign && t.text == text || t.kind == word && strings.EqualFold(t.text, text)
}

// signs in the order in which they are tried: the longer ones first.
var signs = []string{"<>", "!=", ">=", "<=", "=", ">", "<", "(", ")", "[", "]", ","}

// scan reads the token at or behind offset at of text, which is UTF-8, and says where it ends. A flaw is what makes it
// no token; it stands at the token's offset.
func scan(text string, at int) (t token, next int, flaw string) {
	for at < len(text) && strings.IndexByte(" \t\r\n", text[at]) >= 0 {
		at++
	}
	t.at = at
	if at == len(text) {
		return t, at, ""
	}
	switch c := text[at]; {
	case c == '\'':
		return scanQuoted(text, t)
	case isLetter(c), isDigit(c):
		next = at
		t.kind = digits
		for next < len(text) && (isLetter(text[next]) || isDigit(text[next])) {
			if !isDigit(text[next]) {
				t.kind = word
			}
			next++
		}
		t.text = text[at:next]
		return t, next, ""
	}
	for _, s := range signs {
		if strings.HasPrefix(text[at:], s) {
			return token{sign, s, at}, at + len(s), ""
		}
	}
	r, _ := utf8.DecodeRuneInString(text[at:])
	if r == '"' {
		return t, at, "text stands in single quotes, not in double ones"
	}
	return t, at, "the character " + quote(string(r)) + " stands for nothing here; text stands in single quotes"
}

func scanQuoted(text string, t token) (token, int, string) {
	var b strings.Builder
	for i := t.at + 1; i < len(text); i++ {
		if text[i] != '\'' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 == len(text) || text[i+1] != '\'' {
			t.kind, t.text = quoted, b.String()
			return t, i + 1, ""
		}
		b.WriteByte('\'')
		i++
	}
	return t, len(text), "the text that begins here has no closing quote; a quote inside of text is written twice"
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
