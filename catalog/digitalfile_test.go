package catalog_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func TestDigitalFileBecomesAVersion(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		asset := newDigital(t, s, "Anna")
		f := newFile(t, s, asset.ID, "MAIN", "body")
		require.Equal(t, catalog.FileCreating, f.State)
		require.Empty(t, f.SHA256)
		want := upload(s, asset.ID, "MAIN", "body")
		want.ID, want.State, want.CreatedAt, want.UpdatedAt = f.ID, f.State, f.CreatedAt, f.UpdatedAt
		require.Equal(t, want, f)
		read, err := c.DigitalFile(ctx, s.Project.ID, f.ID)
		require.NoError(t, err)
		require.Equal(t, f, read)
		before := readDigital(t, s, asset.ID)
		require.Equal(t, []catalog.DigitalFile{f}, before.Files)
		require.Equal(t, 1, before.VersionNumber, "an upload is none")
		require.Equal(t, catalog.DigitalCreating, before.State)

		complete := func(projectID, fileID, digest string) (catalog.DigitalFile, error) {
			return c.CompleteDigitalFile(ctx, s.User.ID, projectID, fileID, digest)
		}
		digest := catalogtest.File("", "body").SHA256
		_, err = complete(s.Project.ID, f.ID, digest)
		requireFault(t, err, fault.NotFound, "catalog.blobs_not_found")
		_, err = complete(s.Project.ID, f.ID, touchContent(t, c, "anything of another size"))
		requireFault(t, err, fault.Invalid, "catalog.bad_blob")
		_, err = complete(s.Project.ID, f.ID, "no digest")
		requireFault(t, err, fault.Invalid, "catalog.bad_blob")
		require.Equal(t, before, readDigital(t, s, asset.ID))

		touchContent(t, c, "body")
		_, err = complete(other.Project.ID, f.ID, digest)
		requireFault(t, err, fault.NotFound, "catalog.file_not_found")
		done, err := complete(s.Project.ID, f.ID, digest)
		require.NoError(t, err)
		require.Equal(t, catalog.FileCreated, done.State)
		require.Equal(t, digest, done.SHA256)
		after := readDigital(t, s, asset.ID)
		require.Equal(t, catalog.DigitalActived, after.State)
		require.Equal(t, 2, after.VersionNumber)
		require.Equal(t, []catalog.DigitalFile{done}, after.Files)
		require.NotEqual(t, before.Digest, after.Digest)
		missing, err := c.TouchBlobs(ctx, []catalog.Blob{{SHA256: digest, Size: 4}})
		require.NoError(t, err)
		require.Empty(t, missing, "it is marked stored")

		again, err := complete(s.Project.ID, f.ID, digest)
		require.NoError(t, err)
		require.Equal(t, done, again)
		require.Equal(t, after, readDigital(t, s, asset.ID))
		_, err = complete(s.Project.ID, f.ID, touchContent(t, c, "ydob"))
		requireFault(t, err, fault.Conflict, "catalog.file_state")
		requireFault(t, c.AbandonDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID, catalog.FileFailed), fault.Conflict, "catalog.file_state")

		cover := addFile(t, s, asset.ID, "COVER", "cover")
		require.Equal(t, []catalog.DigitalFile{done, cover}, readDigital(t, s, asset.ID).Files)
		old, err := c.DigitalAssetAt(ctx, s.Project.ID, asset.ID, 2)
		require.NoError(t, err)
		require.Len(t, old.Files, 1)
		require.Equal(t, after.Digest, old.Digest)
		require.Equal(t, []string{"asset.added", "file.added", "file.completed", "file.added", "file.completed"}, trail(t, c, asset.ID))
	})
}

func TestDigitalFileCompletedAtOnce(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		for range 5 {
			asset := newDigital(t, s, catalog.NewID())
			f := newFile(t, s, asset.ID, "MAIN", "body")
			digest := touchContent(t, c, "body")
			const n = 4
			var all sync.WaitGroup
			errs, files := make([]error, n), make([]catalog.DigitalFile, n)
			for i := range n {
				all.Go(func() { files[i], errs[i] = c.CompleteDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID, digest) })
			}
			all.Wait()
			require.NoError(t, errors.Join(errs...))
			for _, f := range files {
				require.Equal(t, files[0], f)
			}
			after := readDigital(t, s, asset.ID)
			require.Equal(t, 2, after.VersionNumber)
			require.Equal(t, files[:1], after.Files)
			require.Equal(t, []string{"asset.added", "file.added", "file.completed"}, trail(t, c, asset.ID))
		}
	})
}

