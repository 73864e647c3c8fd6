package iam_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/iam"
	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
)

const password = "correct horse battery"

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

// stack is the route behind the middleware that matters here, on a real catalog, and all that it logged.
type stack struct {
	handler http.Handler
	auth    *auth.Service
	cat     *catalog.Catalog
	anna    catalog.User
	shop    catalog.Project
	closed  catalog.Project
	log     *lockedBuffer
}

func newStack(t *testing.T) *stack {
	t.Helper()
	ctx := context.Background()
	s := &stack{cat: catalogtest.New(t), log: &lockedBuffer{}}
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.auth = auth.New(s.cat, keys, auth.WithLogger(logger),
		auth.WithClock(func() time.Time { return time.Date(2026, 1, 1, 9, 5, 22, 701e6, time.UTC) }))
	s.anna, err = s.auth.AddUser(ctx, "acme", "anna", password)
	require.NoError(t, err)
	s.shop, err = s.cat.CreateProject(ctx, "acme", "shop")
	require.NoError(t, err)
	s.closed, err = s.cat.CreateProject(ctx, "acme", "closed")
	require.NoError(t, err)
	foreign, err := s.cat.CreateProject(ctx, "initech", "printer")
	require.NoError(t, err)
	require.NoError(t, s.auth.GrantRole(ctx, s.anna.ID, s.shop.ID, "Develop"))
	require.NoError(t, s.auth.GrantRole(ctx, s.anna.ID, foreign.ID, "Submit"))

	engine := gin.New()
	engine.Use(middleware.RequestID, middleware.AccessLog(logger), middleware.Recovery(logger, middleware.NewForms("iam", iam.WriteError)))
	iam.Register(engine, s.auth)
	s.handler = engine
	return s
}

