package catalog

import (
	"encoding/json"
	"time"
)

// AssetKind says what an asset is.
type AssetKind string

// The kinds of assets.
const (
	KindApplication AssetKind = "application"
	KindTask        AssetKind = "task"
	// KindDigital is the kind of DigitalAsset, which belongs to a project and to no instance.
	KindDigital AssetKind = "digital-asset"
	// KindServiceTemplate is the kind of ServiceTemplate, which belongs to a project and to no instance.
	KindServiceTemplate AssetKind = "service-template"
	// KindAddon is the kind of Addon, which belongs to an environment and to no instance.
	KindAddon AssetKind = "addon"
)

// assetKinds are those that belong to an instance.
var assetKinds = []AssetKind{KindApplication, KindTask}

// Asset is an asset of an instance with what its current version says.
type Asset struct {
	ID            string // UUID
	ProjectID     string
	InstanceID    string
	Kind          AssetKind
	Name          string // unique among the assets of its kind in the instance
	Description   string
	VersionNumber int       // 1 for the first
	VersionLabel  string    // the version of the package it came in
	Digest        string    // SHA-256 over the canonical content, hex; the asset's own name is no part of it
	UpdatedBy     string    // id of the user who made the current version
	JobID         string    // the job that made the current version
	CreatedAt     time.Time // when the asset was made
	UpdatedAt     time.Time // when the current version was made
}

// AssetDetail is an asset with the whole content of its current version.
type AssetDetail struct {
	Asset
	SourceID     string           // its id in the package it came in
	Definition   json.RawMessage  // compact; nil where the package gave none
	Applications []AssetReference // applications a task uses, by name
	DataSources  []DataSource     // by name
	Files        []File           // by path
}

// AssetReference names another asset of the same instance.
type AssetReference struct {
	ID   string
	Name string
}

// DataSource is a data source of an instance; assets refer to it by name.
type DataSource struct {
	ID          string // UUID
	ProjectID   string
	InstanceID  string
	Name        string // unique in the instance
	Type        string
	Description string
	Settings    json.RawMessage // compact; nil where the package gave none
	CreatedAt   time.Time
	UpdatedAt   time.Time
	JobID       string // the job that wrote it last
}

// File is a file of an asset version; its bytes are the blob of that digest.
type File struct {
	Path   string
	SHA256 string // 64 lower-case hex digits
	Size   int64  // bytes
}

// Blob is content stored once, by its digest.
type Blob struct {
	SHA256 string // 64 lower-case hex digits
	Size   int64  // bytes
}

// AssetFilter chooses assets of one instance.
type AssetFilter struct {
	ProjectID    string // required
	InstanceID   string // required
	Kind         AssetKind
	Name         string // exact
	NameContains string // anywhere in the name, whatever the case of ASCII letters; looks through all names of the instance
	Limit        int    // 1 to 500; 0 means 50
	Cursor       string // from the page before; empty: the first page
}
