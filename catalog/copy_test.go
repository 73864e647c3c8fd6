package catalog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

// newCopyJob inserts a running copy job and gives its id.
func newCopyJob(t *testing.T, s catalogtest.Scene) string {
	t.Helper()
	id := catalog.NewID()
	require.NoError(t, s.Catalog.InsertJob(ctx, catalog.Job{
		ID: id, Kind: catalog.AssetCopy, ProjectID: s.Project.ID, UserID: s.User.ID, WorkflowID: "asset-copy:" + s.Project.ID + ":" + s.User.ID, Subject: "Anna",
	}))
	return id
}

// copyOf makes a job and a copy of an asset with a main file and others of the given contents, whose blobs are touched.
func copyOf(t *testing.T, s catalogtest.Scene, assetID string, contents ...string) catalog.Copy {
	t.Helper()
	cp := catalog.Copy{CopyTarget: catalog.CopyTarget{
		JobID: newCopyJob(t, s), ProjectID: s.Project.ID, UserID: s.User.ID, AssetID: assetID, Metadata: avatar("Anna"),
	}}
	for i, content := range contents {
		touchContent(t, s.Catalog, content)
		blob := catalogtest.File("", content)
		f := catalog.CopiedFile{
			ID: fmt.Sprintf("%s.%s", assetID, content), Name: content + ".bin", MD5: "1B2M2Y8AsgTpgAmY7PhCfg==", Type: "bin", Category: "OTHER",
			SHA256: blob.SHA256, Size: blob.Size,
		}
		if i == 0 {
			f.Category = catalog.MainCategory
		}
		cp.Files = append(cp.Files, f)
	}
	return cp
}

func begin(t *testing.T, c *catalog.Catalog, cp catalog.Copy) {
	t.Helper()
	require.NoError(t, c.CheckCopy(ctx, cp.CopyTarget))
	require.NoError(t, c.BeginCopy(ctx, cp.CopyTarget))
}

func commit(t *testing.T, c *catalog.Catalog, cp catalog.Copy) catalog.CopyResult {
	t.Helper()
	result, err := c.CommitCopy(ctx, cp)
	require.NoError(t, err)
	return result
}

func endAs(t *testing.T, c *catalog.Catalog, jobID string, state catalog.JobState, reasons ...catalog.Reason) {
	t.Helper()
	_, err := c.EndJob(ctx, jobID, catalog.JobOutcome{State: state, Reasons: reasons})
	require.NoError(t, err)
}

