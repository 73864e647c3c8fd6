package assetpackage

import "encoding/json"

// Format is the value of a manifest's "format" that this release reads and writes.
const Format = "assetflow.asset-package/v1"

// ManifestName is the path of the manifest in the archive.
const ManifestName = "manifest.json"

// Manifest says what a package holds. One that Open returns is in canonical form: see Canonical.
type Manifest struct {
	Format       string  `json:"format"`
	Version      string  `json:"version"` // the version of the assets, given by their author
	Applications []Asset `json:"applications,omitempty"`
	Tasks        []Asset `json:"tasks,omitempty"`
}

// Asset is an application or a task.
type Asset struct {
	ID           string          `json:"id,omitempty"` // what the asset was called where it comes from; unique in the package
	Name         string          `json:"name"`         // unique among the assets of its kind
	Description  string          `json:"description,omitempty"`
	Definition   json.RawMessage `json:"definition"`             // a JSON object, opaque to us
	Applications []string        `json:"applications,omitempty"` // tasks only: names of the applications it uses
	DataSources  []DataSource    `json:"data_sources,omitempty"`
	Files        []File          `json:"files,omitempty"`
}

// DataSource names a system that an asset talks to. Its address and account belong to the platform and are never in a
// package.
type DataSource struct {
	Name        string          `json:"name"`
	Type        string          `json:"type"`
	Description string          `json:"description,omitempty"`
	Settings    json.RawMessage `json:"settings,omitempty"` // a JSON object of scalars without secrets or addresses
}

// File is a file of an asset.
type File struct {
	Path   string `json:"path"`   // in the archive, with forward slashes
	SHA256 string `json:"sha256"` // 64 lower-case hex digits
	Size   int64  `json:"size"`   // in bytes, decompressed
}

// Summary counts what a package holds.
type Summary struct {
	Version      string `json:"version"`
	Applications int    `json:"applications"`
	Tasks        int    `json:"tasks"`
	DataSources  int    `json:"data_sources"` // of different names
	Files        int    `json:"files"`
	Bytes        int64  `json:"bytes"`         // of all files, decompressed
	ArchiveBytes int64  `json:"archive_bytes"` // of the package itself; 0 where there is no archive
}
