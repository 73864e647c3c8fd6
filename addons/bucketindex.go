package addons

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

const (
	indexName    = "kustomization.yaml"
	revisionName = "revision.json"

	maxIndexBytes = 1 << 20
	keptRevisions = 10 // the one that is published and those before it
	keptPast      = 20 // ids of earlier deliveries
)

// action is what a delivery did to the index of a release.
type action string

const (
	applied    action = "apply"
	restarted  action = "restart"
	rolledBack action = "rollback"
	removed    action = "remove"
)

// revision is one set of manifests. It is kept beside them, for a roll-back.
type revision struct {
	Name     string            `json:"revision"` // "<serial>-<12 hex digits>"
	Chart    string            `json:"chart"`
	Version  string            `json:"version"`
	SHA256   string            `json:"chart_sha256"`
	Delivery string            `json:"delivery"` // that made it
	Files    map[string]string `json:"files"`    // the SHA-256 of each by its name, which begins with its number
}

// index is what kustomization.yaml says of a release. Its zero value stands for none.
type index struct {
	// Serial counts the changes of the index, so that no two are alike and none is taken for an earlier one.
	Serial   int
	Delivery string // that changed it last
	Action   action
	At       time.Time
	Revision revision // its zero value: the release has been removed
	Kept     []string // revisions, the last published first; the one published now is the first
	Past     []string // earlier deliveries, the last first
}

// kustomization is an index as kustomize reads it.
type kustomization struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name        string            `json:"name"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Namespace string   `json:"namespace"`
	Resources []string `json:"resources"`
}

// The annotations of an index.
const (
	annotationPrefix    = "assetflow.dev/"
	annotationSerial    = annotationPrefix + "serial"
	annotationDelivery  = annotationPrefix + "delivery"
	annotationAction    = annotationPrefix + "action"
	annotationAt        = annotationPrefix + "delivered-at"
	annotationRevision  = annotationPrefix + "revision" // the content of revision.json
	annotationKept      = annotationPrefix + "kept-revisions"
	annotationPast      = annotationPrefix + "earlier-deliveries"
	annotationRestarted = annotationPrefix + "restarted-at" // of pod templates
)

// next gives the index after this one, without its revision.
func (x index) next(d Delivery, what action) index {
	next := index{Serial: x.Serial + 1, Delivery: d.ID, Action: what, At: d.At.UTC(), Past: x.Past}
	if x.Delivery != "" && x.Delivery != d.ID {
		next.Past = append([]string{x.Delivery}, x.Past...)
		next.Past = next.Past[:min(len(next.Past), keptPast)]
	}
	return next
}

// publishing gives next with a revision, which is kept with those that this index keeps.
func (x index) publishing(next index, r revision) index {
	next.Revision = r
	next.Kept = []string{r.Name}
	for _, earlier := range x.Kept {
		if earlier != r.Name && len(next.Kept) < keptRevisions {
			next.Kept = append(next.Kept, earlier)
		}
	}
	return next
}

// live tells whether the release is there.
func (x index) live() bool { return x.Revision.Name != "" }

// format gives the index as a file: a kustomization whose resources are exactly the files of the revision.
func (x index) format(r Release) ([]byte, error) {
	k := kustomization{
		APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization", Namespace: r.Namespace(), Resources: []string{},
	}
	k.Metadata.Name = r.Name
	k.Metadata.Annotations = map[string]string{
		annotationSerial:   strconv.Itoa(x.Serial),
		annotationDelivery: x.Delivery,
		annotationAction:   string(x.Action),
		annotationAt:       x.At.Format(time.RFC3339Nano),
	}
	if x.live() {
		text, err := json.Marshal(x.Revision)
		if err != nil {
			return nil, fmt.Errorf("write the index of %s: %w", r.Name, err)
		}
		k.Metadata.Annotations[annotationRevision] = string(text)
		k.Metadata.Annotations[annotationKept] = strings.Join(x.Kept, " ")
		for _, name := range slices.Sorted(maps.Keys(x.Revision.Files)) {
			k.Resources = append(k.Resources, folderOf(x.Revision.Name)+name)
		}
	}
	if len(x.Past) > 0 {
		k.Metadata.Annotations[annotationPast] = strings.Join(x.Past, " ")
	}
	return yaml.Marshal(k)
}

// parseIndex reads an index. What it names is checked, so that nothing outside the release's folder is read or deleted.
func parseIndex(text []byte) (index, error) {
	var k kustomization
	if err := yaml.UnmarshalStrict(text, &k); err != nil {
		return index{}, err
	}
	notes := k.Metadata.Annotations
	x := index{
		Delivery: notes[annotationDelivery], Action: action(notes[annotationAction]),
		Kept: strings.Fields(notes[annotationKept]), Past: strings.Fields(notes[annotationPast]),
	}
	var err error
	if x.Serial, err = strconv.Atoi(notes[annotationSerial]); err != nil || x.Serial < 1 {
		return index{}, fmt.Errorf("annotation %s is %q", annotationSerial, notes[annotationSerial])
	}
	if x.At, err = time.Parse(time.RFC3339Nano, notes[annotationAt]); err != nil {
		return index{}, err
	}
	for _, name := range x.Kept {
		if _, ok := serialOf(name); !ok {
			return index{}, fmt.Errorf("annotation %s names %q", annotationKept, name)
		}
	}
	if notes[annotationRevision] != "" {
		x.Revision, err = parseRevision([]byte(notes[annotationRevision]))
	}
	return x, err
}

var (
	revisionPattern = regexp.MustCompile(`^([1-9][0-9]{0,17})-[0-9a-f]{12}$`)
	filePattern     = regexp.MustCompile(`^[0-9]{3}-[a-z0-9][-.a-z0-9]*\.json$`)
	digestPattern   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func parseRevision(text []byte) (revision, error) {
	var r revision
	if err := json.Unmarshal(text, &r); err != nil {
		return revision{}, err
	}
	if _, ok := serialOf(r.Name); !ok {
		return revision{}, fmt.Errorf("a revision is named %q", r.Name)
	}
	for name, digest := range r.Files {
		if !filePattern.MatchString(name) || !digestPattern.MatchString(digest) {
			return revision{}, fmt.Errorf("revision %s has a file %q of digest %q", r.Name, name, digest)
		}
	}
	return r, nil
}

// serialOf gives the serial in a revision's name: that of the index that was to publish it first.
func serialOf(name string) (int, bool) {
	match := revisionPattern.FindStringSubmatch(name)
	if match == nil {
		return 0, false
	}
	serial, err := strconv.Atoi(match[1])
	return serial, err == nil
}

// folderOf gives where a revision lies, under the release's folder.
func folderOf(revision string) string { return "revisions/" + revision + "/" }

// newRevision names a set of files, by what it consists of and by who makes it when: what lies in the folder of one name
// is the same whoever writes it.
func newRevision(serial int, d Delivery, chart, version, digest string, files map[string][]byte) revision {
	r := revision{Chart: chart, Version: version, SHA256: digest, Delivery: d.ID, Files: make(map[string]string, len(files))}
	whole := fmt.Appendf(nil, "%s\n%s\n%s\n%s\n", d.ID, chart, version, digest)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		r.Files[name] = digestOf(files[name])
		whole = fmt.Appendf(whole, "%s %s\n", r.Files[name], name)
	}
	r.Name = fmt.Sprintf("%d-%.12s", serial, digestOf(whole))
	return r
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
