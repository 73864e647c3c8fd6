package command

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func trashedTemplate(id, version, more string) string {
	return `{"number":` + id + `,"asset_id":"x","key_name":"addVM","display_name":"Add a VM","vendor_id":"com.example","vendor_name":"Example",
		"version":"` + version + `","description":"","release_state":"release","latest":false,"sha256":"ab","size":5,
		"created_at":"2026-01-02T11:00:00Z","updated_at":"2026-01-02T11:00:00Z"` + more + `}`
}

func TestTemplateTrash(t *testing.T) {
	t.Parallel()
	trash := "/api/v1/projects/" + projectID + "/service-templates/trash"
	deleted := `,"deleted_at":"2026-01-02T11:30:00Z","purge_after":"2026-02-01T11:30:00Z"`
	endpoint := service(t, routes{
		"GET " + trash: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("offset") == "1" {
				reply(200, `{"service_templates":[`+trashedTemplate("9", "02.00.00", deleted)+`],"count":2}`)(w, r)
				return
			}
			reply(200, `{"service_templates":[`+trashedTemplate("7", "01.00.00", deleted)+`],"count":2}`)(w, r)
		},
		"POST " + trash + "/7/restore": reply(200, trashedTemplate("7", "01.00.00", "")),
		"POST " + trash + "/8/restore": reply(409, `{"code":"catalog.name_taken","title":"Conflict","status":409,"detail":"Taken."}`),
		"DELETE " + trash + "/9":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"DELETE " + trash + "/8":       reply(404, `{"code":"catalog.template_not_found","title":"Not found","status":404,"detail":"No."}`),
	})
	r := signedIn(t, endpoint).exec(t.Context(), "template", "trash", "--limit", "1")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, "ID  VENDOR       NAME   VERSION   STATE    DELETED              REMOVED AFTER\n"+
		"7   com.example  addVM  01.00.00  release  2026-01-02 11:30:00  2026-02-01 11:30:00\n", r.stdout)
	require.Contains(t, r.stderr, "There are more")
	r = signedIn(t, endpoint).exec(t.Context(), "template", "trash", "--all", "-o", "json")
	require.Contains(t, r.stdout, `"number": 9`)
	require.Equal(t, "Restored com.example addVM 01.00.00 (7).\n", signedIn(t, endpoint).exec(t.Context(), "template", "restore", "7").stdout)
	r = signedIn(t, endpoint).exec(t.Context(), "template", "restore", "8")
	require.Equal(t, ExitConflict, r.code, r.stderr)
	require.Equal(t, "Removed 9 for good.\n", signedIn(t, endpoint).exec(t.Context(), "template", "purge", "9").stdout)
	r = signedIn(t, endpoint).exec(t.Context(), "template", "purge", "8")
	require.Equal(t, ExitNotFound, r.code, r.stderr)
}
