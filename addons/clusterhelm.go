package addons

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/kube"
	releaseapi "helm.sh/helm/v4/pkg/release"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Kinds of changes, as labels of the revisions that they make.
const (
	changeInstall  = "install"
	changeUpgrade  = "upgrade"
	changeRollBack = "rollback"
)

// Values of labelGood.
const (
	goodSeen = "seen" // Health has found it ready
	goodCopy = "copy" // a roll-back to one that is good
)

// helmClient is Helm's client of a cluster, but that it keeps a release in its namespace and does not wait for workloads.
type helmClient struct {
	*kube.Client
	namespace string
	// coming are kinds that a chart brings along, so that a dry run may not know them yet; unknown are the objects of such.
	coming  map[schema.GroupKind]bool
	unknown int
}

// Build reads manifests. CodeRefused where one is of another namespace.
func (c *helmClient) Build(r io.Reader, _ bool) (kube.ResourceList, error) {
	// The API server validates strictly what is applied: there is no need to load its schema for that, too.
	infos, err := c.Client.Build(r, false)
	for _, err := range each(err) {
		var noKind *meta.NoKindMatchError
		if !errors.As(err, &noKind) || !c.coming[noKind.GroupKind] {
			return nil, err
		}
		c.unknown++
	}
	for _, info := range infos {
		if info.Namespaced() && info.Namespace != c.namespace {
			return nil, refused("%s %s is of namespace %s, but everything of an environment is in %s",
				info.Mapping.GroupVersionKind.Kind, cut(info.Name, 100), cut(info.Namespace, 100), c.namespace)
		}
	}
	return infos, nil
}

// each gives the errors that one is made of.
func each(err error) []error {
	var several interface{ Errors() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &several):
		var all []error
		for _, err := range several.Errors() {
			all = append(all, each(err)...)
		}
		return all
	}
	return []error{err}
}

// GetWaiterWithOptions gives a waiter for hooks, and for definitions of kinds. It does not wait for anything else.
func (c *helmClient) GetWaiterWithOptions(_ kube.WaitStrategy, opts ...kube.WaitOption) (kube.Waiter, error) {
	w, err := c.Client.GetWaiterWithOptions(kube.StatusWatcherStrategy, opts...)
	return waiter{w}, err
}

type waiter struct{ kube.Waiter }

// Wait waits for definitions of kinds: what follows them is of those kinds.
func (w waiter) Wait(list kube.ResourceList, timeout time.Duration) error {
	for _, info := range list {
		if info.Mapping.GroupVersionKind.Kind != "CustomResourceDefinition" {
			return nil
		}
	}
	return w.Waiter.Wait(list, timeout)
}

// WaitForDelete waits for hooks to go: they are made anew under the same name.
func (w waiter) WaitForDelete(list kube.ResourceList, timeout time.Duration) error {
	for _, info := range list {
		o, err := meta.Accessor(info.Object)
		if err != nil {
			return err
		}
		if o.GetAnnotations()[annotationHook] == "" {
			return nil
		}
	}
	return w.Waiter.WaitForDelete(list, timeout)
}

// records keeps Helm's revisions in Secrets, each with the delivery and the kind of change that made it.
type records struct {
	*driver.Secrets
	delivery, change string
	chart            *chartv2.Chart // what is kept as the chart of a new revision; nil: what Helm made the revision of
}

// Create keeps a new revision.
func (r *records) Create(key string, made releaseapi.Releaser) error {
	rel, ok := made.(*release.Release)
	if !ok {
		return fmt.Errorf("a release of Helm's of type %T", made)
	}
	labels := maps.Clone(rel.Labels) // those of the revision before, or of that which is rolled back to
	if labels == nil {
		labels = map[string]string{}
	}
	if r.change == changeRollBack && labels[labelGood] != "" {
		labels[labelGood] = goodCopy
	} else {
		delete(labels, labelGood)
	}
	for _, system := range driver.GetSystemLabels() {
		delete(labels, system)
	}
	labels[labelDelivery], labels[labelChange] = labelValue(r.delivery), r.change
	rel.Labels = labels
	if r.chart != nil {
		rel.Chart = r.chart
	}
	return r.Secrets.Create(key, rel)
}

// labelValue gives s as the value of a label, or a digest of it where it cannot be one.
func labelValue(s string) string {
	if len(validation.IsValidLabelValue(s)) == 0 {
		return s
	}
	digest := sha256.Sum256([]byte(s))
	return hex.EncodeToString(digest[:16])
}

// history is a release's revisions, oldest first.
type history []*release.Release

func (s *session) history() (history, error) {
	kept, err := s.config.Releases.History(s.release.Name)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("read the release's history: %w", err)
	}
	h := make(history, 0, len(kept))
	for _, k := range kept {
		rel, ok := k.(*release.Release)
		if !ok {
			return nil, fmt.Errorf("a release of Helm's of type %T", k)
		}
		h = append(h, rel)
	}
	slices.SortFunc(h, func(a, b *release.Release) int { return a.Version - b.Version })
	return h, nil
}

