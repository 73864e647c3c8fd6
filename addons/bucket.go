package addons

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"assetflow/fault"
	"assetflow/storage"
)

// requestsInFlight is how many requests for files of one release are on their way at a time.
const requestsInFlight = 8

// BucketTarget publishes releases as manifests in a bucket, for a GitOps controller that pulls them, such as Flux with a
// Bucket source. Under its prefix lie
//
//	<environment>/namespace.yaml                         the namespace of the environment, which stays
//	<environment>/<release>/kustomization.yaml           the index: what the release consists of
//	<environment>/<release>/revisions/<revision>/*.json  the manifests of a revision, numbered as they are applied
//	<environment>/<release>/revisions/<revision>/revision.json  what the revision is, for a roll-back
//
// A change writes all files of its revision, under a name that no other has, and then the index, with one request. So who
// reads an index and then the files that it lists, or reads everything and then goes by the index, has exactly one
// revision, or finds files missing and comes back; never a mixture. Manifests end in .json because a controller makes an
// index of its own of all .yaml files where it finds none. The index is written only where it is still the one that the
// change began with, so that a deliverer whose job has ended long ago cannot overwrite what came after it.
//
// The last ten revisions are kept, others are deleted after the next change. A release that was removed keeps an index
// that lists nothing: it tells the controller to prune, and deliverers that are late that they are.
type BucketTarget struct {
	store  *storage.Store
	prefix string
	logger *slog.Logger
}

var _ Target = (*BucketTarget)(nil)

// NewBucket makes a target of the keys under prefix, which is empty or ends with a slash. They belong to the target alone.
// It makes no request. Without a logger nothing is logged.
func NewBucket(store *storage.Store, prefix string, logger *slog.Logger) *BucketTarget {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &BucketTarget{store: store, prefix: prefix, logger: logger}
}

// Kind gives Bucket.
func (b *BucketTarget) Kind() Kind { return Bucket }

// Plan renders the chart as Apply does, and reads the index.
func (b *BucketTarget) Plan(ctx context.Context, r Release, c Chart) (Plan, error) {
	if _, _, err := b.index(ctx, r); err != nil {
		return Plan{}, err
	}
	rendered, err := inChild(ctx, task{Do: doManifests, Chart: c, Release: r}, refused, nil)
	if err != nil {
		return Plan{}, err
	}
	return Plan{
		Objects: append([]Object{{Kind: "Namespace", Name: r.Namespace()}}, rendered.Objects...), Notes: rendered.Notes,
	}, nil
}

// Apply publishes what the chart renders to.
func (b *BucketTarget) Apply(ctx context.Context, d Delivery, r Release, c Chart) (Applied, error) {
	current, etag, err := b.index(ctx, r)
	if err != nil {
		return Applied{}, err
	}
	if done, err := current.done(d, applied); done || err != nil {
		return b.finish(ctx, r, current, nil), err
	}
	rendered, err := inChild(ctx, task{Do: doManifests, Chart: c, Release: r}, refused, nil)
	if err != nil {
		return Applied{}, err
	}
	next := current.next(d, applied)
	made := newRevision(next.Serial, d, c.Name, c.Version, c.SHA256, rendered.Files)
	return b.publish(ctx, r, etag, current.publishing(next, made), rendered.Files, rendered.Notes)
}

// Restart publishes the manifests of the release once more, with an annotation at its pod templates that has the
// Deployments, StatefulSets and DaemonSets roll. It takes them from the bucket: the chart need not render to the same again.
func (b *BucketTarget) Restart(ctx context.Context, d Delivery, r Release, _ Chart) (Applied, error) {
	current, etag, err := b.index(ctx, r)
	if err != nil {
		return Applied{}, err
	}
	if done, err := current.done(d, restarted); done || err != nil {
		return b.finish(ctx, r, current, nil), err
	}
	if !current.live() {
		return Applied{}, noRelease(r)
	}
	manifests, err := b.read(ctx, r, current.Revision)
	if err != nil {
		return Applied{}, err
	}
	var notes []string
	rolled, err := restart(manifests, d.At)
	if err != nil {
		return Applied{}, err
	}
	if rolled == 0 {
		notes = append(notes, "The release has no Deployment, StatefulSet or DaemonSet that could be restarted.")
	}
	next, was := current.next(d, restarted), current.Revision
	made := newRevision(next.Serial, d, was.Chart, was.Version, was.SHA256, manifests)
	return b.publish(ctx, r, etag, current.publishing(next, made), manifests, notes)
}

// Health tells whether the files that the index lists are there. What the controller makes of them it does not know.
func (b *BucketTarget) Health(ctx context.Context, r Release) (Health, error) {
	current, _, err := b.index(ctx, r)
	switch {
	case err != nil:
		return Health{}, err
	case !current.live():
		return Health{}, noRelease(r)
	}
	manifests := Workload{Kind: "Manifests", Name: r.Name, Ready: 1, Wanted: 1}
	_, err = b.read(ctx, r, current.Revision)
	if fault.CodeOf(err) == CodeNoRevision {
		// Nobody but a delivery writes them, so they do not come back.
		e, _ := fault.As(err)
		manifests.Ready, manifests.Message = 0, e.Message
		return Health{Workloads: []Workload{manifests}, Failed: e.Message}, nil
	}
	if err != nil {
		return Health{}, err
	}
	return Health{Ready: true, Workloads: []Workload{manifests}}, nil
}

