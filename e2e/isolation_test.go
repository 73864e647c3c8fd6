package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage/packagetest"
	"assetflow/client"
)

// What belongs to another project does not exist for a caller: neither its jobs nor its assets, on any path.
func TestOthersAreInvisible(t *testing.T) {
	t.Parallel()
	mine, theirs := newTenant(t), newTenant(t)
	job := theirs.imports(t, packagetest.Small("secret").Bytes(), client.ImportOptions{})
	page, err := theirs.ListAssets(t.Context(), client.AssetFilter{})
	require.NoError(t, err)
	asset := page.Assets[0].ID
	token := signIn(t, mine, "")
	native, roma := stack.Credentials().Endpoint+"/api/v1", stack.Credentials().Endpoint+"/v2/"
	canonical, err := client.CanonicalJobID(job.ID)
	require.NoError(t, err)

	for name, url := range map[string]string{
		"the job through its own project":   roma + theirs.project.ID + "/instances/" + theirs.instance.ID + "/assets/jobs/" + job.ID,
		"the job through my project":        roma + mine.project.ID + "/instances/" + mine.instance.ID + "/assets/jobs/" + job.ID,
		"the job through my path to theirs": roma + mine.project.ID + "/instances/" + theirs.instance.ID + "/assets/jobs/" + job.ID,
		"the job by its id":                 native + "/jobs/" + canonical,
		"their jobs":                        native + "/projects/" + theirs.project.ID + "/jobs",
		"their assets":                      native + "/projects/" + theirs.project.ID + "/instances/" + theirs.instance.ID + "/assets",
		"their instance in my project":      native + "/projects/" + mine.project.ID + "/instances/" + theirs.instance.ID + "/assets",
		"their asset in my instance":        native + "/projects/" + mine.project.ID + "/instances/" + mine.instance.ID + "/assets/" + asset,
	} {
		t.Run(name, func(t *testing.T) {
			status, _, body := call(t, http.MethodGet, url, nil, map[string]string{"X-Auth-Token": token})
			require.Equal(t, http.StatusNotFound, status, body)
			require.NotContains(t, body, "secret")
		})
	}
	t.Run("cancelling their job", func(t *testing.T) {
		status, _, body := call(t, http.MethodPost, native+"/jobs/"+canonical+"/cancel", nil, map[string]string{"X-Auth-Token": token})
		require.Equal(t, http.StatusNotFound, status, body)
	})
}

// A connection that breaks in the middle of an upload leaves no object, no unfinished upload and no job.
func TestUploadBrokenHalfway(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	token := signIn(t, tn, tn.project.ID)
	address := strings.TrimPrefix(stack.Credentials().Endpoint, "http://")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "POST /v2/%s/instances/%s/assets/import HTTP/1.1\r\nHost: %s\r\nX-Auth-Token: %s\r\n"+
		"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n"+
		"--b\r\nContent-Disposition: form-data; name=\"ImportAssetRequestBody\"; filename=\"big.zip\"\r\n\r\n",
		tn.project.ID, tn.instance.ID, address, token, 200<<20)
	require.NoError(t, err)
	// Enough that parts have been sent on to the store.
	_, err = io.CopyN(conn, zeros{}, 60<<20)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		for range stack.Storage().ListUnfinishedUploads(t.Context(), "staging/"+tn.project.ID+"/") {
			return true
		}
		return false
	}, time.Minute, 10*time.Millisecond, "the upload never began")
	require.NoError(t, conn.Close())

	require.Eventually(t, func() bool {
		for range stack.Storage().ListUnfinishedUploads(t.Context(), "staging/"+tn.project.ID+"/") {
			return false
		}
		return true
	}, time.Minute, 50*time.Millisecond, "the unfinished upload stays")
	tn.requireNothingStaged(t)
	page, err := tn.ListJobs(t.Context(), client.JobFilter{})
	require.NoError(t, err)
	require.Empty(t, page.Jobs)
	tn.imports(t, packagetest.Small("after").Bytes(), client.ImportOptions{})
}

// A refusal comes before the transfer: a caller who waits for "100 Continue" sends nothing.
func TestARefusedCallerSendsNothing(t *testing.T) {
	t.Parallel()
	address := strings.TrimPrefix(stack.Credentials().Endpoint, "http://")
	tn := newTenant(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /v2/%s/instances/%s/assets/import HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\n"+
		"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n",
		tn.project.ID, tn.instance.ID, address, 4<<30)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
