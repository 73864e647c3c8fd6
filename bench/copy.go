package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"assetflow/auth"
	"assetflow/auth/signature"
	"assetflow/catalog"
	"assetflow/jobs"
	"assetflow/replication"
	"assetflow/storage"
)

const smallFile = 100 << 10

// benchCopy copies digital assets from one stack to another, beside a plain GET and PUT of the same bytes with the SDK,
// and watches the memory of the stack that copies.
func benchCopy(ctx context.Context, north *stack, z sizes, out io.Writer) error {
	south := &stack{number: 1, binary: north.binary, region: "south", args: []string{
		"--replication-key-ring-file", filepath.Join(north.dir, "data", "key-ring.json"),
		"--replication-sources", north.Storage.Endpoint,
	}}
	if _, err := south.start(ctx); err != nil {
		return err
	}
	defer func() { _ = south.stop() }()
	c, err := newCopier(ctx, north, south)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, kind := range []struct {
		files  int
		size   int64
		rounds int
		plain  func(context.Context, *stack, *stack, []blob) error
	}{
		{1, z.copyBytes, z.copies, plainStream}, {z.copyFiles, smallFile, 1, plainOneByOne},
	} {
		row, err := c.compare(ctx, kind.files, kind.size, kind.rounds, kind.plain)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	table(out, "(h) Copy of a digital asset from one stack to another beside a plain GET and PUT of the same bytes",
		[]string{"files", "of", "rounds", "copy", "plain", "ratio", "memory of the copying stack: idle", "peak", "above idle"}, rows)
	return nil
}

// blob is a file of an asset, in the source's bucket.
type blob struct {
	digest string
	size   int64
}

// copier copies from one stack to another.
type copier struct {
	north, south                 *stack
	source                       *storage.Store
	keys                         *replication.KeyRing
	userID, accessKey, secretKey string
}

func newCopier(ctx context.Context, north, south *stack) (*copier, error) {
	c := &copier{north: north, south: south}
	var err error
	if c.source, err = storage.Open(ctx, north.Storage); err != nil {
		return nil, err
	}
	if c.keys, err = replication.ParseKeyRing(north.KeyRing); err != nil {
		return nil, err
	}
	user, err := south.auth.AddUser(ctx, south.Credentials.Domain, "copier", rand.Text())
	if err != nil {
		return nil, err
	}
	if err := south.auth.GrantRole(ctx, user.ID, south.Credentials.ProjectID, string(auth.RoleDevelop)); err != nil {
		return nil, err
	}
	c.userID = user.ID
	c.accessKey, c.secretKey, err = south.auth.AddAccessKey(ctx, user.ID)
	return c, err
}

// compare copies a new asset in each round, and then moves its bytes plainly.
func (c *copier) compare(ctx context.Context, files int, size int64, rounds int, plain func(context.Context, *stack, *stack, []blob) error) ([]string, error) {
	idle, _, err := c.south.resident()
	if err != nil {
		return nil, err
	}
	var ours, theirs []float64
	var peak int64
	mebibytes := float64(files) * float64(size) / (1 << 20)
	for range rounds {
		blobs, info, err := c.asset(ctx, files, size)
		if err != nil {
			return nil, err
		}
		if err := c.south.resetPeak(); err != nil {
			return nil, err
		}
		took, err := c.copy(ctx, info)
		if err != nil {
			return nil, err
		}
		ours = append(ours, mebibytes/took.Seconds())
		_, high, err := c.south.resident()
		if err != nil {
			return nil, err
		}
		peak = max(peak, high)
		begin := time.Now()
		if err := plain(ctx, c.north, c.south, blobs); err != nil {
			return nil, err
		}
		theirs = append(theirs, mebibytes/time.Since(begin).Seconds())
	}
	return []string{
		fmt.Sprint(files), fmt.Sprintf("%d KiB", size>>10), fmt.Sprint(rounds),
		fmt.Sprintf("%.0f MiB/s", median(ours)), fmt.Sprintf("%.0f MiB/s", median(theirs)),
		fmt.Sprintf("**%.2f**", median(ours)/median(theirs)), mib(idle), mib(peak), fmt.Sprintf("**%s**", mib(peak-idle)),
	}, nil
}

// asset puts files into the source's bucket and makes a replication info of them, as the source's API does. It is not
// part of the figure.
func (c *copier) asset(ctx context.Context, files int, size int64) ([]blob, []byte, error) {
	id := uuid.NewString()
	header := replication.ManifestHeader{AssetID: id, Files: files, Bytes: int64(files) * size}
	blobs := make([]blob, 0, files)
	lines := func(yield func(replication.ManifestFile, error) bool) {
		content := make([]byte, size)
		for i := range files {
			_, _ = rand.Read(content) // never fails
			sum, md := sha256.Sum256(content), md5.Sum(content)
			b := blob{hex.EncodeToString(sum[:]), size}
			blobs = append(blobs, b)
			err := c.source.PutBlob(ctx, b.digest, size, bytes.NewReader(content))
			link := ""
			if err == nil {
				link, err = c.source.PresignDownload(ctx, storage.BlobKey(b.digest), "", time.Hour)
			}
			line := replication.ManifestFile{
				FileID: uuid.NewString(), Name: fmt.Sprintf("file-%d", i), MD5: base64.StdEncoding.EncodeToString(md[:]), Size: size,
				SHA256: b.digest, Type: "bin", Category: "OTHER", URL: link,
			}
			if i == 0 {
				line.Category = catalog.MainCategory
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
	var manifest bytes.Buffer
	if err := replication.WriteManifest(&manifest, header, lines); err != nil {
		return nil, nil, err
	}
	key := storage.ManifestKey(c.north.Credentials.ProjectID, id, "1")
	length, digest, err := c.source.PutManifest(ctx, key, &manifest)
	if err != nil {
		return nil, nil, err
	}
	link, err := c.source.PresignDownload(ctx, key, "", time.Hour)
	if err != nil {
		return nil, nil, err
	}
	sealed, err := replication.Seal(c.keys, replication.Payload{
		SourceRegion: "north", ManifestURL: link, ManifestSHA256: digest, ManifestSize: length, IssuedAt: time.Now(),
		Metadata: replication.Metadata{Name: id, Type: "VIDEO"},
	}, id, time.Now().Add(time.Hour), nil)
	if err != nil {
		return nil, nil, err
	}
	info, err := json.Marshal(sealed)
	return blobs, info, err
}

// copy asks for the copy and waits until the next one could begin.
func (c *copier) copy(ctx context.Context, info []byte) (time.Duration, error) {
	begin := time.Now()
	url := c.south.Credentials.Endpoint + "/v1/" + c.south.Credentials.ProjectID + "/digital-assets-by-replication-info"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(info))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if err := signature.Sign(req, c.accessKey, c.secretKey, time.Now()); err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	text, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the copy was not taken: %s", text)
	}
	var result catalog.CopyResult
	run := c.south.temporal.GetWorkflow(ctx, jobs.WorkflowID(catalog.AssetCopy, c.south.Credentials.ProjectID, c.userID), "")
	err = run.Get(ctx, &result)
	return time.Since(begin), err
}

// plainStream streams each file from the one bucket to the other, with the SDK's transfer manager.
func plainStream(ctx context.Context, north, south *stack, blobs []blob) error {
	from, to := north.s3(), transfermanager.New(south.s3())
	for _, b := range blobs {
		got, err := from.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(north.Storage.Bucket), Key: aws.String(storage.BlobKey(b.digest))})
		if err != nil {
			return err
		}
		_, err = to.UploadObject(ctx, &transfermanager.UploadObjectInput{
			Bucket: aws.String(south.Storage.Bucket), Key: aws.String(plainKey), Body: got.Body,
		})
		_ = got.Body.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// plainFileKey spreads the files over folders as the content store does, which costs a server that keeps them in folders.
func plainFileKey(digest string) string {
	return "plain-files/" + digest[:2] + "/" + digest[2:4] + "/" + digest
}

// plainOneByOne moves one file after the other, each with a GET and a PUT.
func plainOneByOne(ctx context.Context, north, south *stack, blobs []blob) error {
	from, to := north.s3(), south.s3()
	for _, b := range blobs {
		got, err := from.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(north.Storage.Bucket), Key: aws.String(storage.BlobKey(b.digest))})
		if err != nil {
			return err
		}
		content, err := io.ReadAll(got.Body)
		_ = got.Body.Close()
		if err != nil {
			return err
		}
		if _, err := to.PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String(south.Storage.Bucket), Key: aws.String(plainFileKey(b.digest)), Body: bytes.NewReader(content),
		}); err != nil {
			return err
		}
	}
	return nil
}
