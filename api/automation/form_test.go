package automation_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("there is no chromium on this machine")
	}
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
			b := startBrowser(t, "dev", password)
			name := "From a browser (1).st"
			file := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(file, template(t, manifest("com.example", "one", "01.00.00")), 0o600))
			before := len(d.jobs.started)

			b.open(origin + pathForm)
			input := b.find("input[type=file]")
			b.do("DOM.setFileInputFiles", map[string]any{"files": []string{file}, "nodeId": input}, nil)
			b.run("document.querySelector('button').click()")
			answer := b.awaitText("instanceID")
			succeeded(t, origin, []byte(answer), name)
			require.Equal(t, d.developer.basic, <-posts)
			require.Len(t, d.jobs.started, before+1)

			evil := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = fmt.Fprintf(w, `<form method="post" enctype="multipart/form-data" action="%s"><input type="file" name="file"></form><script>
					const files = new DataTransfer(); files.items.add(new File(["x"], "evil.st"));
					document.querySelector("input").files = files.files; document.querySelector("form").submit()</script>`, origin+pathImport)
			}))
			b.open(strings.Replace(evil.URL, "127.0.0.1", "evil.test", 1))
			b.awaitText("KNAE90028-E")
			require.Equal(t, d.developer.basic, <-posts, "the browser does send the password")
			require.Len(t, d.jobs.started, before+1)
		})
	}
	templates, _, err := d.catalog.ListServiceTemplates(t.Context(), catalog.TemplateFilter{ProjectID: d.project.ID})
	require.NoError(t, err)
	require.Len(t, templates, 1)
}

// browser is a Chromium that is driven through a pipe.
type browser struct {
	t       *testing.T
	in      io.Writer
	out     *bufio.Reader
	next    int
	session string
	answers map[int]json.RawMessage
	login   map[string]any
}

// startBrowser starts one without any history, which signs in as the given user wherever it is asked to.
func startBrowser(t *testing.T, user, password string) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	require.NoError(t, err)
	theirIn, in, err := os.Pipe()
	require.NoError(t, err)
	out, theirOut, err := os.Pipe()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	command := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe", "--user-data-dir="+apitest.BrowserProfile(t),
		"--host-resolver-rules=MAP *.test 127.0.0.1", "about:blank")
	command.ExtraFiles = []*os.File{theirIn, theirOut} // its descriptors 3 and 4
	require.NoError(t, command.Start())
	require.NoError(t, theirIn.Close())
	require.NoError(t, theirOut.Close())
	b := &browser{t: t, in: in, out: bufio.NewReader(out), answers: map[int]json.RawMessage{}, login: map[string]any{
		"response": "ProvideCredentials", "username": user, "password": password,
	}}
	t.Cleanup(func() {
		_ = in.Close() // ends it, and all its processes
		_ = command.Wait()
		_ = out.Close()
		cancel()
	})
	var target struct{ TargetID string }
	b.do("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.do("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.do("Page.enable", nil, nil)
	b.do("Fetch.enable", map[string]any{"handleAuthRequests": true, "patterns": []map[string]any{{"urlPattern": "*"}}}, nil)
	return b
}

// send sends a command and gives its number.
func (b *browser) send(method string, params any) int {
	b.t.Helper()
	b.next++
	command := map[string]any{"id": b.next, "method": method}
	if params != nil {
		command["params"] = params
	}
	if b.session != "" {
		command["sessionId"] = b.session
	}
	encoded, err := json.Marshal(command)
	require.NoError(b.t, err)
	_, err = b.in.Write(append(encoded, 0))
	require.NoError(b.t, err)
	return b.next
}

// do carries out a command and decodes its result; meanwhile it lets requests pass and signs in.
func (b *browser) do(method string, params, into any) {
	b.t.Helper()
	id := b.send(method, params)
	for b.answers[id] == nil {
		b.read()
	}
	if into != nil {
		require.NoError(b.t, json.Unmarshal(b.answers[id], into))
	}
}

func (b *browser) read() {
	b.t.Helper()
	line, err := b.out.ReadBytes(0)
	require.NoError(b.t, err, "the browser has gone")
	var message struct {
		ID     int
		Method string
		Params struct{ RequestID string }
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	require.NoError(b.t, json.Unmarshal(line[:len(line)-1], &message))
	request := map[string]any{"requestId": message.Params.RequestID}
	switch {
	case message.Method == "Fetch.requestPaused":
		b.send("Fetch.continueRequest", request)
	case message.Method == "Fetch.authRequired":
		request["authChallengeResponse"] = b.login
		b.send("Fetch.continueWithAuth", request)
	case message.ID != 0 && message.Error != nil:
		b.answers[message.ID] = json.RawMessage(`{}`) // a page that has gone meanwhile
	case message.ID != 0:
		b.answers[message.ID] = message.Result
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	var opened struct{ ErrorText string }
	b.do("Page.navigate", map[string]any{"url": url}, &opened)
	require.Empty(b.t, opened.ErrorText)
}

// find gives the number of an element, when it is there.
func (b *browser) find(selector string) int {
	b.t.Helper()
	for {
		var document struct{ Root struct{ NodeID int } }
		b.do("DOM.getDocument", nil, &document)
		var found struct{ NodeID int }
		b.do("DOM.querySelector", map[string]any{"nodeId": document.Root.NodeID, "selector": selector}, &found)
		if found.NodeID != 0 {
			return found.NodeID
		}
	}
}

// run gives the text that an expression comes to.
func (b *browser) run(expression string) string {
	b.t.Helper()
	var ran struct{ Result struct{ Value any } }
	b.do("Runtime.evaluate", map[string]any{"expression": expression}, &ran)
	text, _ := ran.Result.Value.(string)
	return text
}

// awaitText gives the text of the page when it has the given one in it.
func (b *browser) awaitText(want string) string {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		text := b.run("document.body ? document.body.innerText : ''")
		if strings.Contains(text, want) {
			return text
		}
		require.True(b.t, time.Now().Before(deadline), "the page shows %s", text)
	}
}
