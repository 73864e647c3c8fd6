package metastudio

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"assetflow/api/middleware"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

const (
	maxFileName = 256     // characters
	maxFileType = 64      // bytes
	maxFileSize = 5 << 30 // bytes: what S3 takes in one PUT
	md5Size     = 16      // bytes
)

// tidyTimeout bounds removing what is not needed any more, although the caller may be gone.
const tidyTimeout = 30 * time.Second

// CreateFile announces a file of an asset.
func (s *server) CreateFile(ctx context.Context, request CreateFileRequestObject) (CreateFileResponseObject, error) {
	file, err := announced(request.Body)
	if err != nil {
		return nil, err
	}
	rctx := middleware.Context(ctx)
	asset, err := s.asset(rctx, request.ProjectID, request.Body.AssetID)
	if err != nil {
		return nil, err
	}
	file.ProjectID, file.AssetID = request.ProjectID, asset.ID
	if file, err = s.Catalog.CreateDigitalFile(rctx, userID(ctx), file); err != nil {
		return nil, err
	}
	url, err := s.Storage.PresignUpload(rctx, storage.UploadKey(file.ProjectID, file.ID), file.Size, file.MD5, urlLifetime)
	if err != nil {
		s.giveUp(rctx, userID(ctx), file)
		return nil, err
	}
	return CreateFile200JSONResponse{
		Headers: CreateFile200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)},
		Body:    FileCreated{FileID: file.ID, UploadURL: url},
	}, nil
}

// announced reads what is said of a file that is about to be uploaded.
func announced(body *CreateFile) (catalog.DigitalFile, error) {
	var none catalog.DigitalFile
	md5, err := base64.StdEncoding.Strict().DecodeString(body.FileMd5)
	switch {
	case !middleware.IsLine(body.FileName, 1, maxFileName) || strings.ContainsAny(body.FileName, `/\`) || body.FileName == "." || body.FileName == "..":
		return none, badParameter("The field file_name must have 1 to %d characters, without slashes and control characters.", maxFileName)
	case err != nil || len(md5) != md5Size || len(body.FileMd5) != base64.StdEncoding.EncodedLen(md5Size):
		return none, badParameter("The field file_md5 must be the base64 of the %d bytes of an MD5, which has 24 characters.", md5Size)
	case body.FileSize < 1:
		return none, badParameter("The field file_size must be at least 1.")
	case body.FileSize > maxFileSize:
		return none, fault.New(fault.TooLarge, codeFileTooLarge, "The file has %d bytes: at most %d.", body.FileSize, int64(maxFileSize))
	case !middleware.IsLine(body.FileType, 1, maxFileType) || len(body.FileType) > maxFileType:
		return none, badParameter("The field file_type must have 1 to %d characters.", maxFileType)
	case !body.AssetFileCategory.Valid():
		return none, badParameter("The field asset_file_category must be one of the documented categories, such as MAIN.")
	}
	return catalog.DigitalFile{
		Name: body.FileName, MD5: body.FileMd5, Size: body.FileSize, Type: body.FileType, Category: string(body.AssetFileCategory),
	}, nil
}

// giveUp lets go of a file that can never be uploaded. Otherwise its place is taken until the upload's time is over.
func (s *server) giveUp(ctx context.Context, userID string, file catalog.DigitalFile) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	if err := s.Catalog.AbandonDigitalFile(ctx, userID, file.ProjectID, file.ID, catalog.FileFailed); err != nil {
		s.Logger.WarnContext(ctx, "a file that cannot be uploaded stays announced", "file_id", file.ID, "error", err)
	}
}

// ConfirmFileUpload ends an upload.
func (s *server) ConfirmFileUpload(ctx context.Context, request ConfirmFileUploadRequestObject) (ConfirmFileUploadResponseObject, error) {
	state := request.Body.State
	if !state.Valid() {
		return nil, badParameter("The field state must be CREATED, FAILED or CANCELLED.")
	}
	rctx := middleware.Context(ctx)
	file, err := s.file(rctx, request.ProjectID, request.FileID)
	if err != nil {
		return nil, err
	}
	switch {
	case string(file.State) == string(state): // said before
		return done(ctx), nil
	case file.State != catalog.FileCreating:
		return nil, fault.New(fault.Conflict, codeState, "The file is %s; only one that is CREATING can be confirmed.", file.State)
	case state != ConfirmFileStateCREATED:
		err = s.Catalog.AbandonDigitalFile(rctx, userID(ctx), file.ProjectID, file.ID, catalog.FileState(state))
	default:
		err = s.complete(rctx, userID(ctx), file)
	}
	if err != nil {
		return nil, err
	}
	s.removeUpload(rctx, file)
	return done(ctx), nil
}

// file finds a file by an id in any form.
func (s *server) file(ctx context.Context, projectID, id string) (catalog.DigitalFile, error) {
	err := error(fault.New(fault.NotFound, codeNoFile, "The file does not exist."))
	if !middleware.IsLine(id, 1, catalog.MaxDigitalID) {
		return catalog.DigitalFile{}, err
	}
	var file catalog.DigitalFile
	for _, form := range forms(id) {
		if file, err = s.Catalog.DigitalFile(ctx, projectID, form); fault.KindOf(err) != fault.NotFound {
			break
		}
	}
	return file, err
}

// removeUpload removes what was uploaded once nobody needs it. What stays behind is taken by the sweep.
func (s *server) removeUpload(ctx context.Context, file catalog.DigitalFile) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	if err := s.Storage.DeleteUpload(ctx, storage.UploadKey(file.ProjectID, file.ID)); err != nil {
		s.Logger.WarnContext(ctx, "an upload stays behind until the sweep", "file_id", file.ID, "error", err)
	}
}

// DeleteFile removes a file from its asset.
func (s *server) DeleteFile(ctx context.Context, request DeleteFileRequestObject) (DeleteFileResponseObject, error) {
	rctx := middleware.Context(ctx)
	file, err := s.file(rctx, request.ProjectID, request.FileID)
	if err != nil {
		return nil, err
	}
	if err := s.Catalog.DeleteDigitalFile(rctx, userID(ctx), request.ProjectID, file.ID); err != nil {
		return nil, err
	}
	if file.State == catalog.FileCreating {
		s.removeUpload(rctx, file)
	}
	return done(ctx), nil
}
