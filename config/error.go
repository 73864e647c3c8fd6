package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Error says everything that is wrong with a configuration.
type Error struct {
	Problems []Problem // at least one
}

// Problem is one setting that is wrong.
type Problem struct {
	Key    string // the setting's key
	Value  string // its value; redacted when it is a secret
	Origin string // where the value comes from; empty when there is none
	Want   string // what is allowed

	hint    string
	missing bool
	unknown bool
	cause   error
}

func (e *Error) add(p Problem) { e.Problems = append(e.Problems, p) }

// Error gives one line per problem.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	lines = append(lines, "the configuration is not right:")
	for _, p := range e.Problems {
		lines = append(lines, "  "+p.String())
	}
	return strings.Join(lines, "\n")
}

// String gives key, value, where it comes from and what is allowed.
func (p Problem) String() string {
	var s string
	switch {
	case p.missing:
		s = fmt.Sprintf("%s is not set; want %s; set %s or %s", p.Key, p.Want, envName(p.Key), envName(p.Key+fileSuffix))
	case p.unknown:
		s = fmt.Sprintf("%s (in %s) is unknown; want %s", p.Key, p.Origin, p.Want)
	default:
		s = fmt.Sprintf("%s = %q (from %s); want %s", p.Key, p.Value, p.Origin, p.Want)
	}
	if p.cause != nil {
		s += fmt.Sprintf(" (%v)", p.cause)
	}
	if p.hint != "" {
		s += "; " + p.hint
	}
	return s
}

// nearest names the key somebody may have meant, for the end of a sentence.
func nearest(key string) string {
	best, distance := "", 4
	for _, k := range slices.Sorted(maps.Keys(names())) {
		if d := editDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (%s?)", best)
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