func TestDigitalAssetHasOneMainFile(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		asset := newDigital(t, s, "Anna")

		const n = 5
		var all sync.WaitGroup
		files, errs := make([]catalog.DigitalFile, n), make([]error, n)
		for i := range n {
			all.Go(func() { files[i], errs[i] = c.CreateDigitalFile(ctx, s.User.ID, upload(s, asset.ID, "MAIN", "body")) })
		}
		all.Wait()
		var main catalog.DigitalFile
		for i, err := range errs {
			if err == nil {
				require.Empty(t, main.ID, "a second main file")
				main = files[i]
			} else {
				requireFault(t, err, fault.Conflict, "catalog.main_exists")
			}
		}
		require.NotEmpty(t, main.ID)
		second := func() error {
			_, err := c.CreateDigitalFile(ctx, s.User.ID, upload(s, asset.ID, "MAIN", "second"))
			return err
		}
		requireFault(t, second(), fault.Conflict, "catalog.main_exists")

		// One that was given up, or lapsed, makes room.
		require.NoError(t, c.AbandonDigitalFile(ctx, s.User.ID, s.Project.ID, main.ID, catalog.FileFailed))
		lapsed := newFile(t, s, asset.ID, "MAIN", "lapsed")
		require.NoError(t, c.SQL("UPDATE digital_files SET created_at = '2026-01-01 00:00:00.000000+00:00' WHERE id = '"+lapsed.ID+"'"))
		main = addFile(t, s, asset.ID, "MAIN", "body")
		require.Equal(t, catalog.DigitalActived, readDigital(t, s, asset.ID).State)
		requireFault(t, second(), fault.Conflict, "catalog.main_exists")
		_, err := c.CompleteDigitalFile(ctx, s.User.ID, s.Project.ID, lapsed.ID, touchContent(t, c, "lapsed"))
		requireFault(t, err, fault.Conflict, "catalog.main_exists")

		// Without it the asset is not complete any more.
		addFile(t, s, asset.ID, "COVER", "cover")
		before := readDigital(t, s, asset.ID)
		require.NoError(t, c.DeleteDigitalFile(ctx, s.User.ID, s.Project.ID, main.ID))
		after := readDigital(t, s, asset.ID)
		require.Equal(t, catalog.DigitalCreating, after.State)
		require.Equal(t, before.VersionNumber+1, after.VersionNumber)
		require.Len(t, after.Files, 2)
		_, err = c.DigitalFile(ctx, s.Project.ID, main.ID)
		requireFault(t, err, fault.NotFound, "catalog.file_not_found")
		_, err = c.CompleteDigitalFile(ctx, s.User.ID, s.Project.ID, lapsed.ID, touchContent(t, c, "lapsed"))
		require.NoError(t, err)
		require.Equal(t, catalog.DigitalActived, readDigital(t, s, asset.ID).State)
	})
}

func TestDigitalFileIsRefused(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		asset := newDigital(t, s, "Anna")
		for name, wrong := range map[string]func(*catalog.DigitalFile){
			"no name":     func(f *catalog.DigitalFile) { f.Name = "" },
			"long name":   func(f *catalog.DigitalFile) { f.Name = strings.Repeat("n", 1025) },
			"MD5":         func(f *catalog.DigitalFile) { f.MD5 = "\x00" },
			"type":        func(f *catalog.DigitalFile) { f.Type = "\xff" },
			"category":    func(f *catalog.DigitalFile) { f.Category = "\xff" },
			"no category": func(f *catalog.DigitalFile) { f.Category = "" },
			"size":        func(f *catalog.DigitalFile) { f.Size = -1 },
		} {
			f := upload(s, asset.ID, "MAIN", "body")
			wrong(&f)
			_, err := c.CreateDigitalFile(ctx, s.User.ID, f)
			require.Equal(t, fault.Invalid, fault.KindOf(err), "%s: %v", name, err)
		}
		_, err := c.CreateDigitalFile(ctx, s.User.ID, upload(other, asset.ID, "MAIN", "body"))
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		_, err = c.CreateDigitalFile(ctx, s.User.ID, upload(s, "nothing", "MAIN", "body"))
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")

		f := newFile(t, s, asset.ID, "MAIN", "body")
		for _, id := range []string{"", "nothing", "a\x00"} {
			_, err = c.DigitalFile(ctx, s.Project.ID, id)
			requireFault(t, err, fault.NotFound, "catalog.file_not_found")
			requireFault(t, c.DeleteDigitalFile(ctx, s.User.ID, s.Project.ID, id), fault.NotFound, "catalog.file_not_found")
		}
		abandon := func(projectID string, state catalog.FileState) error {
			return c.AbandonDigitalFile(ctx, s.User.ID, projectID, f.ID, state)
		}
		_, err = c.DigitalFile(ctx, other.Project.ID, f.ID)
		requireFault(t, err, fault.NotFound, "catalog.file_not_found")
		requireFault(t, c.DeleteDigitalFile(ctx, s.User.ID, other.Project.ID, f.ID), fault.NotFound, "catalog.file_not_found")
		requireFault(t, abandon(other.Project.ID, catalog.FileFailed), fault.NotFound, "catalog.file_not_found")
		requireFault(t, abandon(s.Project.ID, catalog.FileCreated), fault.Invalid, "catalog.bad_file")

		require.NoError(t, abandon(s.Project.ID, catalog.FileCancelled))
		require.NoError(t, abandon(s.Project.ID, catalog.FileCancelled))
		requireFault(t, abandon(s.Project.ID, catalog.FileFailed), fault.Conflict, "catalog.file_state")
		_, err = c.CompleteDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID, touchContent(t, c, "body"))
		requireFault(t, err, fault.Conflict, "catalog.file_state")
		read, err := c.DigitalFile(ctx, s.Project.ID, f.ID)
		require.NoError(t, err)
		require.Equal(t, catalog.FileCancelled, read.State)
		require.Empty(t, readDigital(t, s, asset.ID).Files)
		require.NoError(t, c.DeleteDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID))
		require.Equal(t, 1, readDigital(t, s, asset.ID).VersionNumber)
		require.Equal(t, []string{"asset.added", "file.added", "file.abandoned", "file.removed"}, trail(t, c, asset.ID))

		// In the trash, files are read and nothing else.
		f = newFile(t, s, asset.ID, "MAIN", "body")
		require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, asset.ID))
		_, err = c.DigitalFile(ctx, s.Project.ID, f.ID)
		require.NoError(t, err)
		_, err = c.CreateDigitalFile(ctx, s.User.ID, upload(s, asset.ID, "COVER", "cover"))
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		_, err = c.CompleteDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID, touchContent(t, c, "body"))
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		requireFault(t, abandon(s.Project.ID, catalog.FileFailed), fault.NotFound, "catalog.asset_not_found")
		requireFault(t, c.DeleteDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID), fault.NotFound, "catalog.asset_not_found")
	})
}

