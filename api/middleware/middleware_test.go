package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/fault"
	"assetflow/telemetry"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	m.Run()
}

// plainForm answers with the fault's code, so that tests see which fault it was.
func plainForm(name string) middleware.ErrorForm {
	return func(c *gin.Context, err error) {
		_ = c.Error(err)
		status := map[fault.Kind]int{
			fault.Invalid: 400, fault.Unauthenticated: 401, fault.NotFound: 404, fault.TooLarge: 413, fault.Internal: 500,
		}[fault.KindOf(err)]
		c.Abort()
		c.String(status, "%s %s", name, fault.CodeOf(err))
	}
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	engine := gin.New()
	engine.Use(middleware.RequestID)
	engine.GET("/", func(c *gin.Context) { c.String(http.StatusOK, middleware.RequestIDOf(c)) })
	for _, tc := range []struct {
		name, sent string
		kept       bool
	}{
		{"letters, digits, hyphen, underscore", "Az09-_", true},
		{"64 characters", strings.Repeat("a", 64), true},
		{"65 characters", strings.Repeat("a", 65), false},
		{"none", "", false},
		{"a blank", "a b", false},
		{"a line feed", "a\nb", false},
		{"markup", "<script>", false},
		{"not ASCII", "é", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.Header["X-Request-Id"] = []string{tc.sent}
			w := serve(engine, r)
			got := w.Header().Get("X-Request-Id")
			require.Equal(t, got, w.Body.String(), "handlers see the id that is answered")
			if tc.kept {
				require.Equal(t, tc.sent, got)
			} else {
				require.Regexp(t, "^[0-9a-f]{32}$", got)
			}
			r.Header.Del("X-Request-Id")
			require.NotEqual(t, got, serve(engine, r).Header().Get("X-Request-Id"), "every request has its own")
		})
	}
}

type fakeAuth struct{ err error }

func (f fakeAuth) Authenticate(context.Context, *http.Request) (auth.Principal, error) {
	return auth.Principal{UserID: "u-1"}, f.err
}

func (f fakeAuth) Authorize(context.Context, auth.Principal, string, auth.Permission) error {
	return f.err
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(telemetry.WithContextAttributes(slog.NewJSONHandler(&log, nil)))
	form := plainForm("form")
	engine := gin.New()
	engine.Use(middleware.RequestID, middleware.AccessLog(logger, "/quiet"), middleware.Recovery(logger, middleware.NewForms("test", form)))
	engine.GET("/things/:id", middleware.Authenticate(fakeAuth{}, form), func(c *gin.Context) { c.String(http.StatusOK, "four") })
	engine.GET("/fails", func(c *gin.Context) { form(c, errors.New("the disk is full")) })
	engine.GET("/quiet", func(c *gin.Context) { c.Status(http.StatusOK) })

	record := func(path string) map[string]any {
		log.Reset()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Header.Set("X-Request-Id", "r-1")
		serve(engine, r)
		if log.Len() == 0 {
			return nil
		}
		var got map[string]any
		require.NoError(t, json.Unmarshal(log.Bytes(), &got))
		return got
	}
	got := record("/things/secret?token=secret")
	require.Contains(t, got, "duration")
	delete(got, "duration")
	delete(got, "time")
	require.Equal(t, map[string]any{
		"level": "INFO", "msg": "request", "method": "GET", "route": "/things/:id", "status": 200.0, "bytes": 4.0,
		"request_id": "r-1", "user_id": "u-1",
	}, got, "the path and the query of a caller are not in it")

	got = record("/fails")
	require.Equal(t, "ERROR", got["level"])
	require.Equal(t, "the disk is full", got["error"])
	require.Nil(t, record("/quiet"))
	require.Empty(t, record("/nowhere")["route"])
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	forms := middleware.NewForms("test", plainForm("fallback")).Add("two", "/v2/", plainForm("v2"))
	engine := gin.New()
	engine.Use(middleware.RequestID, middleware.AccessLog(logger), middleware.Recovery(logger, forms))
	engine.GET("/v2/panics", func(*gin.Context) { panic("the moon fell down") })
	engine.GET("/panics", func(*gin.Context) { panic("the moon fell down") })
	engine.GET("/late", func(c *gin.Context) {
		c.String(http.StatusOK, "half of ")
		c.Writer.Flush()
		panic("too late")
	})
	engine.NoRoute(forms.NoRoute)
	server := httptest.NewUnstartedServer(engine)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.Start()
	defer server.Close()
	get := func(path string) (int, string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		require.NoError(t, err)
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		require.NotEmpty(t, resp.Header.Get("X-Request-Id"))
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}

	status, body, err := get("/v2/panics")
	require.NoError(t, err)
	require.Equal(t, 500, status)
	require.Equal(t, "v2 api.panic", body, "in the form of the path's contract, without the panic's text")
	status, body, err = get("/panics")
	require.NoError(t, err)
	require.Equal(t, 500, status)
	require.Equal(t, "fallback api.panic", body)

	_, body, err = get("/late")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "an answer that was cut off must not look whole: %q", body)

	status, body, err = get("/v2/nowhere")
	require.NoError(t, err)
	require.Equal(t, 404, status)
	require.Equal(t, "v2 api.no_route", body)
	server.Close()
	require.Contains(t, log.String(), "the moon fell down")
	require.Contains(t, log.String(), "middleware_test.TestRecovery", "a panic is logged with its stack")
}

