package addons

import "context"

// Render gives the files that a bucket would hold of a chart, as the bounded child does but in this process.
func Render(r Release, c Chart) (map[string][]byte, error) {
	d, err := task{Do: doManifests, Chart: c, Release: r}.do(nil)
	return d.Files, err
}

// RenderBounded does the same in a child.
func RenderBounded(ctx context.Context, r Release, c Chart) (map[string][]byte, error) {
	d, err := inChild(ctx, task{Do: doManifests, Chart: c, Release: r}, refused, nil)
	return d.Files, err
}

// RunTemplates gives what the templates of a chart render to for a cluster, in a child or in this process.
func RunTemplates(ctx context.Context, r Release, c Chart, inside bool) (map[string][]byte, error) {
	t := task{Do: doTemplates, Chart: c, Release: r, As: circumstances{KubeVersion: builtIn, Revision: 7, Upgrade: true}}
	nothing := func(string, string, string, string) (map[string]any, error) { return map[string]any{}, nil }
	if inside {
		d, err := t.do(nothing)
		return d.Files, err
	}
	d, err := inChild(ctx, t, refused, nothing)
	return d.Files, err
}

// CheckChart is ReadChart's check of an archive, in this process.
func CheckChart(archive []byte) (name string, err error) {
	d, err := task{Do: doRead, Chart: Chart{Archive: archive}}.do(nil)
	return d.Name, err
}

// ChildLimits are what a chart may take.
var ChildLimits = childLimits
