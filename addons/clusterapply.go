package addons

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	helm "helm.sh/helm/v4/pkg/action"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/kube"
	release "helm.sh/helm/v4/pkg/release/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// maxRecord bounds what Helm keeps of a revision: it is in a Secret.
const maxRecord = 1 << 20

func (s *session) plan(ctx context.Context, c Chart) (Plan, error) {
	h, err := s.history()
	if err != nil {
		return Plan{}, err
	}
	claimed, err := s.claim(ctx)
	if err != nil {
		return Plan{}, err
	}
	plan, _, err := s.check(ctx, c, h)
	if err != nil && claimed && ctx.Err() == nil {
		if _, failed := s.leave(ctx); failed != nil { // a namespace that stays is used by the next try
			s.logger.WarnContext(ctx, "a refused plan leaves a namespace", "namespace", s.namespace, "error", failed)
		}
	}
	return plan, err
}

// check renders the chart and dry-runs every object of it.
func (s *session) check(ctx context.Context, c Chart, h history) (Plan, *rendering, error) {
	rendering, err := s.render(ctx, c, h)
	if err != nil {
		return Plan{}, nil, err
	}
	plan, err := s.checkRendered(ctx, rendering, h)
	return plan, rendering, err
}

func (s *session) checkRendered(ctx context.Context, rendering *rendering, h history) (Plan, error) {
	chart := rendering.chart()
	var said notes
	if chart.Metadata.Deprecated {
		said.add("The chart says that it is deprecated.")
	}
	s.helm.coming, s.helm.unknown = map[schema.GroupKind]bool{}, 0
	defer func() { s.helm.coming = nil }()
	var plan Plan
	if h.installs() { // Helm installs definitions then only
		for _, crd := range chart.CRDObjects() {
			defined, object, err := definition(crd.File.Data)
			if err != nil {
				return Plan{}, refused("the definition %s cannot be read: %s", cut(crd.Name, 100), reason(err)).Wrap(err)
			}
			s.helm.coming[defined] = true
			plan.Objects = append(plan.Objects, object)
		}
	}
	render := helm.NewInstall(s.config)
	render.DryRunStrategy = helm.DryRunServer
	render.IsUpgrade, render.ReleaseName, render.Namespace = !h.installs(), s.release.Name, s.namespace
	render.DisableOpenAPIValidation = true
	render.TakeOwnership = true // who owns what is there is checked below
	rendered, err := render.RunWithContext(context.WithoutCancel(ctx), chart, map[string]any{})
	if err != nil {
		return Plan{}, s.refusal(ctx, "the chart cannot be rendered", err)
	}
	rel, ok := rendered.(*release.Release)
	if !ok {
		return Plan{}, fmt.Errorf("a release of Helm's of type %T", rendered)
	}
	rel.Chart = rendering.pushed // as it is kept
	if size, err := recordSize(rel); err != nil {
		return Plan{}, err
	} else if size > maxRecord {
		return Plan{}, refused("the chart is too large for a cluster: Helm would keep %d bytes of it, and a Secret holds %d", size, maxRecord)
	}
	objects, err := s.rendered(rel, h)
	if err != nil {
		return Plan{}, s.refusal(ctx, "the chart cannot be rendered", err)
	}
	for _, o := range objects {
		plan.Objects = append(plan.Objects, o.Object)
		if err := s.dryRun(ctx, o); err != nil {
			return Plan{}, s.refusal(ctx, fmt.Sprintf("%s %s", o.Kind, cut(o.Name, 100)), err)
		}
	}
	if s.helm.unknown > 0 {
		said.add("Not checked beforehand: %d objects of kinds that the chart itself defines.", s.helm.unknown)
	}
	for _, warning := range s.warnings.all() {
		said.add("%s", warning)
	}
	plan.Notes = said
	return plan, nil
}

// definition reads a CustomResourceDefinition of a chart's crds folder.
func definition(data []byte) (schema.GroupKind, Object, error) {
	var crd struct {
		Kind     string
		Metadata struct{ Name string }
		Spec     struct {
			Group string
			Names struct{ Kind string }
		}
	}
	err := yaml.Unmarshal(data, &crd)
	return schema.GroupKind{Group: crd.Spec.Group, Kind: crd.Spec.Names.Kind}, Object{Kind: crd.Kind, Name: crd.Metadata.Name}, err
}