func TestCopyMakesTheAsset(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		id := "0199f2c4aaaa7bbbccccddddeeee0001" // the source's form, kept
		cp := copyOf(t, s, id, "body", "cover")
		begin(t, c, cp)
		shown := readDigital(t, s, id)
		require.Equal(t, catalog.DigitalCreating, shown.State)
		require.Equal(t, 1, shown.VersionNumber)
		require.Equal(t, "Anna", shown.Name)
		require.Empty(t, shown.Files)
		begin(t, c, cp)
		require.Equal(t, shown, readDigital(t, s, id))

		result := commit(t, c, cp)
		require.Equal(t, catalog.CopyResult{AssetID: id, VersionNumber: 2, Files: 2, Bytes: 9}, result)
		after := readDigital(t, s, id)
		require.Equal(t, catalog.DigitalActived, after.State)
		require.Equal(t, 2, after.VersionNumber)
		require.Len(t, after.Files, 2)
		require.Equal(t, catalog.DigitalFile{
			ID: cp.Files[0].ID, AssetID: id, ProjectID: s.Project.ID, Name: "body.bin", MD5: cp.Files[0].MD5, Type: "bin", Category: "MAIN", Size: 4,
			State: catalog.FileCreated, SHA256: cp.Files[0].SHA256, CreatedAt: after.UpdatedAt, UpdatedAt: after.UpdatedAt,
		}, after.Files[0])
		job, err := c.Job(ctx, cp.JobID)
		require.NoError(t, err)
		require.Equal(t, catalog.JobSucceeded, job.State)
		var kept catalog.CopyResult
		require.NoError(t, json.Unmarshal(job.Result, &kept))
		require.Equal(t, result, kept)

		// Everything again, in any order, changes nothing.
		require.Equal(t, result, commit(t, c, cp))
		begin(t, c, cp)
		require.NoError(t, c.FailCopy(ctx, cp.JobID, id, "too late"))
		endAs(t, c, cp.JobID, catalog.JobFailed)
		require.Equal(t, after, readDigital(t, s, id))
		require.Equal(t, []string{"asset.added"}, trail(t, c, id))
		require.Equal(t, []string{"job.started", "job.ended"}, trail(t, c, cp.JobID))
		versions, err := c.ListDigitalVersions(ctx, s.Project.ID, id)
		require.NoError(t, err)
		require.Equal(t, cp.JobID, versions[0].JobID)
		require.Equal(t, s.User.ID, versions[0].CreatedBy)

		// Nobody else's.
		theirs := copyOf(t, other, id, "body")
		requireFault(t, c.CheckCopy(ctx, theirs.CopyTarget), fault.Conflict, "catalog.asset_elsewhere")
		requireFault(t, c.BeginCopy(ctx, theirs.CopyTarget), fault.Conflict, "catalog.asset_elsewhere")
		_, err = c.CommitCopy(ctx, theirs)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		require.NoError(t, c.FailCopy(ctx, theirs.JobID, id, "theirs"))
		require.Equal(t, after, readDigital(t, s, id))
		app := s.Import(t, shop()).Assets[0].ID
		requireFault(t, c.BeginCopy(ctx, copyOf(t, s, app, "body").CopyTarget), fault.Conflict, "catalog.asset_elsewhere")
		files := copyOf(t, other, "another", "x")
		files.Files[0].ID = cp.Files[0].ID
		begin(t, c, files)
		_, err = c.CommitCopy(ctx, files)
		requireFault(t, err, fault.Conflict, "catalog.file_elsewhere")
	})
}

func TestCopyAgain(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		first := copyOf(t, s, "a1", "body", "cover")
		begin(t, c, first)
		commit(t, c, first)
		before := readDigital(t, s, "a1")

		// Equal: the order of the files does not matter.
		equal := copyOf(t, s, "a1", "body", "cover")
		equal.Files[0], equal.Files[1] = equal.Files[1], equal.Files[0]
		begin(t, c, equal)
		during := readDigital(t, s, "a1")
		require.Equal(t, catalog.DigitalCreating, during.State)
		require.Equal(t, before.Files, during.Files, "until the commit")
		require.Equal(t, catalog.CopyResult{AssetID: "a1", VersionNumber: 2, Files: 2, Bytes: 9, Unchanged: true}, commit(t, c, equal))
		after := readDigital(t, s, "a1")
		require.True(t, after.UpdatedAt.After(before.UpdatedAt))
		after.UpdatedAt = before.UpdatedAt
		require.Equal(t, before, after)

		// Changed here and there: it becomes equal to the source again.
		require.NoError(t, c.DeleteDigitalFile(ctx, s.User.ID, s.Project.ID, first.Files[0].ID))
		addFile(t, s, "a1", "MAIN", "own body")
		pending := newFile(t, s, "a1", "PAGE", "page")
		changed := copyOf(t, s, "a1", "body", "page")
		changed.Metadata.Name = "Bea"
		begin(t, c, changed)
		require.Equal(t, catalog.CopyResult{AssetID: "a1", VersionNumber: 5, Files: 2, Bytes: 8}, commit(t, c, changed))
		after = readDigital(t, s, "a1")
		require.Equal(t, catalog.DigitalActived, after.State)
		require.Equal(t, "Bea", after.Name)
		require.Len(t, after.Files, 2)
		require.Equal(t, []string{"a1.body", "a1.page"}, []string{after.Files[0].ID, after.Files[1].ID})
		f, err := c.DigitalFile(ctx, s.Project.ID, pending.ID)
		require.NoError(t, err)
		require.Equal(t, catalog.FileCancelled, f.State)
		_, err = c.DigitalFile(ctx, s.Project.ID, "a1.cover")
		requireFault(t, err, fault.NotFound, "catalog.file_not_found")
	})
}

