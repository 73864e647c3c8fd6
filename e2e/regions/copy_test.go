package regions

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"assetflow/devstack"
	"assetflow/replication"
	"assetflow/storage"
)

const mib = 1 << 20

// content is so many bytes that nobody else has.
func content(size int) []byte {
	data := make([]byte, size)
	_, _ = rand.Read(data)
	return data
}

// The tests restart the regions, so they run one after the other.

func TestCopy(t *testing.T) {
	from, to := north.newPerson(t), south.newPerson(t)
	id := from.newAsset("the film")
	main := from.upload(id, "main.mp4", "MAIN", content(10*mib+12345))
	from.upload(id, "cover.png", "COVER", content(100_000))
	twice := content(300)
	from.upload(id, "a.txt", "OTHER", twice)
	other := from.upload(id, "b.txt", "OTHER", twice)

	info := from.replicationInfo(id)
	first := to.copy(info)
	require.Contains(t, []string{"CREATING", "ACTIVED"}, to.show(id).AssetState)
	require.Equal(t, first, to.copy(info), "the same body is the same job")
	j := to.await(first)
	require.Equal(t, "succeeded", j.State, "%+v", j.Reasons)
	require.Equal(t, "asset-copy", j.Kind)
	require.Equal(t, 4, j.Result.Files)
	requireEqualAssets(t, from, to, id)
	require.Equal(t, first, to.copy(info), "also when it has ended")
	require.Equal(t, j.Result, to.job(first).Result)

	// Nothing has changed: no new version. Something has: a new version, and what is not there any more is not here either.
	again := to.copied(from.replicationInfo(id))
	require.NotEqual(t, first, again.ID)
	require.True(t, again.Result.Unchanged)
	require.Equal(t, j.Result.VersionNumber, again.Result.VersionNumber)
	from.call("PUT", "/digital-assets/"+id, object{"asset_name": "the film, cut", "tags": []string{}, "asset_order": 7}, nil)
	from.call("DELETE", "/files/"+other, nil, nil)
	from.call("DELETE", "/files/"+main, nil, nil)
	from.upload(id, "main.mp4", "MAIN", content(mib))
	changed := to.copied(from.replicationInfo(id))
	require.Equal(t, j.Result.VersionNumber+1, changed.Result.VersionNumber)
	require.Len(t, to.show(id).Files, 3)
	requireEqualAssets(t, from, to, id)
}

// The asset's id belongs to another project of the target region.
func TestCopyOfAnAssetThatBelongsToAnotherProject(t *testing.T) {
	from, to, other := north.newPerson(t), south.newPerson(t), south.newPerson(t)
	id := from.newAsset("the film")
	from.upload(id, "main.mp4", "MAIN", content(1000))
	info := from.replicationInfo(id)
	to.copied(info)
	require.Contains(t, other.refused(info, "MSS.00000003"), "belongs to another asset")
	a := other.send("GET", "/v1/"+other.project+"/digital-assets/"+id, nil)
	require.Equal(t, 400, a.status)
	require.Contains(t, string(a.body), "MSS.10001001")
	requireEqualAssets(t, from, to, id)
}

// The source region dies in the middle of a copy and comes back. Meanwhile the copy waits, and nobody starts another one.
func TestTheSourceRegionGoesAway(t *testing.T) {
	from, to := north.newPerson(t), south.newPerson(t)
	id, second := from.newAsset("the film"), from.newAsset("another")
	from.upload(id, "main.mp4", "MAIN", content(60*mib))
	from.upload(id, "cover.png", "COVER", content(1000))
	from.upload(second, "main.mp4", "MAIN", content(1000))
	info, another := from.replicationInfo(id), from.replicationInfo(second)
	running := to.copy(info)
	require.Eventually(t, func() bool {
		j := to.job(running)
		require.Equal(t, "running", j.State, "it ended too early for this test")
		return j.Step == "Copy the files" && j.Progress > 0.2
	}, time.Minute, 10*time.Millisecond)
	north.kill()
	t.Cleanup(func() {
		if north.cmd.ProcessState != nil {
			require.NoError(t, north.start())
		}
	})
	require.Contains(t, to.refused(another, "MSS.10001006"), running)
	require.Equal(t, running, to.copy(info))
	asset := to.show(id)
	require.Equal(t, "CREATING", asset.AssetState)
	require.Empty(t, asset.Files)
	before := to.job(running)
	require.Equal(t, "running", before.State)
	require.NoError(t, north.start())

	j := to.await(running)
	require.Equal(t, "succeeded", j.State, "%+v", j.Reasons)
	requireEqualAssets(t, from, to, id)
	to.copied(another)
	requireEqualAssets(t, from, to, second)
}

