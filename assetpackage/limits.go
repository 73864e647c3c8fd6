package assetpackage

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// Bounds of the format itself, not adjustable: a package valid here is valid everywhere.
const (
	// MaxPathBytes is the longest path of a file, in bytes of UTF-8.
	MaxPathBytes = 512
	// MaxPathDepth is the largest number of segments in a path, the file's own name included.
	MaxPathDepth = 32
	// MaxNameLength is the longest name of an asset or data source, in characters.
	MaxNameLength = 64
)

// Limits bound what a package may make the reader do. A field that is zero or negative has its default.
type Limits struct {
	MaxAssets         int   // applications and tasks together
	MaxEntries        int   // entries of the archive, folders included
	MaxManifestBytes  int64 // size of manifest.json
	MaxManifestValues int   // JSON values in manifest.json, which bound the memory its decoding takes
	MaxManifestDepth  int   // levels of nested objects and arrays in manifest.json
	MaxDirectoryBytes int64 // size of the archive's central directory
	MaxTotalBytes     int64 // size of all files together, decompressed
	MaxEntryBytes     int64 // size of one file, decompressed
	MaxRatio          int64 // decompressed bytes per compressed byte of one file, applied above RatioFloorBytes
	RatioFloorBytes   int64 // decompressed size up to which MaxRatio is not applied
}

// DefaultLimits returns the limits that the service applies unless configured otherwise.
func DefaultLimits() Limits {
	return Limits{
		MaxAssets:         100,
		MaxEntries:        20_000,
		MaxManifestBytes:  4 * mib,
		MaxManifestValues: 500_000,
		MaxManifestDepth:  64,
		MaxDirectoryBytes: 8 * mib,
		MaxTotalBytes:     20 * gib,
		MaxEntryBytes:     5 * gib,
		MaxRatio:          200,
		RatioFloorBytes:   1 * mib,
	}
}

// withDefaults fills in what the caller left out, so that no limit is ever off by accident.
func (l Limits) withDefaults() Limits { return l.Or(DefaultLimits()) }

// Or takes the limits of d where l has none: a format of its own brings its own defaults.
func (l Limits) Or(d Limits) Limits {
	fill(&l.MaxAssets, d.MaxAssets)
	fill(&l.MaxEntries, d.MaxEntries)
	fill(&l.MaxManifestBytes, d.MaxManifestBytes)
	fill(&l.MaxManifestValues, d.MaxManifestValues)
	fill(&l.MaxManifestDepth, d.MaxManifestDepth)
	fill(&l.MaxDirectoryBytes, d.MaxDirectoryBytes)
	fill(&l.MaxTotalBytes, d.MaxTotalBytes)
	fill(&l.MaxEntryBytes, d.MaxEntryBytes)
	fill(&l.MaxRatio, d.MaxRatio)
	fill(&l.RatioFloorBytes, d.RatioFloorBytes)
	return l
}

func fill[T int | int64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