// Completing a file has no job to hold sweeps off: it is refused what a sweep has condemned, and what it has completed
// no sweep condemns.
func TestDigitalFileAndSweeps(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		asset := newDigital(t, s, "Anna")
		f := newFile(t, s, asset.ID, "MAIN", "body")
		digest := touchContent(t, c, "body")
		complete := func() error {
			_, err := c.CompleteDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID, digest)
			return err
		}
		removed := func(context.Context, string) error { return nil }
		require.Len(t, sweep(t, c), 1)
		requireFault(t, complete(), fault.NotFound, "catalog.blobs_not_found")
		gone, err := c.RemoveBlob(ctx, digest, removed)
		require.NoError(t, err)
		require.True(t, gone)
		requireFault(t, complete(), fault.NotFound, "catalog.blobs_not_found")
		require.Equal(t, 1, readDigital(t, s, asset.ID).VersionNumber)

		touchContent(t, c, "body")
		require.NoError(t, complete())
		require.Empty(t, sweep(t, c))
		require.NoError(t, c.DeleteDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID))
		require.Empty(t, sweep(t, c), "an older version uses it")
		require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, asset.ID))
		require.Empty(t, sweep(t, c), "it can be restored")
		require.NoError(t, c.PurgeDigitalAsset(ctx, s.User.ID, s.Project.ID, asset.ID))
		require.Len(t, sweep(t, c), 1)
	})
}

// The sweep comes between the touch and the completion, or after it; whichever wins, what a version uses has an object.
func TestDigitalFileAmongSweeps(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		for range 20 {
			asset, store := newDigital(t, s, catalog.NewID()), new(objects)
			content := catalog.NewID()
			f := newFile(t, s, asset.ID, "MAIN", content)
			digest := touchContent(t, c, content)
			store.put(digest)
			var both sync.WaitGroup
			var completeErr, sweepErr error
			both.Go(func() { _, completeErr = c.CompleteDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID, digest) })
			both.Go(func() {
				var blobs []catalog.Blob
				blobs, sweepErr = c.SweepBlobs(ctx, soon(), 100)
				for _, b := range blobs {
					_, err := c.RemoveBlob(ctx, b.SHA256, store.remove)
					sweepErr = errors.Join(sweepErr, err)
				}
			})
			both.Wait()
			require.NoError(t, sweepErr)
			if completeErr == nil {
				require.True(t, store.has(digest))
			} else {
				requireFault(t, completeErr, fault.NotFound, "catalog.blobs_not_found")
				require.False(t, store.has(digest))
			}
		}
	})
}

func TestDigitalFileStoppedAtAnyStep(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		asset := newDigital(t, s, "Anna")
		f := newFile(t, s, asset.ID, "MAIN", "body")
		before := readDigital(t, s, asset.ID)
		digest := touchContent(t, c, "body")
		killed := errors.New("killed")
		for _, at := range []string{"blobs", "version", "version files"} {
			c.SetFailpoint(func(step string) error {
				if step == at {
					return killed
				}
				return nil
			})
			_, err := c.CompleteDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID, digest)
			require.ErrorIs(t, err, killed)
			require.Equal(t, before, readDigital(t, s, asset.ID), at)
		}
		c.SetFailpoint(func(string) error { return nil })
		_, err := c.CompleteDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID, digest)
		require.NoError(t, err)
	})
}
