package catalog

import (
	"context"
	"errors"
)

var errNotBuilt = errors.New("catalog: not built yet")

func (c *Catalog) CreateDigitalAsset(ctx context.Context, userID, projectID string, m DigitalMetadata) (DigitalAsset, error) {
	return DigitalAsset{}, errNotBuilt
}
func (c *Catalog) ListDigitalAssets(ctx context.Context, filter DigitalFilter) (assets []DigitalAsset, total int, err error) {
	return nil, 0, errNotBuilt
}
func (c *Catalog) DigitalAsset(ctx context.Context, projectID, id string) (DigitalAsset, error) {
	return DigitalAsset{}, errNotBuilt
}
func (c *Catalog) UpdateDigitalAsset(ctx context.Context, userID, projectID, id string, change func(*DigitalMetadata) error) (DigitalAsset, error) {
	return DigitalAsset{}, errNotBuilt
}
func (c *Catalog) DeleteDigitalAsset(ctx context.Context, userID, projectID, id string) error {
	return errNotBuilt
}
func (c *Catalog) PurgeDigitalAsset(ctx context.Context, userID, projectID, id string) error {
	return errNotBuilt
}
func (c *Catalog) RestoreDigitalAsset(ctx context.Context, userID, projectID, id string) (DigitalAsset, error) {
	return DigitalAsset{}, errNotBuilt
}
func (c *Catalog) CreateDigitalFile(ctx context.Context, userID string, f DigitalFile) (DigitalFile, error) {
	return DigitalFile{}, errNotBuilt
}
func (c *Catalog) DigitalFile(ctx context.Context, projectID, fileID string) (DigitalFile, error) {
	return DigitalFile{}, errNotBuilt
}
func (c *Catalog) CompleteDigitalFile(ctx context.Context, userID, projectID, fileID, sha256 string) (DigitalFile, error) {
	return DigitalFile{}, errNotBuilt
}
func (c *Catalog) AbandonDigitalFile(ctx context.Context, userID, projectID, fileID string, state FileState) error {
	return errNotBuilt
}
func (c *Catalog) DeleteDigitalFile(ctx context.Context, userID, projectID, fileID string) error {
	return errNotBuilt
}
