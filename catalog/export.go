package catalog

import "context"

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
	panic("not built yet")
}