func TestCopyIsRefused(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		for name, wrong := range map[string]func(*catalog.Copy){
			"no id":         func(cp *catalog.Copy) { cp.AssetID = "" },
			"long id":       func(cp *catalog.Copy) { cp.AssetID = strings.Repeat("a", 65) },
			"id of a path":  func(cp *catalog.Copy) { cp.AssetID = "../a" },
			"hidden id":     func(cp *catalog.Copy) { cp.AssetID = ".." },
			"no name":       func(cp *catalog.Copy) { cp.Metadata.Name = "" },
			"tags":          func(cp *catalog.Copy) { cp.Metadata.Tags = make([]string, 51) },
			"no main":       func(cp *catalog.Copy) { cp.Files[0].Category = "COVER" },
			"two main":      func(cp *catalog.Copy) { cp.Files[1].Category = "MAIN" },
			"no files":      func(cp *catalog.Copy) { cp.Files = nil },
			"file twice":    func(cp *catalog.Copy) { cp.Files[1].ID = cp.Files[0].ID },
			"file id":       func(cp *catalog.Copy) { cp.Files[1].ID = "a/b" },
			"file name":     func(cp *catalog.Copy) { cp.Files[1].Name = "\x00" },
			"digest":        func(cp *catalog.Copy) { cp.Files[1].SHA256 = "abc" },
			"size":          func(cp *catalog.Copy) { cp.Files[1].Size = -1 },
			"size of blob":  func(cp *catalog.Copy) { cp.Files[1].Size++ },
			"sizes differ":  func(cp *catalog.Copy) { cp.Files[1].SHA256 = cp.Files[0].SHA256 },
			"no category":   func(cp *catalog.Copy) { cp.Files[1].Category = "" },
			"too many":      func(cp *catalog.Copy) { cp.Files = make([]catalog.CopiedFile, catalog.MaxDigitalFiles+1) },
			"metadata text": func(cp *catalog.Copy) { cp.Metadata.Description = "\xff" },
		} {
			cp := copyOf(t, s, "a1", "body", "cover")
			require.NoError(t, c.BeginCopy(ctx, cp.CopyTarget))
			before := readDigital(t, s, "a1")
			wrong(&cp)
			_, err := c.CommitCopy(ctx, cp)
			require.Equal(t, fault.Invalid, fault.KindOf(err), "%s: %v", name, err)
			require.Equal(t, before, readDigital(t, s, "a1"), name)
			endAs(t, c, cp.JobID, catalog.JobFailed)
		}
		requireFault(t, c.CheckCopy(ctx, catalog.CopyTarget{ProjectID: s.Project.ID, AssetID: "a/b", Metadata: avatar("x")}), fault.Invalid, "catalog.bad_copy")
		requireFault(t, c.BeginCopy(ctx, catalog.CopyTarget{ProjectID: s.Project.ID, AssetID: "a", Metadata: avatar("")}), fault.Invalid, "catalog.bad_name")
		requireFault(t, c.CheckCopy(ctx, catalog.CopyTarget{ProjectID: "nowhere", AssetID: "a", Metadata: avatar("x")}), fault.NotFound, "catalog.project_not_found")
		requireFault(t, c.BeginCopy(ctx, catalog.CopyTarget{ProjectID: s.Project.ID, AssetID: "a", JobID: "none", Metadata: avatar("x")}), fault.NotFound, "catalog.job_not_found")

		// Blobs that a sweep has condemned, or that nobody touched.
		cp := copyOf(t, s, "a2", "fresh")
		cp.Metadata.Name = "Bea"
		begin(t, c, cp)
		cp.Files[0].SHA256 = catalogtest.File("", "untouched").SHA256
		_, err := c.CommitCopy(ctx, cp)
		requireFault(t, err, fault.NotFound, "catalog.blobs_not_found")
		require.NoError(t, c.SQL("UPDATE blobs SET stored_at = NULL, condemned_at = '2099-01-01 00:00:00.000000+00:00'"))
		cp.Files[0].SHA256 = catalogtest.File("", "fresh").SHA256
		_, err = c.CommitCopy(ctx, cp)
		requireFault(t, err, fault.NotFound, "catalog.blobs_not_found")
		touchContent(t, c, "fresh")
		commit(t, c, cp)
	})
}

