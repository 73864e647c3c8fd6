package activities

import (
	"context"
	"iter"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

const (
	// sweepParallel is how many blobs are removed at the same time.
	sweepParallel = 8
	// manifestLifetime is the longest time for which the URL of a manifest is good.
	manifestLifetime = 24 * time.Hour
)

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
	return a.removeOld(ctx, "archive", a.Storage.ListArchives(ctx, ""), func(ctx context.Context, o storage.ObjectInfo) (bool, error) {
		// In this order: an export commits its archive together with its job's end.
		job, ended, err := a.ownerEnded(ctx, ownerOf(o.Key))
		if err != nil || !ended {
			return false, err
		}
		if job.ID != "" {
			_, err := a.Catalog.Archive(ctx, job.ProjectID, job.InstanceID, job.ID)
			if fault.KindOf(err) != fault.NotFound {
				return false, err
			}
		}
		return true, a.Storage.DeleteArchive(ctx, o.Key)
	})
}

// RemoveStaged removes what was put into the bucket for later and is older than the grace: staged packages whose job has
// ended or was never made, manifests that have expired, and uploads of files that nobody will confirm any more.
func (a *Sweep) RemoveStaged(ctx context.Context) (Swept, error) {
	// In the order of their keys, so that a try can go on where the one before has stopped.
	waiting := inTurn(a.Storage.ListManifests(ctx), a.Storage.ListStaged(ctx, ""), a.Storage.ListUploads(ctx, ""))
	return a.removeOld(ctx, "staged object", waiting, func(ctx context.Context, o storage.ObjectInfo) (bool, error) {
		switch room, _, _ := strings.Cut(o.Key, "/"); room {
		case "manifests":
			// Who has its URL may be reading it to the end of its time.
			if !o.LastModified.Before(a.old().Add(-manifestLifetime)) {
				return false, nil
			}
			return true, a.Storage.DeleteManifest(ctx, o.Key)
		case "uploads":
			return a.removeUpload(ctx, o.Key)
		default:
			_, ended, err := a.ownerEnded(ctx, ownerOf(o.Key))
			if err != nil || !ended {
				return false, err
			}
			return true, a.Storage.Unstage(ctx, o.Key)
		}
	})
}

// removeUpload removes what was uploaded for a file that was confirmed, given up or deleted, or for which nobody has
// confirmed it in time: until a day and the grace after the file was made.
func (a *Sweep) removeUpload(ctx context.Context, key string) (bool, error) {
	file, err := a.Catalog.DigitalFile(ctx, path.Base(path.Dir(path.Dir(key))), ownerOf(key))
	if ignoreNotFound(err) != nil {
		return false, err
	}
	if err == nil && file.State == catalog.FileCreating && !file.CreatedAt.Before(a.old().Add(-catalog.UploadLifetime)) {
		return false, nil
	}
	return true, a.Storage.DeleteUpload(ctx, key)
}

// inTurn lists one after the other. The sequence ends after its first error.
func inTurn(lists ...iter.Seq2[storage.ObjectInfo, error]) iter.Seq2[storage.ObjectInfo, error] {
	return func(yield func(storage.ObjectInfo, error) bool) {
		for _, list := range lists {
			for o, err := range list {
				if !yield(o, err) || err != nil {
					return
				}
			}
		}
	}
}

// removeOld gives each listed object that is older than the grace to remove, which says whether it took it.
func (a *Sweep) removeOld(ctx context.Context, what string, objects iter.Seq2[storage.ObjectInfo, error],
	remove func(ctx context.Context, o storage.ObjectInfo) (bool, error),
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
		removed, err := remove(ctx, o)
		if r.note(ctx, "remove "+what+" "+o.Key, removed && err == nil, err); r.hopeless() {
			break
		}
		r.reached(o.Key)
	}
	return r.result(ctx, nil)
}

// AbortUploads aborts unfinished multipart uploads older than the grace: those for a job that has ended or was never
// made, those of manifests, and those of blobs, which do not name their job, where they began before every running job.
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
	case "manifests", "uploads":
		return true, nil // nobody writes one for so long
	default:
		return false, nil // not ours
	}
}

// ownerOf gives the id of the job that an object in staging/ or archives/ was written for, or of the file that one in
// uploads/ is for, which its key ends with but for the file's name.
func ownerOf(key string) string { return path.Base(path.Dir(key)) }
