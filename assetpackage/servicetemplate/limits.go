package servicetemplate

import "assetflow/assetpackage"

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

const (
	// MaxCompressedTemplate is the size up to which a .st file inside of a bundle may be compressed: it is read in
	// memory. A larger one has to be stored, so that it can be read in place.
	MaxCompressedTemplate = 16 * mib
	// MaxIconBytes is the size of icon.png.
	MaxIconBytes = 256 * kib
	// IconSide is the width and height of the icon in pixels.
	IconSide = 48
)

// DefaultLimits returns what an upload may make the reader do. MaxAssets is the number of templates in a bundle; those
// on the manifest apply to each template.json; the others apply to the upload as a whole.
func DefaultLimits() assetpackage.Limits {
	return assetpackage.Limits{
		MaxAssets:         100,
		MaxEntries:        10_000,
		MaxManifestBytes:  1 * mib,
		MaxManifestValues: 100_000,
		MaxManifestDepth:  16,
		MaxDirectoryBytes: 4 * mib,
		MaxTotalBytes:     4 * gib,
		MaxEntryBytes:     1 * gib,
		MaxRatio:          200,
		RatioFloorBytes:   1 * mib,
	}
}

// withDefaults fills in what the caller left out, so that no limit is ever off by accident.
func withDefaults(l assetpackage.Limits) assetpackage.Limits { return l.Or(DefaultLimits()) }
