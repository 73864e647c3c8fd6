package assetpackage

// For tests: the parts that Open and Write are made of.
var (
	PathFlaw       = pathFlaw
	FoldPath       = foldPath
	CarriesSecret  = carriesSecret
	EncodeManifest = encodeManifest
)

// DecodeManifest reads the manifest of a package without its archive.
func DecodeManifest(data []byte) (*Manifest, error) {
	var ps problems
	m, complete := decodeManifest(data, DefaultLimits(), packageSchemas(), &ps)
	if err := ps.err(); err != nil {
		return nil, err
	}
	if !complete {
		panic("a manifest without problems that is not complete")
	}
	sortManifest(m)
	return m, nil
}

// CanonicalJSON returns the canonical form of a JSON document, or what is wrong with it.
func CanonicalJSON(data []byte) (canonical []byte, flaws []string) {
	s, fatal := scanJSON(data, DefaultLimits(), func(path []any, message string) {
		flaws = append(flaws, pathText(path)+": "+message)
	})
	if fatal != "" {
		flaws = append(flaws, fatal)
	}
	return s.canonical, flaws
}

// MeasureJSON counts levels and values.
var MeasureJSON = measureJSON
