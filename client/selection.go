package client

import (
	"context"
	"net/http"
)

// Selection names assets of the instance by their ids: at least 1 and at most 100 together.
type Selection struct {
	Applications []string
	Tasks        []string
}

// StartOptions are what is said of a start besides the selection.
type StartOptions struct {
	IdempotencyKey string // as in ImportOptions
	OnConflict     string // as in ImportOptions
}

// StartExport starts an export of assets into an archive and returns the job's id as the service gave it (32 hex
// digits). The job's ArchiveID, when it has succeeded, is for DownloadArchive. An unknown id fails the job. A second
// export while one of the caller's runs is refused with an *Error whose RunningJob is the running one.
func (c *Client) StartExport(ctx context.Context, s Selection, opts StartOptions) (jobID string, err error) {
	return c.startSelection(ctx, "start the export", "export", s, opts)
}

// StartDeletion starts a deletion of assets, which go to the trash: all of them or none. An unknown id, or an
// application that tasks outside the selection use, fails the job. All else is as with StartExport.
func (c *Client) StartDeletion(ctx context.Context, s Selection, opts StartOptions) (jobID string, err error) {
	return c.startSelection(ctx, "start the deletion", "delete", s, opts)
}

func (c *Client) startSelection(ctx context.Context, what, operation string, s Selection, opts StartOptions) (string, error) {
	var started startedJob
	_, err := c.call(ctx, what, call{
		method: http.MethodPost, path: path("v2", c.cfg.ProjectID, "instances", c.cfg.InstanceID, "assets", operation),
		body: struct {
			Applications []selected `json:"apps"`
			Tasks        []selected `json:"tasks"`
		}{selectedIDs(s.Applications), selectedIDs(s.Tasks)},
		key: opts.IdempotencyKey, onConflict: opts.OnConflict,
	}, &started)
	if err != nil {
		return "", err
	}
	return started.id(what)
}

// selected is how the ROMA contract names an asset.
type selected struct {
	ID string `json:"id"`
}

func selectedIDs(ids []string) []selected {
	list := make([]selected, len(ids)) // never null in JSON
	for i, id := range ids {
		list[i].ID = id
	}
	return list
}