// last is the newest revision; nil where there is none.
func (h history) last() *release.Release {
	if len(h) == 0 {
		return nil
	}
	return h[len(h)-1]
}

// newest is the newest revision that is as is says; nil where none is.
func (h history) newest(is func(*release.Release) bool) *release.Release {
	for _, rel := range slices.Backward(h) {
		if is(rel) {
			return rel
		}
	}
	return nil
}

func deployed(rel *release.Release) bool { return rel.Info.Status == common.StatusDeployed }

// gone tells that the release was uninstalled, or never was.
func (h history) gone() bool {
	last := h.last()
	return last == nil || last.Info.Status == common.StatusUninstalled
}

// live is the revision that the release consists of: the one that came through last or, where none has, the newest one.
func (h history) live() *release.Release {
	if rel := h.newest(deployed); rel != nil {
		return rel
	}
	return h.last()
}

// made is the revision that a delivery has made, and that came through; nil where there is none.
func (h history) made(d Delivery, changes ...string) *release.Release {
	return h.newest(func(rel *release.Release) bool {
		through := deployed(rel) || rel.Info.Status == common.StatusSuperseded
		return through && rel.Labels[labelDelivery] == labelValue(d.ID) && slices.Contains(changes, rel.Labels[labelChange])
	})
}

// installs tells that the next revision is an install to Helm, and not an upgrade: none has come through yet. It makes a
// difference to hooks.
func (h history) installs() bool {
	return h.gone() || h.newest(func(rel *release.Release) bool {
		return deployed(rel) || rel.Info.Status == common.StatusSuperseded
	}) == nil
}

// unfinished gives the revisions after the one that came through last. What they made is known to no other.
func (h history) unfinished() history {
	for i, rel := range slices.Backward(h) {
		if deployed(rel) {
			return h[i+1:]
		}
	}
	return h
}

// recover makes a release that a deployer left midway one that Helm works on again. Helm refuses to touch what is pending.
func (s *session) recover(h history) (notes, error) {
	var said notes
	for i, rel := range h {
		status := rel.Info.Status
		stuck := status.IsPending() || status == common.StatusUninstalling || status == common.StatusUnknown
		if stuck {
			said.add("The release was stuck in %s since revision %d, as a deployer leaves it that dies midway; it was recovered.",
				status, rel.Version)
		}
		// A last revision that is superseded is what an install leaves that dies before it has made its own.
		if !stuck && (i < len(h)-1 || status != common.StatusSuperseded) {
			continue
		}
		rel.SetStatus(common.StatusFailed, "Left in "+status.String()+" by a deployer that died midway; recovered by Assetflow.")
		if err := s.config.Releases.Update(rel); err != nil {
			return nil, fmt.Errorf("recover the release: %w", err)
		}
	}
	return said, nil
}

// trim drops the oldest revisions to make room for one more. The one that came through last stays, and so do those that
// may be rolled back to: the newest that was ever healthy, and the newest copy of such.
func (s *session) trim(h history) error {
	keep := map[*release.Release]bool{h.newest(deployed): true}
	for _, good := range []string{goodSeen, goodCopy} {
		keep[h.newest(func(rel *release.Release) bool { return rel.Labels[labelGood] == good })] = true
	}
	for _, rel := range h[:max(0, len(h)-maxHistory+1)] {
		if keep[rel] {
			continue
		}
		if err := s.forget(rel); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) forget(rel *release.Release) error {
	if _, err := s.config.Releases.Delete(rel.Name, rel.Version); err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
		return fmt.Errorf("forget revision %d: %w", rel.Version, err)
	}
	return nil
}

// description is what a revision says of itself in Helm's history. Where the delivery is made again, its notes are there.
func description(d Delivery, said notes) string {
	return cut(strings.Join(append([]string{"Delivered by Assetflow's job " + d.ID + "."}, said...), " "), 250)
}

// notesOf gives the notes back.
func notesOf(d Delivery, rel *release.Release) []string {
	said := strings.TrimSpace(strings.TrimPrefix(rel.Info.Description, description(d, nil)))
	if said == "" || said == rel.Info.Description {
		return nil
	}
	return []string{said}
}

// named gives the objects that revisions name, each once.
func (s *session) named(revisions history, hooks bool) ([]object, error) {
	var all []object
	for _, rel := range revisions {
		found, err := s.objects(rel.Manifest, false)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		for _, hook := range rel.Hooks {
			if !hooks {
				break
			}
			if found, err = s.objects(hook.Manifest, true); err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	slices.SortStableFunc(all, func(a, b object) int { return strings.Compare(a.key(), b.key()) })
	return slices.CompactFunc(all, func(a, b object) bool { return a.key() == b.key() }), nil
}
