package activities

import (
	"context"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

// sweepParallel is how many blobs are removed at the same time.
const sweepParallel = 8

// RemoveBlobs removes blobs that no version uses and that no job has touched within the grace, or since the oldest
// running job began. The catalog says why no version is ever left without its blob.
func (a *Sweep) RemoveBlobs(ctx context.Context) (Swept, error) {
	r := beginSweep(ctx, a.Logger)
	defer r.end()
	// The catalog looks at running jobs itself. Here it keeps their blobs from filling its pages.
	before, err := a.beforeJobs(ctx, a.old())
	if err != nil {
		return r.result(ctx, err)
	}
	for {
		blobs, err := a.Catalog.SweepBlobs(ctx, before, sweepPage)
		if err != nil {
			return r.result(ctx, err)
		}
		removed := r.removed()
		var group errgroup.Group
		group.SetLimit(sweepParallel)
		for _, b := range blobs {
			if r.hopeless() {
				break
			}
			group.Go(func() error {
				gone, err := a.Catalog.RemoveBlob(ctx, b.SHA256, a.Storage.DeleteBlob)
				r.note(ctx, "remove blob "+b.SHA256, gone, err)
				return nil
			})
		}
		_ = group.Wait() // each has noted how it ended
		if len(blobs) < sweepPage || r.removed() == removed || r.hopeless() {
			return r.result(ctx, nil)
		}
	}
}

// AdoptBlobs writes down blobs whose object is older than the grace and that the catalog does not know, such as one that
// a late request stored after its row was removed. RemoveBlobs takes them when they have been known for the grace.
func (a *Sweep) AdoptBlobs(ctx context.Context) (Swept, error) {
	r := beginSweep(ctx, a.Logger)
	defer r.end()
	var page []catalog.Blob
	adopt := func(last string) error {
		n, err := a.Catalog.AdoptBlobs(ctx, page)
		if err != nil {
			return err
		}
		r.add(len(page), n)
		r.reached(last)
		page = page[:0]
		return nil
	}
	before := a.old()
	last := ""
	for o, err := range a.Storage.ListBlobs(ctx) {
		if err != nil {
			return r.result(ctx, err)
		}
		digest := path.Base(o.Key)
		if r.passed(o.Key) || !o.LastModified.Before(before) || !isDigest(digest) || o.Key != storage.BlobKey(digest) {
			continue
		}
		page, last = append(page, catalog.Blob{SHA256: digest, Size: o.Size}), o.Key
		if len(page) == sweepPage {
			if err := adopt(last); err != nil {
				return r.result(ctx, err)
			}
		}
	}
	if len(page) == 0 {
		return r.result(ctx, nil)
	}
	return r.result(ctx, adopt(last))
}

func isDigest(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

// RemoveArchives removes archives that were downloaded or have expired: the object, then the row.
func (a *Sweep) RemoveArchives(ctx context.Context) (Swept, error) {
	r := beginSweep(ctx, a.Logger)
	defer r.end()
	now := a.now()
	stuck := map[string]bool{} // those that stay at the head of the list
	for {
		archives, err := a.Catalog.ExpiredArchives(ctx, now, len(stuck)+sweepPage)
		if err != nil {
			return r.result(ctx, err)
		}
		fresh := 0
		for _, archive := range archives {
			if stuck[archive.ID] {
				continue
			}
			fresh++
			err := a.removeArchive(ctx, archive)
			if err != nil {
				stuck[archive.ID] = true
			}
			if r.note(ctx, "remove archive "+archive.ID, err == nil, err); r.hopeless() {
				return r.result(ctx, nil)
			}
		}
		if fresh == 0 {
			return r.result(ctx, nil)
		}
	}
}

func (a *Sweep) removeArchive(ctx context.Context, archive catalog.Archive) error {
	if err := a.Storage.DeleteArchive(ctx, storage.ArchiveKey(archive.ProjectID, archive.JobID)); err != nil {
		return err
	}
	return a.Catalog.RemoveArchive(ctx, archive.ID)
}

// RemoveStrayArchives removes archive objects older than the grace whose job has ended and that nobody can download.
func (a *Sweep) RemoveStrayArchives(ctx context.Context) (Swept, error) {
	return a.removeOld(ctx, "archive", a.Storage.ListArchives(ctx, ""), func(ctx context.Context, key string) (bool, error) {
		// In this order: an export commits its archive together with its job's end.
		job, ended, err := a.ownerEnded(ctx, ownerOf(key))
		if err != nil || !ended {
			return false, err
		}
		if job.ID != "" {
			_, err := a.Catalog.Archive(ctx, job.ProjectID, job.InstanceID, job.ID)
			if fault.KindOf(err) != fault.NotFound {
				return false, err
			}
		}
		return true, a.Storage.DeleteArchive(ctx, key)
	})
}

// RemoveStaged removes staged packages older than the grace whose job has ended or was never made.
func (a *Sweep) RemoveStaged(ctx context.Context) (Swept, error) {
	return a.removeOld(ctx, "staged package", a.Storage.ListStaged(ctx, ""), func(ctx context.Context, key string) (bool, error) {
		_, ended, err := a.ownerEnded(ctx, ownerOf(key))
		if err != nil || !ended {
			return false, err
		}
		return true, a.Storage.Unstage(ctx, key)
	})
}

// removeOld gives each listed object that is older than the grace to remove, which says whether it took it.
func (a *Sweep) removeOld(ctx context.Context, what string, objects func(func(storage.ObjectInfo, error) bool),
	remove func(ctx context.Context, key string) (bool, error),
) (Swept, error) {
	r := beginSweep(ctx, a.Logger)
	defer r.end()
	before := a.old()
	for o, err := range objects {
		if err != nil {
			return r.result(ctx, err)
		}
		if r.passed(o.Key) || !o.LastModified.Before(before) {
			continue
		}
		removed, err := remove(ctx, o.Key)
		if r.note(ctx, "remove "+what+" "+o.Key, removed && err == nil, err); r.hopeless() {
			break
		}
		r.reached(o.Key)
	}
	return r.result(ctx, nil)
}

// AbortUploads aborts unfinished multipart uploads older than the grace: those for a job that has ended or was never
// made, and those of blobs, which do not name their job, where they began before every running job.
func (a *Sweep) AbortUploads(ctx context.Context) (Swept, error) {
	r := beginSweep(ctx, a.Logger)
	defer r.end()
	old := a.old()
	beforeJobs, err := a.beforeJobs(ctx, old)
	if err != nil {
		return r.result(ctx, err)
	}
	for u, err := range a.Storage.ListUnfinishedUploads(ctx, "") {
		if err != nil {
			return r.result(ctx, err)
		}
		if !u.Initiated.Before(old) {
			continue
		}
		abandoned, err := a.abandoned(ctx, u, beforeJobs)
		if err == nil && abandoned {
			err = a.Storage.AbortUnfinishedUpload(ctx, u)
		}
		if r.note(ctx, "abort an upload of "+u.Key, abandoned && err == nil, err); r.hopeless() {
			break
		}
	}
	return r.result(ctx, nil)
}

func (a *Sweep) abandoned(ctx context.Context, u storage.UnfinishedUpload, beforeJobs time.Time) (bool, error) {
	room, _, _ := strings.Cut(u.Key, "/")
	switch room {
	case "staging", "archives":
		_, ended, err := a.ownerEnded(ctx, ownerOf(u.Key))
		return ended, err
	case "blobs":
		return u.Initiated.Before(beforeJobs), nil
	default:
		return false, nil // not ours
	}
}

// ownerOf gives the id of the job that an object in staging/ or archives/ was written for, which its key ends with but
// for the file's name.
func ownerOf(key string) string { return path.Base(path.Dir(key)) }