func TestLimitHeaders(t *testing.T) {
	t.Parallel()
	engine := gin.New()
	engine.Use(middleware.LimitHeaders(middleware.NewForms("test", plainForm("form"))))
	engine.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "in") })
	for _, tc := range []struct {
		name   string
		header http.Header
		want   int
	}{
		{"few", http.Header{"A": {"1"}, "B": {"2"}}, 200},
		{"large token", http.Header{"X-Auth-Token": {strings.Repeat("x", 16<<10)}}, 200},
		{"too large", http.Header{"A": {strings.Repeat("x", middleware.MaxHeaderBytes)}}, 413},
		{"100 of one name", http.Header{"A": make([]string, 100)}, 200},
		{"101 of one name", http.Header{"A": make([]string, 101)}, 413},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.Header = tc.header
			require.Equal(t, tc.want, serve(engine, r).Code)
		})
	}
}

func TestLimitBody(t *testing.T) {
	t.Parallel()
	form := plainForm("form")
	engine := gin.New()
	engine.POST("/", middleware.LimitBody(10, form), func(c *gin.Context) {
		body, err := io.ReadAll(c.Request.Body)
		if err != nil {
			form(c, err)
			return
		}
		c.String(http.StatusOK, "%s", body)
	})
	for _, tc := range []struct {
		name, body string
		declared   bool
		want       int
		wantBody   string
	}{
		{"none", "", true, 200, ""},
		{"at the limit", "0123456789", true, 200, "0123456789"},
		{"at the limit, length unknown", "0123456789", false, 200, "0123456789"},
		{"above", "0123456789a", true, 413, "form api.body_too_large"},
		{"above, length unknown", "0123456789a", false, 413, "form api.body_too_large"},
		{"far above, length unknown", strings.Repeat("x", 1<<20), false, 413, "form api.body_too_large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var body io.Reader = strings.NewReader(tc.body)
			if !tc.declared {
				body = io.MultiReader(body)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
			w := serve(engine, r)
			require.Equal(t, tc.want, w.Code)
			require.Equal(t, tc.wantBody, w.Body.String())
		})
	}
}

func TestUnescapeParams(t *testing.T) {
	t.Parallel()
	engine := gin.New()
	engine.UseEscapedPath, engine.UnescapePathValues = true, false
	engine.Use(middleware.UnescapeParams)
	engine.GET("/a/:one/b/:two", func(c *gin.Context) { c.String(http.StatusOK, "%s|%s", c.Param("one"), c.Param("two")) })
	for path, want := range map[string]string{
		"/a/x/b/y":         "x|y",
		"/a/x%20z/b/y":     "x z|y",
		"/a/x%2Fz/b/y":     "x/z|y",
		"/a/x+z/b/y":       "x+z|y",
		"/a/x%2Bz/b/y":     "x+z|y",
		"/a/x%252Fz/b/y":   "x%2Fz|y",
		"/a/%C3%A9/b/y":    "é|y",
		"/a/..%2F../b/%00": "../..|\x00",
	} {
		w := serve(engine, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		require.Equal(t, 200, w.Code, path)
		require.Equal(t, want, w.Body.String(), path)
	}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	form := plainForm("form")
	handler := func(err error) http.Handler {
		engine := gin.New()
		engine.GET("/", middleware.Authenticate(fakeAuth{err}, form), func(c *gin.Context) {
			p, ok := auth.PrincipalFrom(middleware.Context(c))
			c.String(http.StatusOK, "%s %v", p.UserID, ok)
		})
		return engine
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	require.Equal(t, "u-1 true", serve(handler(nil), r).Body.String())
	w := serve(handler(fault.New(fault.Unauthenticated, "auth.missing", "no token")), r)
	require.Equal(t, 401, w.Code)
	require.Equal(t, "form auth.missing", w.Body.String(), "the handler is not reached")
}

func TestJobID(t *testing.T) {
	t.Parallel()
	const id = "01936b2e-7f00-7abc-8def-0123456789ab"
	for _, text := range []string{id, strings.ToUpper(id), strings.ReplaceAll(id, "-", "")} {
		got, ok := middleware.JobID(text)
		require.True(t, ok, text)
		require.Equal(t, id, got)
	}
	for _, text := range []string{"", "j1", id[:35], id + "0", "{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", "_"),
		strings.Repeat("g", 32), strings.Repeat("é", 16)} {
		_, ok := middleware.JobID(text)
		require.False(t, ok, text)
	}
}
