package prodstack

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"
)

// startMinIO starts MinIO on one drive, as docker-compose.yml does.
func (s *Stack) startMinIO(ctx context.Context) error {
	p, err := s.begin(command{
		name: "minio", path: s.program("minio"), dir: s.opts.DataDir,
		args: []string{"server", "--quiet", "--address", s.addrs.s3, "--console-address", s.addrs.console, filepath.Join(s.opts.DataDir, "minio")},
		environ: []string{
			"PATH=/usr/bin:/bin", "HOME=" + s.opts.DataDir, "MINIO_UPDATE=off", "MINIO_BROWSER=off",
			"MINIO_ROOT_USER=" + s.secrets.S3.AccessKey, "MINIO_ROOT_PASSWORD=" + s.secrets.S3.SecretKey,
		},
	})
	if err != nil {
		return err
	}
	s.minio = p
	return p.await(ctx, answers("http://"+s.addrs.s3+"/minio/health/ready"))
}

// answers tells whether a GET of the URL is answered with 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		if err := answer.Body.Close(); err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%w: %s", errNotYet, answer.Status)
		}
		return nil
	}
}

// grace is how long a process may take to end; in docker-compose.yml it is stop_grace_period.
const grace = 30 * time.Second