// RollBack publishes an index of a revision that is kept. The revision keeps its name.
func (b *BucketTarget) RollBack(ctx context.Context, d Delivery, r Release, to string) (Applied, error) {
	current, etag, err := b.index(ctx, r)
	if err != nil {
		return Applied{}, err
	}
	if current.Delivery == d.ID && current.Action == rolledBack {
		if !current.live() {
			return Applied{}, b.sweep(ctx, r, current)
		}
		return b.finish(ctx, r, current, nil), nil
	}
	if err := current.late(d); err != nil {
		return Applied{}, err
	}
	next := current.next(d, rolledBack)
	if to == "" {
		return b.clear(ctx, r, etag, next)
	}
	if !slices.Contains(current.Kept, to) {
		return Applied{}, fault.New(fault.NotFound, CodeNoRevision, "the target has no revision %q of %s", cut(to, 100), r.Name)
	}
	text, _, err := b.store.Get(ctx, b.folder(r)+folderOf(to)+revisionName, maxIndexBytes)
	if err != nil {
		return Applied{}, lost(ctx, r, to, err)
	}
	earlier, err := parseRevision(text)
	if err != nil || earlier.Name != to {
		return Applied{}, lost(ctx, r, to, errNotOurs)
	}
	if _, err := b.read(ctx, r, earlier); err != nil {
		return Applied{}, err
	}
	return b.swap(ctx, r, etag, current.publishing(next, earlier), nil)
}

// Remove publishes an index that lists nothing, and deletes the manifests.
func (b *BucketTarget) Remove(ctx context.Context, d Delivery, r Release) (Applied, error) {
	current, etag, err := b.index(ctx, r)
	if err != nil {
		return Applied{}, err
	}
	if err := current.late(d); err != nil {
		return Applied{}, err
	}
	if etag != "" && !current.live() {
		return Applied{}, b.sweep(ctx, r, current)
	}
	if etag == "" { // a first delivery may have died before it came to the index
		left, err := b.revisions(ctx, r)
		if err != nil || len(left) == 0 {
			return Applied{}, err
		}
	}
	return b.clear(ctx, r, etag, current.next(d, removed))
}

// Remains tells what is left of a release beside the index that lists nothing.
func (b *BucketTarget) Remains(ctx context.Context, r Release) ([]Object, error) {
	current, _, err := b.index(ctx, r)
	if err != nil {
		return nil, err
	}
	var remains []Object
	if current.live() {
		remains = append(remains, Object{Kind: "Kustomization", Name: r.Name})
	}
	left, err := b.revisions(ctx, r)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		remains = append(remains, Object{Kind: "Manifests", Name: name})
	}
	return remains, nil
}

// publish writes the files of a new revision, and then the index.
func (b *BucketTarget) publish(
	ctx context.Context, r Release, etag string, next index, manifests map[string][]byte, notes []string,
) (Applied, error) {
	const doing = "publish manifests"
	// It is looked for first: MinIO answers a refused condition before it has read the content, and closes the connection
	// under the next request.
	key, namespace := b.prefix+r.EnvironmentID+"/namespace.yaml", namespaceFile(r)
	_, _, err := b.store.Get(ctx, key, maxIndexBytes)
	if fault.KindOf(err) == fault.NotFound {
		if err = b.store.Replace(ctx, key, namespace, ""); fault.KindOf(err) == fault.Conflict {
			err = nil // somebody else has made it meanwhile
		}
	}
	if err != nil {
		return Applied{}, away(ctx, doing, err)
	}
	about, err := json.Marshal(next.Revision)
	if err != nil {
		return Applied{}, fmt.Errorf("%s: %w", doing, err)
	}
	folder := b.folder(r) + folderOf(next.Revision.Name)
	writing, writingCtx := errgroup.WithContext(ctx)
	writing.SetLimit(requestsInFlight)
	for name, data := range manifests {
		writing.Go(func() error { return b.store.Put(writingCtx, folder+name, data) })
	}
	writing.Go(func() error { return b.store.Put(writingCtx, folder+revisionName, about) })
	if err := writing.Wait(); err != nil {
		return Applied{}, away(ctx, doing, err)
	}
	return b.swap(ctx, r, etag, next, notes)
}

// clear publishes an index that lists nothing, and deletes the manifests.
func (b *BucketTarget) clear(ctx context.Context, r Release, etag string, next index) (Applied, error) {
	if err := b.writeIndex(ctx, r, etag, next); err != nil {
		return Applied{}, err
	}
	return Applied{}, b.sweep(ctx, r, next)
}