// body makes a request body with the scope given, as JSON.
func body(scope string) string {
	return fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"anna","password":%q,"domain":{"name":"acme"}}}}%s}}`, password, scope)
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	user := fmt.Sprintf(`"user":{"id":%q,"name":"anna","domain":{"id":%q,"name":"acme"},"password_expires_at":""}`, s.anna.ID, s.anna.DomainID)
	const fixed = `"expires_at":"2026-01-02T09:05:22.000000Z","issued_at":"2026-01-01T09:05:22.000000Z","methods":["password"],"catalog":[]`
	develop := `"roles":[{"id":"Develop","name":"Develop"}]`
	shop := fmt.Sprintf(`"project":{"id":%q,"name":"shop","domain":{"id":%q,"name":"acme"}}`, s.shop.ID, s.shop.DomainID)
	everywhere := `"roles":[{"id":"Develop","name":"Develop"},{"id":"Submit","name":"Submit"}]`
	answer := func(parts ...string) string {
		return `{"token":{` + strings.Join(append([]string{fixed, user}, parts...), ",") + `}}`
	}
	works := func(project string) func(testing.TB, *http.Response, []byte) {
		return func(t testing.TB, resp *http.Response, body []byte) {
			token := resp.Header.Get("X-Subject-Token")
			r, err := http.NewRequest(http.MethodGet, "/", nil)
			require.NoError(t, err)
			r.Header.Set("X-Auth-Token", token)
			p, err := s.auth.Authenticate(context.Background(), r)
			require.NoError(t, err)
			require.Equal(t, s.anna.ID, p.UserID)
			require.Equal(t, project, p.ProjectID)
			require.NotContains(t, string(body), token)
			require.NotContains(t, s.log.String(), token)
		}
	}
	jsonType := map[string]string{"Content-Type": "application/json;charset=utf8"}
	subject := map[string]string{"X-Subject-Token": "*", "X-Request-Id": "*", "Content-Type": "application/json"}

	scenarios := []apitest.Scenario{
		{Name: "without scope", Body: body(""), WantJSON: answer(everywhere), Check: works("")},
		{Name: "scope null", Body: body(`,"scope":null`), WantJSON: answer(everywhere), Check: works(""), OutsideDocument: true},
		{Name: "scope empty", Body: body(`,"scope":{}`), WantJSON: answer(everywhere), Check: works("")},
		{Name: "project by id", Body: body(`,"scope":{"project":{"id":"` + s.shop.ID + `"}}`), WantJSON: answer(develop, shop), Check: works(s.shop.ID)},
		{Name: "project by name", Body: body(`,"scope":{"project":{"name":"shop"}}`), WantJSON: answer(develop, shop), Check: works(s.shop.ID)},
		{Name: "project by name and domain", Body: body(`,"scope":{"project":{"name":"printer","domain":{"name":"initech"}}}`), WantBody: []string{`"name":"printer"`, `"name":"initech"`, `"Submit"`}},
		{Name: "domain by name", Body: body(`,"scope":{"domain":{"name":"acme"}}`), WantJSON: answer(everywhere, `"domain":{"id":"`+s.anna.DomainID+`","name":"acme"}`), Check: works("")},
		{Name: "domain by id", Body: body(`,"scope":{"domain":{"id":"` + s.anna.DomainID + `"}}`), WantBody: []string{`"domain":{"id":"` + s.anna.DomainID}, Check: works("")},
		{Name: "project and domain", Body: body(`,"scope":{"domain":{"name":"acme"},"project":{"name":"shop"}}`), WantJSON: answer(develop, shop), Check: works(s.shop.ID)},
		{Name: "nocatalog", URL: "/v3/auth/tokens?nocatalog=true", Body: body(""), WantJSON: answer(everywhere)},
		{Name: "nocatalog without a value", URL: "/v3/auth/tokens?nocatalog", Body: body(""), WantJSON: answer(everywhere)},
		{Name: "nocatalog of any value", URL: "/v3/auth/tokens?nocatalog=%F0%9F%98%80", Body: body(""), WantJSON: answer(everywhere)},
		{Name: "unknown parameter", URL: "/v3/auth/tokens?x=y", Body: body(""), WantJSON: answer(everywhere)},
		{Name: "unknown fields", Body: strings.Replace(body(`,"extra":{"a":[1]}`), `"name":"anna"`, `"name":"anna","mfa":true`, 1), WantJSON: answer(everywhere)},
		{Name: "without Content-Type", Body: body(""), Headers: map[string]string{"Content-Type": ""}, WantJSON: answer(everywhere), OutsideDocument: true},
		{Name: "with a form's Content-Type", Body: body(""), Headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, WantJSON: answer(everywhere), OutsideDocument: true},
		{Name: "with a token that does not count", Body: body(""), Headers: map[string]string{"Content-Type": "application/json", "X-Auth-Token": "x"}, WantJSON: answer(everywhere)},
		{Name: "keeps the request id", Body: body(""), Headers: map[string]string{"Content-Type": "application/json", "X-Request-Id": "mine"}, WantHeaders: map[string]string{"X-Request-Id": "mine"}},
		{Name: "with a line feed behind", Body: body("") + "\n", WantJSON: answer(everywhere)},
		{Name: "largest body", Body: body("") + strings.Repeat(" ", 64<<10-len(body(""))), WantJSON: answer(everywhere)},
	}
	for i := range scenarios {
		c := &scenarios[i]
		c.Method, c.WantStatus = http.MethodPost, http.StatusCreated
		c.WantNotBody = []string{password}
		if c.URL == "" {
			c.URL = "/v3/auth/tokens"
		}
		if c.Headers == nil {
			c.Headers = jsonType
		}
		if c.WantHeaders == nil {
			c.WantHeaders = subject
		}
	}
	apitest.Run(t, s.handler, apitest.Validator(t, iam.Document()), scenarios)
	require.NotContains(t, s.log.String(), password)
	require.Contains(t, s.log.String(), "route=/v3/auth/tokens")
}

