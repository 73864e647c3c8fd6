package assetpackage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of the tree that the schema is checked against. What goes beyond them breaks the schema anyway, so the
// rest is not needed to say so.
const (
	treeDepth  = 7      // the deepest value the schema knows is applications[i].data_sources[j].settings.key
	treeKeys   = 200    // more than any object of the schema may have
	treeFiles  = 25_000 // more than any list of files has
	assetDepth = 3      // length of the path applications[i].definition
)

// scan is the outcome of reading a JSON document.
type scan struct {
	canonical []byte // the document with sorted keys and without white space; numbers are as written
	tree      any    // the document for the schema, with definitions replaced by empty values
}

// scanJSON reads a JSON document more strictly than encoding/json: keys must be unique, text must be UTF-8 without NUL
// or lone surrogates, and numbers must fit a float64, so that everyone who reads the document sees the same. It
// bounds what the document may make any later decoder allocate.
//
// fatal is what made reading impossible; report is called for the rest.
func scanJSON(data []byte, limits Limits, report func(path []any, message string)) (s scan, fatal string) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return s, "it is written in UTF-16; save it as UTF-8"
	}
	if at := invalidUTF8(data); at >= 0 {
		return s, fmt.Sprintf("it is not valid UTF-8: byte 0x%02X at %s; save it as UTF-8", data[at], position(data, at))
	}
	depth, values := measureJSON(data)
	if depth > limits.MaxManifestDepth {
		return s, fmt.Sprintf("its objects and arrays are nested %d levels deep; at most %d are allowed", depth, limits.MaxManifestDepth)
	}
	if values > limits.MaxManifestValues {
		return s, fmt.Sprintf("it holds about %d values; at most %d are allowed", values, limits.MaxManifestValues)
	}
	if !json.Valid(data) {
		err := json.Unmarshal(data, new(json.RawMessage)) // says where
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return s, fmt.Sprintf("it is not valid JSON: %s at %s", syntax.Error(), position(data, max(int(syntax.Offset)-1, 0)))
		}
		return s, fmt.Sprintf("it is not valid JSON: %v", err)
	}
	r := scanner{data: data, report: report, out: make([]byte, 0, len(data)), items: max(limits.MaxAssets, 100) + 1}
	s.tree = r.value(true)
	s.canonical = r.out
	return s, ""
}

func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// position tells an author where to look.
func position(data []byte, at int) string {
	before := data[:min(at, len(data))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("line %d, column %d", line, column)
}

// measureJSON counts levels and values without decoding anything. Of text that is not JSON it says nothing useful.
func measureJSON(data []byte) (depth, values int) {
	level, inString, opened := 0, false, true
	for i := 0; i < len(data); i++ {
		c := data[i]
		if inString {
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
			continue
		}
		if strings.IndexByte(" \t\r\n", c) >= 0 {
			continue
		}
		if opened && c != '}' && c != ']' {
			values++ // the first one in its object or array
		}
		opened = c == '{' || c == '['
		switch c {
		case '"':
			inString = true
		case '{', '[':
			level++
			depth = max(depth, level)
		case '}', ']':
			level--
		case ',':
			values++
		}
	}
	return depth, values
}

// scanner walks over text that is known to be valid JSON.
type scanner struct {
	data   []byte
	pos    int
	out    []byte
	path   []any // keys (string) and indexes (int) down to the current value
	items  int   // how many items of an array the tree has at most, unless they are files
	report func(path []any, message string)
}

var emptyObject = map[string]any{}

// value appends the next value to out in canonical form and returns it as the schema wants it; where wanted is false,
// an empty value of its type.
func (s *scanner) value(wanted bool) any {
	s.space()
	switch s.data[s.pos] {
	case '{':
		return s.object(wanted)
	case '[':
		return s.array(wanted)
	case '"':
		text := s.text()
		s.out = appendText(s.out, text)
		if !wanted {
			return ""
		}
		return text
	case 't', 'f', 'n':
		word := s.word()
		if word == "null" {
			return nil
		}
		return word == "true"
	default:
		return s.number()
	}
}

func (s *scanner) space() {
	for s.pos < len(s.data) && strings.IndexByte(" \t\r\n", s.data[s.pos]) >= 0 {
		s.pos++
	}
}

// skip consumes white space and one byte.
func (s *scanner) skip() {
	s.space()
	s.pos++
}

// peek reports whether the next byte is c, and consumes it then.
func (s *scanner) peek(c byte) bool {
	s.space()
	if s.data[s.pos] != c {
		return false
	}
	s.pos++
	return true
}

// word copies a literal or a number.
func (s *scanner) word() string {
	start := s.pos
	for s.pos < len(s.data) && strings.IndexByte(" \t\r\n,]}", s.data[s.pos]) < 0 {
		s.pos++
	}
	s.out = append(s.out, s.data[start:s.pos]...)
	return string(s.data[start:s.pos])
}

func (s *scanner) number() any {
	word := s.word()
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(word, 64)
	if err != nil {
		s.report(s.path, fmt.Sprintf("the number %s is too large", shorten(word, 40)))
		return int64(0)
	}
	return f
}

func (s *scanner) array(wanted bool) any {
	s.pos++
	s.out = append(s.out, '[')
	items := []any{}
	wanted = wanted && len(s.path) < treeDepth
	most := s.items
	if len(s.path) > 0 && s.path[len(s.path)-1] == "files" {
		most = treeFiles
	}
	for i := 0; !s.peek(']'); i++ {
		if i > 0 {
			s.skip() // the comma
			s.out = append(s.out, ',')
		}
		s.path = append(s.path, i)
		item := s.value(wanted && i < most)
		s.path = s.path[:len(s.path)-1]
		if wanted && i < most {
			items = append(items, item)
		}
	}
	s.out = append(s.out, ']')
	return items
}

// member is where a member of an object stands in the output.
type member struct {
	key        string
	start, end int
}

func (s *scanner) object(wanted bool) any {
	s.pos++
	s.out = append(s.out, '{')
	start := len(s.out)
	tree := emptyObject
	wanted = wanted && len(s.path) < treeDepth
	if wanted {
		tree = make(map[string]any)
	}
	var members []member
	for i := 0; !s.peek('}'); i++ {
		if i > 0 {
			s.skip() // the comma
			s.out = append(s.out, ',')
		}
		s.space()
		m := member{key: s.text(), start: len(s.out)}
		s.out = append(appendText(s.out, m.key), ':')
		s.skip() // the colon
		s.path = append(s.path, m.key)
		definition := len(s.path) == assetDepth && m.key == "definition"
		keep := wanted && len(tree) < treeKeys
		value := s.value(keep && !definition)
		if keep {
			tree[m.key] = value
		}
		s.path = s.path[:len(s.path)-1]
		m.end = len(s.out)
		members = append(members, m)
	}
	s.sort(start, members)
	s.out = append(s.out, '}')
	return tree
}

// sort puts the members of an object, which stand in the output from start on, in the order of their keys.
func (s *scanner) sort(start int, members []member) {
	byKey := func(a, b member) int { return strings.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(members, byKey) {
		slices.SortStableFunc(members, byKey)
		sorted := make([]byte, 0, len(s.out)-start)
		for i, m := range members {
			if i > 0 {
				sorted = append(sorted, ',')
			}
			sorted = append(sorted, s.out[m.start:m.end]...)
		}
		copy(s.out[start:], sorted)
	}
	for i := 1; i < len(members); i++ {
		if members[i].key == members[i-1].key {
			s.report(append(slices.Clone(s.path), members[i].key), "this key is there more than once; keep one")
		}
	}
}
