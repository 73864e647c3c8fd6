package catalog

import (
	"strings"
	"unicode/utf8"

	"assetflow/fault"
)

// maxName bounds what stands in an index, in bytes: PostgreSQL takes no more than a third of a page there.
const maxName = 1024

// isText reports whether both databases give s back as it is.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// checkNames refuses names that are empty, too long or no text. Invalid "catalog.bad_name".
func checkNames(names ...string) error {
	for _, name := range names {
		if name == "" || len(name) > maxName || !isText(name) {
			return fault.New(fault.Invalid, "catalog.bad_name", "a name must be UTF-8 text of 1 to %d bytes", maxName)
		}
	}
	return nil
}
