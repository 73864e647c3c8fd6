package addons

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// PackChart makes the archive of the chart that a folder holds, with all that a .helmignore does not leave out. Other than
// `helm package` it gives the same bytes for the same content, so that pushing a version twice is no contradiction. Whether
// the chart is one that can be delivered is for ReadChart to say. CodeBadChart where the folder holds none; where there is no
// folder, the error of os.Stat.
func PackChart(dir string) ([]byte, error) {
	if _, err := os.Stat(dir); err != nil { // for Helm it would be a folder without a chart
		return nil, fmt.Errorf("read the chart: %w", err)
	}
	c, err := loader.LoadDir(dir)
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return nil, badChart("the folder holds no chart that can be packed: %s", reason(err)).Wrap(err)
	}
	files := slices.SortedFunc(slices.Values(c.Raw), func(a, b *common.File) int { return cmp.Compare(a.Name, b.Name) })
	var packed bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(compressed)
	for _, f := range files {
		// Neither times nor modes: they differ from one checkout to the next.
		h := tar.Header{Name: path.Join(c.Name(), f.Name), Mode: 0o644, Size: int64(len(f.Data)), Format: tar.FormatPAX}
		if err := archive.WriteHeader(&h); err != nil {
			return nil, fmt.Errorf("pack the chart: %w", err)
		}
		if _, err := archive.Write(f.Data); err != nil {
			return nil, fmt.Errorf("pack the chart: %w", err)
		}
	}
	if err := errors.Join(archive.Close(), compressed.Close()); err != nil {
		return nil, fmt.Errorf("pack the chart: %w", err)
	}
	return packed.Bytes(), nil
}
