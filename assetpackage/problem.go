package assetpackage

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"assetflow/fault"
)

// Resource types of a Problem, as the contracts call them.
const (
	ResourceApplication = "application"
	ResourceTask        = "task"
)

// The codes of problems.
const (
	CodeNotAZip            = "not_a_zip"            // the file is something else
	CodeTruncated          = "truncated"            // the archive's end is missing
	CodeTrailingBytes      = "trailing_bytes"       // something follows the archive's end
	CodeBadArchive         = "bad_archive"          // the archive contradicts itself
	CodeTooManyEntries     = "too_many_entries"     // more entries than allowed
	CodeTooLarge           = "too_large"            // the directory, the manifest, a file or all files exceed a limit
	CodeBomb               = "bomb"                 // an entry expands beyond reason, or entries share bytes
	CodeEncrypted          = "encrypted"            // an entry is encrypted
	CodeUnknownCompression = "unknown_compression"  // an entry is neither stored nor deflated
	CodeSpecialFile        = "special_file"         // an entry is a link, a device or the like
	CodeUnsafePath         = "unsafe_path"          // a path leads out of the package or cannot be used everywhere
	CodeDuplicateEntry     = "duplicate_entry"      // two entries would be one file
	CodePathConflict       = "path_conflict"        // an entry is a file and a folder
	CodeNoManifest         = "no_manifest"          // manifest.json is not at the root
	CodeBadManifest        = "bad_manifest"         // manifest.json is not what the format asks for
	CodeUnknownFormat      = "unknown_format"       // "format" is missing or not one we know
	CodeTooManyAssets      = "too_many_assets"      // more applications and tasks than allowed
	CodeNoAssets           = "no_assets"            // neither an application nor a task
	CodeDuplicateName      = "duplicate_name"       // two assets of a kind, or data sources of an asset, of one name
	CodeDuplicateID        = "duplicate_id"         // two assets of one id
	CodeDataSourceConflict = "data_source_conflict" // one data source described in two ways
	CodeSecretSetting      = "secret_setting"       // a setting that would carry a secret or an address
	CodeMissingFile        = "missing_file"         // listed, but not there
	CodeUnlistedFile       = "unlisted_file"        // there, but not listed
	CodeDuplicateFile      = "duplicate_file"       // listed more than once
	CodeSizeMismatch       = "size_mismatch"        // not of the size the manifest or the directory says
	CodeDigestMismatch     = "digest_mismatch"      // not of the SHA-256 the manifest says
	CodeCorruptFile        = "corrupt_file"         // the bytes cannot be decompressed or fail the archive's checksum
)

// Problem is one thing that is wrong with a package.
type Problem struct {
	ResourceType string `json:"resource_type"` // "application" or "task"
	ResourceName string `json:"resource_name"` // the asset's name; empty for a problem of the package as a whole
	Code         string `json:"code"`          // one of the Code constants
	Message      string `json:"message"`       // a sentence for a person, without line breaks and at most a few hundred characters
}

// MaxProblems is how many problems a ProblemsError carries at most.
const MaxProblems = 10

// ProblemsError says that a package is not valid, and why. It carries at least one problem. In its chain is a fault of
// kind Invalid with the code "package.invalid".
type ProblemsError struct {
	Problems []Problem // the first MaxProblems
	Total    int       // how many were found
}

// Error gives the first problem and how many more there are.
func (e *ProblemsError) Error() string {
	if len(e.Problems) == 0 {
		return "the package is not valid"
	}
	if e.Total > 1 {
		return fmt.Sprintf("%s (and %d more problems)", e.Problems[0].Message, e.Total-1)
	}
	return e.Problems[0].Message
}

// Unwrap gives the fault that this error stands for.
func (e *ProblemsError) Unwrap() error {
	return fault.New(fault.Invalid, "package.invalid", "The package is not valid: %s", e.Error())
}

// asset names the asset that a problem belongs to; the zero value stands for the package as a whole.
type asset struct{ kind, name string }

// problems collects what is wrong in one pass. It keeps the first few and counts the rest, so that a package of
// nothing but mistakes costs no memory.
type problems struct {
	list  []Problem
	total int
}

func (ps *problems) add(a asset, code, format string, args ...any) {
	ps.total++
	if len(ps.list) >= MaxProblems {
		return
	}
	ps.list = append(ps.list, problem(a, code, format, args...))
}

func (ps *problems) append(p Problem) {
	ps.total++
	if len(ps.list) < MaxProblems {
		ps.list = append(ps.list, p)
	}
}

// err returns nil where nothing was found.
func (ps *problems) err() error {
	if ps.total == 0 {
		return nil
	}
	return &ProblemsError{Problems: ps.list, Total: ps.total}
}

func problem(a asset, code, format string, args ...any) Problem {
	if a.kind == "" {
		a.kind = ResourceApplication
	}
	return Problem{ResourceType: a.kind, ResourceName: a.name, Code: code, Message: fmt.Sprintf(format, args...)}
}

// refuse is a ProblemsError of one problem of the package as a whole.
func refuse(code, format string, args ...any) error {
	return &ProblemsError{Problems: []Problem{problem(asset{}, code, format, args...)}, Total: 1}
}

// quote makes text from a package safe to show: quoted, escaped, and cut to a length that fits a sentence.
func quote(s string) string { return strconv.QuoteToGraphic(shorten(s, 80)) }

// shorten cuts s to at most n characters. A byte that is not UTF-8 counts as one.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	cut := 0
	for i := 0; i < n && cut < len(s); i++ {
		_, size := utf8.DecodeRuneInString(s[cut:])
		cut += size
	}
	if cut == len(s) {
		return s
	}
	return s[:cut] + "…"
}

// bytesText renders a number of bytes for a sentence.
func bytesText(n int64) string {
	switch {
	case n >= gib:
		return trimZero(float64(n)/gib) + " GiB"
	case n >= mib:
		return trimZero(float64(n)/mib) + " MiB"
	case n >= 10*kib:
		return trimZero(float64(n)/kib) + " KiB"
	case n == 1:
		return "1 byte"
	default:
		return strconv.FormatInt(n, 10) + " bytes"
	}
}

func trimZero(f float64) string {
	s := strconv.FormatFloat(f, 'f', 1, 64)
	if len(s) > 2 && s[len(s)-2:] == ".0" {
		return s[:len(s)-2]
	}
	return s
}
