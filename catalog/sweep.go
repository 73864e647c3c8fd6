package catalog

import (
	"context"
	"time"
)

// SweepBlobs condemns blobs that no version uses and that nobody has touched since the given time nor since the oldest
// running job began, and returns those that are condemned, at most limit. RemoveBlob removes each. A touch spares a condemned blob.
func (c *Catalog) SweepBlobs(ctx context.Context, touchedBefore time.Time, limit int) ([]Blob, error) {
	panic("not built yet")
}

// RemoveBlob removes a blob that is still condemned: its object with remove (storage's DeleteBlob), then its row. It
// says whether the blob is gone; false when it was touched meanwhile. Nobody else may delete objects of blobs.
func (c *Catalog) RemoveBlob(ctx context.Context, sha256 string, remove func(ctx context.Context, sha256 string) error) (bool, error) {
	panic("not built yet")
}
