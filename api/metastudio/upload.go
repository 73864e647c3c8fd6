package metastudio

import (
	"context"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

// Codes of the faults of the store that say something of an upload.
const (
	codeNotUploaded  = "storage.not_found"
	codeOtherSize    = "storage.size_mismatch"
	codeOtherContent = "storage.digest_mismatch"
	codeReplaced     = "storage.changed"
)

// codeBlobGone is the catalog's word for content that the sweep took between touching and using it.
const codeBlobGone = "catalog.blobs_not_found"

// storeTries is how often content that the sweep takes away under our hands is stored.
const storeTries = 3

// complete compares what was uploaded with what was announced, stores it by its digest and makes it part of its asset. It
// can be done twice, also at the same time.
func (s *server) complete(ctx context.Context, userID string, file catalog.DigitalFile) error {
	err := s.storeUpload(ctx, userID, file)
	if f, ok := fault.As(err); ok {
		switch f.Code {
		case codeNotUploaded:
			// Another confirmation may have been faster, and have removed the upload.
			if now, nowErr := s.Catalog.DigitalFile(ctx, file.ProjectID, file.ID); nowErr == nil && now.State == catalog.FileCreated {
				return nil
			}
			return badUpload("Nothing was uploaded for this file.").Wrap(err)
		case codeOtherSize:
			return badUpload("What was uploaded has another size than file_size, %d bytes; upload it again.", file.Size).Wrap(err)
		case codeOtherContent:
			return badUpload("What was uploaded has another MD5 than file_md5; upload it again.").Wrap(err)
		case codeReplaced:
			return badUpload("The file was uploaded again while it was read; confirm it again.").Wrap(err)
		}
	}
	return err
}

func badUpload(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, codeUpload, format, args...)
}

func (s *server) storeUpload(ctx context.Context, userID string, file catalog.DigitalFile) error {
	key := storage.UploadKey(file.ProjectID, file.ID)
	digest, err := s.Storage.VerifyUpload(ctx, key, file.Size, file.MD5)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		missing, err := s.Catalog.TouchBlobs(ctx, []catalog.Blob{{SHA256: digest, Size: file.Size}})
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			if err := s.Storage.StoreUpload(ctx, key, file.Size, digest); err != nil {
				return err
			}
		}
		_, err = s.Catalog.CompleteDigitalFile(ctx, userID, file.ProjectID, file.ID, digest)
		if fault.CodeOf(err) != codeBlobGone || try == storeTries {
			return err
		}
	}
}
