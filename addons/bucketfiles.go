package addons

import (
	"bytes"
	"context"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"assetflow/fault"
)

// folder gives where a release lies.
func (b *BucketTarget) folder(r Release) string {
	return b.prefix + r.EnvironmentID + "/" + r.Name + "/"
}

// index gives the index of a release and its ETag; zero values where there is none.
func (b *BucketTarget) index(ctx context.Context, r Release) (index, string, error) {
	const doing = "read the index"
	if !dnsLabel.MatchString(r.Name) || !dnsLabel.MatchString(r.EnvironmentID) { // they make keys, and names of Kubernetes
		return index{}, "", refused("%q in environment %q cannot be delivered: both must be DNS labels", cut(r.Name, 100), cut(r.EnvironmentID, 100))
	}
	text, etag, err := b.store.Get(ctx, b.folder(r)+indexName, maxIndexBytes)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return index{}, "", nil
	case err != nil && fault.KindOf(err) != fault.TooLarge:
		return index{}, "", away(ctx, doing, err)
	}
	var x index
	if err == nil {
		x, err = parseIndex(text)
	}
	if err != nil {
		return index{}, "", refused("%s%s in the bucket is not what was written there; delete it and everything beside it, "+
			"and deliver the add-on again", b.folder(r), indexName).Wrap(err)
	}
	return x, etag, nil
}

// writeIndex writes the index of a release where it is still the one of the ETag.
func (b *BucketTarget) writeIndex(ctx context.Context, r Release, etag string, next index) error {
	const doing = "write the index"
	text, err := next.format(r)
	if err != nil {
		return err
	}
	key := b.folder(r) + indexName
	err = b.store.Replace(ctx, key, text, etag)
	if fault.KindOf(err) != fault.Conflict {
		if err != nil {
			return away(ctx, doing, err)
		}
		return nil
	}
	// It was us when the answer to the request was lost, and the client repeated it.
	there, _, readErr := b.store.Get(ctx, key, maxIndexBytes)
	switch {
	case readErr != nil && fault.KindOf(readErr) != fault.NotFound:
		return away(ctx, doing, readErr)
	case readErr == nil && bytes.Equal(there, text):
		return nil
	}
	return fault.New(fault.Unavailable, CodeTargetAway, "another delivery has changed %s meanwhile", r.Name).Wrap(err)
}

// read gives the files of a revision. Where one is missing or not what was written, it is CodeNoRevision.
func (b *BucketTarget) read(ctx context.Context, r Release, rev revision) (map[string][]byte, error) {
	reading, readingCtx := errgroup.WithContext(ctx)
	reading.SetLimit(requestsInFlight)
	var mu sync.Mutex
	read := make(map[string][]byte, len(rev.Files))
	for name, digest := range rev.Files {
		reading.Go(func() error {
			data, _, err := b.store.Get(readingCtx, b.folder(r)+folderOf(rev.Name)+name, maxObject+1)
			if err == nil && digestOf(data) != digest {
				err = errNotOurs
			}
			mu.Lock()
			defer mu.Unlock()
			read[name] = data
			return err
		})
	}
	if err := reading.Wait(); err != nil {
		return nil, lost(ctx, r, rev.Name, err)
	}
	return read, nil
}

// revisions gives the keys in the folder of each revision of a release, whoever has written them.
func (b *BucketTarget) revisions(ctx context.Context, r Release) (map[string][]string, error) {
	found := map[string][]string{}
	folder := b.folder(r) + "revisions/"
	for object, err := range b.store.List(ctx, folder) {
		if err != nil {
			return nil, away(ctx, "list the revisions", err)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(object.Key, folder), "/")
		found[name] = append(found[name], object.Key)
	}
	return found, nil
}

// sweep deletes the revisions that the index does not keep. Those of a later serial belong to a delivery that has begun
// since.
func (b *BucketTarget) sweep(ctx context.Context, r Release, x index) error {
	found, err := b.revisions(ctx, r)
	if err != nil {
		return err
	}
	keep := make(map[string]bool, len(x.Kept))
	for _, name := range x.Kept {
		keep[name] = true
	}
	deleting, deletingCtx := errgroup.WithContext(ctx)
	deleting.SetLimit(requestsInFlight)
	for name, keys := range found {
		if serial, ok := serialOf(name); keep[name] || ok && serial > x.Serial {
			continue
		}
		for _, key := range keys {
			deleting.Go(func() error { return b.store.Delete(deletingCtx, key) })
		}
	}
	if err := deleting.Wait(); err != nil {
		return away(ctx, "delete revisions", err)
	}
	return nil
}
