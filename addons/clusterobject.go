package addons

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"helm.sh/helm/v4/pkg/kube"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// What Helm writes into every object of a release, and into those of hooks.
const (
	annotationReleaseName      = "meta.helm.sh/release-name"
	annotationReleaseNamespace = "meta.helm.sh/release-namespace"
	annotationHook             = "helm.sh/hook"
)

// object is one of a manifest.
type object struct {
	Object
	mapping *meta.RESTMapping
	wanted  *unstructured.Unstructured
	hook    bool
}

func (o object) key() string {
	return o.mapping.Resource.GroupResource().String() + "/" + o.Namespace + "/" + o.Name
}

// keeps tells that the object stays when its release goes.
func (o object) keeps() bool {
	return strings.EqualFold(strings.TrimSpace(o.wanted.GetAnnotations()[kube.ResourcePolicyAnno]), kube.KeepPolicy)
}

// objects reads a manifest, in its order. Objects of kinds that the cluster does not know are left out: there are none.
func (s *session) objects(manifest string, hook bool) ([]object, error) {
	documents := releaseutil.SplitManifests(manifest)
	names := make([]string, 0, len(documents))
	for name := range documents {
		names = append(names, name)
	}
	sort.Sort(releaseutil.BySplitManifestsOrder(names))
	var all []object
	for _, name := range names {
		var u unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(documents[name]), &u.Object); err != nil {
			return nil, fmt.Errorf("read a manifest of the release: %w", err)
		}
		if len(u.Object) == 0 {
			continue
		}
		single := []*unstructured.Unstructured{&u}
		if u.IsList() {
			list, err := u.ToList()
			if err != nil {
				return nil, fmt.Errorf("read a list of the release: %w", err)
			}
			single = nil
			for i := range list.Items {
				single = append(single, &list.Items[i])
			}
		}
		for _, u := range single {
			mapping, err := s.mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
			switch {
			case meta.IsNoMatchError(err):
				continue
			case err != nil:
				return nil, fmt.Errorf("look up the kind %s: %w", u.GetKind(), err)
			}
			o := object{Object: Object{Kind: u.GetKind(), Name: u.GetName()}, mapping: mapping, wanted: u, hook: hook}
			if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
				o.Namespace = s.namespace
				if ns := u.GetNamespace(); ns != "" {
					o.Namespace = ns
				}
			}
			all = append(all, o)
		}
	}
	return all, nil
}

func (s *session) resource(o object) dynamic.ResourceInterface {
	if o.Namespace == "" {
		return s.dynamic.Resource(o.mapping.Resource)
	}
	return s.dynamic.Resource(o.mapping.Resource).Namespace(o.Namespace)
}

// get gives the object as it is in the cluster; nil where it is not.
func (s *session) get(ctx context.Context, o object) (*unstructured.Unstructured, error) {
	live, err := s.resource(o).Get(ctx, o.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("get %s %s: %w", o.Kind, o.Name, err)
	}
	return live, nil
}

// owns tells whether an object of the cluster is of the release: Helm marks it, and hooks, which it does not, are in the
// environment's namespace.
func (s *session) owns(o object, live *unstructured.Unstructured) bool {
	a := live.GetAnnotations()
	if o.hook {
		return a[annotationHook] != "" && live.GetNamespace() == s.namespace
	}
	return a[annotationReleaseName] == s.release.Name && a[annotationReleaseNamespace] == s.namespace
}

// there gives those of the objects that are in the cluster and of the release, but for those that stay when it goes.
func (s *session) there(ctx context.Context, all []object) ([]object, error) {
	var found []object
	for _, o := range all {
		if o.keeps() {
			continue
		}
		live, err := s.get(ctx, o)
		if err != nil {
			return nil, err
		}
		if live != nil && s.owns(o, live) {
			found = append(found, o)
		}
	}
	return found, nil
}

// remove deletes objects. They go when what they own is gone.
func (s *session) removeObjects(ctx context.Context, all []object) error {
	foreground := metav1.DeletePropagationForeground
	for _, o := range all {
		err := s.resource(o).Delete(ctx, o.Name, metav1.DeleteOptions{PropagationPolicy: &foreground})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s %s: %w", o.Kind, o.Name, err)
		}
	}
	return nil
}