func TestCopyAndNames(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		anna := newDigital(t, s, "Anna")
		cp := copyOf(t, s, "a1", "body")
		requireFault(t, c.CheckCopy(ctx, cp.CopyTarget), fault.Conflict, "catalog.name_taken")
		requireFault(t, c.BeginCopy(ctx, cp.CopyTarget), fault.Conflict, "catalog.name_taken")
		require.NoError(t, c.FailCopy(ctx, cp.JobID, "a1", "the name is taken"))
		_, err := c.DigitalAsset(ctx, s.Project.ID, "a1")
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, anna.ID))
		begin(t, c, cp)
		commit(t, c, cp)

		// The source was renamed, and the new name is given away here between begin and commit.
		renamed := copyOf(t, s, "a1", "body")
		renamed.Metadata.Name = "Bea"
		begin(t, c, renamed)
		bea := newDigital(t, s, "Bea")
		requireFault(t, c.CheckCopy(ctx, renamed.CopyTarget), fault.Conflict, "catalog.name_taken")
		before := readDigital(t, s, "a1")
		_, err = c.CommitCopy(ctx, renamed)
		requireFault(t, err, fault.Conflict, "catalog.name_taken")
		require.Equal(t, before, readDigital(t, s, "a1"))
		require.NoError(t, c.PurgeDigitalAsset(ctx, s.User.ID, s.Project.ID, bea.ID))
		require.Equal(t, 3, commit(t, c, renamed).VersionNumber)

		// Out of the trash, where the asset's own name or the new one may be taken.
		require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, "a1"))
		again := copyOf(t, s, "a1", "body", "cover")
		bea = newDigital(t, s, "Bea")
		requireFault(t, c.CheckCopy(ctx, again.CopyTarget), fault.Conflict, "catalog.name_taken")
		requireFault(t, c.BeginCopy(ctx, again.CopyTarget), fault.Conflict, "catalog.name_taken")
		require.Equal(t, catalog.DigitalDeleting, readDigital(t, s, "a1").State)
		require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, bea.ID))
		begin(t, c, again)
		shown := readDigital(t, s, "a1")
		require.Equal(t, catalog.DigitalCreating, shown.State)
		require.Nil(t, shown.DeletedAt)
		require.Equal(t, "Bea", shown.Name)
		commit(t, c, again)
		require.Equal(t, "Anna", readDigital(t, s, "a1").Name)
		require.Equal(t, []string{"asset.added", "asset.deleted", "asset.restored"}, trail(t, c, "a1"))
	})
}

