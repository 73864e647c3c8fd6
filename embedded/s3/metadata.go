package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/versity/versitygw/backend/meta"
)

// openMetadata chooses where the gateway keeps what S3 knows beyond an object's bytes: in extended attributes of
// the files under root or, where the file system has none, in the folder sidecar, which must lie outside root. A
// data folder that began with a sidecar keeps it, because the objects in it are known nowhere else.
func openMetadata(root, sidecar string) (meta.MetadataStorer, error) {
	switch _, err := os.Stat(sidecar); {
	case err == nil:
		return meta.NewSideCar(sidecar)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if attributesWork(root) {
		return meta.XattrMeta{}, nil
	}
	if err := os.MkdirAll(sidecar, 0o700); err != nil {
		return nil, fmt.Errorf("make the metadata folder: %w", err)
	}
	return meta.NewSideCar(sidecar)
}

// attributesWork tries an extended attribute on a file in dir. The gateway's own check only reads one, which
// succeeds on file systems that refuse to write it.
func attributesWork(dir string) bool {
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return false
	}
	defer func() { _, _ = f.Close(), os.Remove(f.Name()) }() // a probe that stays does no harm
	return meta.XattrMeta{}.StoreAttribute(f, "", "", "probe", []byte("probe")) == nil
}

// awaitHealth returns when url answers with 200.
func awaitHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("health: %s", resp.Status)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
