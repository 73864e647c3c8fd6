package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

// objects stands for the object store: which blobs have an object.
type objects struct {
	mu   sync.Mutex
	have map[string]bool
}

func (o *objects) put(sha256 string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.have == nil {
		o.have = make(map[string]bool)
	}
	o.have[sha256] = true
}

func (o *objects) remove(_ context.Context, sha256 string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.have, sha256)
	return nil
}

func (o *objects) has(sha256 string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.have[sha256]
}

var soon = func() time.Time { return time.Now().Add(time.Hour) }

// leftover makes a blob with an object that nothing refers to.
func leftover(t *testing.T, c *catalog.Catalog, store *objects, content string) catalog.Blob {
	t.Helper()
	file := catalogtest.File("", content)
	blob := catalog.Blob{SHA256: file.SHA256, Size: file.Size}
	_, err := c.TouchBlobs(ctx, []catalog.Blob{blob})
	require.NoError(t, err)
	store.put(blob.SHA256)
	return blob
}

func sweep(t *testing.T, c *catalog.Catalog) []catalog.Blob {
	t.Helper()
	blobs, err := c.SweepBlobs(ctx, soon(), 100)
	require.NoError(t, err)
	return blobs
}

func touch(t *testing.T, c *catalog.Catalog, blob catalog.Blob) (missing bool) {
	t.Helper()
	blobs, err := c.TouchBlobs(ctx, []catalog.Blob{blob})
	require.NoError(t, err)
	return len(blobs) > 0
}

func TestSweepTakesWhatNobodyUses(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, store := catalogtest.NewScene(t, c), new(objects)
		made := s.Import(t, shop())
		blob := leftover(t, c, store, "left over")
		none, err := c.SweepBlobs(ctx, time.Now().Add(-time.Minute), 100)
		require.NoError(t, err)
		require.Empty(t, none, "touched a moment ago")
		for range 2 {
			require.Equal(t, []catalog.Blob{blob}, sweep(t, c), "until it is removed")
		}
		gone, err := c.RemoveBlob(ctx, blob.SHA256, store.remove)
		require.NoError(t, err)
		require.True(t, gone)
		require.False(t, store.has(blob.SHA256))
		gone, err = c.RemoveBlob(ctx, blob.SHA256, store.remove)
		require.NoError(t, err)
		require.False(t, gone)
		require.Empty(t, sweep(t, c))

		// A blob that a version uses is not removed whoever asks, and goes with the last version, trash included.
		used := catalogtest.File("", "a").SHA256
		gone, err = c.RemoveBlob(ctx, used, store.remove)
		require.NoError(t, err)
		require.False(t, gone)
		deleteAll(t, s, made)
		require.Empty(t, sweep(t, c))
		_, err = c.PurgeAssets(ctx, s.Project.ID, s.Instance.ID, []string{made.Assets[0].ID, made.Assets[1].ID}, "")
		require.NoError(t, err)
		first, err := c.SweepBlobs(ctx, soon(), 1)
		require.NoError(t, err)
		require.Len(t, first, 1)
		require.Len(t, sweep(t, c), 2)
	})
}

// What was touched since the oldest running job began, or just before, is left alone however old it is.
func TestSweepLooksAtRunningJobs(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, store := catalogtest.NewScene(t, c), new(objects)
		before := leftover(t, c, store, "before")
		job := s.NewJob(t)
		during := leftover(t, c, store, "during")
		require.Empty(t, sweep(t, c), "clocks differ")
		c.SetClockSkew(0)
		require.Equal(t, []catalog.Blob{before}, sweep(t, c))
		_, err := c.EndJob(ctx, job, catalog.JobOutcome{State: catalog.JobFailed})
		require.NoError(t, err)
		require.ElementsMatch(t, []catalog.Blob{before, during}, sweep(t, c))
	})
}

