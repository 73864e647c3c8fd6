package chaos

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"assetflow/catalog"
	"assetflow/client"
)

// oracle is what the catalog must hold: a map, and jobs that are applied to it one after the other.
type oracle struct {
	live  map[assetKey]*asset
	trash []*asset
}

type assetKey struct {
	kind catalog.AssetKind
	name string
}

type asset struct {
	assetKey
	id       string // as the job that made it says
	versions []version
}

type version struct {
	content content
	jobID   string
	label   string
}

func (a *asset) current() content { return a.versions[len(a.versions)-1].content }

func cmpKeys(a, b assetKey) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
}

func newOracle() *oracle { return &oracle{live: map[assetKey]*asset{}} }

// apply does what the job had to do, and says in what it did something else.
func (o *oracle) apply(op *op, job catalog.Job) (findings []string) {
	wrong := func(format string, args ...any) {
		findings = append(findings, fmt.Sprintf("%s, job %s: ", op, op.jobID)+fmt.Sprintf(format, args...))
	}
	reason := o.refuses(op)
	want := catalog.JobSucceeded
	if reason != "" {
		want = catalog.JobFailed
	}
	if job.State != want {
		wrong("it is %s, and must be %s %s(reasons: %v)", job.State, want, reason, job.Reasons)
		if job.State != catalog.JobSucceeded {
			return findings
		}
	}
	if want != catalog.JobSucceeded {
		return findings
	}
	switch op.kind {
	case catalog.AssetImport:
		o.applyImport(op, job, wrong)
	case catalog.AssetDelete:
		o.applyDeletion(op)
	case catalog.AssetExport:
		if op.exported != nil {
			if got, want := textOf(op.exported), textOf(exportable(o.chosen(op))); got != want {
				wrong("the archive holds\n%sand must hold\n%s", got, want)
			}
		}
	default: // there are no others here
	}
	return findings
}

// refuses says why a job had to fail; empty where it had to succeed.
func (o *oracle) refuses(op *op) string {
	switch {
	case op.kind == catalog.AssetImport && op.invalid:
		return "for its package is broken "
	case op.kind == catalog.AssetImport:
		return o.refusesImport(op)
	case op.lost != "":
		return "for it names an asset that nobody has "
	}
	chosen := map[string]bool{}
	for _, c := range op.chosen {
		chosen[c.ID] = true
		if a := o.live[assetKey{catalog.AssetKind(c.Kind), c.Name}]; a == nil || a.id != c.ID {
			return fmt.Sprintf("for there is no %q ", c.Name)
		}
	}
	if op.kind == catalog.AssetExport {
		return ""
	}
	for _, task := range o.live {
		if chosen[task.id] {
			continue
		}
		for _, name := range task.current().Applications {
			if app := o.live[assetKey{catalog.KindApplication, name}]; app != nil && chosen[app.id] {
				return fmt.Sprintf("for %q uses %q ", task.name, name)
			}
		}
	}
	return ""
}

func (o *oracle) refusesImport(op *op) string {
	contents := op.bundle.prefixed(op.prefix)
	inside := map[string]bool{}
	for _, c := range contents {
		if c.Kind == catalog.KindApplication {
			inside[c.Name] = true
		}
	}
	for _, c := range contents {
		if o.live[assetKey{c.Kind, c.Name}] != nil && op.mode == client.AddNew {
			return fmt.Sprintf("for the name %q is taken ", c.Name)
		}
		for _, name := range c.Applications {
			if !inside[name] && o.live[assetKey{catalog.KindApplication, name}] == nil {
				return fmt.Sprintf("for %q uses %q, which is not there ", c.Name, name)
			}
		}
	}
	return ""
}

func (o *oracle) applyImport(op *op, job catalog.Job, wrong func(string, ...any)) {
	var result catalog.ImportResult
	if err := json.Unmarshal(job.Result, &result); err != nil {
		wrong("its result cannot be read: %v", err)
	}
	said := map[assetKey]catalog.ImportedAsset{}
	for _, a := range result.Assets {
		said[assetKey{a.Kind, a.Name}] = a
	}
	for _, c := range op.bundle.prefixed(op.prefix) {
		key := assetKey{c.Kind, c.Name}
		a, action := o.live[key], catalog.ActionUnchanged
		switch {
		case a == nil:
			action = catalog.ActionCreate
			a = &asset{assetKey: key, id: said[key].ID}
			o.live[key] = a
		case a.current().same() != c.same():
			action = catalog.ActionNewVersion
		}
		if action != catalog.ActionUnchanged {
			a.versions = append(a.versions, version{content: c, jobID: op.jobID, label: op.bundle.version})
		}
		want := catalog.ImportedAsset{ID: a.id, Kind: c.Kind, Name: c.Name, VersionNumber: len(a.versions), Action: action}
		if said[key] != want {
			wrong("of %q it says %+v, and must say %+v", c.Name, said[key], want)
		}
	}
}

func (o *oracle) applyDeletion(op *op) {
	for _, c := range op.chosen {
		key := assetKey{catalog.AssetKind(c.Kind), c.Name}
		o.trash = append(o.trash, o.live[key])
		delete(o.live, key)
	}
}

func (o *oracle) chosen(op *op) []content {
	all := make([]content, 0, len(op.chosen))
	for _, c := range op.chosen {
		all = append(all, o.live[assetKey{catalog.AssetKind(c.Kind), c.Name}].current())
	}
	return all
}

// all gives the living assets in one order.
func (o *oracle) all() []*asset {
	all := make([]*asset, 0, len(o.live))
	for _, a := range o.live {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *asset) int { return cmpKeys(a.assetKey, b.assetKey) })
	return all
}

// blobs gives the size of every blob that a version needs, by digest.
func (o *oracle) blobs() map[string]int64 {
	needed := map[string]int64{}
	for _, a := range slices.Concat(o.all(), o.trash) {
		for _, v := range a.versions {
			for _, f := range v.content.Files {
				needed[f.SHA256] = f.Size
			}
		}
	}
	return needed
}
