package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage/servicetemplate"
	"assetflow/client"
	"assetflow/worker/workertest"
)

const automation = "/Automation/v1/"

// st makes a service template with a file of a plug-in.
func st(t *testing.T, keyName, version, state, content string) []byte {
	t.Helper()
	plugin := servicetemplate.Plugin{VendorID: "com.example", KeyName: "run", Version: "01.00.00"}
	m := servicetemplate.Manifest{
		KeyName: keyName, VendorID: "com.example", Version: version, ReleaseState: state, Tags: []string{"e2e"},
		Steps: []servicetemplate.Step{{KeyName: "run", Plugin: plugin}},
	}
	var b bytes.Buffer
	err := servicetemplate.Write(t.Context(), &b, m, []string{"plugins/" + plugin.Folder() + "/run.sh"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	})
	require.NoError(t, err)
	return b.Bytes()
}

// automation makes a call as curl would, with name and password.
func (tn *tenant) automation(t *testing.T, method, path string, body io.Reader, kind string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, stack.Credentials().Endpoint+automation+path, body)
	require.NoError(t, err)
	req.SetBasicAuth("e2e/"+tn.user.Name, tn.password)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header, string(answer)
}

// importTemplates uploads a .st or .zip and waits for the answer.
func (tn *tenant) importTemplates(t *testing.T, name string, content []byte) (int, importAnswer) {
	t.Helper()
	body, kind := templateForm(t, name, content)
	status, _, text := tn.automation(t, http.MethodPost, "services/ServiceTemplates/actions/import/invoke", body, kind)
	var answer importAnswer
	require.NoError(t, json.Unmarshal([]byte(text), &answer), text)
	return status, answer
}

type importAnswer struct {
	InstanceID, State, MessageID, Message, MessageData string
	AffectedResource                                   []string
	Result                                             []struct{ Message, MessageID string }
}

func templateForm(t *testing.T, name string, content []byte) (io.Reader, string) {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", name)
	require.NoError(t, err)
	_, err = part.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return &form, w.FormDataContentType()
}

func (tn *tenant) templates(t *testing.T) (lines []string) {
	t.Helper()
	status, _, text := tn.automation(t, http.MethodGet, "objects/ServiceTemplates", nil, "")
	require.Equal(t, http.StatusOK, status, text)
	var list struct {
		Data []struct {
			KeyName, Version, ReleaseState string
			Latest                         bool
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &list))
	for _, tmpl := range list.Data {
		lines = append(lines, fmt.Sprintf("%s %s %s %v", tmpl.KeyName, tmpl.Version, tmpl.ReleaseState, tmpl.Latest))
	}
	return lines
}

// path gives what stands behind automation in the URL of a template.
func path(t *testing.T, url string) string {
	t.Helper()
	_, rest, ok := strings.Cut(url, automation)
	require.True(t, ok, url)
	return rest
}

