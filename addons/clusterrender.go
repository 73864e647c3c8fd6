package addons

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	helm "helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/engine"
	"k8s.io/client-go/discovery"
)

// maxLookup bounds what one lookup may find, as JSON.
const maxLookup = 16 << 20

// rendering is a chart whose templates have been run in a child process, for the next revision of a release. Helm runs
// none of them again: it gets a chart that is what they rendered to.
type rendering struct {
	pushed *chartv2.Chart // what Helm keeps in the revision
	done   done
}

// render runs the templates of a chart as Helm would for the next revision of the release. CodeRefused.
func (s *session) render(ctx context.Context, c Chart, h history) (*rendering, error) {
	as, err := s.circumstances(h)
	if err != nil {
		return nil, err
	}
	getting, err := s.config.RESTClientGetter.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	find := engine.NewLookupFunction(getting)
	d, err := inChild(ctx, task{Do: doTemplates, Chart: c, Release: s.release, As: as}, refused,
		func(apiVersion, kind, namespace, name string) (map[string]any, error) {
			found, err := find(apiVersion, kind, namespace, name)
			if err != nil {
				return nil, err
			}
			if text, err := json.Marshal(found); err != nil || len(text) > maxLookup {
				return nil, refused("a lookup of %s in the chart's templates finds more than %d bytes", cut(kind, 100), maxLookup)
			}
			return found, nil
		})
	if err != nil {
		return nil, s.refusal(ctx, "the chart cannot be rendered", err)
	}
	pushed, err := c.unpack() // the child has done it within its bounds
	if err != nil {
		return nil, err
	}
	return &rendering{pushed, d}, nil
}

// circumstances gives what Helm tells the templates of the next revision.
func (s *session) circumstances(h history) (circumstances, error) {
	discover, err := s.config.RESTClientGetter.ToDiscoveryClient()
	if err != nil {
		return circumstances{}, err
	}
	discover.Invalidate()
	version, err := discover.ServerVersion()
	if err != nil {
		return circumstances{}, fmt.Errorf("ask the cluster's version: %w", err)
	}
	known, err := helm.GetVersionSet(discover)
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return circumstances{}, fmt.Errorf("ask what the cluster knows: %w", err)
	}
	as := circumstances{
		KubeVersion: common.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor},
		APIVersions: known, Revision: 1, Defines: true,
	}
	if !h.installs() {
		as.Revision, as.Upgrade, as.Defines = h.last().Version+1, true, false
	}
	return as, nil
}

// chart makes the chart for one call of Helm, which changes it: each of its templates is the text of what one was rendered
// to. It has no values, and no other charts in it; those have been run as well.
func (r *rendering) chart() *chartv2.Chart {
	metadata := *r.pushed.Metadata
	metadata.Dependencies = nil
	c := &chartv2.Chart{Metadata: &metadata, Values: map[string]any{}}
	for _, name := range slices.Sorted(maps.Keys(r.done.Files)) {
		c.Templates = append(c.Templates, &common.File{
			Name: strings.TrimPrefix(name, metadata.Name+"/"), Data: literal(r.done.Files[name]),
		})
	}
	for _, crd := range r.done.CRDs {
		c.Files = append(c.Files, &common.File{Name: crd.Name, Data: bytes.Clone(crd.Data)})
	}
	return c
}

// literal is a template that renders to the text, whatever that is.
func literal(text []byte) []byte { return []byte("{{" + strconv.Quote(string(text)) + "}}") }