func TestSignInRefused(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	const (
		wrong     = "The username or password is wrong."
		noProject = "The project does not exist, or the user has no role in it."
		notJSON   = "The request body must be a JSON object as documented: POST /v3/auth/tokens."
		secret    = "1234567890123" // a password in a form that a decoder's error would quote
	)
	replace := func(old, with string) string {
		changed := strings.Replace(body(""), old, with, 1)
		require.NotEqual(t, body(""), changed)
		return changed
	}
	scenarios := []apitest.Scenario{
		{Name: "wrong password", Body: replace(password, "wrong horse battery"), WantJSON: refusal(401, wrong)},
		{Name: "unknown user", Body: replace("anna", "nobody"), WantJSON: refusal(401, wrong)},
		{Name: "unknown domain", Body: replace("acme", "nowhere"), WantJSON: refusal(401, wrong)},
		{Name: "unknown project id", Body: body(`,"scope":{"project":{"id":"00000000000000000000000000000000"}}`), WantJSON: refusal(401, noProject)},
		{Name: "unknown project name", Body: body(`,"scope":{"project":{"name":"none"}}`), WantJSON: refusal(401, noProject)},
		{Name: "project without a role", Body: body(`,"scope":{"project":{"id":"` + s.closed.ID + `"}}`), WantJSON: refusal(401, noProject)},
		{Name: "foreign domain by name", Body: body(`,"scope":{"domain":{"name":"initech"}}`), WantJSON: refusal(401, "The domain of the scope is not the user's.")},
		{Name: "foreign domain by id", Body: body(`,"scope":{"domain":{"id":"` + s.anna.ID + `"}}`), WantJSON: refusal(401, "The domain of the scope is not the user's.")},

		{Name: "no body", Body: "", WantJSON: refusal(400, notJSON)},
		{Name: "not JSON", Body: "auth=" + secret, WantJSON: refusal(400, notJSON)},
		{Name: "broken off", Body: body("")[:40], WantJSON: refusal(400, notJSON)},
		{Name: "an array", Body: "[]", WantJSON: refusal(400, notJSON)},
		{Name: "password a number", Body: replace(`"`+password+`"`, secret), WantJSON: refusal(400, notJSON)},
		{Name: "methods a text", Body: replace(`["password"]`, `"`+secret+`"`), WantJSON: refusal(400, notJSON)},
		{Name: "empty object", Body: "{}", WantJSON: refusal(400, `auth.identity.methods must be ["password"].`)},
		{Name: "null", Body: "null", WantJSON: refusal(400, `auth.identity.methods must be ["password"].`)},
		{Name: "another method", Body: replace(`["password"]`, `["token"]`), WantJSON: refusal(400, `auth.identity.methods must be ["password"].`)},
		{Name: "two methods", Body: replace(`["password"]`, `["password","totp"]`), WantJSON: refusal(400, `auth.identity.methods must be ["password"].`)},
		{Name: "no name", Body: replace(`"name":"anna",`, ""), WantJSON: refusal(400, "auth.identity.password.user.name is missing.")},
		{Name: "no password", Body: replace(password, ""), WantJSON: refusal(400, "auth.identity.password.user.password is missing.")},
		{Name: "no domain", Body: replace(`,"domain":{"name":"acme"}`, ""), WantJSON: refusal(400, "auth.identity.password.user.domain.name is missing.")},
		{Name: "project scope empty", Body: body(`,"scope":{"project":{}}`), WantJSON: refusal(400, "auth.scope.project has neither an id nor a name.")},
		{Name: "domain scope empty", Body: body(`,"scope":{"domain":{}}`), WantJSON: refusal(400, "auth.scope.domain has neither an id nor a name.")},
		{Name: "nocatalog twice", URL: "/v3/auth/tokens?nocatalog=a&nocatalog=b", Body: body(""), WantJSON: refusal(400, "A query parameter is malformed.")},
		{Name: "body too large", Body: body("") + strings.Repeat(" ", 64<<10), WantJSON: refusal(400, "The request's body is larger than 65536 bytes.")},
		{
			Name: "body too large, length not told", Body: body(`,"x":"` + strings.Repeat("x", 70<<10) + `"`), WantJSON: refusal(400, "The request's body is larger than 65536 bytes."),
			Prepare: func(_ testing.TB, r *http.Request) { r.ContentLength = -1 },
		},
	}
	for i := range scenarios {
		c := &scenarios[i]
		c.Method = http.MethodPost
		if c.URL == "" {
			c.URL = "/v3/auth/tokens"
		}
		c.Headers = map[string]string{"Content-Type": "application/json"}
		c.WantHeaders = map[string]string{"X-Subject-Token": "", "X-Request-Id": "*", "Content-Type": "application/json; charset=utf-8"}
		c.WantNotBody = []string{password, secret}
		var want struct{ Error struct{ Code int } }
		require.NoError(t, json.Unmarshal([]byte(c.WantJSON), &want))
		c.WantStatus = want.Error.Code
	}
	apitest.Run(t, s.handler, apitest.Validator(t, iam.Document()), scenarios)
	require.NotContains(t, s.log.String(), password)
	require.NotContains(t, s.log.String(), secret)
}

// Our own failure says nothing of its cause to the caller.
func TestSignInWithoutCatalog(t *testing.T) {
	t.Parallel()
	broken, err := catalog.Open(context.Background(), "sqlite:"+t.TempDir()+"/empty.db", nil) // not migrated: no tables
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, broken.Close()) })
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	engine := gin.New()
	iam.Register(engine, auth.New(broken, keys))
	apitest.Run(t, engine, apitest.Validator(t, iam.Document()), []apitest.Scenario{{
		Name: "no tables", Method: http.MethodPost, URL: "/v3/auth/tokens", Body: body(""),
		Headers:    map[string]string{"Content-Type": "application/json"},
		WantStatus: http.StatusInternalServerError, WantJSON: refusal(500, "The service failed. Try again later."),
		WantHeaders: map[string]string{"X-Subject-Token": ""},
	}})
}

func TestDocumentIsACopy(t *testing.T) {
	t.Parallel()
	iam.Document()[0] = 'x'
	require.True(t, bytes.HasPrefix(iam.Document(), []byte("openapi: 3.")))
}

func refusal(status int, message string) string {
	text, _ := json.Marshal(map[string]any{"error": map[string]any{"code": status, "message": message, "title": http.StatusText(status)}})
	return string(text)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