func TestServiceTemplates(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	release := st(t, "deploy", "01.00.00", servicetemplate.Release, "echo one")
	status, answer := tn.importTemplates(t, "com.example_deploy_01.00.00.st", release)
	require.Equal(t, http.StatusOK, status, "%+v", answer)
	require.Equal(t, "success", answer.State)
	require.Len(t, answer.AffectedResource, 1)
	require.Equal(t, "KNAE03111-I", answer.Result[0].MessageID)
	job, err := tn.ShowJob(t.Context(), answer.InstanceID)
	require.NoError(t, err)
	require.Equal(t, "template-import", job.Kind)
	require.Equal(t, client.JobSucceeded, job.State)

	// What was imported comes back byte for byte.
	object := path(t, answer.AffectedResource[0])
	status, header, text := tn.automation(t, http.MethodPost, object+"/actions/export/invoke", nil, "")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, release, []byte(text))
	require.Equal(t, `attachment; filename="com.example_deploy_01.00.00.st"`, header.Get("Content-Disposition"))
	require.Regexp(t, "^HSSO .", header.Get("WWW-Authenticate"))

	// Again it changes nothing, and with other content it is refused.
	status, again := tn.importTemplates(t, "again.st", release)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, answer.AffectedResource, again.AffectedResource)
	status, refused := tn.importTemplates(t, "other.st", st(t, "deploy", "01.00.00", servicetemplate.Release, "echo two"))
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, []string{"KNAE90010-E", "other.st"}, []string{refused.MessageID, refused.MessageData})

	// A bundle comes in the archive's order, all or nothing; a debug build gives way.
	bundle := func(order ...[]byte) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for i, content := range order {
			entry, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%d.st", len(order)-i), Method: zip.Deflate})
			require.NoError(t, err)
			_, err = entry.Write(content)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		return b.Bytes()
	}
	stop, debug := st(t, "stop", "02.00.00", servicetemplate.Release, ""), st(t, "deploy", "01.10.00", servicetemplate.Debug, "a")
	status, both := tn.importTemplates(t, "both.zip", bundle(stop, debug))
	require.Equal(t, http.StatusOK, status, "%+v", both)
	require.Len(t, both.AffectedResource, 2)
	require.Contains(t, both.Result[0].Message, "name: 2.st)")
	status, _, text = tn.automation(t, http.MethodGet, path(t, both.AffectedResource[0]), nil, "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, `"keyName":"stop"`)
	want := []string{"deploy 01.00.00 release false", "stop 02.00.00 release true", "deploy 01.10.00 debug true"}
	require.Equal(t, want, tn.templates(t))
	status, _ = tn.importTemplates(t, "half.zip", bundle(st(t, "new", "01.00.00", servicetemplate.Release, ""), []byte("no template")))
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, want, tn.templates(t))
	status, replaced := tn.importTemplates(t, "debug.st", st(t, "deploy", "01.10.00", servicetemplate.Debug, "b"))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, both.AffectedResource[1], replaced.AffectedResource[0])

	for range 2 {
		status, _, _ = tn.automation(t, http.MethodDelete, path(t, replaced.AffectedResource[0]), nil, "")
		require.Equal(t, http.StatusNoContent, status)
	}
	require.Equal(t, []string{"deploy 01.00.00 release true", "stop 02.00.00 release true"}, tn.templates(t))
	status, _ = tn.importTemplates(t, "nothing.st", []byte("no zip"))
	require.Equal(t, http.StatusBadRequest, status)
	tn.requireNothingStaged(t)
}

// One import of a user runs at a time, also when nobody waits for it any more.
func TestServiceTemplatesOneAtATime(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	held := steps.Hold(t, tn.project.ID, "StoreTemplates", workertest.Before)
	ctx, hangUp := context.WithCancel(t.Context())
	body, kind := templateForm(t, "first.st", st(t, "first", "01.00.00", servicetemplate.Release, ""))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, stack.Credentials().Endpoint+automation+"services/ServiceTemplates/actions/import/invoke", body)
	require.NoError(t, err)
	req.SetBasicAuth("e2e/"+tn.user.Name, tn.password)
	req.Header.Set("Content-Type", kind)
	gone := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			err = errors.Join(errors.New("it was answered"), resp.Body.Close())
		}
		gone <- err
	}()
	held.Wait(t)
	second := st(t, "second", "01.00.00", servicetemplate.Release, "")
	status, refused := tn.importTemplates(t, "second.st", second)
	require.Equal(t, http.StatusConflict, status)
	require.Equal(t, "KNAE90011-E", refused.MessageID)
	job, err := tn.ShowJob(t.Context(), refused.MessageData)
	require.NoError(t, err)
	require.Equal(t, client.JobRunning, job.State)
	require.Equal(t, "Store the files", job.Step)
	hangUp()
	require.ErrorIs(t, <-gone, context.Canceled)

	held.Release()
	ended, err := tn.WatchJob(t.Context(), job.ID, nil)
	require.NoError(t, err)
	require.Equal(t, client.JobSucceeded, ended.State)
	status, _ = tn.importTemplates(t, "second.st", second)
	require.Equal(t, http.StatusOK, status)
	require.Len(t, tn.templates(t), 2)
	tn.requireNothingStaged(t)
}

// A cancelled import leaves nothing.
func TestServiceTemplatesCancelled(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"InspectTemplates", "StoreTemplates", "CommitTemplates"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			tn := newTenant(t)
			held := steps.Hold(t, tn.project.ID, step, workertest.Before)
			type result struct {
				status int
				answer importAnswer
			}
			answered := make(chan result, 1)
			content := st(t, "first", "01.00.00", servicetemplate.Release, step)
			go func() {
				status, answer := tn.importTemplates(t, "first.st", content)
				answered <- result{status, answer}
			}()
			held.Wait(t)
			page, err := tn.ListJobs(t.Context(), client.JobFilter{})
			require.NoError(t, err)
			require.Len(t, page.Jobs, 1)
			_, err = tn.CancelJob(t.Context(), page.Jobs[0].ID)
			require.NoError(t, err)
			r := <-answered
			require.Equal(t, http.StatusInternalServerError, r.status)
			require.Equal(t, "KNAE90012-E", r.answer.MessageID)
			require.Empty(t, tn.templates(t))
			tn.requireNothingStaged(t)
		})
	}
}
