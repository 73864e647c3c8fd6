package addons

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/chart/common"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"assetflow/addons/bounded"
	"assetflow/fault"
)

// childLimits bound what a chart may take: of a processor, of memory, and of questions to its cluster.
var childLimits = bounded.Limits{
	CPU: 10 * time.Second, Wall: 45 * time.Second, Memory: 512 << 20, Output: 64 << 20, Asks: 1000,
}

// Charts are programs, and YAML that grows: whatever looks into one for the first time does so in a child process.
func init() { bounded.Main(serve) }

// What a child can do.
const (
	doRead      = "read"      // check the archive of a chart
	doManifests = "manifests" // make the files of a bucket
	doTemplates = "templates" // run the templates for a cluster
)

// task is the input of a child.
type task struct {
	Do      string        `json:"do"`
	Chart   Chart         `json:"chart"`
	Release Release       `json:"release"`
	As      circumstances `json:"as"`
}

// done is the answer of a child.
type done struct {
	Refusal *refusal `json:"refusal,omitempty"` // the chart is at fault

	Name     string   `json:"name,omitempty"` // of the chart
	Version  string   `json:"version,omitempty"`
	Metadata Metadata `json:"metadata"`

	Objects []Object          `json:"objects,omitempty"`
	Notes   []string          `json:"notes,omitempty"`
	Files   map[string][]byte `json:"files,omitempty"` // manifests, or what templates render to
	CRDs    []*common.File    `json:"crds,omitempty"`  // in the order in which they are installed
}

// refusal is a fault on its way to the parent.
type refusal struct {
	Kind    fault.Kind `json:"kind"`
	Code    string     `json:"code"`
	Message string     `json:"message"`
}

// query is a question of a child: a lookup in the release's cluster.
type query struct {
	APIVersion string `json:"api_version"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
}

// inChild has a child process do the task. A chart that breaks its limits is refused, with the fault that refuse makes.
// Without a lookup there is no cluster. CodeBusy, and the error of ctx, of the lookup, or that of the task.
func inChild(ctx context.Context, t task, refuse func(string, ...any) *fault.Error, look lookup) (done, error) {
	var (
		reply  bounded.Reply
		failed error // of the lookup
	)
	if look != nil {
		reply = func(_ context.Context, question json.RawMessage) (any, error) {
			var q query
			if err := json.Unmarshal(question, &q); err != nil {
				return nil, fmt.Errorf("read a lookup: %w", err)
			}
			var found map[string]any
			found, failed = look(q.APIVersion, q.Kind, q.Namespace, q.Name)
			return found, failed
		}
	}
	answer, err := bounded.Run(ctx, childLimits, t, reply)
	var excess bounded.Excess
	switch {
	case ctx.Err() != nil && (err != nil || failed != nil):
		return done{}, ctx.Err()
	case failed != nil: // and the templates with it
		return done{}, failed
	case errors.As(err, &excess):
		return done{}, refuse("%s", tooMuch(excess)).Wrap(err)
	case err != nil:
		return done{}, fault.New(fault.Unavailable, CodeBusy, "the chart could not be looked into at the moment").Wrap(err)
	}
	var d done
	if err := json.Unmarshal(answer, &d); err != nil {
		return done{}, fmt.Errorf("read the answer of a child process: %w", err)
	}
	if r := d.Refusal; r != nil {
		return done{}, fault.New(r.Kind, r.Code, "%s", r.Message)
	}
	return d, nil
}

// tooMuch says for a person what a chart has broken.
func tooMuch(excess bounded.Excess) string {
	switch excess {
	case bounded.CPU:
		return fmt.Sprintf("the chart takes more than %.0f s of processor time; see whether a loop in its templates ends", childLimits.CPU.Seconds())
	case bounded.Memory:
		return fmt.Sprintf("the chart takes more than %d MiB of memory; see what its templates repeat", childLimits.Memory>>20)
	case bounded.Stack:
		return "the chart's templates call each other too deep; see whether a recursion in them ends"
	case bounded.Output:
		return fmt.Sprintf("the chart renders to more than %d bytes", maxRendered)
	case bounded.Asks:
		return fmt.Sprintf("the chart's templates look up more than %d times", childLimits.Asks)
	case bounded.Crashed:
	}
	return "the chart cannot be rendered: Helm crashes with it"
}

// serve is what a child does.
func serve(input json.RawMessage, ask bounded.Ask) (any, error) {
	var t task
	if err := json.Unmarshal(input, &t); err != nil {
		return nil, fmt.Errorf("read the task: %w", err)
	}
	d, err := t.do(func(apiVersion, kind, namespace, name string) (map[string]any, error) {
		text, err := ask(query{apiVersion, kind, namespace, name})
		if err != nil {
			return nil, err
		}
		found := map[string]any{}
		return found, utiljson.Unmarshal(text, &found) // not json.Unmarshal: it makes floats of whole numbers
	})
	if f, ok := fault.As(err); ok {
		return done{Refusal: &refusal{f.Kind, f.Code, f.Message}}, nil
	}
	return d, err
}

func (t task) do(look lookup) (done, error) {
	switch t.Do {
	case doRead:
		c, err := unpackChart(t.Chart.Archive)
		if err != nil {
			return done{}, err
		}
		m := c.Metadata
		return done{Name: m.Name, Version: m.Version, Metadata: Metadata{
			AppVersion: cut(m.AppVersion, maxAppVersion), Description: cut(m.Description, maxDescription),
		}}, nil
	case doManifests:
		objects, notes, err := render(t.Release, t.Chart)
		if err != nil {
			return done{}, err
		}
		d := done{Notes: notes}
		for _, o := range objects {
			d.Objects = append(d.Objects, o.named(t.Release))
		}
		d.Files, err = files(objects)
		return d, err
	case doTemplates:
		return runTemplates(t, look)
	}
	return done{}, fmt.Errorf("there is no task %q", t.Do)
}

// runTemplates gives what the templates render to, and the definitions of what is enabled of the chart. Helm reads it all
// again in the parent: what that takes must be bounded, too. CodeRefused.
func runTemplates(t task, look lookup) (done, error) {
	c, err := t.Chart.unpack()
	if err != nil {
		return done{}, err
	}
	files, err := execute(t.Release, c, t.As, look)
	if err != nil {
		return done{}, err
	}
	d, size := done{Files: make(map[string][]byte, len(files))}, 0
	for name, text := range files {
		d.Files[name] = []byte(text)
		if !strings.HasSuffix(name, "NOTES.txt") {
			size += expanded(text)
		}
	}
	for _, crd := range c.CRDObjects() {
		d.CRDs = append(d.CRDs, &common.File{Name: crd.Name, Data: crd.File.Data})
		size += expanded(string(crd.File.Data))
	}
	if size > maxRendered {
		return done{}, refused("the chart renders to more than %d bytes", maxRendered)
	}
	return d, nil
}

// expanded is how many bytes YAML is as JSON, which has no aliases: read as Helm reads it or as the API's client, whichever
// is more. What is not YAML is told by who needs it.
func expanded(text string) int {
	size := 0
	for _, document := range releaseutil.SplitManifests(text) {
		whole, _ := yaml.YAMLToJSON([]byte(document))
		parts := 0
		for decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(document), 4096); ; {
			var part json.RawMessage
			if decoder.Decode(&part) != nil {
				break
			}
			parts += len(part)
		}
		size += max(len(whole), parts)
	}
	return size
}
