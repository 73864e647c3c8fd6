package catalog

import "time"

// Chart is one version of a chart in a project's add-on library. Its archive is a blob.
type Chart struct {
	ProjectID   string
	Name        string // a DNS label of at most 53 characters
	Version     string // a semantic version as the chart has it, at most 128 characters; build metadata does not tell versions apart
	AppVersion  string
	Description string
	SHA256      string // of the archive, 64 lower-case hex digits
	Size        int64  // of the archive, in bytes
	CreatorID   string
	CreatorName string // filled in when read
	CreatedAt   time.Time
}
