package addons

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
)

// maxWhy bounds the message of a workload, in characters.
const maxWhy = 200

func (s *session) health(ctx context.Context) (Health, error) {
	h, err := s.history()
	if err != nil {
		return Health{}, err
	}
	if h.gone() {
		return Health{}, noRelease(s.release)
	}
	rel := h.live()
	objects, err := s.named(history{rel}, false)
	if err != nil {
		return Health{}, err
	}
	var failed []string
	found := Health{Workloads: []Workload{}, Ready: h.last() == rel && deployed(rel)}
	for _, o := range objects {
		if !takesTime(o) {
			continue
		}
		live, err := s.get(ctx, o)
		if err != nil {
			return Health{}, err
		}
		state := missing(o)
		if live != nil {
			if state, err = s.assess(ctx, live); err != nil {
				return Health{}, err
			}
		}
		if state.hidden {
			continue
		}
		found.Ready = found.Ready && state.ready
		found.Workloads = append(found.Workloads, Workload{
			Kind: o.Kind, Name: o.Name, Ready: state.count, Wanted: state.wanted, Message: cut(state.why, maxWhy),
		})
		if state.failed {
			failed = append(failed, fmt.Sprintf("%s %s: %s", o.Kind, o.Name, strings.TrimSuffix(cut(state.why, maxWhy), ".")))
		}
	}
	found.Failed = cut(strings.Join(failed, "; "), 2*maxReason)
	if found.Ready && rel.Labels[labelGood] != goodSeen {
		if err := s.good(ctx, rel.Version); err != nil {
			return Health{}, err
		}
	}
	return found, nil
}

// good notes on a revision that it has been healthy.
func (s *session) good(ctx context.Context, version int) error {
	patch, err := json.Marshal(nested(goodSeen, "metadata", "labels", labelGood))
	if err != nil {
		return err
	}
	name := fmt.Sprintf("sh.helm.release.v1.%s.v%d", s.release.Name, version)
	_, err = s.client.CoreV1().Secrets(s.namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("note that revision %d is healthy: %w", version, err)
	}
	return nil
}

// state is how far an object is.
type state struct {
	count, wanted int
	ready         bool
	failed        bool   // it will not become ready by itself
	hidden        bool   // it is ready, and nobody asks how far
	why           string // it is not ready
}

// single is the state of an object that is ready or not, without numbers.
func single(ready bool, why string) state {
	if ready {
		return state{count: 1, wanted: 1, ready: true}
	}
	return state{wanted: 1, why: why}
}

// missing is the state of an object that is not there.
func missing(o object) state {
	if o.mapping.GroupVersionKind.Group == "batch" && o.Kind == "Job" {
		if _, ok, _ := unstructured.NestedInt64(o.wanted.Object, "spec", "ttlSecondsAfterFinished"); ok {
			return single(true, "") // it goes when it has finished
		}
	}
	return single(false, "It is not there.")
}

// takesTime tells that an object may become ready later than it is there.
func takesTime(o object) bool {
	switch o.mapping.GroupVersionKind.Group {
	case "":
		switch o.Kind {
		case "Pod", "ReplicationController", "PersistentVolumeClaim", "Service":
			return true
		}
		return false
	case "apps":
		return o.Kind != "ControllerRevision"
	case "batch":
		return o.Kind == "Job"
	case "apiextensions.k8s.io", "apiregistration.k8s.io":
		return true
	}
	return !scheme.Scheme.IsGroupRegistered(o.mapping.GroupVersionKind.Group) // what somebody has defined says in its status how it is
}

// assess tells how far an object of the cluster is.
func (s *session) assess(ctx context.Context, live *unstructured.Unstructured) (state, error) {
	switch gvk := live.GroupVersionKind(); {
	case gvk.Group == "apps" && gvk.Kind == "Deployment":
		return assess(ctx, live, s.deployment)
	case gvk.Group == "apps" && gvk.Kind == "StatefulSet":
		return assess(ctx, live, s.statefulSet)
	case gvk.Group == "apps" && gvk.Kind == "DaemonSet":
		return assess(ctx, live, s.daemonSet)
	case gvk.Group == "batch" && gvk.Kind == "Job":
		return assess(ctx, live, s.job)
	case gvk.Group == "" && gvk.Kind == "Pod":
		return assess(ctx, live, s.pod)
	}
	result, err := status.Compute(live)
	if err != nil {
		return state{}, fmt.Errorf("compute the state of %s %s: %w", live.GetKind(), live.GetName(), err)
	}
	found := single(result.Status == status.CurrentStatus, result.Message)
	found.failed = result.Status == status.FailedStatus
	switch live.GetKind() {
	case "Service", "CustomResourceDefinition", "APIService":
		found.hidden = found.ready
	case "ReplicaSet", "ReplicationController":
		found.wanted = 1
		if n, ok, _ := unstructured.NestedInt64(live.Object, "spec", "replicas"); ok {
			found.wanted = int(n)
		}
		n, _, _ := unstructured.NestedInt64(live.Object, "status", "readyReplicas")
		found.count = min(int(n), found.wanted)
	}
	return found, nil
}

