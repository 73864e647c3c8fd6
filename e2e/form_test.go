package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/assetpackage/servicetemplate"
)

// The import form, as a person uses it: in a real browser, which asks for the page, is told to choose a file, and sends
// the form with the name and password that it remembers. Without a browser on the machine the test is skipped.
func TestTheImportFormInABrowser(t *testing.T) {
	t.Parallel()
	apitest.FindBrowser(t)
	tn := newTenant(t)
	b := apitest.StartBrowser(t, "e2e/"+tn.user.Name, tn.password)
	file := filepath.Join(t.TempDir(), "com.example_form_01.00.00.st")
	require.NoError(t, os.WriteFile(file, st(t, "form", "01.00.00", servicetemplate.Release, "from a browser"), 0o600))

	b.Open(stack.Credentials().Endpoint + automation + "services/ServiceTemplates/actions/import")
	b.ChooseFile(file)
	require.Equal(t, "Import a service template", b.Run("document.title"))
	b.Run("document.querySelector('button').click()")
	text := b.AwaitText("instanceID")

	var answer importAnswer
	require.NoError(t, json.Unmarshal([]byte(text), &answer), text)
	require.Equal(t, "success", answer.State, text)
	require.Contains(t, answer.Result[0].Message, "com.example_form_01.00.00.st")
	require.Equal(t, []string{"form 01.00.00 release true"}, tn.templates(t))
	status, _, _ := tn.automation(t, http.MethodGet, path(t, answer.AffectedResource[0]), nil, "")
	require.Equal(t, http.StatusOK, status)
}
