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
func RunTemplates(ctx context.Context, r Release, c Chart, inside bool, look lookup) (map[string][]byte, error) {
	t := task{Do: doTemplates, Chart: c, Release: r, As: circumstances{KubeVersion: builtIn, Revision: 7, Upgrade: true}}
	if inside {
		d, err := t.do(look)
		return d.Files, err
	}
	d, err := inChild(ctx, t, refused, look)
	return d.Files, err
}

// HelmRenders gives what Helm makes of the chart that a cluster gets in the place of the pushed one.
func HelmRenders(r Release, c Chart) (map[string][]byte, error) {
	pushed, err := c.unpack()
	if err != nil {
		return nil, err
	}
	as := circumstances{KubeVersion: builtIn, Revision: 7, Upgrade: true}
	d, err := task{Do: doTemplates, Chart: c, Release: r, As: as}.do(nil)
	if err != nil {
		return nil, err
	}
	text, err := execute(r, (&rendering{pushed, d}).chart(), as, nil)
	files := make(map[string][]byte, len(text))
	for name, t := range text {
		files[name] = []byte(t)
	}
	return files, err
}

// CheckChart is ReadChart's check of an archive, in this process.
func CheckChart(archive []byte) (name string, err error) {
	d, err := task{Do: doRead, Chart: Chart{Archive: archive}}.do(nil)
	return d.Name, err
}

// ChildLimits are what a chart may take.
var ChildLimits = childLimits