func TestCopyFails(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		cp := copyOf(t, s, "a1", "body")
		begin(t, c, cp)
		for _, reason := range []string{"The source is gone.", "again"} {
			require.NoError(t, c.FailCopy(ctx, cp.JobID, "a1", reason))
			failed := readDigital(t, s, "a1")
			require.Equal(t, catalog.DigitalFailed, failed.State)
			require.Equal(t, "The source is gone.", failed.Reason)
		}
		begin(t, c, cp)
		require.Equal(t, catalog.DigitalFailed, readDigital(t, s, "a1").State, "a step that comes late")
		endAs(t, c, cp.JobID, catalog.JobFailed)
		requireFault(t, c.BeginCopy(ctx, cp.CopyTarget), fault.Conflict, "catalog.job_ended")
		_, err := c.CommitCopy(ctx, cp)
		requireFault(t, err, fault.Conflict, "catalog.job_ended")
		require.Equal(t, catalog.DigitalFailed, readDigital(t, s, "a1").State)

		second := copyOf(t, s, "a1", "body")
		begin(t, c, second)
		require.Equal(t, catalog.DigitalCreating, readDigital(t, s, "a1").State)
		require.Empty(t, readDigital(t, s, "a1").Reason)
		commit(t, c, second)

		// Content from before stays, and can be made valid again.
		third := copyOf(t, s, "a1", "another")
		begin(t, c, third)
		long := strings.Repeat("ä", 600)
		require.NoError(t, c.FailCopy(ctx, third.JobID, "a1", long))
		failed := readDigital(t, s, "a1")
		require.Equal(t, strings.Repeat("ä", 512), failed.Reason)
		require.Len(t, failed.Files, 1)
		require.Equal(t, 2, failed.VersionNumber)
		restored, err := c.RestoreDigitalVersion(ctx, s.User.ID, s.Project.ID, "a1", 2)
		require.NoError(t, err)
		require.Equal(t, catalog.DigitalActived, restored.State)
		require.Equal(t, 2, restored.VersionNumber)
		commit(t, c, third)

		require.NoError(t, c.FailCopy(ctx, third.JobID, "nothing", "x"))
		require.NoError(t, c.FailCopy(ctx, "none", "a1", "x"))
		require.Equal(t, catalog.DigitalActived, readDigital(t, s, "a1").State)
	})
}

// Whoever ends the job of a copy, no asset stays CREATING for it.
func TestCopyWhoseJobEndsOtherwise(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		for i, end := range []struct {
			reason string
			do     func(jobID string)
		}{
			{"The copy was cancelled.", func(id string) { endAs(t, c, id, catalog.JobCancelled) }},
			{"The copy has ended before its time.", func(id string) { endAs(t, c, id, catalog.JobFailed) }},
			{"It was terminated.", func(id string) {
				endAs(t, c, id, catalog.JobFailed, catalog.Reason{Message: "It was terminated."}, catalog.Reason{Message: "no"})
			}},
			{"The copy failed.", func(id string) { endAs(t, c, id, catalog.JobFailed, catalog.Reason{Message: "a\x00"}) }},
			{"The copy has ended before its time.", func(id string) { require.NoError(t, c.DeleteJob(ctx, id)) }},
		} {
			cp := copyOf(t, s, fmt.Sprint("a", i), "body")
			cp.Metadata.Name = fmt.Sprint("Anna ", i)
			begin(t, c, cp)
			end.do(cp.JobID)
			asset := readDigital(t, s, cp.AssetID)
			require.Equal(t, catalog.DigitalFailed, asset.State)
			require.Equal(t, end.reason, asset.Reason)
			_, err := c.CommitCopy(ctx, cp)
			require.Error(t, err)
			require.Equal(t, asset, readDigital(t, s, cp.AssetID))
		}
		// Jobs of other kinds end as ever.
		endAs(t, c, s.NewJob(t), catalog.JobCancelled)
	})
}

