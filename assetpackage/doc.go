// Package assetpackage reads, checks and writes asset packages: zip archives that carry applications and tasks from
// one platform to another. docs/asset-package.md describes the format for people; Schema returns the JSON Schema of
// its manifest.
//
// A package comes from a stranger, so nothing in it is believed: every size is bounded before memory is set aside for
// it, no path is ever used on a file system, and what can be wrong is reported as a Problem that a person can act on.
//
// Reading has two steps. Open reads the archive's directory and the manifest and makes every check that needs no file
// bytes. Verify then streams every file once and compares size and SHA-256. The memory both need depends on the limits
// and never on the size of the package.
//
// Write makes a package. Its bytes depend on nothing but the content: the same manifest and files give the same
// archive, on every machine, in every release.
package assetpackage
