package servicetemplate

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of template.json; the schema has the same.
const (
	maxItems      = 1000 // properties, and steps
	maxListItems  = 64   // tags and the like
	maxListLength = 128  // characters of one item
)

// rules checks what the schema cannot express.
type rules struct {
	file       string
	ps         *problems
	properties map[string]*Property
}

func checkRules(m Manifest, file string, ps *problems) {
	r := rules{file: file, ps: ps, properties: make(map[string]*Property)}
	r.list("tags", m.Tags)
	r.list("usedServices", m.UsedServices)
	r.list("usedTemplates", m.UsedTemplates)
	if m.SupportedScheduleType != "" {
		r.list("supportedScheduleType", strings.Split(m.SupportedScheduleType, ","))
	}
	for i := range m.Properties {
		r.property(fmt.Sprintf("properties[%d]", i), &m.Properties[i])
	}
	r.steps(m.Steps)
}

func (r *rules) bad(place, format string, args ...any) {
	r.ps.add(r.file, CodeBadTemplate, "template.json: %s: %s.", place, fmt.Sprintf(format, args...))
}

// list bounds the items of a text with commas, of which the schema sees the whole only.
func (r *rules) list(place string, items []string) {
	if len(items) > maxListItems {
		r.bad(place, "it has %d items; at most %d are allowed", len(items), maxListItems)
	}
	for _, item := range items {
		if len([]rune(item)) > maxListLength {
			r.bad(place, "the item %s is longer than %d characters", quote(item), maxListLength)
		}
	}
}

func (r *rules) property(place string, p *Property) {
	if _, taken := r.properties[p.KeyName]; taken {
		r.bad(place+".keyName", "there are two properties %s; rename one", quote(p.KeyName))
		return
	}
	r.properties[p.KeyName] = p
	if p.Type == "password" && (p.DefaultValue != "" || len(p.Values) > 0) {
		// The value is not shown: it is a secret.
		r.ps.add(r.file, CodeSecretDefault, "template.json: %s: a password has no defaultValue and no values: a template carries no secrets. Leave them out.", place)
		return
	}
	for i, value := range p.Values {
		if flaw := valueFlaw(p.Type, value); flaw != "" {
			r.bad(fmt.Sprintf("%s.values[%d]", place, i), "%s is not allowed: it must be %s", quote(value), flaw)
		}
	}
	switch flaw := valueFlaw(p.Type, p.DefaultValue); {
	case p.DefaultValue == "":
	case flaw != "":
		r.bad(place+".defaultValue", "%s is not allowed: it must be %s", quote(p.DefaultValue), flaw)
	case len(p.Values) > 0 && !slices.Contains(p.Values, p.DefaultValue):
		r.bad(place+".defaultValue", "%s is none of the property's values", quote(p.DefaultValue))
	}
}

// valueFlaw says what a value of a property must be; it is empty for a good one.
func valueFlaw(kind, value string) string {
	var err error
	switch kind {
	case "integer":
		if _, err = strconv.ParseInt(value, 10, 64); err != nil {
			return "a whole number"
		}
	case "double":
		// ParseFloat reads more than people take for a number, such as 0x1p-2 and Inf.
		if _, err = strconv.ParseFloat(value, 64); err != nil || !decimal.MatchString(value) {
			return "a number such as 1.5"
		}
	case "boolean":
		if value != "true" && value != "false" {
			return "true or false"
		}
	case "date":
		if _, err = time.Parse(time.DateOnly, value); err != nil {
			return "a date such as 2026-02-28"
		}
	case "time":
		if _, err = time.Parse(time.TimeOnly, value); err != nil || len(value) != len(time.TimeOnly) {
			return "a time such as 16:53:50"
		}
	}
	return ""
}

var decimal = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func (r *rules) steps(steps []Step) {
	index := make(map[string]int, len(steps))
	for i, s := range steps {
		if _, taken := index[s.KeyName]; taken {
			r.bad(fmt.Sprintf("steps[%d].keyName", i), "there are two steps %s; rename one", quote(s.KeyName))
			continue
		}
		index[s.KeyName] = i
	}
	for i, s := range steps {
		place := fmt.Sprintf("steps[%d]", i)
		for n, before := range s.After {
			at := fmt.Sprintf("%s.after[%d]", place, n)
			switch _, known := index[before]; {
			case !known:
				r.bad(at, "there is no step %s", quote(before))
			case slices.Contains(s.After[:n], before):
				r.bad(at, "the step %s is named twice", quote(before))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(s.Inputs)) {
			r.references(place+".inputs."+key, s.Inputs[key])
		}
		for _, key := range slices.Sorted(maps.Keys(s.Outputs)) {
			if name := s.Outputs[key]; r.properties[name] == nil {
				r.bad(place+".outputs."+key, "there is no property %s", quote(name))
			}
		}
	}
	r.cycle(steps, index)
}

// reference is ${name}, which stands for the value of a property.
var reference = regexp.MustCompile(`\$\{([^}]*)\}`)

func (r *rules) references(place, text string) {
	for _, match := range reference.FindAllStringSubmatch(text, -1) {
		if r.properties[match[1]] == nil {
			r.bad(place, "there is no property %s", quote(match[1]))
		}
	}
}

// cycle reports steps that wait for each other: it takes away, again and again, the steps whose predecessors are gone.
func (r *rules) cycle(steps []Step, index map[string]int) {
	waiting := make([]int, len(steps))
	followers := make([][]int, len(steps))
	for i, s := range steps {
		for _, before := range s.After {
			if at, known := index[before]; known {
				waiting[i]++
				followers[at] = append(followers[at], i)
			}
		}
	}
	var ready []int
	for i := range steps {
		if waiting[i] == 0 {
			ready = append(ready, i)
		}
	}
	left := len(steps)
	for ; len(ready) > 0; left-- {
		i := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		for _, follower := range followers[i] {
			if waiting[follower]--; waiting[follower] == 0 {
				ready = append(ready, follower)
			}
		}
	}
	if left == 0 {
		return
	}
	for i := range steps {
		if waiting[i] > 0 {
			r.bad(fmt.Sprintf("steps[%d].after", i), "the step %s waits for itself, through %s that wait for each other", quote(steps[i].KeyName), stepsText(left))
			return
		}
	}
}

func stepsText(n int) string {
	if n == 1 {
		return "one step"
	}
	return strconv.Itoa(n) + " steps"
}