// The interleavings of a touch and the store after it with each step of a removal.
func TestATouchDuringARemoval(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		store := new(objects)
		t.Run("after it was condemned", func(t *testing.T) {
			blob := leftover(t, c, store, "1")
			require.Len(t, sweep(t, c), 1)
			require.True(t, touch(t, c, blob), "to be stored again")
			gone, err := c.RemoveBlob(ctx, blob.SHA256, store.remove)
			require.NoError(t, err)
			require.False(t, gone)
			require.True(t, store.has(blob.SHA256))
			require.NoError(t, c.SQL("DELETE FROM blobs"))
		})
		t.Run("while the object is deleted", func(t *testing.T) {
			blob := leftover(t, c, store, "2")
			require.Len(t, sweep(t, c), 1)
			touched := make(chan bool, 1)
			gone, err := c.RemoveBlob(ctx, blob.SHA256, func(ctx context.Context, sha256 string) error {
				require.Empty(t, sweep(t, c), "another sweep passes over it")
				again, err := c.RemoveBlob(ctx, sha256, func(context.Context, string) error { return errors.New("twice at once") })
				require.NoError(t, err)
				require.False(t, again)
				go func() {
					missing, err := c.TouchBlobs(context.WithoutCancel(ctx), []catalog.Blob{blob})
					store.put(sha256)
					touched <- err == nil && len(missing) == 1
				}()
				select {
				case <-touched:
					t.Error("the touch did not wait")
				case <-time.After(200 * time.Millisecond):
				}
				return store.remove(ctx, sha256)
			})
			require.NoError(t, err)
			require.True(t, gone)
			require.True(t, <-touched)
			require.True(t, store.has(blob.SHA256), "what was stored after the touch stays")
			require.NoError(t, c.SQL("DELETE FROM blobs"))
		})
		t.Run("after it was removed", func(t *testing.T) {
			blob := leftover(t, c, store, "3")
			require.Len(t, sweep(t, c), 1)
			_, err := c.RemoveBlob(ctx, blob.SHA256, store.remove)
			require.NoError(t, err)
			require.True(t, touch(t, c, blob))
			require.NoError(t, c.SQL("DELETE FROM blobs"))
		})
		t.Run("after the remover died", func(t *testing.T) {
			blob := leftover(t, c, store, "4")
			require.Len(t, sweep(t, c), 1)
			died := errors.New("died")
			_, err := c.RemoveBlob(ctx, blob.SHA256, func(ctx context.Context, sha256 string) error {
				deadline, ok := ctx.Deadline()
				require.True(t, ok)
				require.Less(t, time.Until(deadline), 2*time.Minute)
				return died
			})
			require.ErrorIs(t, err, died)
			short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			_, err = c.TouchBlobs(short, []catalog.Blob{blob})
			require.ErrorIs(t, err, context.DeadlineExceeded, "the request may still be under way")
			require.Empty(t, sweep(t, c))
			_, err = c.TouchBlobs(ctx, []catalog.Blob{blob})
			requireFault(t, err, fault.Unavailable, "catalog.blob_in_removal")

			// When the lease is over, whoever comes first goes on.
			require.NoError(t, c.SQL("UPDATE blobs SET removing_until = '2026-01-01 00:00:00.000000+00:00'"))
			require.Len(t, sweep(t, c), 1)
			gone, err := c.RemoveBlob(ctx, blob.SHA256, store.remove)
			require.NoError(t, err)
			require.True(t, gone)
			require.True(t, touch(t, c, blob))
		})
	})
}

// A remover that comes back after its lease does not forget a blob that was touched since.
func TestARemoverThatIsLate(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		blob := leftover(t, c, new(objects), "late")
		require.Len(t, sweep(t, c), 1)
		gone, err := c.RemoveBlob(ctx, blob.SHA256, func(context.Context, string) error {
			require.NoError(t, c.SQL("UPDATE blobs SET removing_until = '2026-01-01 00:00:00.000000+00:00'"))
			require.True(t, touch(t, c, blob))
			return nil
		})
		require.NoError(t, err)
		require.False(t, gone)
		require.Equal(t, []catalog.Blob{blob}, sweep(t, c))
	})
}

func TestACommitRefusesRemovedBlobs(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		imp := s.Fill(t, shop())
		// As if the clocks were wrong by hours.
		require.NoError(t, c.SQL("UPDATE blobs SET condemned_at = '2100-01-01 00:00:00.000000+00:00'"))
		_, err := c.CommitImport(ctx, imp)
		requireFault(t, err, fault.NotFound, "catalog.blobs_not_found")
		require.Empty(t, names(t, s))
		s.Fill(t, imp)
		_, err = c.CommitImport(ctx, imp)
		require.NoError(t, err)

		// The touch of a program that knows nothing of sweeps counts.
		require.NoError(t, c.SQL("UPDATE blobs SET condemned_at = '2026-01-01 00:00:00.000000+00:00'"))
		gone, err := c.RemoveBlob(ctx, imp.Tasks[0].Files[0].SHA256, func(context.Context, string) error { return errors.New("not this one") })
		require.NoError(t, err)
		require.False(t, gone)
	})
}

