package addons

import (
	"context"
	"fmt"
	"slices"
	"time"

	helm "helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/release/common"
	"k8s.io/apimachinery/pkg/util/wait"
)

// remove takes the release away. Its history stays, as that of a release that is uninstalled, until everything that it
// names has gone: without it nobody would know.
func (s *session) remove(ctx context.Context) (Applied, error) {
	h, err := s.history()
	if err != nil {
		return Applied{}, err
	}
	var said notes
	if !h.gone() {
		if status := h.last().Info.Status; status.IsPending() || status == common.StatusUninstalling {
			said.add("The release was stuck in %s, as a deployer leaves it that dies midway.", status)
		}
		if err := s.uninstall(ctx, &said); err != nil {
			return Applied{}, err
		}
	}
	left, err := s.left(ctx, h)
	if err != nil {
		return Applied{}, err
	}
	if err := s.removeObjects(ctx, left); err != nil {
		return Applied{}, s.refusal(ctx, "the release cannot be removed", err)
	}
	// A removal whose grace ends is not over: Remains goes on with it.
	err = wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, removalGrace, true, func(context.Context) (bool, error) {
		left, err := s.left(ctx, h)
		return err == nil && len(left) == 0, err
	})
	switch {
	case wait.Interrupted(err):
		return Applied{Notes: said}, ctx.Err()
	case err != nil:
		return Applied{}, err
	}
	note, err := s.finish(ctx, h)
	if err != nil {
		return Applied{}, err
	}
	if note != "" {
		said.add("%s", note)
	}
	return Applied{Notes: said}, nil
}

// uninstall runs Helm's uninstall, for its hooks' sake.
func (s *session) uninstall(ctx context.Context, said *notes) error {
	uninstall := helm.NewUninstall(s.config)
	uninstall.KeepHistory, uninstall.DeletionPropagation = true, "foreground"
	uninstall.WaitStrategy, uninstall.Timeout = kube.HookOnlyStrategy, hookTimeout
	uninstall.WaitOptions = []kube.WaitOption{kube.WithWaitContext(ctx)}
	_, err := uninstall.Run(s.release.Name)
	if err = s.refusal(ctx, "a hook of the removal failed", err); !isRefusal(err) {
		return err
	}
	said.add("The release is removed without its hooks: %s.", messageOf(err))
	uninstall.DisableHooks = true
	if _, err := uninstall.Run(s.release.Name); err != nil {
		return s.refusal(ctx, "the release cannot be removed", fmt.Errorf("uninstall: %w", err))
	}
	return nil
}

// left gives what is there of any revision.
func (s *session) left(ctx context.Context, h history) ([]object, error) {
	all, err := s.named(h, true)
	if err != nil {
		return nil, err
	}
	return s.there(ctx, all)
}

// finish forgets a removed release, and gives what keeps its namespace.
func (s *session) finish(ctx context.Context, h history) (string, error) {
	for _, rel := range h { // the newest, which says that the release is uninstalled, at last
		if err := s.forget(rel); err != nil {
			return "", err
		}
	}
	return s.leave(ctx)
}

func (s *session) remains(ctx context.Context) ([]Object, error) {
	h, err := s.history()
	if err != nil {
		return nil, err
	}
	left, err := s.left(ctx, h)
	if err != nil {
		return nil, err
	}
	objects := make([]Object, 0, len(left))
	for _, o := range left {
		objects = append(objects, o.Object)
	}
	if len(objects) > 0 || !h.gone() {
		return objects, nil
	}
	if len(h) > 0 {
		if _, err := s.finish(ctx, h); err != nil {
			return nil, err
		}
	}
	leaving, err := s.leaving(ctx)
	if leaving {
		objects = append(objects, Object{Kind: "Namespace", Name: s.namespace})
	}
	return slices.Clip(objects), err
}