func TestCopyAndAnotherThatBeganMeanwhile(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		state := func() catalog.DigitalState { return readDigital(t, s, "a1").State }

		older, newer := copyOf(t, s, "a1", "old"), copyOf(t, s, "a1", "new")
		begin(t, c, older)
		begin(t, c, newer)
		begin(t, c, older) // a step tried again takes nothing back
		require.NoError(t, c.FailCopy(ctx, older.JobID, "a1", "no"))
		require.Equal(t, catalog.DigitalCreating, state())
		endAs(t, c, older.JobID, catalog.JobFailed)
		require.Equal(t, catalog.DigitalCreating, state())
		commit(t, c, newer)
		require.Equal(t, catalog.DigitalActived, state())

		// The older one may finish first: the asset stays CREATING for the newer.
		older, newer = copyOf(t, s, "a1", "older"), copyOf(t, s, "a1", "newer")
		begin(t, c, newer)
		begin(t, c, older) // and may begin last
		require.Equal(t, 3, commit(t, c, older).VersionNumber)
		require.Equal(t, catalog.DigitalCreating, state())
		require.Equal(t, "a1.older", readDigital(t, s, "a1").Files[0].ID)
		require.Equal(t, 4, commit(t, c, newer).VersionNumber)
		require.Equal(t, catalog.DigitalActived, state())

		// But not put old content over new one.
		older, newer = copyOf(t, s, "a1", "first"), copyOf(t, s, "a1", "second")
		begin(t, c, older)
		begin(t, c, newer)
		commit(t, c, newer)
		before := readDigital(t, s, "a1")
		_, err := c.CommitCopy(ctx, older)
		requireFault(t, err, fault.Conflict, "catalog.copy_overtaken")
		require.NoError(t, c.FailCopy(ctx, older.JobID, "a1", "overtaken"))
		endAs(t, c, older.JobID, catalog.JobFailed)
		require.Equal(t, before, readDigital(t, s, "a1"))

		// Where the newer one failed, the older makes the asset whole.
		older, newer = copyOf(t, s, "a1", "third"), copyOf(t, s, "a1", "fourth")
		begin(t, c, older)
		begin(t, c, newer)
		endAs(t, c, newer.JobID, catalog.JobCancelled)
		require.Equal(t, catalog.DigitalFailed, state())
		commit(t, c, older)
		require.Equal(t, catalog.DigitalActived, state())
		require.Empty(t, readDigital(t, s, "a1").Reason)
	})
}

func TestCopyAndTheTrash(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		cp := copyOf(t, s, "a1", "body")
		begin(t, c, cp)
		require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, "a1"))
		begin(t, c, cp) // the user's deletion stands
		require.Equal(t, catalog.DigitalDeleting, readDigital(t, s, "a1").State)
		_, err := c.CommitCopy(ctx, cp)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		restored, err := c.RestoreDigitalAsset(ctx, s.User.ID, s.Project.ID, "a1")
		require.NoError(t, err)
		require.Equal(t, catalog.DigitalCreating, restored.State)
		require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, "a1"))
		require.NoError(t, c.FailCopy(ctx, cp.JobID, "a1", "It was deleted."))
		restored, err = c.RestoreDigitalAsset(ctx, s.User.ID, s.Project.ID, "a1")
		require.NoError(t, err)
		require.Equal(t, catalog.DigitalFailed, restored.State)
		require.Equal(t, "It was deleted.", restored.Reason)

		require.NoError(t, c.PurgeDigitalAsset(ctx, s.User.ID, s.Project.ID, "a1"))
		_, err = c.CommitCopy(ctx, cp)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		require.NoError(t, c.FailCopy(ctx, cp.JobID, "a1", "no"))
		endAs(t, c, cp.JobID, catalog.JobFailed)
	})
}

// What a user does to an asset that is being copied does not end the copy.
func TestCopyAndTheUser(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		cp := copyOf(t, s, "a1", "body")
		begin(t, c, cp)
		own := addFile(t, s, "a1", "MAIN", "own")
		require.Equal(t, catalog.DigitalCreating, readDigital(t, s, "a1").State)
		_, err := c.UpdateDigitalAsset(ctx, s.User.ID, s.Project.ID, "a1", func(m *catalog.DigitalMetadata) error { m.Name = "Own"; return nil })
		require.NoError(t, err)
		require.Equal(t, catalog.DigitalCreating, readDigital(t, s, "a1").State)
		require.Equal(t, 4, commit(t, c, cp).VersionNumber)
		after := readDigital(t, s, "a1")
		require.Equal(t, "Anna", after.Name)
		require.Len(t, after.Files, 1)
		_, err = c.DigitalFile(ctx, s.Project.ID, own.ID)
		requireFault(t, err, fault.NotFound, "catalog.file_not_found")
	})
}