func assess[T any](ctx context.Context, live *unstructured.Unstructured, f func(context.Context, *T) (state, error)) (state, error) {
	var typed T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &typed); err != nil {
		return state{}, fmt.Errorf("read %s %s: %w", live.GetKind(), live.GetName(), err)
	}
	return f(ctx, &typed)
}

const notObserved = "The cluster has not looked at it yet."

func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

func (s *session) deployment(ctx context.Context, d *appsv1.Deployment) (state, error) {
	found := state{wanted: replicas(d.Spec.Replicas)}
	if d.Status.ObservedGeneration < d.Generation {
		found.why = notObserved
		return found, nil
	}
	// The numbers of a Deployment are of all its pods, also those of other templates.
	current, err := s.replicaSet(ctx, d)
	if err != nil {
		return state{}, err
	}
	var selector labels.Selector
	if current != nil && current.Status.ObservedGeneration >= current.Generation {
		found.count = min(int(current.Status.AvailableReplicas), found.wanted)
		if selector, err = metav1.LabelSelectorAsSelector(current.Spec.Selector); err != nil {
			return state{}, err
		}
	}
	old := int(d.Status.Replicas - d.Status.UpdatedReplicas)
	found.ready = found.count == found.wanted && int(d.Status.UpdatedReplicas) >= found.wanted && old == 0
	if found.ready {
		return found, nil
	}
	switch {
	case d.Spec.Paused:
		found.why = "It is paused."
	case found.count == found.wanted && old > 0:
		found.why = fmt.Sprintf("%d pods of before still run.", old)
	case current != nil:
		if found.why, err = s.whyPods(ctx, d.Namespace, selector); err != nil {
			return state{}, err
		}
	}
	for _, c := range d.Status.Conditions {
		switch {
		case c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue && found.why == "":
			found.why = c.Message
		case c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && c.Reason == "ProgressDeadlineExceeded":
			if overdue(d, c) {
				found.failed = true
				found.why = strings.TrimSpace("It has not become ready within its progress deadline. " + found.why)
			}
		}
	}
	return found, nil
}

// overdue tells that a passed progress deadline is that of the template of now. The condition of the one before stays until
// there is progress. Times are in whole seconds, and of two programs.
func overdue(d *appsv1.Deployment, c appsv1.DeploymentCondition) bool {
	deadline := 10 * time.Minute // Kubernetes's default
	if s := d.Spec.ProgressDeadlineSeconds; s != nil {
		deadline = time.Duration(*s) * time.Second
	}
	return !c.LastUpdateTime.Time.Before(lastChange(d.ManagedFields).Add(deadline - time.Second))
}

// lastChange is when we last changed an object.
func lastChange(managers []metav1.ManagedFieldsEntry) metav1.Time {
	var last metav1.Time
	for _, m := range managers {
		if (m.Manager == fieldManager || m.Manager == restarter) && m.Subresource == "" && m.Time != nil && last.Before(m.Time) {
			last = *m.Time
		}
	}
	return last
}

// replicaSet gives the one of a Deployment's ReplicaSets that has its template of now; nil where there is none yet.
func (s *session) replicaSet(ctx context.Context, d *appsv1.Deployment) (*appsv1.ReplicaSet, error) {
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return nil, err
	}
	sets, err := s.client.AppsV1().ReplicaSets(d.Namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String()})
	if err != nil {
		return nil, fmt.Errorf("list the ReplicaSets of %s: %w", d.Name, err)
	}
	const revision = "deployment.kubernetes.io/revision"
	for i := range sets.Items {
		set := &sets.Items[i]
		if metav1.IsControlledBy(set, d) && set.Annotations[revision] == d.Annotations[revision] {
			return set, nil
		}
	}
	return nil, nil
}

func (s *session) statefulSet(ctx context.Context, set *appsv1.StatefulSet) (state, error) {
	found := state{wanted: replicas(set.Spec.Replicas)}
	if set.Status.ObservedGeneration < set.Generation {
		found.why = notObserved
		return found, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		return state{}, err
	}
	pods, err := s.pods(ctx, set.Namespace, selector)
	if err != nil {
		return state{}, err
	}
	partition := 0 // pods before it stay as they are
	if u := set.Spec.UpdateStrategy; u.RollingUpdate != nil && u.RollingUpdate.Partition != nil {
		partition = int(*u.RollingUpdate.Partition)
	}
	for i := range pods {
		pod := &pods[i]
		current := pod.Labels[appsv1.ControllerRevisionHashLabelKey] == set.Status.UpdateRevision ||
			set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType || ordinal(pod.Name) < partition
		if metav1.IsControlledBy(pod, set) && current && podReady(pod) {
			found.count++
		}
	}
	found.count = min(found.count, found.wanted)
	found.ready = found.count == found.wanted && int(set.Status.Replicas) == found.wanted
	if !found.ready {
		found.why = whyNot(pods)
	}
	return found, nil
}

