package rolling

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage/packagetest"
	"assetflow/client"
)

// An API that is told to stop in the middle of a long upload takes it to its end where that comes within the drain, and
// otherwise answers 503 and leaves nothing behind.
func TestALongUploadWhileItsAPIStops(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.startWorker("worker")
	pkg := packagetest.Spec{Name: "long", Applications: 1, FilesPerAsset: 3, FileBytes: 9 << 20, Seed: 1}.Bytes()
	for name, c := range map[string]struct {
		drain string
		ends  bool // the client sends the rest
	}{"within the drain": {"10m", true}, "beyond the drain": {"2s", false}} {
		t.Run(name, func(t *testing.T) {
			addr := s.startAPI("api", "ASSETFLOW_HTTP_DRAIN_TIMEOUT="+c.drain)
			caller, _ := s.newClient("http://" + addr)
			body := &halves{content: bytes.NewReader(pkg), first: int64(len(pkg) / 2), reached: make(chan struct{}), goOn: make(chan struct{})}
			type answer struct {
				id  string
				err error
			}
			answers := make(chan answer, 1)
			go func() {
				id, err := caller.Import(t.Context(), "long.zip", body, int64(len(pkg)), client.ImportOptions{})
				answers <- answer{id, err}
			}()
			<-body.reached
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				s.stop("api")
			}()
			s.await("no connection is taken any more", func() bool {
				conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
				if err == nil {
					_ = conn.Close()
				}
				return err != nil
			})
			if !c.ends {
				<-stopped // the API need not wait for the client
			}
			close(body.goOn)
			got := <-answers
			<-stopped
			if c.ends {
				require.NoError(t, got.err)
				s.startAPI("api")
				job, err := caller.WaitJob(t.Context(), got.id, nil)
				require.NoError(t, err)
				require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)
				s.stop("api")
			} else {
				var refused *client.Error
				require.True(t, errors.As(got.err, &refused), "%v", got.err)
				require.Equal(t, http.StatusServiceUnavailable, refused.Status)
				jobs, err := s.Catalog.ListUnsettledJobs(t.Context(), time.Now().Add(time.Hour), 10)
				require.NoError(t, err)
				require.Empty(t, jobs)
			}
			s.nothingStaged(t.Context())
		})
	}
}

func (s *stack) nothingStaged(ctx context.Context) {
	s.t.Helper()
	for object, err := range s.Storage.ListStaged(ctx, "") {
		require.NoError(s.t, err)
		require.Fail(s.t, "left in staging", object.Key)
	}
	for upload, err := range s.Storage.ListUnfinishedUploads(ctx, "") {
		require.NoError(s.t, err)
		require.Fail(s.t, "left unfinished", upload.Key)
	}
}

// halves gives the first bytes of a package, and the rest when it is told to.
type halves struct {
	content       *bytes.Reader
	first         int64
	reached, goOn chan struct{}
}

func (h *halves) Read(p []byte) (int, error) {
	if h.first == 0 {
		select {
		case <-h.reached:
		default:
			close(h.reached)
		}
		<-h.goOn
		return h.content.Read(p)
	}
	n, err := h.content.Read(p[:min(int64(len(p)), h.first)])
	h.first -= int64(n)
	if err == io.EOF {
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}
