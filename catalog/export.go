package catalog

import (
	"cmp"
	"context"
	"slices"

	"github.com/uptrace/bun"
)

// Export is the content of the assets that a package is made of, at one moment.
type Export struct {
	VersionLabel string        // the label that all the current versions share; empty where they differ
	Applications []AssetDetail // by name
	Tasks        []AssetDetail // by name
}

// ReadForExport reads assets of one instance in their current versions, with settings of data sources and all files, as
// one moment has them. An id that comes twice counts once. The reasons name what cannot be exported
// (ReasonUnknownAsset); the export is empty then. NotFound "catalog.instance_not_found".
//
// Blobs of a version are kept as long as the version is. TouchBlobs with the files, right after this, keeps them beyond
// a purge that comes before their bytes are read.
func (c *Catalog) ReadForExport(ctx context.Context, projectID, instanceID string, applications, tasks []string) (Export, []Reason, error) {
	var export Export
	var reasons []Reason
	err := c.read(ctx, "read the assets for the export", func(tx bun.Tx) error {
		if err := requireInstance(ctx, tx, projectID, instanceID); err != nil {
			return err
		}
		rows, unknown, err := findAssets(ctx, tx, projectID, instanceID, applications, tasks)
		if err != nil || len(unknown) > 0 {
			reasons = unknown
			return err
		}
		details := make([]*AssetDetail, len(rows))
		for i, r := range rows {
			detail := r.detail()
			details[i] = &detail
		}
		if err := readContents(ctx, tx, details...); err != nil {
			return err
		}
		export = newExport(details)
		return nil
	})
	if err != nil {
		return Export{}, nil, err
	}
	return export, reasons, nil
}

func newExport(details []*AssetDetail) Export {
	var export Export
	for i, d := range details {
		if d.Kind == KindApplication {
			export.Applications = append(export.Applications, *d)
		} else {
			export.Tasks = append(export.Tasks, *d)
		}
		switch {
		case i == 0:
			export.VersionLabel = d.VersionLabel
		case export.VersionLabel != d.VersionLabel:
			export.VersionLabel = ""
		}
	}
	byName := func(a, b AssetDetail) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(export.Applications, byName)
	slices.SortFunc(export.Tasks, byName)
	return export
}
