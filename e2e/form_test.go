package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/assetpackage/servicetemplate"
)

// The import form, as a person uses it: in a real browser, which asks for the page, is told to choose a file, and sends
// the form with the name and password that it remembers. Without a browser on the machine the test is skipped.
func TestTheImportFormInABrowser(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	tn := newTenant(t)
	file := filepath.Join(t.TempDir(), "com.example_form_01.00.00.st")
	require.NoError(t, os.WriteFile(file, st(t, "form", "01.00.00", servicetemplate.Release, "from a browser"), 0o600))

	page, err := url.Parse(stack.Credentials().Endpoint + automation + "services/ServiceTemplates/actions/import")
	require.NoError(t, err)
	page.User = url.UserPassword("e2e/"+tn.user.Name, tn.password)
	b.call("Page.navigate", map[string]any{"url": page.String()}, nil)
	b.await("Page.loadEventFired")
	var input, text struct {
		Result struct{ ObjectID, Value string }
	}
	b.call("Runtime.evaluate", map[string]any{"expression": "document.title"}, &text)
	require.Equal(t, "Import a service template", text.Result.Value)
	b.call("Runtime.evaluate", map[string]any{"expression": "document.querySelector('input[type=file]')"}, &input)
	b.call("DOM.setFileInputFiles", map[string]any{"files": []string{file}, "objectId": input.Result.ObjectID}, nil)
	b.call("Runtime.evaluate", map[string]any{"expression": "document.querySelector('button').click()"}, nil)
	b.await("Page.loadEventFired")
	b.call("Runtime.evaluate", map[string]any{"expression": "document.body.innerText"}, &text)

	var answer importAnswer
	require.NoError(t, json.Unmarshal([]byte(text.Result.Value), &answer), text.Result.Value)
	require.Equal(t, "success", answer.State, text.Result.Value)
	require.Contains(t, answer.Result[0].Message, "com.example_form_01.00.00.st")
	require.Equal(t, []string{"form 01.00.00 release true"}, tn.templates(t))
	status, _, _ := tn.automation(t, http.MethodGet, path(t, answer.AffectedResource[0]), nil, "")
	require.Equal(t, http.StatusOK, status)
}

// browser is a page of a headless Chromium, spoken to over pipes with its DevTools protocol.
type browser struct {
	t       *testing.T
	session string
	next    int
	out     io.Writer
	in      chan message
	events  []string // seen and not yet awaited
}

type message struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params any             `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`

	SessionID string `json:"sessionId,omitempty"`
}

// browserPatience is how long a browser may say nothing.
const browserPatience = time.Minute

func startBrowser(t *testing.T) *browser {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Skip("there is no Chromium on this machine")
	}
	theirIn, ourOut, err := os.Pipe()
	require.NoError(t, err)
	ourIn, theirOut, err := os.Pipe()
	require.NoError(t, err)
	process := exec.CommandContext(t.Context(), program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe", "--user-data-dir="+apitest.BrowserProfile(t))
	process.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, where it looks for them
	require.NoError(t, process.Start())
	require.NoError(t, theirIn.Close())
	require.NoError(t, theirOut.Close())
	b := &browser{t: t, out: ourOut, in: make(chan message, 100)}
	go func() {
		defer close(b.in)
		for reader := bufio.NewReader(ourIn); ; {
			text, err := reader.ReadBytes(0)
			if err != nil {
				return
			}
			var m message
			if json.Unmarshal(text[:len(text)-1], &m) == nil {
				b.in <- m
			}
		}
	}()
	t.Cleanup(func() {
		_ = ourOut.Close() // at which it ends
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = process.Wait() // how it ended is of no interest
		}()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = process.Process.Kill()
			<-ended
		}
		_ = ourIn.Close()
		for range b.in { // so that the reader ends
		}
	})

	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.call("Page.enable", nil, nil)
	b.events = nil
	return b
}

// call makes a call and reads its result into the value, unless that is nil.
func (b *browser) call(method string, params map[string]any, into any) {
	b.t.Helper()
	b.next++
	text, err := json.Marshal(message{ID: b.next, Method: method, Params: params, SessionID: b.session})
	require.NoError(b.t, err)
	_, err = b.out.Write(append(text, 0))
	require.NoError(b.t, err)
	for {
		m := b.read()
		if m.ID != b.next {
			b.events = append(b.events, m.Method)
			continue
		}
		require.Empty(b.t, string(m.Error), method)
		if into != nil {
			require.NoError(b.t, json.Unmarshal(m.Result, into))
		}
		return
	}
}

// await waits for an event that was not awaited before.
func (b *browser) await(event string) {
	b.t.Helper()
	for i, seen := range b.events {
		if seen == event {
			b.events = b.events[i+1:]
			return
		}
	}
	b.events = nil
	for b.read().Method != event {
	}
}

func (b *browser) read() message {
	b.t.Helper()
	select {
	case m, ok := <-b.in:
		require.True(b.t, ok, "the browser has ended")
		return m
	case <-time.After(browserPatience):
		require.FailNow(b.t, "the browser says nothing")
		return message{}
	}
}
