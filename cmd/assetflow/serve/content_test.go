package serve_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/cmd/assetflow/serve"
	"assetflow/fault"
	"assetflow/storage"
)

// TestCheckContent compares a bucket with a catalog, whole and in pieces.
func TestCheckContent(t *testing.T) {
	b := open(t, machines(t))
	require.NoError(t, b.Catalog.Migrate(t.Context()))
	_, err := b.CheckContent(t.Context(), serve.ContentOptions{})
	require.Equal(t, "storage.no_bucket", fault.CodeOf(err))
	require.NoError(t, b.Storage.EnsureBucket(t.Context()))
	scene := catalogtest.NewScene(t, b.Catalog)
	put := func(key, content string) {
		bucket := b.Storage.Bucket()
		_, err := b.Storage.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(content)})
		require.NoError(t, err)
	}
	var files []catalog.File
	for _, content := range []string{"kept", "missing", "short", "damaged", "unused"} {
		f := catalogtest.File(content, content)
		put(storage.BlobKey(f.SHA256), content)
		files = append(files, f)
	}
	scene.Import(t, catalog.Import{Applications: []catalog.ImportAsset{{SourceID: "a", Name: "A", Files: files[:4]}}})
	trashed := scene.Import(t, catalog.Import{Applications: []catalog.ImportAsset{{SourceID: "b", Name: "B", Files: files[4:]}}})
	ids := []string{trashed.Assets[0].ID}
	_, err = b.Catalog.CommitDeletion(t.Context(), catalog.Deletion{
		JobID: scene.NewJob(t), ProjectID: scene.Project.ID, InstanceID: scene.Instance.ID, UserID: scene.User.ID, Applications: ids,
	})
	require.NoError(t, err)
	_, err = b.Catalog.PurgeAssets(t.Context(), scene.Project.ID, scene.Instance.ID, ids, scene.User.ID)
	require.NoError(t, err)
	put(storage.BlobKey(strings.Repeat("0", 64)), "unknown")
	put(storage.BlobKey(strings.Repeat("f", 64)), "unknown, too")
	archives := make([]string, 2)
	for i := range archives {
		job := scene.NewJob(t)
		content := catalogtest.File("", "archive")
		_, err := b.Catalog.CommitExport(t.Context(), catalog.ExportCommit{JobID: job, ProjectID: scene.Project.ID, Archive: catalog.Archive{
			ID: job, InstanceID: scene.Instance.ID, UserID: scene.User.ID, FileName: "a.zip", SHA256: content.SHA256, Size: content.Size,
			ExpiresAt: time.Now().Add(time.Hour),
		}})
		require.NoError(t, err)
		archives[i] = storage.ArchiveKey(scene.Project.ID, job)
		put(archives[i], "archive")
	}

	looked := 0
	whole := serve.ContentReport{Blobs: 5, Archives: 2, Bytes: 4 + 7 + 5 + 7 + 6 + 7 + 7, Unknown: 2, Findings: []serve.ContentFinding{}}
	for _, read := range []bool{false, true} {
		report, err := b.CheckContent(t.Context(), serve.ContentOptions{Read: read, Progress: func(n int) { looked = n }})
		require.NoError(t, err)
		require.Equal(t, whole, report)
		require.Equal(t, 7, looked)
	}

	key := func(i int) string { return storage.BlobKey(files[i].SHA256) }
	require.NoError(t, b.Storage.DeleteBlob(t.Context(), files[1].SHA256))
	put(key(2), "sho")
	put(key(3), "dAmaged")
	require.NoError(t, b.Storage.DeleteBlob(t.Context(), files[4].SHA256))
	require.NoError(t, b.Storage.DeleteArchive(t.Context(), archives[1]))
	want := []serve.ContentFinding{
		{Key: key(1), What: serve.ContentMissing, Used: true}, {Key: key(2), What: serve.ContentDamaged, Used: true},
		{Key: key(4), What: serve.ContentMissing}, {Key: archives[1], What: serve.ContentMissing, Used: true},
	}
	report, err := b.CheckContent(t.Context(), serve.ContentOptions{})
	require.NoError(t, err)
	require.ElementsMatch(t, want, report.Findings)
	want = append(want, serve.ContentFinding{Key: key(3), What: serve.ContentDamaged, Used: true})
	report, err = b.CheckContent(t.Context(), serve.ContentOptions{Read: true})
	require.NoError(t, err)
	require.ElementsMatch(t, want, report.Findings)

	// Mended, the same content is stored when it comes again.
	report, err = b.CheckContent(t.Context(), serve.ContentOptions{Read: true, Mend: true})
	require.NoError(t, err)
	require.Len(t, report.Findings, 5)
	for _, f := range report.Findings {
		require.Equal(t, f.Key != archives[1], f.Mended, f.Key)
	}
	var blobs []catalog.Blob
	for _, f := range files {
		blobs = append(blobs, catalog.Blob{SHA256: f.SHA256, Size: f.Size})
	}
	missing, err := b.Catalog.TouchBlobs(t.Context(), blobs)
	require.NoError(t, err)
	require.ElementsMatch(t, blobs[1:], missing)
	for _, f := range files[1:] {
		require.NoError(t, b.Storage.PutBlob(t.Context(), f.SHA256, f.Size, strings.NewReader(f.Path)))
	}
	report, err = b.CheckContent(t.Context(), serve.ContentOptions{Read: true})
	require.NoError(t, err)
	require.Equal(t, []serve.ContentFinding{want[3]}, report.Findings, "an archive comes of another export alone")
}