// ordinal is the number at the end of the name of a StatefulSet's pod.
func ordinal(name string) int {
	n, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	if err != nil {
		return 0
	}
	return n
}

func (s *session) daemonSet(ctx context.Context, set *appsv1.DaemonSet) (state, error) {
	found := state{wanted: int(set.Status.DesiredNumberScheduled)}
	if set.Status.ObservedGeneration < set.Generation {
		found.why = notObserved
		return found, nil
	}
	updated := set.Status.UpdatedNumberScheduled
	if set.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
		updated = set.Status.CurrentNumberScheduled
	}
	// The set counts those that are available and those that are of the new template, but not those that are both: these are
	// at most as many as either.
	found.count = int(min(updated, set.Status.NumberAvailable, set.Status.DesiredNumberScheduled))
	found.ready = found.count == found.wanted
	if found.ready {
		return found, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(set.Spec.Selector)
	if err != nil {
		return state{}, err
	}
	found.why, err = s.whyPods(ctx, set.Namespace, selector)
	return found, err
}

func (s *session) job(ctx context.Context, j *batchv1.Job) (state, error) {
	found := state{count: int(j.Status.Succeeded), wanted: replicas(j.Spec.Completions)}
	for _, c := range j.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete, batchv1.JobSuccessCriteriaMet:
			found.count, found.ready = found.wanted, true
			return found, nil
		case batchv1.JobFailed:
			found.failed, found.why = true, "It has failed: "+c.Message
			return found, nil
		case batchv1.JobSuspended:
			return state{ready: true, why: "It is suspended."}, nil
		case batchv1.JobFailureTarget: // it fails when its pods have ended
		}
	}
	found.count = min(found.count, found.wanted)
	if j.Spec.Selector == nil {
		return found, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(j.Spec.Selector)
	if err != nil {
		return state{}, err
	}
	found.why, err = s.whyPods(ctx, j.Namespace, selector)
	return found, err
}

func (s *session) pod(_ context.Context, pod *corev1.Pod) (state, error) {
	found := single(podReady(pod) || pod.Status.Phase == corev1.PodSucceeded, whyPod(pod))
	if pod.Status.Phase == corev1.PodFailed {
		found.failed = true
		if found.why == "" {
			found.why = "It has failed."
		}
	}
	return found, nil
}

func (s *session) pods(ctx context.Context, namespace string, selector labels.Selector) ([]corev1.Pod, error) {
	list, err := s.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector.String(), Limit: 500})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	return list.Items, nil
}

// whyPods says why the pods are not ready, as far as one of them knows.
func (s *session) whyPods(ctx context.Context, namespace string, selector labels.Selector) (string, error) {
	if selector == nil {
		return "", nil
	}
	pods, err := s.pods(ctx, namespace, selector)
	if err != nil {
		return "", err
	}
	return whyNot(pods), nil
}

func whyNot(pods []corev1.Pod) string {
	for i := range pods {
		if pod := &pods[i]; !podReady(pod) && pod.Status.Phase != corev1.PodSucceeded {
			if why := whyPod(pod); why != "" {
				return fmt.Sprintf("Pod %s: %s", pod.Name, why)
			}
		}
	}
	return ""
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// whyPod says why a pod is not ready: what a container waits for or ended with, what its scheduler says, or what its
// readiness lacks.
func whyPod(pod *corev1.Pod) string {
	if pod.DeletionTimestamp != nil {
		return "it is being removed"
	}
	containers := append(append([]corev1.ContainerStatus{}, pod.Status.InitContainerStatuses...), pod.Status.ContainerStatuses...)
	for _, c := range containers {
		if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			return joined(w.Reason, w.Message)
		}
		if e := c.State.Terminated; e != nil && e.ExitCode != 0 {
			return joined(fmt.Sprintf("container %s ended with exit code %d", c.Name, e.ExitCode), e.Reason)
		}
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		for _, c := range pod.Status.Conditions {
			if c.Type == kind && c.Status == corev1.ConditionFalse && (c.Message != "" || c.Reason != "") {
				return joined(c.Reason, c.Message)
			}
		}
	}
	return pod.Status.Message
}

func joined(reason, message string) string {
	switch {
	case reason == "":
		return message
	case message == "":
		return reason
	}
	return reason + ": " + message
}
