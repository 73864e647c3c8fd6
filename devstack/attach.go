package devstack

import (
	"fmt"
	"path/filepath"

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
	found, err := readJSON(dir, credentialsFile, &a.Credentials)
	if err == nil && !found {
		err = fmt.Errorf("no %s in %s: does the stack run?", credentialsFile, dir)
	}
	if err != nil {
		return Attachment{}, fmt.Errorf("attach to the stack: %w", err)
	}
	keys, err := loadSecrets(dir)
	if err != nil {
		return Attachment{}, fmt.Errorf("attach to the stack: %w", err)
	}
	a.CatalogURL = "sqlite:" + filepath.Join(dir, catalogFile)
	a.MasterKey, a.KeyRing = keys.masterKey, keys.keyRing
	a.Storage = storage.Config{
		Endpoint: a.Credentials.S3Endpoint, Region: defaultRegion, Bucket: bucket, PathStyle: true,
		AccessKey: keys.s3.AccessKey, SecretKey: keys.s3.SecretKey,
	}
	return a, nil
}