// rendered gives the objects of a dry run in the order in which they are applied: hooks before, the manifest, hooks after.
// CodeRefused where one is of another namespace.
func (s *session) rendered(rel *release.Release, h history) ([]object, error) {
	before, after := release.HookPreUpgrade, release.HookPostUpgrade
	if h.installs() {
		before, after = release.HookPreInstall, release.HookPostInstall
	}
	var all []object
	hooks := func(event release.HookEvent) error {
		for _, hook := range rel.Hooks {
			if !slices.Contains(hook.Events, event) {
				continue
			}
			if _, err := s.helm.Build(strings.NewReader(hook.Manifest), false); err != nil {
				return err
			}
			found, err := s.objects(hook.Manifest, true)
			if err != nil {
				return err
			}
			all = append(all, found...)
		}
		return nil
	}
	if err := hooks(before); err != nil {
		return nil, err
	}
	found, err := s.objects(rel.Manifest, false)
	if err != nil {
		return nil, err
	}
	all = append(all, found...)
	return all, hooks(after)
}

// dryRun has the API server check an object, without changing anything.
func (s *session) dryRun(ctx context.Context, o object) error {
	live, err := s.get(ctx, o)
	if err != nil {
		return err
	}
	if live != nil {
		if o.hook {
			return nil // it is made anew; to change what is there would be another thing
		}
		if !s.owns(o, live) {
			return refused("%s %s is there already and is not of this add-on; remove it, or choose another name",
				o.Kind, cut(o.Name, 100))
		}
	}
	// What does not differ must not be refused for its owner's sake.
	data, err := json.Marshal(o.wanted)
	if err != nil {
		return err
	}
	force := true
	_, err = s.resource(o).Patch(ctx, o.Name, types.ApplyPatchType, data, metav1.PatchOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict, Force: &force,
	})
	return err
}

