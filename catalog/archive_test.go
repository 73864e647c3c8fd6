package catalog_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func TestReadForExport(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		made := s.Import(t, shop(func(imp *catalog.Import) {
			imp.Applications = append(imp.Applications, catalog.ImportAsset{Name: "Another"})
		}))
		shopID, anotherID, task := made.Assets[0].ID, made.Assets[1].ID, made.Assets[2].ID
		read := func(applications, tasks []string) (catalog.Export, []catalog.Reason) {
			export, reasons, err := c.ReadForExport(ctx, s.Project.ID, s.Instance.ID, applications, tasks)
			require.NoError(t, err)
			return export, reasons
		}
		export, reasons := read([]string{shopID, anotherID, shopID}, []string{task})
		require.Empty(t, reasons)
		require.Equal(t, "1.0.0", export.VersionLabel)
		require.Len(t, export.Applications, 2)
		require.Len(t, export.Tasks, 1)
		for i, id := range []string{anotherID, shopID} { // by name
			detail, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, id)
			require.NoError(t, err)
			require.Equal(t, detail, export.Applications[i])
		}
		detail, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, task)
		require.NoError(t, err)
		require.Equal(t, detail, export.Tasks[0])
		require.Equal(t, `{"pool":5}`, string(export.Tasks[0].DataSources[0].Settings))

		s.Import(t, shop(merge, func(imp *catalog.Import) { imp.VersionLabel, imp.Tasks[0].Description = "2.0.0", "changed" }))
		export, _ = read([]string{shopID}, []string{task})
		require.Empty(t, export.VersionLabel, "they differ")
		require.Equal(t, "2.0.0", export.Tasks[0].VersionLabel)

		theirs := other.Import(t, shop()).Assets[0].ID
		export, reasons = read([]string{shopID, task, theirs}, []string{"no id"})
		require.Empty(t, export)
		require.Len(t, reasons, 3)
		for i, id := range []string{task, theirs, "no id"} {
			require.Equal(t, catalog.ReasonUnknownAsset, reasons[i].Code)
			require.Equal(t, id, reasons[i].ResourceName)
		}
		export, reasons = read(nil, nil)
		require.Empty(t, export)
		require.Empty(t, reasons)
		_, _, err = c.ReadForExport(ctx, other.Project.ID, s.Instance.ID, []string{shopID}, nil)
		requireFault(t, err, fault.NotFound, "catalog.instance_not_found")
	})
}

// export makes a job and what it ends with.
func export(t *testing.T, s catalogtest.Scene, size int64) catalog.ExportCommit {
	t.Helper()
	return catalog.ExportCommit{
		JobID: s.NewJob(t), ProjectID: s.Project.ID, Applications: 2, Tasks: 1, Archive: catalog.Archive{
			ID: catalog.NewID(), InstanceID: s.Instance.ID, UserID: s.User.ID, FileName: "assets.zip",
			SHA256: catalogtest.File("", "archive").SHA256, Size: size, ExpiresAt: time.Now().Add(time.Hour),
		},
	}
}

func TestCommitExport(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		commit := export(t, s, 100)
		killed := errors.New("killed")
		for _, at := range []string{"archive", "effect", "job"} {
			c.SetFailpoint(func(step string) error {
				if step == at {
					return killed
				}
				return nil
			})
			_, err := c.CommitExport(ctx, commit)
			require.ErrorIs(t, err, killed)
			_, err = c.Archive(ctx, s.Project.ID, s.Instance.ID, commit.Archive.ID)
			requireFault(t, err, fault.NotFound, "catalog.archive_not_found")
		}
		c.SetFailpoint(func(string) error { return nil })
		archive, err := c.CommitExport(ctx, commit)
		require.NoError(t, err)
		require.Equal(t, commit.JobID, archive.JobID)
		require.Equal(t, s.Project.ID, archive.ProjectID)
		require.WithinDuration(t, time.Now(), archive.CreatedAt, time.Minute)
		read, err := c.Archive(ctx, s.Project.ID, s.Instance.ID, archive.ID)
		require.NoError(t, err)
		require.Equal(t, archive, read)
		job, err := c.Job(ctx, commit.JobID)
		require.NoError(t, err)
		require.Equal(t, catalog.JobSucceeded, job.State)
		var result catalog.ExportResult
		require.NoError(t, json.Unmarshal(job.Result, &result))
		require.Equal(t, archive.ID, result.ArchiveID)
		require.Equal(t, 2, result.Applications)
		require.Equal(t, 1, result.Tasks)
		require.Equal(t, int64(100), result.Size)

		// A second attempt stored its archive under another id: the first one's counts, even when it is gone.
		again := commit
		again.Archive.ID, again.Archive.Size = catalog.NewID(), 200
		require.NoError(t, c.RemoveArchive(ctx, archive.ID))
		second, err := c.CommitExport(ctx, again)
		require.NoError(t, err)
		require.Equal(t, archive, second)
		_, err = c.Archive(ctx, s.Project.ID, s.Instance.ID, again.Archive.ID)
		requireFault(t, err, fault.NotFound, "catalog.archive_not_found")

		for what, change := range map[string]func(*catalog.ExportCommit){
			"catalog.bad_archive":        func(e *catalog.ExportCommit) { e.Archive.SHA256 = "" },
			"catalog.job_not_found":      func(e *catalog.ExportCommit) { e.ProjectID = other.Project.ID },
			"catalog.instance_not_found": func(e *catalog.ExportCommit) { e.Archive.InstanceID = other.Instance.ID },
		} {
			bad := export(t, s, 1)
			change(&bad)
			_, err := c.CommitExport(ctx, bad)
			require.Equal(t, what, fault.CodeOf(err))
		}
		ended := export(t, s, 1)
		_, err = c.EndJob(ctx, ended.JobID, catalog.JobOutcome{State: catalog.JobFailed})
		require.NoError(t, err)
		_, err = c.CommitExport(ctx, ended)
		requireFault(t, err, fault.Conflict, "catalog.job_ended")
	})
}

