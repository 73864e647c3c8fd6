package automation_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/automation"
	"assetflow/catalog"
)

func TestForm(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	shown := func(name, accept string) apitest.Scenario {
		s := call(name, http.MethodGet, pathForm, d.developer, 200)
		s.Headers["Accept"] = accept
		s.WantHeaders["Content-Type"] = "text/html"
		s.WantHeaders["Content-Security-Policy"] = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
		s.WantHeaders["X-Frame-Options"] = "DENY"
		s.WantHeaders["Referrer-Policy"] = "same-origin"
		s.WantHeaders["X-Content-Type-Options"] = "nosniff"
		s.WantBody = []string{`action="import/invoke"`, `method="post"`, `enctype="multipart/form-data"`, `type="file" name="file"`}
		s.WantNotBody = []string{"<script", "style"} // which the policy would not let work
		return s
	}
	not := func(accept string) apitest.Scenario {
		s := refused(call("not "+accept, http.MethodGet, pathForm, d.developer, 406), "KNAE90024-E", "text/html", "")
		s.Headers["Accept"] = accept
		return s
	}
	apitest.Run(t, d.handler, apitest.Validator(t, automation.Document()), []apitest.Scenario{
		shown("as the contract has it", "text/html"),
		shown("as a browser has it", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
		not("application/json"), not("text/html;q=0"), not("text/html;q=0.0, */*"), not("application/*"),
		refused(call("nobody", http.MethodGet, pathForm, caller{}, 401), "KNAE90020-E", "", ""),
	})
}

// A person imports with a browser, and a page of another server tries to make that browser do it. It is not parallel: a
// browser is slow enough by itself.
func TestFormInABrowser(t *testing.T) {
	apitest.FindBrowser(t)
	d := newDeployment(t)
	posts := make(chan string, 10) // header Authorization of each
	server := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts <- r.Header.Get("Authorization")
		}
		d.handler.ServeHTTP(w, r)
	}))
	// The browser takes localhost and 127.0.0.1 for different sites, neither of them as secure as the one with https.
	for _, host := range []string{"127.0.0.1", "assets.test"} {
		t.Run(host, func(t *testing.T) {
			_, port, err := net.SplitHostPort(server.Listener.Addr().String())
			require.NoError(t, err)
			origin := "http://" + net.JoinHostPort(host, port)
			b := apitest.StartBrowser(t, "dev", password)
			name := "From a browser (1).st"
			file := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(file, template(t, manifest("com.example", "one", "01.00.00")), 0o600))
			before := len(d.jobs.started)

			b.Open(origin + pathForm)
			b.ChooseFile(file)
			b.Run("document.querySelector('button').click()")
			answer := b.AwaitText("instanceID")
			succeeded(t, origin, []byte(answer), name)
			require.Equal(t, d.developer.basic, <-posts)
			require.Len(t, d.jobs.started, before+1)

			evil := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = fmt.Fprintf(w, `<form method="post" enctype="multipart/form-data" action="%s"><input type="file" name="file"></form><script>
					const files = new DataTransfer(); files.items.add(new File(["x"], "evil.st"));
					document.querySelector("input").files = files.files; document.querySelector("form").submit()</script>`, origin+pathImport)
			}))
			b.Open(strings.Replace(evil.URL, "127.0.0.1", "evil.test", 1))
			b.AwaitText("KNAE90028-E")
			require.Equal(t, d.developer.basic, <-posts, "the browser does send the password")
			require.Len(t, d.jobs.started, before+1)
		})
	}
	templates, _, err := d.catalog.ListServiceTemplates(t.Context(), catalog.TemplateFilter{ProjectID: d.project.ID})
	require.NoError(t, err)
	require.Len(t, templates, 1)
}
