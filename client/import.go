package client

import (
	"context"
	"io"
)

// ImportOptions are the parameters of an import.
type ImportOptions struct {
	Type                string // "AddNew" or "Merge"; empty leaves the service's default, AddNew
	Prefix              string // goes in front of every imported name
	DataSourceOverwrite bool   // replace existing data sources of the same name
	// Progress is called while the body is sent, with the package's bytes sent so far and in all; may be nil.
	Progress func(sent, total int64)
}

// Import uploads a package and starts its import. body gives exactly size bytes and is read once, while it is sent.
// It returns the job's id as the service gave it (32 hex digits). A second import while one of the caller's runs is
// refused with an *Error whose RunningJob is the running one, as a rule before the body is sent.
func (c *Client) Import(ctx context.Context, name string, body io.Reader, size int64, opts ImportOptions) (jobID string, err error) {
	panic("not built yet")
}
