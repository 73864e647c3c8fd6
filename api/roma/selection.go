package roma

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"assetflow/api/upload"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

const (
	maxSelected = 100 // assets in one job, and entries of one list
	maxAssetID  = 64  // characters
)

// selectionDigest is where checkSelection leaves the SHA-256 of the body, for requests with an idempotency key.
const selectionDigest = "roma.selection_digest"

// checkSelection reads the body of an export or a deletion, which must be one JSON value.
func (s *server) checkSelection(c *gin.Context) {
	if route := c.FullPath(); route != routeExport && route != routeDelete {
		return
	}
	body, err := io.ReadAll(c.Request.Body)
	switch {
	case err != nil:
		WriteError(c, upload.BodyFault(err))
		return
	case len(body) == 0:
		WriteError(c, fault.New(fault.Invalid, codeNoBody, "The request has no body: name the assets in a JSON object."))
		return
	case !json.Valid(body):
		WriteError(c, notJSON())
		return
	}
	sum := sha256.Sum256(body)
	c.Set(selectionDigest, hex.EncodeToString(sum[:]))
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
}

func notJSON() *fault.Error {
	return fault.New(fault.Invalid, codeBody,
		`The request's body must be a JSON object such as {"apps": [{"id": "…"}], "tasks": [{"id": "…"}]}.`)
}

// requestFault turns a failure of the generated code to read a body into a refusal.
func requestFault(c *gin.Context, err error) error {
	if c.FullPath() == routeImport {
		return upload.BodyFault(err)
	}
	// checkSelection has read the body: the JSON is not of the right form. The decoder's text stays inside.
	return notJSON().Wrap(err)
}

// ExportAsset starts an export of the named assets.
func (s *server) ExportAsset(ctx context.Context, request ExportAssetRequestObject) (ExportAssetResponseObject, error) {
	tasks := []Selected{}
	if request.Body.Tasks != nil {
		tasks = *request.Body.Tasks
	}
	sub := newSubmission(ctx, catalog.AssetExport, request.ProjectID, request.Params.IdempotencyKey, request.Params.AssetflowOnConflict)
	return s.startSelection(ctx, sub, request.InstanceID, request.Body.Apps, tasks, s.Jobs.StartExport)
}

// DeleteAsset starts a deletion of the named assets.
func (s *server) DeleteAsset(ctx context.Context, request DeleteAssetRequestObject) (DeleteAssetResponseObject, error) {
	sub := newSubmission(ctx, catalog.AssetDelete, request.ProjectID, request.Params.IdempotencyKey, request.Params.AssetflowOnConflict)
	return s.startSelection(ctx, sub, request.InstanceID, request.Body.Apps, request.Body.Tasks, s.Jobs.StartDeletion)
}

// startSelection starts a job over assets that are named by their ids.
func (s *server) startSelection(ctx context.Context, sub submission, instanceID string, apps, tasks []Selected,
	start func(context.Context, jobs.SelectionSubmission) (jobs.Job, error),
) (started, error) {
	selection := jobs.SelectionSubmission{
		ProjectID: sub.projectID, InstanceID: instanceID, UserID: sub.caller.UserID, UserName: sub.caller.UserName,
		OnConflict: sub.onConflict,
	}
	var err error
	if selection.Applications, err = selected("apps", apps); err != nil {
		return started{}, err
	}
	if selection.Tasks, err = selected("tasks", tasks); err != nil {
		return started{}, err
	}
	switch count := len(selection.Applications) + len(selection.Tasks); {
	case count == 0:
		return started{}, fault.New(fault.Invalid, codeBody, "The request names no asset.")
	case count > maxSelected:
		return started{}, fault.New(fault.Invalid, codeBody, "The request names %d assets: at most %d applications and tasks together.", count, maxSelected)
	}
	if err := s.checkFree(ctx, sub); err != nil {
		return started{}, err
	}
	digest := ctx.(*gin.Context).GetString(selectionDigest)
	return s.submit(ctx, sub, []string{digest}, func(ctx context.Context, jobID string) (jobs.Job, error) {
		selection.JobID = jobID
		return start(ctx, selection)
	})
}

// selected gives the ids of a list, each once, in the order they come. A list that is missing is nil.
func selected(name string, list []Selected) ([]string, error) {
	if list == nil {
		return nil, fault.New(fault.Invalid, codeBody, "The list %s is missing.", name)
	}
	if len(list) > maxSelected {
		return nil, fault.New(fault.Invalid, codeBody, "The list %s has %d entries: at most %d.", name, len(list), maxSelected)
	}
	ids, seen := make([]string, 0, len(list)), make(map[string]bool, len(list))
	for _, asset := range list {
		if n := utf8.RuneCountInString(asset.ID); n < 1 || n > maxAssetID {
			return nil, fault.New(fault.Invalid, codeBody, "Every entry of %s needs an id of 1 to %d characters.", name, maxAssetID)
		}
		if !seen[asset.ID] {
			seen[asset.ID] = true
			ids = append(ids, asset.ID)
		}
	}
	return ids, nil
}