func TestAdoptBlobs(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		s.Import(t, shop())
		orphan := catalog.Blob{SHA256: fmt.Sprintf("%064d", 1), Size: 3}
		known := catalogtest.File("", "a")
		for i := range 2 {
			n, err := c.AdoptBlobs(ctx, []catalog.Blob{orphan, {SHA256: known.SHA256, Size: 1}})
			require.NoError(t, err)
			require.Equal(t, 1-i, n)
		}
		require.False(t, touch(t, c, catalog.Blob{SHA256: known.SHA256, Size: 1}), "still known to be stored")
		require.Equal(t, []catalog.Blob{orphan}, sweep(t, c))
	})
}

// Imports, purges and sweeps without any grace, all at once: no version ever refers to a missing object.
func TestImportsAmongSweeps(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		c.SetClockSkew(0)
		store := new(objects)
		files := make([]catalog.File, 6)
		for i := range files {
			files[i] = catalogtest.File(fmt.Sprint(i), fmt.Sprint("shared ", i))
		}
		const importers, rounds = 4, 25
		var importing, sweeping sync.WaitGroup
		over := make(chan struct{})
		for i := range importers {
			s := catalogtest.NewScene(t, c) // an instance each, the blobs in common
			random := rand.New(rand.NewPCG(uint64(i), 7))
			importing.Go(func() {
				for range rounds {
					if err := importAmongSweeps(c, s, store, files, random); err != nil {
						t.Error(err)
					}
				}
			})
		}
		removed := 0
		for range 2 {
			sweeping.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
					}
					blobs, err := c.SweepBlobs(ctx, soon(), 3)
					if err != nil {
						t.Error(err)
					}
					for _, b := range blobs {
						gone, err := c.RemoveBlob(ctx, b.SHA256, store.remove)
						if err != nil {
							t.Error(err)
						}
						if gone {
							store.mu.Lock()
							removed++
							store.mu.Unlock()
						}
					}
				}
			})
		}
		importing.Wait()
		close(over)
		sweeping.Wait()
		t.Logf("%d removals among %d imports", removed, importers*rounds)
		require.Positive(t, removed)
		for _, b := range sweep(t, c) {
			_, err := c.RemoveBlob(ctx, b.SHA256, store.remove)
			require.NoError(t, err)
		}
		require.Empty(t, store.have, "nothing is left over")
	})
}

// importAmongSweeps imports some of the files, sometimes gives up half-way, and purges what it made.
func importAmongSweeps(c *catalog.Catalog, s catalogtest.Scene, store *objects, files []catalog.File, random *rand.Rand) error {
	var chosen []catalog.File
	var blobs []catalog.Blob
	for _, f := range files {
		if random.IntN(2) == 0 {
			chosen = append(chosen, f)
			blobs = append(blobs, catalog.Blob{SHA256: f.SHA256, Size: f.Size})
		}
	}
	job := catalog.NewID()
	err := c.InsertJob(ctx, catalog.Job{ID: job, Kind: catalog.AssetImport, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID})
	if err != nil {
		return err
	}
	missing, err := c.TouchBlobs(ctx, blobs)
	if err != nil {
		return err
	}
	for _, b := range missing {
		store.put(b.SHA256)
	}
	if random.IntN(4) == 0 {
		_, err := c.EndJob(ctx, job, catalog.JobOutcome{State: catalog.JobCancelled})
		return err
	}
	result, err := c.CommitImport(ctx, catalog.Import{
		JobID: job, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID, Mode: catalog.AddNew,
		Applications: []catalog.ImportAsset{{Name: "a", Files: chosen}},
	})
	if err != nil {
		return err
	}
	for _, f := range chosen {
		if !store.has(f.SHA256) {
			return fmt.Errorf("file %s of a version has no object", f.Path)
		}
	}
	deletion := catalog.NewID()
	err = c.InsertJob(ctx, catalog.Job{ID: deletion, Kind: catalog.AssetDelete, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID})
	if err != nil {
		return err
	}
	ids := []string{result.Assets[0].ID}
	_, err = c.CommitDeletion(ctx, catalog.Deletion{
		JobID: deletion, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID, Applications: ids,
	})
	if err != nil {
		return err
	}
	for _, f := range chosen {
		if !store.has(f.SHA256) {
			return fmt.Errorf("file %s in the trash has no object", f.Path)
		}
	}
	_, err = c.PurgeAssets(ctx, s.Project.ID, s.Instance.ID, ids, s.User.ID)
	return err
}
