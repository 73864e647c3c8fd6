package devstack

import (
	"fmt"
	"path/filepath"

	"assetflow/devstack/folder"
	"assetflow/storage"
)

// Attachment is what another process needs to work on a running stack's data beside it: the benchmark, and the tests
// that run workers in processes of their own.
type Attachment struct {
	Credentials Credentials
	CatalogURL  string
	MasterKey   string
	KeyRing     string // the folder's own; Options.KeyRing may have named another
	Storage     storage.Config
}

// Attach reads the folder of a stack that runs, in whatever process, with the default region.
func Attach(dir string) (Attachment, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Attachment{}, fmt.Errorf("attach to the stack: %w", err)
	}
	var a Attachment
	if a.Credentials, err = folder.ReadCredentials(dir); err != nil {
		return Attachment{}, fmt.Errorf("attach to the stack: %w", err)
	}
	keys, err := folder.LoadSecrets(dir, catalogFile)
	if err != nil {
		return Attachment{}, fmt.Errorf("attach to the stack: %w", err)
	}
	a.CatalogURL = "sqlite:" + filepath.Join(dir, catalogFile)
	a.MasterKey, a.KeyRing = keys.MasterKey, keys.KeyRing
	a.Storage = storage.Config{
		Endpoint: a.Credentials.S3Endpoint, Region: defaultRegion, Bucket: bucket, PathStyle: true,
		AccessKey: keys.S3.AccessKey, SecretKey: keys.S3.SecretKey,
	}
	return a, nil
}
