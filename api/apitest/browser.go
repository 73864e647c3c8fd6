package apitest

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// browserPatience is how long a browser may say nothing, or show another thing than it should.
	browserPatience = time.Minute
	// browserLook is how often a page is looked at that does not yet show what it should.
	browserLook = 50 * time.Millisecond
	// browserEnd is how long a browser may take to end before it is killed.
	browserEnd = 10 * time.Second
)

// Browser is a page of a headless Chromium, driven through a pipe with its DevTools protocol. Hosts that end in .test are
// this machine.
type Browser struct {
	t       testing.TB
	out     io.Writer
	in      chan browserMessage
	next    int
	session string
	login   map[string]any
	results map[int]json.RawMessage // of commands that are not yet asked for
}

type browserMessage struct {
	ID     int
	Method string
	Params struct{ RequestID string }
	Result json.RawMessage
	Error  *struct{ Message string }
}

// FindBrowser gives the program of a Chromium, and skips the test where there is none.
func FindBrowser(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	t.Skip("there is no Chromium on this machine")
	return ""
}

// StartBrowser starts one without any history, which signs in as the given user wherever it is asked to. It ends with the
// test.
func StartBrowser(t testing.TB, user, password string) *Browser {
	t.Helper()
	program := FindBrowser(t)
	theirIn, out, err := os.Pipe()
	require.NoError(t, err)
	in, theirOut, err := os.Pipe()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--remote-debugging-pipe", "--user-data-dir="+browserProfile(t), "--host-resolver-rules=MAP *.test 127.0.0.1", "about:blank")
	process.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, where it looks for them
	require.NoError(t, process.Start())
	require.NoError(t, theirIn.Close())
	require.NoError(t, theirOut.Close())
	b := &Browser{
		t: t, out: out, in: make(chan browserMessage, 100), results: map[int]json.RawMessage{},
		login: map[string]any{"response": "ProvideCredentials", "username": user, "password": password},
	}
	go b.listen(in)
	t.Cleanup(func() {
		_ = out.Close() // at which it ends, with all its processes
		kill := time.AfterFunc(browserEnd, cancel)
		_ = process.Wait() // how it ended is of no interest
		kill.Stop()
		cancel()
		_ = in.Close()
		for range b.in { // so that the listener ends
		}
	})

	var target struct{ TargetID string }
	b.Do("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.Do("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.Do("Page.enable", nil, nil)
	b.Do("Fetch.enable", map[string]any{"handleAuthRequests": true, "patterns": []map[string]any{{"urlPattern": "*"}}}, nil)
	return b
}

func (b *Browser) listen(in io.Reader) {
	defer close(b.in)
	for reader := bufio.NewReader(in); ; {
		text, err := reader.ReadBytes(0)
		if err != nil {
			return
		}
		var m browserMessage
		if json.Unmarshal(text[:len(text)-1], &m) == nil {
			b.in <- m
		}
	}
}

// Do carries out a command and decodes its result, unless into is nil; meanwhile it lets requests pass and signs in. A
// command to a page that has gone meanwhile gives nothing.
func (b *Browser) Do(method string, params, into any) {
	b.t.Helper()
	id := b.send(method, params)
	for b.results[id] == nil {
		b.read()
	}
	if into != nil {
		require.NoError(b.t, json.Unmarshal(b.results[id], into))
	}
	delete(b.results, id)
}

func (b *Browser) send(method string, params any) int {
	b.t.Helper()
	b.next++
	command := map[string]any{"id": b.next, "method": method}
	if params != nil {
		command["params"] = params
	}
	if b.session != "" {
		command["sessionId"] = b.session
	}
	text, err := json.Marshal(command)
	require.NoError(b.t, err)
	_, err = b.out.Write(append(text, 0))
	require.NoError(b.t, err)
	return b.next
}

func (b *Browser) read() {
	b.t.Helper()
	var m browserMessage
	select {
	case next, ok := <-b.in:
		require.True(b.t, ok, "the browser has ended")
		m = next
	case <-time.After(browserPatience):
		require.FailNow(b.t, "the browser says nothing")
	}
	request := map[string]any{"requestId": m.Params.RequestID}
	switch {
	case m.Method == "Fetch.requestPaused":
		b.send("Fetch.continueRequest", request)
	case m.Method == "Fetch.authRequired":
		request["authChallengeResponse"] = b.login
		b.send("Fetch.continueWithAuth", request)
	case m.ID != 0 && m.Error != nil:
		b.results[m.ID] = json.RawMessage(`{}`)
	case m.ID != 0:
		b.results[m.ID] = m.Result
	}
}

// Open goes to a page.
func (b *Browser) Open(url string) {
	b.t.Helper()
	var opened struct{ ErrorText string }
	b.Do("Page.navigate", map[string]any{"url": url}, &opened)
	require.Empty(b.t, opened.ErrorText)
}

// ChooseFile chooses a file in the page's field for one, when that is there.
func (b *Browser) ChooseFile(path string) {
	b.t.Helper()
	var node int
	b.await("a field for a file", func() bool {
		var document struct{ Root struct{ NodeID int } }
		b.Do("DOM.getDocument", nil, &document)
		var found struct{ NodeID int }
		b.Do("DOM.querySelector", map[string]any{"nodeId": document.Root.NodeID, "selector": "input[type=file]"}, &found)
		node = found.NodeID
		return node != 0
	})
	b.Do("DOM.setFileInputFiles", map[string]any{"files": []string{path}, "nodeId": node}, nil)
}

// Run gives the text that an expression of the page's comes to; empty where it comes to none.
func (b *Browser) Run(expression string) string {
	b.t.Helper()
	var ran struct{ Result struct{ Value any } }
	b.Do("Runtime.evaluate", map[string]any{"expression": expression}, &ran)
	text, _ := ran.Result.Value.(string)
	return text
}

// AwaitText gives the text of the page when it has the given one in it.
func (b *Browser) AwaitText(want string) string {
	b.t.Helper()
	var text string
	b.await(want, func() bool {
		text = b.Run("document.body ? document.body.innerText : ''")
		return strings.Contains(text, want)
	})
	return text
}

func (b *Browser) await(what string, there func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(browserPatience); !there(); <-time.After(browserLook) {
		if time.Now().After(deadline) {
			require.FailNow(b.t, "the page does not show "+what, b.Run("document.body ? document.body.innerText : ''"))
		}
	}
}

// browserProfile makes the folder that a browser keeps its things in, and removes it when the test ends. Unlike TempDir it
// puts up with processes of a browser that has ended, which write for another moment.
func browserProfile(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "assetflow-browser-")
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Eventually(t, func() bool { return os.RemoveAll(dir) == nil }, time.Minute, 50*time.Millisecond)
	})
	return dir
}