// swap writes the index, and deletes what it no longer keeps.
func (b *BucketTarget) swap(ctx context.Context, r Release, etag string, next index, notes []string) (Applied, error) {
	if err := b.writeIndex(ctx, r, etag, next); err != nil {
		return Applied{}, err
	}
	return b.finish(ctx, r, next, notes), nil
}

// finish deletes what the index no longer keeps, and gives what the change that wrote it came to. What cannot be deleted
// waits for the next change: nobody reads it.
func (b *BucketTarget) finish(ctx context.Context, r Release, x index, notes []string) Applied {
	if err := b.sweep(ctx, r, x); err != nil && ctx.Err() == nil {
		b.logger.WarnContext(ctx, "revisions that are no longer kept could not be deleted", "release", r.Name,
			"environment", r.EnvironmentID, "error", err)
	}
	return Applied{Revision: x.Revision.Name, Notes: notes}
}

// done tells whether the index is what the delivery's action made of it. It is a fault where the delivery has been
// followed by something else.
func (x index) done(d Delivery, what action) (bool, error) {
	if x.Delivery != d.ID {
		return false, x.late(d)
	}
	if x.Action != what {
		return false, refused("the delivery has been rolled back already")
	}
	return true, nil
}

// late gives a fault where another delivery has come after this one. That can happen to one that has died, if it did not
// notice.
func (x index) late(d Delivery) error {
	if slices.Contains(x.Past, d.ID) {
		return refused("another delivery has changed the release since")
	}
	return nil
}

// files gives each object as a file, by a name that begins with its number.
func files(objects []rendered) (map[string][]byte, error) {
	made, size := make(map[string][]byte, len(objects)), 0
	for i, o := range objects {
		data, err := encode(o.object)
		if err != nil {
			return nil, err
		}
		if size += len(data); size > maxRendered {
			return nil, refused("the chart renders to more than %d bytes", maxRendered)
		}
		made[fileName(i+1, o.object)] = data
	}
	return made, nil
}

var notInFileName = regexp.MustCompile(`[^-.a-z0-9]+`)

func fileName(number int, object *unstructured.Unstructured) string {
	name := notInFileName.ReplaceAllString(strings.ToLower(object.GetKind()+"-"+object.GetName()), "-")
	return fmt.Sprintf("%03d-%.120s.json", number, name)
}

// restart sets the annotation of a restart at the pod templates among the manifests, and gives how many there are.
func restart(manifests map[string][]byte, at time.Time) (int, error) {
	rolled := 0
	for name, data := range manifests {
		object := &unstructured.Unstructured{}
		if err := utiljson.Unmarshal(data, &object.Object); err != nil {
			return 0, refused("the manifest %s in the bucket is none; redeploy the add-on", name).Wrap(err)
		}
		if kind := object.GroupVersionKind(); kind.Group != "apps" ||
			!slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, kind.Kind) {
			continue
		}
		dropNull(object, "spec", "template", "metadata")
		dropNull(object, "spec", "template", "metadata", "annotations")
		err := unstructured.SetNestedField(object.Object, at.UTC().Format(time.RFC3339Nano),
			"spec", "template", "metadata", "annotations", annotationRestarted)
		if err != nil {
			return 0, refused("%s %s has no pod template that could be restarted", object.GetKind(), object.GetName()).Wrap(err)
		}
		if manifests[name], err = encode(object); err != nil {
			return 0, err
		}
		rolled++
	}
	return rolled, nil
}

// namespaceFile gives the manifest of an environment's namespace. It lies beside the releases, which share it: were it a
// part of each, a controller that reads a whole environment would refuse it as there twice, and one that prunes a release
// would take the namespace with it, and the other releases with that.
func namespaceFile(r Release) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Namespace
metadata:
  name: %s
  labels:
    app.kubernetes.io/managed-by: assetflow
  annotations:
    %s: disabled
`, r.Namespace(), annotationPrune)
}

func noRelease(r Release) *fault.Error {
	return fault.New(fault.NotFound, CodeNoRevision, "the target holds nothing of %s", r.Name)
}

var errNotOurs = errors.New("it is not what was written")

// lost gives the fault of a revision that is not whole.
func lost(ctx context.Context, r Release, revision string, err error) error {
	if !errors.Is(err, errNotOurs) && fault.KindOf(err) != fault.NotFound && fault.KindOf(err) != fault.TooLarge {
		return away(ctx, "read revision "+revision, err)
	}
	return fault.New(fault.NotFound, CodeNoRevision,
		"manifests of revision %s of %s are missing in the bucket, or changed; redeploy the add-on", revision, r.Name).Wrap(err)
}

// away gives the fault of requests that failed. Those that the server refuses are worth another try as well: somebody may
// mend its permissions meanwhile.
func away(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	if fault.KindOf(err) == fault.Internal {
		return fault.New(fault.Unavailable, CodeTargetAway,
			"the target's bucket refuses a request of this service; check that it exists and what it permits").Wrap(fmt.Errorf("%s: %w", doing, err))
	}
	return fault.New(fault.Unavailable, CodeTargetAway, "the target's bucket does not answer at the moment").
		Wrap(fmt.Errorf("%s: %w", doing, err))
}