func TestCopyAtOnce(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		for range 5 {
			s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
			id := catalog.NewID()
			const n = 4
			copies := make([]catalog.Copy, n)
			for i := range n {
				copies[i] = copyOf(t, s, id, "body", fmt.Sprint("cover-", i))
			}
			theirs := copyOf(t, other, id, "body")
			var all sync.WaitGroup
			errs := make([]error, n)
			for i := range n {
				all.Go(func() { errs[i] = c.BeginCopy(ctx, copies[i].CopyTarget) })
			}
			all.Wait()
			require.NoError(t, errors.Join(errs...))
			requireFault(t, c.BeginCopy(ctx, theirs.CopyTarget), fault.Conflict, "catalog.asset_elsewhere")
			require.Equal(t, catalog.DigitalCreating, readDigital(t, s, id).State)
			results := make([]catalog.CopyResult, 2*n)
			ends := make([]error, 2*n)
			for i := range 2 * n { // each twice
				all.Go(func() { results[i], ends[i] = c.CommitCopy(ctx, copies[i%n]) })
			}
			all.Wait()
			for i, err := range ends {
				if err != nil {
					requireFault(t, err, fault.Conflict, "catalog.copy_overtaken")
				}
				require.Equal(t, results[i], results[(i+n)%(2*n)])
			}
			require.NoError(t, ends[n-1])
			after := readDigital(t, s, id)
			require.Equal(t, catalog.DigitalActived, after.State)
			var files []string // in no certain order: what waited for another commit was made before it
			for _, f := range after.Files {
				files = append(files, f.ID)
			}
			require.ElementsMatch(t, []string{copies[n-1].Files[0].ID, copies[n-1].Files[1].ID}, files, "the one that began last")

			// One id in two projects at once.
			id = catalog.NewID()
			ours, theirs := copyOf(t, s, id, "body"), copyOf(t, other, id, "body")
			ours.Metadata.Name = "Bea"
			var oursErr, theirsErr error
			all.Go(func() { oursErr = c.BeginCopy(ctx, ours.CopyTarget) })
			all.Go(func() { theirsErr = c.BeginCopy(ctx, theirs.CopyTarget) })
			all.Wait()
			if oursErr == nil {
				requireFault(t, theirsErr, fault.Conflict, "catalog.asset_elsewhere")
			} else {
				requireFault(t, oursErr, fault.Conflict, "catalog.asset_elsewhere")
				require.NoError(t, theirsErr)
			}
		}
	})
}

func TestCopyStoppedAtAnyStep(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		cp := copyOf(t, s, "a1", "body", "cover")
		begin(t, c, cp)
		before := readDigital(t, s, "a1")
		killed := errors.New("killed")
		for _, at := range []string{"blobs", "files", "version", "version files", "copy", "effect", "job", "committed"} {
			c.SetFailpoint(func(step string) error {
				if step == at {
					return killed
				}
				return nil
			})
			_, err := c.CommitCopy(ctx, cp)
			require.ErrorIs(t, err, killed, at)
			if at != "committed" {
				require.Equal(t, before, readDigital(t, s, "a1"), at)
			}
		}
		c.SetFailpoint(func(string) error { return nil })
		require.Equal(t, 2, commit(t, c, cp).VersionNumber)
		require.Equal(t, 2, readDigital(t, s, "a1").VersionNumber)
	})
}

func TestCopyOfManyFiles(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		const n = 5000
		contents := []string{"body"}
		cp := copyOf(t, s, "a1", contents...)
		blobs := make([]catalog.Blob, n)
		for i := range n {
			f := catalogtest.File("", fmt.Sprint(i))
			blobs[i] = catalog.Blob{SHA256: f.SHA256, Size: f.Size}
			cp.Files = append(cp.Files, catalog.CopiedFile{ID: catalog.NewID(), Name: fmt.Sprint(i), Category: "OTHER", SHA256: f.SHA256, Size: f.Size})
		}
		_, err := c.TouchBlobs(ctx, blobs)
		require.NoError(t, err)
		begin(t, c, cp)
		began := time.Now()
		require.Equal(t, n+1, commit(t, c, cp).Files)
		t.Logf("%d files committed in %v", n+1, time.Since(began))
		require.Len(t, readDigital(t, s, "a1").Files, n+1)
	})
}
