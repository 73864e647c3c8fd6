package addons

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// claim makes the environment's namespace where there is none, and notes in it that the release needs it: two releases
// that come and go at the same time must not take it from each other. It tells whether the claim is new. A namespace that
// somebody else has made is used as it is. CodeTargetAway while it is being removed.
func (s *session) claim(ctx context.Context) (bool, error) {
	annotation := claimPrefix + s.release.Name
	made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:        s.namespace,
		Annotations: map[string]string{annotation: "true"},
		Labels: map[string]string{
			labelManagedBy: fieldManager, labelProject: labelValue(s.release.ProjectID), labelEnvironment: labelValue(s.release.EnvironmentID),
		},
	}}
	spaces := s.client.CoreV1().Namespaces()
	for {
		ns, err := spaces.Get(ctx, s.namespace, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			_, err = spaces.Create(ctx, made, metav1.CreateOptions{FieldManager: fieldManager})
			if apierrors.IsAlreadyExists(err) {
				continue // another release of the environment was faster
			}
			if err != nil {
				return false, fmt.Errorf("make the namespace: %w", err)
			}
			return true, nil
		case err != nil:
			return false, fmt.Errorf("get the namespace: %w", err)
		case ns.DeletionTimestamp != nil:
			return false, clusterAway("the environment's namespace is still being removed")
		case !ours(ns), ns.Annotations[annotation] != "":
			return false, nil
		}
		return true, s.annotate(ctx, ns, annotation, "true")
	}
}

func ours(ns *corev1.Namespace) bool { return ns.Labels[labelManagedBy] == fieldManager }

// annotate sets an annotation of the namespace, or takes it away where value is nil, and gives ns what came of it.
func (s *session) annotate(ctx context.Context, ns *corev1.Namespace, key string, value any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: value}}})
	if err != nil {
		return err
	}
	patched, err := s.client.CoreV1().Namespaces().Patch(ctx, ns.Name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("annotate the namespace: %w", err)
	}
	*ns = *patched
	return nil
}

// leave takes the release's claim from the namespace, and removes it where it was the last one and nothing else is in it.
// It gives what keeps it, as a note.
func (s *session) leave(ctx context.Context) (string, error) {
	spaces := s.client.CoreV1().Namespaces()
	ns, err := spaces.Get(ctx, s.namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("get the namespace: %w", err)
	case !ours(ns) || ns.DeletionTimestamp != nil:
		return "", nil
	}
	if annotation := claimPrefix + s.release.Name; ns.Annotations[annotation] != "" {
		if err := s.annotate(ctx, ns, annotation, nil); err != nil {
			return "", err
		}
	}
	for key := range ns.Annotations {
		if strings.HasPrefix(key, claimPrefix) {
			return "", nil
		}
	}
	what, err := s.foreign(ctx)
	if err != nil {
		return "", err
	}
	if what != "" {
		return fmt.Sprintf("The namespace %s is kept: %s is still in it.", s.namespace, what), nil
	}
	// A release that has claimed it meanwhile has changed it.
	err = spaces.Delete(ctx, s.namespace, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &ns.UID, ResourceVersion: &ns.ResourceVersion},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return "", fmt.Errorf("remove the namespace: %w", err)
	}
	return "", nil
}

// leaving tells that a namespace of ours is being removed.
func (s *session) leaving(ctx context.Context) (bool, error) {
	ns, err := s.client.CoreV1().Namespaces().Get(ctx, s.namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("get the namespace: %w", err)
	}
	return ours(ns) && ns.DeletionTimestamp != nil, nil
}

// kept are the resources for whose sake a namespace stays: what people put there, and the data that a release leaves.
var kept = []schema.GroupVersionResource{
	{Version: "v1", Resource: "persistentvolumeclaims"},
	{Version: "v1", Resource: "secrets"},
	{Version: "v1", Resource: "configmaps"},
	{Version: "v1", Resource: "services"},
	{Version: "v1", Resource: "serviceaccounts"},
	{Version: "v1", Resource: "pods"},
	{Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "apps", Version: "v1", Resource: "statefulsets"},
	{Group: "apps", Version: "v1", Resource: "daemonsets"},
	{Group: "batch", Version: "v1", Resource: "jobs"},
	{Group: "batch", Version: "v1", Resource: "cronjobs"},
}

// foreign names an object in the namespace that is neither Kubernetes's own nor on its way out; empty where there is none.
func (s *session) foreign(ctx context.Context) (string, error) {
	for _, resource := range kept {
		list, err := s.dynamic.Resource(resource).Namespace(s.namespace).List(ctx, metav1.ListOptions{Limit: 100})
		if apierrors.IsForbidden(err) {
			return "what Assetflow may not list (" + resource.Resource + ")", nil
		}
		if err != nil {
			return "", fmt.Errorf("list the namespace's %s: %w", resource.Resource, err)
		}
		for i := range list.Items {
			if o := &list.Items[i]; !passing(o) {
				return o.GetKind() + " " + o.GetName(), nil
			}
		}
		if list.GetContinue() != "" {
			return "a number of " + resource.Resource, nil
		}
	}
	return "", nil
}

// passing tells that an object is no reason to keep its namespace.
func passing(o *unstructured.Unstructured) bool {
	switch {
	case o.GetDeletionTimestamp() != nil, len(o.GetOwnerReferences()) > 0:
		return true // it goes, at once or with its owner
	case o.GetKind() == "ServiceAccount":
		return o.GetName() == "default"
	case o.GetKind() == "ConfigMap":
		return o.GetName() == "kube-root-ca.crt" || o.GetName() == "openshift-service-ca.crt"
	case o.GetKind() == "Secret":
		return o.GetAnnotations()[corev1.ServiceAccountNameKey] != ""
	}
	return false
}
