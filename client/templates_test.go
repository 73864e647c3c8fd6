package client_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/client"
)

func TestImportTemplates(t *testing.T) {
	t.Parallel()
	const id = "0194f7a0-cccc-7000-8000-00000000cccc"
	var got string
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		f, header, err := r.FormFile("file")
		if err != nil {
			got = err.Error()
			return
		}
		content, _ := io.ReadAll(f)
		got = fmt.Sprint(r.Method, r.RequestURI, r.Header["X-Project-Id"], r.Header["Expect"], r.Header["Idempotency-Key"], header.Filename, string(content))
		answerJSON(w, `{"instanceID":"`+id+`","state":"success","affectedResource":["http://x/1"],"result":[{"message":"Done.","messageID":"KNAE03111-I"}]}`)
	})
	done, err := cl.ImportTemplates(t.Context(), "/tmp/a.st", strings.NewReader("PK"), 2, client.TemplateImportOptions{IdempotencyKey: "k"})
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint("POST", "/Automation/v1/services/ServiceTemplates/actions/import/invoke", []string{project}, []string{"100-continue"}, []string{"k"}, "a.st", "PK"), got)
	require.Equal(t, client.TemplateImport{
		JobID: id, State: client.TemplateImportSucceeded, Templates: []string{"http://x/1"}, Messages: []client.TemplateMessage{{Message: "Done.", ID: "KNAE03111-I"}},
	}, done)

	cl = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 409, "application/json", `{"errorSource":"x","message":"One runs.","messageID":"KNAE90011-E","application":"Automation","messageData":"`+id+`"}`)
	})
	_, err = cl.ImportTemplates(t.Context(), "a.st", strings.NewReader("PK"), 2, client.TemplateImportOptions{})
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, "KNAE90011-E", refusal.Code)
	require.Equal(t, strings.ReplaceAll(id, "-", ""), refusal.RunningJob())
	require.ErrorContains(t, err, "One runs.")
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	var calls []string
	file := []byte("PK file")
	digest := fmt.Sprintf("%x", sha256.Sum256(file))
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls = append(calls, r.Method+" "+strings.TrimPrefix(r.RequestURI, "/Automation/v1/objects/ServiceTemplates")+" "+r.Header.Get("X-Project-Id"))
		const one = `{"instanceID":7,"keyName":"k","createTime":"2014-08-18T16:53:50.000+0900","latest":true}`
		switch {
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case r.Method == http.MethodPost:
			w.Header().Set("ETag", `"`+digest+`"`)
			w.Header().Set("Content-Disposition", `attachment; filename="../v_k_01.00.00.st"`)
			_, _ = w.Write(file)
		case strings.HasSuffix(r.URL.Path, "/7"):
			answerJSON(w, one)
		default:
			answerJSON(w, `{"data":[`+one+`],"count":12}`)
		}
	})
	list, err := cl.ListTemplates(t.Context(), client.TemplateFilter{
		Q: "a b", Tags: []string{"x", "y"}, Where: "latest = true", SortBy: "version desc", Offset: 3, Limit: 5,
	})
	require.NoError(t, err)
	require.Equal(t, 12, list.Count)
	require.EqualValues(t, 7, list.Templates[0].ID)
	require.Equal(t, 7, list.Templates[0].Created().UTC().Hour())
	one, err := cl.ShowTemplate(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, list.Templates[0], one)
	require.NoError(t, cl.DeleteTemplate(t.Context(), 7))
	var out bytes.Buffer
	archive, err := cl.ExportTemplate(t.Context(), 7, &out)
	require.NoError(t, err)
	require.Equal(t, client.Archive{FileName: "v_k_01.00.00.st", Size: int64(len(file)), SHA256: digest}, archive)
	require.Equal(t, file, out.Bytes())
	require.Equal(t, []string{
		"GET ?HQL%3A%3Afilter=latest+%3D+true&HQL%3A%3Aoffset=3&HQL%3A%3AsortBy=version+desc&pageSize=5&q=a+b&tags=x%2Cy " + project,
		"GET /7 " + project, "DELETE /7 " + project, "POST /7/actions/export/invoke " + project,
	}, calls)

	digest = strings.Repeat("0", 64)
	_, err = cl.ExportTemplate(t.Context(), 7, io.Discard)
	require.ErrorIs(t, err, client.ErrArchiveChanged)
	digest = "nothing"
	_, err = cl.ExportTemplate(t.Context(), 7, io.Discard)
	var refusal *client.Error
	require.True(t, errors.As(err, &refusal) && refusal.Foreign())
}
