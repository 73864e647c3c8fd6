package catalog

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// maxVersion bounds the version of a chart, in bytes.
const maxVersion = 128

// precedenceOf gives a semantic version in a form that sorts, byte by byte, as semantic versions do. Build metadata is
// not in it, nor what versions may be written without: "v1.2", "1.2.0" and "1.2.0+x" are one version. It says false where
// the text is no version.
//
// The three numbers stand at full width. A release ends in a tilde, which sorts behind all that a pre-release goes on with:
// its identifiers, each ending in a mark that sorts before whatever can be in one, so that the shorter of two comes first.
// A number, which comes before every word, has the count of its digits before it.
func precedenceOf(version string) (string, bool) {
	if len(version) > maxVersion {
		return "", false
	}
	v, err := semver.NewVersion(version)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%020d.%020d.%020d", v.Major(), v.Minor(), v.Patch())
	if v.Prerelease() == "" {
		b.WriteByte('~')
		return b.String(), true
	}
	b.WriteByte('-')
	for identifier := range strings.SplitSeq(v.Prerelease(), ".") {
		if strings.Trim(identifier, "0123456789") == "" {
			fmt.Fprintf(&b, "0%03d", len(identifier))
		} else {
			b.WriteByte('1')
		}
		b.WriteString(identifier)
		b.WriteByte('!')
	}
	return b.String(), true
}
