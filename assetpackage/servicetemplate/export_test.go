package servicetemplate

// For tests: template.json without its archive.
var Encode = encode

// Decode reads a template.json.
func Decode(data []byte) (Manifest, error) {
	var ps problems
	m := decode(data, DefaultLimits(), "x.st", &ps)
	return m, ps.err()
}

// MessageIDs is the table behind MessageID.
func MessageIDs() map[string]string { return messageIDs }
