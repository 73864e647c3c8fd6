package faults

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage/servicetemplate"
	"assetflow/auth/signature"
	"assetflow/catalog"
	"assetflow/client"
)

// The kills of an import of service templates.
var templateKills = []kill{
	{Step: "InspectTemplates"},
	{Step: "StoreTemplates", Request: 5, When: "sent"},
	{Step: "StoreTemplates"},
	{Step: "CommitTemplates"},
	{Step: "EndJob", Request: 1, When: "answered"},
}

func TestAKilledWorkerLosesNoServiceTemplate(t *testing.T) {
	for i, k := range enough(templateKills) {
		t.Run(k.String(), func(t *testing.T) {
			cfg := newConfig(t)
			c := client.New(cfg)
			t.Cleanup(c.Close)
			// Large enough to go to the store in several parts, and no two cases share one.
			first, second := templateFile(t, "first", uint64(i), 9<<20), templateFile(t, "second", uint64(i), 1000)
			var bundle bytes.Buffer
			require.NoError(t, servicetemplate.WriteBundle(t.Context(), &bundle, []servicetemplate.BundleFile{
				{Name: "first.st", Write: func(w io.Writer) error { _, err := w.Write(first); return err }},
				{Name: "second.st", Write: func(w io.Writer) error { _, err := w.Write(second); return err }},
			}))
			answered := make(chan error, 1)
			request := templateRequest(t, cfg, bundle.Bytes())
			go func() { // it waits for the end, but not for ever: the job tells more
				resp, err := http.DefaultClient.Do(request)
				if err == nil {
					err = resp.Body.Close()
				}
				answered <- err
			}()

			killed := startWorker(t, k)
			require.Error(t, killed.Wait(), "the worker did not come to the point where it kills itself")
			require.Equal(t, syscall.SIGKILL, killed.ProcessState.Sys().(syscall.WaitStatus).Signal())
			page, err := c.ListJobs(t.Context(), client.JobFilter{})
			require.NoError(t, err)
			require.Len(t, page.Jobs, 1)
			require.Equal(t, client.JobRunning, page.Jobs[0].State)

			healthy := startWorker(t, kill{})
			job, err := c.WatchJob(t.Context(), page.Jobs[0].ID, nil)
			require.NoError(t, err)
			require.NoError(t, healthy.Process.Signal(syscall.SIGTERM))
			require.NoError(t, healthy.Wait())
			require.Equal(t, client.JobSucceeded, job.State, "%+v", job.Reasons)
			require.NoError(t, <-answered)
			requireTemplates(t, cfg.ProjectID, first, second)
		})
	}
}

// templateFile makes a .st with a file of random bytes.
func templateFile(t *testing.T, keyName string, seed uint64, size int) []byte {
	t.Helper()
	content := make([]byte, size)
	var key [32]byte
	copy(key[:], keyName)
	key[31] = byte(seed)
	_, _ = rand.NewChaCha8(key).Read(content) // never fails
	plugin := servicetemplate.Plugin{VendorID: "com.example", KeyName: "run", Version: "01.00.00"}
	m := servicetemplate.Manifest{
		KeyName: keyName, VendorID: "com.example", Version: "01.00.00", Steps: []servicetemplate.Step{{KeyName: "run", Plugin: plugin}},
	}
	var b bytes.Buffer
	err := servicetemplate.Write(t.Context(), &b, m, []string{"plugins/" + plugin.Folder() + "/data"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
	require.NoError(t, err)
	return b.Bytes()
}

func templateRequest(t *testing.T, cfg client.Config, bundle []byte) *http.Request {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "bundle.zip")
	require.NoError(t, err)
	_, err = part.Write(bundle)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		cfg.Endpoint+"/Automation/v1/services/ServiceTemplates/actions/import/invoke", &form)
	require.NoError(t, err)
	request.Header.Set("Content-Type", w.FormDataContentType())
	require.NoError(t, signature.Sign(request, cfg.AccessKey, cfg.SecretKey, time.Now()))
	return request
}

// requireTemplates proves that the project has just these templates, each in its first version with all its bytes, and
// nothing in staging.
func requireTemplates(t *testing.T, projectID string, files ...[]byte) {
	t.Helper()
	list, _, err := stack.Catalog().ListServiceTemplates(t.Context(), catalog.TemplateFilter{ProjectID: projectID})
	require.NoError(t, err)
	require.Len(t, list, len(files))
	for i, tmpl := range list {
		require.Equal(t, 1, tmpl.VersionNumber)
		require.True(t, tmpl.Latest)
		sum := sha256.Sum256(files[i])
		require.Equal(t, hex.EncodeToString(sum[:]), tmpl.SHA256)
		blob, _, err := stack.Storage().OpenBlob(t.Context(), tmpl.SHA256)
		require.NoError(t, err)
		content, err := io.ReadAll(blob)
		require.NoError(t, err)
		require.NoError(t, blob.Close())
		require.True(t, bytes.Equal(files[i], content))
	}
	for object, err := range stack.Storage().ListStaged(t.Context(), "staging/"+projectID+"/") {
		require.NoError(t, err)
		require.Fail(t, "left in staging", object.Key)
	}
}
