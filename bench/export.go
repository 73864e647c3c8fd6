package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	assetclient "assetflow/client"
	"assetflow/storage"
)

// exportedAssets is how many assets the exported bytes belong to.
const exportedAssets = 16

// exportPace is how often the caller asks for the end of an export, which takes some seconds.
const exportPace = 50 * time.Millisecond

// benchExport compares exports with a plain GET and a plain PUT of the same bytes, and the download of the archive with
// a plain GET of it.
func benchExport(ctx context.Context, s *stack, z sizes, out io.Writer) error {
	path, pkg := filepath.Join(s.dir, "package.zip"), spec(serial.Add(1), exportedAssets, z.exportBytes)
	size, err := buildPackageFile(path, pkg)
	if err != nil {
		return err
	}
	caller, _, err := s.caller(ctx, "exporter")
	if err != nil {
		return err
	}
	_, job, err := s.upload(ctx, caller, path, size, "")
	if err != nil {
		return err
	}
	if err := awaitJob(ctx, caller, job, lengthening); err != nil {
		return err
	}
	chosen, err := imported(ctx, caller, pkg)
	if err != nil {
		return err
	}

	var exports, puts, gets, downloads, archiveGets []float64
	rate := func(d time.Duration) float64 { return float64(size) / (1 << 20) / d.Seconds() }
	for range z.exports {
		took, err := s.plainPut(ctx, s.s3(), path)
		if err != nil {
			return err
		}
		puts = append(puts, rate(took))
		if took, err = s.plainGet(ctx, plainKey); err != nil {
			return err
		}
		gets = append(gets, rate(took))

		begin := time.Now()
		id, err := caller.StartExport(ctx, chosen, assetclient.StartOptions{})
		if err != nil {
			return err
		}
		if err := awaitJob(ctx, caller, id, every(exportPace)); err != nil {
			return err
		}
		exports = append(exports, rate(time.Since(begin)))

		if id, err = assetclient.CanonicalJobID(id); err != nil {
			return err
		}
		if took, err = s.plainGet(ctx, storage.ArchiveKey(s.Credentials.ProjectID, id)); err != nil {
			return err
		}
		archiveGets = append(archiveGets, rate(took))
		ended, err := caller.Job(ctx, id)
		if err != nil {
			return err
		}
		begin = time.Now()
		archive, err := caller.DownloadArchive(ctx, ended.ArchiveID, io.Discard, nil)
		if err != nil {
			return err
		}
		downloads = append(downloads, rate(time.Since(begin)))
		if archive.Size != size {
			return fmt.Errorf("the archive has %d bytes, the package that was imported %d", archive.Size, size)
		}
	}
	table(out, fmt.Sprintf("(f) Export of %s beside a plain GET and a plain PUT of the same bytes, median of %d", mib(size), z.exports),
		[]string{"export", "plain GET", "plain PUT", "ratio to GET", "ratio to PUT"}, [][]string{{
			mibs(median(exports)), mibs(median(gets)), mibs(median(puts)),
			fmt.Sprintf("**%.2f**", median(exports)/median(gets)), fmt.Sprintf("**%.2f**", median(exports)/median(puts)),
		}})
	table(out, fmt.Sprintf("(f) Download of the archive beside a plain GET of it, median of %d", z.exports),
		[]string{"through the API", "plain GET", "ratio"}, [][]string{{
			mibs(median(downloads)), mibs(median(archiveGets)), fmt.Sprintf("**%.2f**", median(downloads)/median(archiveGets)),
		}})
	return nil
}

func mibs(rate float64) string { return fmt.Sprintf("%.0f MiB/s", rate) }

// plainGet reads an object as fast as the SDK gives it, and compares it with nothing.
func (s *stack) plainGet(ctx context.Context, key string) (time.Duration, error) {
	begin := time.Now()
	object, err := s.s3().GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(s.Storage.Bucket), Key: aws.String(key)})
	if err != nil {
		return 0, err
	}
	defer func() { _ = object.Body.Close() }()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, object.Body, make([]byte, 256<<10)) // as the client of our API reads
	return time.Since(begin), err
}