// recordSize is what Helm keeps of a revision, in bytes, as its driver of Secrets writes it.
func recordSize(rel *release.Release) (int, error) {
	text, err := json.Marshal(rel)
	if err != nil {
		return 0, fmt.Errorf("encode the release: %w", err)
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(w, bytes.NewReader(text)); err != nil {
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	return base64.StdEncoding.EncodedLen(packed.Len()), nil
}

func (s *session) apply(ctx context.Context, d Delivery, c Chart) (Applied, error) {
	h, err := s.history()
	if err != nil {
		return Applied{}, err
	}
	if rel := h.made(d, changeInstall, changeUpgrade); rel != nil {
		return Applied{Revision: strconv.Itoa(rel.Version), Notes: notesOf(d, rel)}, nil
	}
	if _, err := s.claim(ctx); err != nil {
		return Applied{}, err
	}
	_, rendering, err := s.check(ctx, c, h)
	if err != nil {
		return Applied{}, err
	}
	said, err := s.recover(h)
	if err != nil {
		return Applied{}, err
	}
	if err := s.trim(h); err != nil {
		return Applied{}, err
	}
	s.records.delivery, s.records.chart = d.ID, rendering.pushed
	rel, err := s.install(ctx, rendering.chart(), h, description(d, said))
	if err != nil {
		return Applied{}, s.refusal(ctx, "the chart could not be applied", err)
	}
	if err := s.prune(ctx, h, rel); err != nil {
		return Applied{}, err
	}
	return Applied{Revision: strconv.Itoa(rel.Version), Notes: said}, nil
}

// install makes the next revision of the release.
func (s *session) install(ctx context.Context, chart *chartv2.Chart, h history, description string) (*release.Release, error) {
	var (
		made any
		err  error
		wait = []kube.WaitOption{kube.WithWaitContext(ctx)}
		// Helm must not see the end of ctx: it would go on in the background. Its requests see it.
		background = context.WithoutCancel(ctx)
	)
	if h.installs() {
		s.records.change = changeInstall
		install := helm.NewInstall(s.config)
		install.ReleaseName, install.Namespace = s.release.Name, s.namespace
		install.Replace, install.Description = true, description
		install.ServerSideApply, install.ForceConflicts, install.DisableOpenAPIValidation = true, true, true
		install.WaitStrategy, install.WaitOptions, install.Timeout = kube.HookOnlyStrategy, wait, hookTimeout
		made, err = install.RunWithContext(background, chart, map[string]any{})
	} else {
		s.records.change = changeUpgrade
		upgrade := helm.NewUpgrade(s.config)
		upgrade.Namespace, upgrade.Description, upgrade.ResetValues = s.namespace, description, true
		upgrade.ServerSideApply, upgrade.ForceConflicts, upgrade.DisableOpenAPIValidation = "true", true, true
		upgrade.WaitStrategy, upgrade.WaitOptions, upgrade.Timeout = kube.HookOnlyStrategy, wait, hookTimeout
		made, err = upgrade.RunWithContext(background, s.release.Name, chart, map[string]any{})
	}
	if err != nil {
		return nil, err
	}
	rel, ok := made.(*release.Release)
	if !ok {
		return nil, fmt.Errorf("a release of Helm's of type %T", made)
	}
	return rel, nil
}

// prune deletes what revisions that did not come through have made, and that the new one does not have. Helm compares a
// new revision with the last one that came through only.
func (s *session) prune(ctx context.Context, before history, rel *release.Release) error {
	orphans, err := s.named(before.unfinished(), false)
	if err != nil {
		return err
	}
	current, err := s.named(history{rel}, false)
	if err != nil {
		return err
	}
	orphans = slices.DeleteFunc(orphans, func(o object) bool {
		return slices.ContainsFunc(current, func(c object) bool { return c.key() == o.key() })
	})
	if orphans, err = s.there(ctx, orphans); err != nil {
		return err
	}
	return s.removeObjects(ctx, orphans)
}

func (s *session) rollBack(ctx context.Context, d Delivery, version int) (Applied, error) {
	h, err := s.history()
	if err != nil {
		return Applied{}, err
	}
	if rel := h.made(d, changeRollBack); rel != nil {
		return Applied{Revision: strconv.Itoa(rel.Version), Notes: notesOf(d, rel)}, nil
	}
	to := h.newest(func(rel *release.Release) bool { return rel.Version == version })
	if h.gone() || to == nil {
		return Applied{}, noRevision(strconv.Itoa(version))
	}
	if _, err := s.claim(ctx); err != nil {
		return Applied{}, err
	}
	said, err := s.recover(h)
	if err != nil {
		return Applied{}, err
	}
	if err := s.trim(slices.DeleteFunc(slices.Clone(h), func(rel *release.Release) bool { return rel == to })); err != nil {
		return Applied{}, err
	}
	s.records.delivery, s.records.change = d.ID, changeRollBack
	back := helm.NewRollback(s.config)
	back.Version, back.Description = version, description(d, said)
	back.ServerSideApply, back.ForceConflicts = "true", true
	back.WaitStrategy, back.Timeout = kube.HookOnlyStrategy, hookTimeout
	back.WaitOptions = []kube.WaitOption{kube.WithWaitContext(ctx)}
	if err := back.Run(s.release.Name); err != nil {
		return Applied{}, s.refusal(ctx, "the release could not be rolled back", err)
	}
	after, err := s.history()
	if err != nil {
		return Applied{}, err
	}
	rel := after.made(d, changeRollBack)
	if rel == nil {
		return Applied{}, errors.New("the revision of a roll-back has gone")
	}
	if err := s.prune(ctx, h, rel); err != nil {
		return Applied{}, err
	}
	return Applied{Revision: strconv.Itoa(rel.Version), Notes: said}, nil
}

// restarter owns the annotation of restarts. It is another manager than that of charts, so that a chart which is applied
// later takes nothing away.
const restarter = "assetflow-restart"

func (s *session) restart(ctx context.Context, d Delivery) (Applied, error) {
	h, err := s.history()
	if err != nil {
		return Applied{}, err
	}
	if h.gone() {
		return Applied{}, noRelease(s.release)
	}
	rel := h.live()
	objects, err := s.named(history{rel}, false)
	if err != nil {
		return Applied{}, err
	}
	patch, err := json.Marshal(nested(d.At.UTC().Format(time.RFC3339Nano), "spec", "template", "metadata", "annotations", annotationRestarted))
	if err != nil {
		return Applied{}, err
	}
	var said notes
	rolled := 0
	for _, o := range objects {
		if o.mapping.GroupVersionKind.Group != "apps" || !slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, o.Kind) {
			continue
		}
		live, err := s.resource(o).Patch(ctx, o.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: restarter})
		switch {
		case apierrors.IsNotFound(err):
			said.add("%s %s is not there; a redeploy makes it again.", o.Kind, o.Name)
			continue
		case err != nil:
			return Applied{}, s.refusal(ctx, "the release could not be restarted", fmt.Errorf("restart %s %s: %w", o.Kind, o.Name, err))
		}
		rolled++
		if strategy, _, _ := unstructured.NestedString(live.Object, "spec", "updateStrategy", "type"); strategy == "OnDelete" {
			said.add("%s %s replaces its pods only when somebody deletes them.", o.Kind, o.Name)
		}
		if paused, _, _ := unstructured.NestedBool(live.Object, "spec", "paused"); paused {
			said.add("%s %s is paused.", o.Kind, o.Name)
		}
	}
	if rolled == 0 {
		said.add("The release has no Deployment, StatefulSet or DaemonSet that could be restarted.")
	}
	return Applied{Revision: strconv.Itoa(rel.Version), Notes: said}, nil
}

// nested makes an object of JSON that has the value at the path.
func nested(value any, path ...string) any {
	for _, key := range slices.Backward(path) {
		value = map[string]any{key: value}
	}
	return value
}
