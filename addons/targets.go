package addons

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.yaml.in/yaml/v3"

	"assetflow/fault"
	"assetflow/storage"
)

// Options are what targets use of the service.
type Options struct {
	Client *s3.Client // for targets of kind bucket: needed where there is one
	Bucket string     // the service's own, for targets of kind bucket that name none
	Logger *slog.Logger
}

// Targets are the targets of the configuration. They are safe for concurrent use.
type Targets struct {
	byID map[string]configured
}

// Info is what a target shows of itself.
type Info struct {
	ID   string
	Kind Kind
}

// configured is a target with who may use it.
type configured struct {
	target   Target
	projects []string // empty: all
}

func (c configured) open(projectID string) bool {
	return len(c.projects) == 0 || slices.Contains(c.projects, projectID)
}

var (
	targetID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	prefixes = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*/)+$`)
	buckets  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
)

// ParseTargets reads the configuration of the targets, a list in JSON or YAML:
//
//	[{"id": "gitops", "kind": "bucket", "prefix": "gitops/", "bucket": "", "projects": []},
//	 {"id": "prod-1", "kind": "cluster", "kubeconfig": "/etc/assetflow/prod-1.yaml", "context": "", "projects": []}]
//
// An id is 1 to 64 letters, digits, '.', '_' and '-'. Without a bucket it is the service's own, without a context the
// kubeconfig's current one, without projects a target is open to all. An empty text is no targets. Nothing is connected
// to. CodeBadTargets names the entry, its key, the value and what is allowed.
func ParseTargets(text string, opts Options) (*Targets, error) {
	var entries []map[string]any
	decoder := yaml.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&entries); err != nil && !errors.Is(err, io.EOF) {
		return nil, badTargets("the targets are not a list in JSON or YAML, such as "+
			`[{"id": "gitops", "kind": "bucket", "prefix": "gitops/"}]: %s`, reason(err)).Wrap(err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, badTargets("the targets are one list, and something follows it")
	}
	parsed := &Targets{byID: map[string]configured{}}
	var taken []place
	for i, fields := range entries {
		e := &entry{fields: fields, name: fmt.Sprintf("target %d", i+1)}
		id := e.text("id", "1 to 64 letters, digits, '.', '_' and '-', the first a letter or digit", targetID.MatchString)
		if e.err == nil {
			e.name += fmt.Sprintf(" (%s)", id)
			if _, ok := parsed.byID[id]; ok {
				e.refuse("id", id, "an id of its own; another target has it")
			}
		}
		kind := Kind(e.text("kind", `"bucket" or "cluster"`, func(s string) bool { return Kind(s) == Bucket || Kind(s) == Cluster }))
		c := configured{projects: e.list("projects")}
		switch {
		case e.err != nil:
		case kind == Bucket:
			var at place
			c.target, at = e.bucket(opts, taken)
			taken = append(taken, at)
		default:
			c.target = e.cluster(opts)
		}
		if e.finish(); e.err != nil {
			return nil, e.err
		}
		parsed.byID[id] = c
	}
	return parsed, nil
}

// For gives a target that is open to the project. NotFound CodeNoTarget.
func (t *Targets) For(projectID, id string) (Target, error) {
	if c, ok := t.byID[id]; ok && c.open(projectID) {
		return c.target, nil
	}
	return nil, fault.New(fault.NotFound, CodeNoTarget, "there is no target %q that is open to the project", cut(id, 64))
}

// List gives the targets that are open to the project by their ids.
func (t *Targets) List(projectID string) []Info {
	infos := []Info{}
	for _, id := range slices.Sorted(maps.Keys(t.byID)) {
		if c := t.byID[id]; c.open(projectID) {
			infos = append(infos, Info{ID: id, Kind: c.target.Kind()})
		}
	}
	return infos
}

func badTargets(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, CodeBadTargets, format, args...)
}

// entry is one target of the configuration while it is read. The first thing that is wrong with it stays.
type entry struct {
	name   string
	fields map[string]any
	known  []string // keys that were asked for
	err    error
}

func (e *entry) refuse(key string, value any, allowed string) {
	if e.err == nil {
		e.err = badTargets("%s: %s is %s, and must be %s", e.name, key, cut(fmt.Sprintf("%#v", value), 100), allowed)
	}
}

// text takes a text, empty where there is none.
func (e *entry) text(key, allowed string, good func(string) bool) string {
	e.known = append(e.known, key)
	value, ok := e.fields[key]
	if !ok {
		value = ""
	}
	text, ok := value.(string)
	switch {
	case !ok:
		e.refuse(key, value, "a text: "+allowed)
	case !good(text):
		e.refuse(key, text, allowed)
	}
	return text
}

// list takes a list of texts.
func (e *entry) list(key string) []string {
	e.known = append(e.known, key)
	const allowed = "a list of project ids"
	value, ok := e.fields[key]
	if !ok {
		return nil
	}
	values, ok := value.([]any)
	if !ok {
		e.refuse(key, value, allowed) // also null, which might mean no project as well as all
		return nil
	}
	texts := make([]string, 0, len(values))
	for _, v := range values {
		text, ok := v.(string)
		if !ok || text == "" {
			e.refuse(key, v, allowed)
		}
		texts = append(texts, text)
	}
	return texts
}

// finish refuses keys that nobody asked for.
func (e *entry) finish() {
	for _, key := range slices.Sorted(maps.Keys(e.fields)) {
		if e.err == nil && !slices.Contains(e.known, key) {
			e.err = badTargets("%s: there is no key %q; there are %s", e.name, cut(key, 64), strings.Join(e.known, ", "))
		}
	}
}

// place is where a target of kind bucket publishes.
type place struct{ bucket, prefix string }

// meets tells whether one of the places lies in the other.
func (p place) meets(other place) bool {
	return p.bucket == other.bucket && (strings.HasPrefix(p.prefix, other.prefix) || strings.HasPrefix(other.prefix, p.prefix))
}

// bucket reads what is of a target of kind bucket only.
func (e *entry) bucket(opts Options, taken []place) (Target, place) {
	at := place{prefix: e.text("prefix", `folders that each end with a slash, such as "gitops/"`, func(s string) bool {
		return s == "" || prefixes.MatchString(s) && len(s) <= 256
	})}
	at.bucket = e.text("bucket", "the name of a bucket, or left out for the service's own", func(s string) bool {
		return s == "" || buckets.MatchString(s)
	})
	if at.bucket == "" || at.bucket == opts.Bucket {
		at.bucket = opts.Bucket
		if storage.Reserved(at.prefix) {
			e.refuse("prefix", at.prefix, "one that this service does not use itself in its bucket")
		}
	}
	for _, other := range taken {
		if at.meets(other) {
			e.refuse("prefix", at.prefix, "apart from that of every other target in the bucket; one has "+other.prefix)
		}
	}
	return NewBucket(storage.New(opts.Client, at.bucket), at.prefix, opts.Logger), at
}