// Links that expire in the middle of a copy end it with a reason, and nothing is to be seen of what came before. The
// regions make links that last for 24 hours; these are made, in the north's name, for two seconds.
func TestLinksExpireInTheMiddle(t *testing.T) {
	to := south.newPerson(t)
	id, info, secrets := shortLived(t, 2*time.Second, content(5*throughput))
	running := to.copy(info)
	j := to.await(running)
	require.Equal(t, "failed", j.State)
	require.Len(t, j.Reasons, 1)
	require.Equal(t, "digital-asset", j.Reasons[0].ResourceType)
	asset := to.show(id)
	require.Equal(t, "FAILED", asset.AssetState)
	require.Equal(t, j.Reasons[0].Message, asset.Reason)
	require.Contains(t, asset.Reason, "expired")
	require.Contains(t, asset.Reason, "ask it for new replication info")
	require.Empty(t, asset.Files)
	requireNothingLeft(t, to)

	// Neither the log nor what Temporal keeps of the job lets anybody read the source.
	kept, err := filepath.Glob(filepath.Join(south.spec.DataDir, "temporal.db*"))
	require.NoError(t, err)
	var told []byte
	for _, name := range kept {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		told = append(told, text...)
	}
	require.Contains(t, string(told), "Copy 1 files (41943040 bytes)")
	log, err := os.ReadFile(south.logFile)
	require.NoError(t, err)
	require.Contains(t, string(log), running)
	for _, secret := range append(secrets, "X-Amz-Signature") {
		require.False(t, bytes.Contains(log, []byte(secret)), "a secret in the log")
		require.False(t, bytes.Contains(told, []byte(secret)), "a secret in the history")
		require.NotContains(t, asset.Reason, secret)
	}
}

// shortLived makes a replication info of one file whose links expire soon. secrets must stand in no log.
func shortLived(t *testing.T, lifetime time.Duration, data []byte) (id, info string, secrets []string) {
	t.Helper()
	ctx := t.Context()
	a, err := devstack.Attach(north.spec.DataDir)
	require.NoError(t, err)
	a.Storage.Region = north.spec.Region
	bucket, err := storage.Open(ctx, a.Storage)
	require.NoError(t, err)
	sum, md := sha256.Sum256(data), md5.Sum(data)
	digest := hex.EncodeToString(sum[:])
	require.NoError(t, bucket.PutBlob(ctx, digest, int64(len(data)), bytes.NewReader(data)))
	id = uuid.NewString()
	link, err := bucket.PresignDownload(ctx, storage.BlobKey(digest), "", lifetime)
	require.NoError(t, err)
	var manifest bytes.Buffer
	require.NoError(t, replication.WriteManifest(&manifest, replication.ManifestHeader{AssetID: id, Files: 1, Bytes: int64(len(data))},
		func(yield func(replication.ManifestFile, error) bool) {
			yield(replication.ManifestFile{
				FileID: uuid.NewString(), Name: "main.mp4", MD5: base64.StdEncoding.EncodeToString(md[:]), Size: int64(len(data)),
				SHA256: digest, Type: "mp4", Category: "MAIN", URL: link,
			}, nil)
		}))
	key := storage.ManifestKey("p", id, "1")
	size, manifestDigest, err := bucket.PutManifest(ctx, key, &manifest)
	require.NoError(t, err)
	manifestLink, err := bucket.PresignDownload(ctx, key, "", time.Hour)
	require.NoError(t, err)
	keys, err := replication.ParseKeyRing(north.spec.KeyRing)
	require.NoError(t, err)
	sealed, err := replication.Seal(keys, replication.Payload{
		SourceRegion: north.spec.Region, ManifestURL: manifestLink, ManifestSHA256: manifestDigest, ManifestSize: size,
		IssuedAt: time.Now(), Metadata: replication.Metadata{Name: "short-lived " + id, Type: "VIDEO"},
	}, id, time.Now().Add(time.Hour), nil)
	require.NoError(t, err)
	text, err := json.Marshal(sealed)
	require.NoError(t, err)
	return id, string(text), []string{sealed.AssetInfo[:60], link[len(link)-60:], manifestLink[len(manifestLink)-60:]}
}

// requireNothingLeft proves that the person's project has nothing in the south's staging, and that no upload is unfinished.
func requireNothingLeft(t *testing.T, p *person) {
	t.Helper()
	a, err := devstack.Attach(south.spec.DataDir)
	require.NoError(t, err)
	a.Storage.Region = south.spec.Region
	bucket, err := storage.Open(t.Context(), a.Storage)
	require.NoError(t, err)
	for o, err := range bucket.ListStaged(t.Context(), "staging/"+p.project+"/") {
		require.NoError(t, err)
		require.Fail(t, "left in staging", o.Key)
	}
	for u, err := range bucket.ListUnfinishedUploads(t.Context(), "") {
		require.NoError(t, err)
		require.Fail(t, "an unfinished upload", u.Key)
	}
}

// A key is replaced in three steps. What was sealed with a key is taken for as long as the key is known.
func TestKeysAreRotated(t *testing.T) {
	from, to := north.newPerson(t), south.newPerson(t)
	var ids, infos []string // sealed with the first key
	for _, name := range []string{"a", "b", "c"} {
		id := from.newAsset(name)
		from.upload(id, "main.mp4", "MAIN", content(1000))
		ids, infos = append(ids, id), append(infos, from.replicationInfo(id))
	}
	require.Contains(t, infos[0], `"key_id":"1"`)
	t.Cleanup(func() {
		north.restart(t, ring("1"))
		south.restart(t, ring("1"))
	})

	// Add: the target region knows the new key before anybody seals with it.
	south.restart(t, ring("1", "2"))
	to.copied(infos[0])
	requireEqualAssets(t, from, to, ids[0])
	// Make primary.
	north.restart(t, ring("2", "1"))
	sealed := from.replicationInfo(ids[2])
	require.Contains(t, sealed, `"key_id":"2"`)
	// Retire.
	south.restart(t, ring("2"))
	require.Contains(t, to.refused(infos[1], "MSS.00000003"), "key_id")
	to.copied(sealed)
	requireEqualAssets(t, from, to, ids[2])
}