func TestArchivesGo(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		commit := func(expires time.Time) catalog.Archive {
			e := export(t, s, 10)
			e.Archive.ExpiresAt = expires
			a, err := c.CommitExport(ctx, e)
			require.NoError(t, err)
			return a
		}
		expired, taken, open := commit(time.Now().Add(-time.Second)), commit(time.Now().Add(time.Hour)), commit(time.Now().Add(time.Hour))
		complete, err := c.RecordDelivery(ctx, taken.ID, 0, 10)
		require.NoError(t, err)
		require.True(t, complete)
		absent := func(project, instance, id string) {
			_, err := c.Archive(ctx, project, instance, id)
			requireFault(t, err, fault.NotFound, "catalog.archive_not_found")
		}
		absent(s.Project.ID, s.Instance.ID, expired.ID)
		absent(s.Project.ID, s.Instance.ID, taken.ID)
		absent(other.Project.ID, s.Instance.ID, open.ID)
		absent(s.Project.ID, other.Instance.ID, open.ID)
		gone, err := c.ExpiredArchives(ctx, time.Now(), 10)
		require.NoError(t, err)
		require.Len(t, gone, 2)
		require.Equal(t, expired, gone[0])
		require.Equal(t, taken.ID, gone[1].ID)
		require.NotNil(t, gone[1].TakenAt)
		gone, err = c.ExpiredArchives(ctx, time.Now().Add(2*time.Hour), 1)
		require.NoError(t, err)
		require.Len(t, gone, 1)
		for range 2 {
			require.NoError(t, c.RemoveArchive(ctx, taken.ID))
		}
		_, err = c.RecordDelivery(ctx, taken.ID, 0, 1)
		requireFault(t, err, fault.NotFound, "catalog.archive_not_found")
	})
}

func TestRecordDelivery(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		fresh := func(size int64) func(from, to int64) bool {
			a, err := c.CommitExport(ctx, export(t, s, size))
			require.NoError(t, err)
			for _, bad := range [][2]int64{{-1, 1}, {2, 1}, {0, size + 1}} {
				_, err := c.RecordDelivery(ctx, a.ID, bad[0], bad[1])
				requireFault(t, err, fault.Invalid, "catalog.bad_range")
			}
			return func(from, to int64) bool {
				complete, err := c.RecordDelivery(ctx, a.ID, from, to)
				require.NoError(t, err)
				return complete
			}
		}
		record := fresh(100)
		require.False(t, record(0, 99), "all but the last byte")
		require.False(t, record(0, 0))
		require.False(t, record(0, 99), "bytes that come twice count once")
		require.True(t, record(99, 100))
		require.False(t, record(0, 100), "once")

		record = fresh(100)
		for _, r := range [][2]int64{{50, 60}, {0, 10}, {90, 100}, {10, 20}, {55, 90}, {19, 49}} {
			require.False(t, record(r[0], r[1]))
		}
		require.True(t, record(48, 51))

		// Any order of any pieces is complete exactly when each byte was there.
		random := rand.New(rand.NewPCG(1, 2))
		for range 10 {
			const size = 40
			record := fresh(size)
			var had [size]bool
			for left := size; left > 0; {
				from := random.Int64N(size)
				to := from + random.Int64N(min(size-from, 12)) + 1
				for i := from; i < to; i++ {
					if !had[i] {
						had[i], left = true, left-1
					}
				}
				require.Equal(t, left == 0, record(from, to))
			}
		}

		// Pieces beyond the bound are forgotten, and nothing worse.
		a, err := c.CommitExport(ctx, export(t, s, 10_000))
		require.NoError(t, err)
		pieces := make([][2]int64, 1000)
		for i := range pieces {
			pieces[i] = [2]int64{2 * int64(i), 2*int64(i) + 1}
		}
		delivered, err := json.Marshal(pieces)
		require.NoError(t, err)
		require.NoError(t, c.SQL("UPDATE archives SET delivered = '"+string(delivered)+"' WHERE id = '"+a.ID+"'"))
		for range 2 {
			complete, err := c.RecordDelivery(ctx, a.ID, 9_000, 9_001)
			require.NoError(t, err)
			require.False(t, complete)
		}
		complete, err := c.RecordDelivery(ctx, a.ID, 1, 10_000)
		require.NoError(t, err)
		require.True(t, complete)

		// Parts of one archive that are delivered at the same time: one call completes it.
		a, err = c.CommitExport(ctx, export(t, s, 16))
		require.NoError(t, err)
		var all sync.WaitGroup
		done := make(chan bool, 32)
		for i := range int64(32) {
			all.Go(func() {
				complete, err := c.RecordDelivery(ctx, a.ID, i/2, i/2+1)
				if err != nil {
					t.Error(err)
				}
				done <- complete
			})
		}
		all.Wait()
		completed := 0
		for range 32 {
			if <-done {
				completed++
			}
		}
		require.Equal(t, 1, completed)
	})
}
