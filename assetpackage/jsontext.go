package assetpackage

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a string.
func (s *scanner) text() string {
	start := s.pos
	escaped := false
	for s.pos++; s.data[s.pos] != '"'; s.pos++ {
		if s.data[s.pos] == '\\' {
			escaped = true
			s.pos++
		}
	}
	s.pos++
	raw := s.data[start:s.pos]
	if !escaped {
		return string(raw[1 : len(raw)-1])
	}
	if flaw := escapeFlaw(raw); flaw != "" {
		s.report(s.path, flaw)
	}
	var text string
	_ = json.Unmarshal(raw, &text) // it is valid JSON
	return text
}

// escapeFlaw finds escapes that stand for no character, or for one that databases cannot hold.
func escapeFlaw(raw []byte) string {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' {
			continue
		}
		r := hexRune(raw[i+1:])
		i += 4
		switch {
		case r == 0:
			return `a text contains the NUL character \u0000; remove it`
		case !utf16.IsSurrogate(r):
		case i+6 < len(raw) && raw[i+1] == '\\' && raw[i+2] == 'u' && utf16.DecodeRune(r, hexRune(raw[i+3:])) != utf8.RuneError:
			i += 6
		default:
			return fmt.Sprintf(`a text contains half of a surrogate pair, \u%04x; write the whole character`, r)
		}
	}
	return ""
}

func hexRune(digits []byte) rune {
	n, _ := strconv.ParseInt(string(digits[:4]), 16, 32) // it is valid JSON
	return rune(n)
}

// appendText appends a JSON string with as few escapes as JSON allows: one text has one form, now and in every
// later release.
func appendText(out []byte, text string) []byte {
	const digits = "0123456789abcdef"
	out = append(out, '"')
	from := 0
	for i := range len(text) {
		c := text[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		out = append(out, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\b':
			out = append(out, `\b`...)
		case '\f':
			out = append(out, `\f`...)
		case '\n':
			out = append(out, `\n`...)
		case '\r':
			out = append(out, `\r`...)
		case '\t':
			out = append(out, `\t`...)
		default:
			out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(append(out, text[from:]...), '"')
}

// pathText renders a path as authors write it, such as applications[2].name.
func pathText(path []any) string {
	var b strings.Builder
	for _, step := range path {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		case string:
			switch {
			case !plainKey(step):
				fmt.Fprintf(&b, "[%s]", quote(step))
			case b.Len() > 0:
				b.WriteString("." + step)
			default:
				b.WriteString(step)
			}
		}
	}
	return shorten(b.String(), 200)
}

func plainKey(key string) bool {
	for i := range len(key) {
		c := key[i]
		if !isASCIILetter(c) && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return key != "" && len(key) <= 80
}
