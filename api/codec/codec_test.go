package codec_test

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"assetflow/api/apitest"
	"assetflow/api/codec"
	"assetflow/api/middleware"
	"assetflow/api/native"
	"assetflow/auth"
	"assetflow/catalog/catalogtest"
	"assetflow/payload"
)

const (
	password = "correct horse battery"
	ui       = "https://temporal.example.com"
)

// deployment is the endpoint over a real catalog: ada may read payloads, bob is Admin of the only project and may not.
type deployment struct {
	handler                  http.Handler
	validation               *apitest.Validation
	codec                    *payload.Codec
	reader, scoped, stranger string // tokens
	readerID                 string
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	ctx, cat := t.Context(), catalogtest.New(t)
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	people := auth.New(cat, keys, auth.WithLogger(slog.New(slog.DiscardHandler)))
	project, err := cat.CreateProject(ctx, "acme", "shop")
	require.NoError(t, err)
	token := func(name, projectID string) string {
		token, err := people.IssueToken(ctx, auth.PasswordLogin{Domain: "acme", User: name, Password: password, ProjectID: projectID})
		require.NoError(t, err)
		return token.Value
	}
	d := &deployment{validation: apitest.Validator(t, codec.Document())}
	for _, name := range []string{"ada", "bob"} {
		user, err := people.AddUser(ctx, "acme", name, password)
		require.NoError(t, err)
		require.NoError(t, people.GrantRole(ctx, user.ID, project.ID, string(auth.RoleAdmin)))
		if name == "ada" {
			d.readerID = user.ID
		}
	}
	d.reader, d.scoped, d.stranger = token("ada", ""), token("ada", project.ID), token("bob", "")
	ring, err := payload.ParseKeys(payload.GenerateKeys("2026-11"))
	require.NoError(t, err)
	d.codec = payload.NewCodec(ring, true)

	logger := slog.New(slog.DiscardHandler)
	engine := middleware.NewEngine(logger, nil, middleware.NewForms("native", native.WriteError))
	codec.Register(engine, codec.Options{
		Auth: people, Logger: logger, Payloads: codec.Payloads{Codec: d.codec, Readers: []string{d.readerID}, Origins: []string{ui}},
	})
	d.handler = engine
	return d
}

func (d *deployment) run(t *testing.T, scenarios ...apitest.Scenario) {
	t.Helper()
	apitest.Run(t, d.handler, d.validation, scenarios)
}

// bearer signs in with the token.
func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token, "Content-Type": "application/json"}
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func with(headers map[string]string, more ...string) map[string]string {
	all := map[string]string{}
	for name, value := range headers {
		all[name] = value
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func body(t *testing.T, payloads ...*commonpb.Payload) string {
	t.Helper()
	text, err := protojson.Marshal(&commonpb.Payloads{Payloads: payloads})
	require.NoError(t, err)
	return string(text)
}

// encrypted gives the payloads of the values, encrypted.
func (d *deployment) encrypted(t *testing.T, values ...any) []*commonpb.Payload {
	t.Helper()
	data, _ := payload.Converters(d.codec)
	payloads, err := data.ToPayloads(values...)
	require.NoError(t, err)
	return payloads.GetPayloads()
}

func TestWhoMayRead(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	secret := body(t, d.encrypted(t, "hidden")...)
	shown := fmt.Sprintf(`{"payloads": [{"metadata": {"encoding": %q}, "data": %q}]}`,
		base64.StdEncoding.EncodeToString([]byte("json/plain")), base64.StdEncoding.EncodeToString([]byte(`"hidden"`)))
	for _, tc := range []struct {
		name    string
		headers map[string]string
		status  int
		code    string
	}{
		{"a token as bearer", bearer(d.reader), 200, ""},
		{"a token as ours", map[string]string{"X-Auth-Token": d.reader, "Content-Type": "application/json"}, 200, ""},
		{"a password", map[string]string{"Authorization": basic("acme/ada", password), "Content-Type": "application/json; charset=utf-8"}, 200, ""},
		{"nobody", map[string]string{"Content-Type": "application/json"}, 401, "auth.missing"},
		{"a wrong password", with(bearer(""), "Authorization", basic("ada", "wrong")), 401, "auth.wrong_password"},
		{"a token of others", with(bearer(""), "Authorization", "Bearer eyJhbGciOiJSUzI1NiJ9.e30.x"), 401, "auth.token_invalid"},
		{"an Admin who is not named", bearer(d.stranger), 403, "codec.not_reader"},
		{"with a password", with(bearer(""), "Authorization", basic("bob", password)), 403, "codec.not_reader"},
		{"a token of one project", bearer(d.scoped), 403, "codec.not_reader"},
	} {
		for _, path := range []string{"/api/v1/codec/decode", "/api/v1/codec/encode"} {
			s := apitest.Scenario{
				Name: tc.name + path, Method: http.MethodPost, URL: path, Headers: tc.headers, Body: secret, WantStatus: tc.status,
				WantHeaders: map[string]string{"X-Request-Id": "*", "Cache-Control": "no-store", "WWW-Authenticate": "", "Access-Control-Allow-Origin": ""},
			}
			switch {
			case tc.code != "":
				s.WantBody = []string{fmt.Sprintf(`"code":%q`, tc.code)}
			case strings.HasSuffix(path, "decode"):
				s.WantJSON = shown
			}
			if tc.status == http.StatusUnauthorized {
				s.WantHeaders["WWW-Authenticate"] = `Basic realm="Assetflow payloads", charset="UTF-8"`
			}
			d.run(t, s)
		}
		s := apitest.Scenario{Name: tc.name, URL: "/api/v1/codec", Headers: tc.headers, WantStatus: tc.status}
		if tc.status == http.StatusOK {
			s.WantJSON = fmt.Sprintf(`{"user_id": %q, "user_name": "ada", "domain_name": "acme"}`, d.readerID)
		}
		d.run(t, s)
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	other, err := payload.ParseKeys(payload.GenerateKeys("2025-01"))
	require.NoError(t, err)
	foreign, err := payload.NewCodec(other, true).Encode([]*commonpb.Payload{{Data: []byte("hidden")}})
	require.NoError(t, err)
	changed := d.encrypted(t, "hidden")
	changed[0].Data[20] ^= 1
	short := []*commonpb.Payload{{Metadata: map[string][]byte{"encoding": []byte(payload.Encoding), payload.MetadataKeyID: []byte("2026-11")}}}
	many := `{"payloads":[` + strings.Repeat("{},", 10_000) + `{}]}`
	large := `{"payloads":[{"data":"` + strings.Repeat("A", 8<<20) + `"}]}`
	post := func(name, path, body string, status int, code string) apitest.Scenario {
		return apitest.Scenario{
			Name: name, Method: http.MethodPost, URL: "/api/v1/codec/" + path, Headers: bearer(d.reader), Body: body,
			WantStatus: status, WantBody: []string{fmt.Sprintf(`"code":%q`, code)}, WantNotBody: []string{"hidden", "aGlkZGVu"},
		}
	}
	form := post("a form", "decode", "{}", 400, "codec.body")
	form.Headers = with(bearer(d.reader), "Content-Type", "text/plain")
	none := form
	none.Name, none.Headers = "no type", map[string]string{"Authorization": "Bearer " + d.reader}
	chunked := post("too large, of unknown length", "decode", large, 413, "api.body_too_large")
	chunked.Prepare = func(_ testing.TB, r *http.Request) { r.ContentLength = -1 }
	get := apitest.Scenario{Name: "GET", URL: "/api/v1/codec/decode", WantStatus: 405, OutsideDocument: true}
	d.run(t,
		post("nothing", "decode", "", 400, "codec.body"),
		post("no JSON", "decode", "hidden", 400, "codec.body"),
		post("half", "decode", `{"payloads":[{"data":"aGlkZGVu"}`, 400, "codec.body"),
		post("a list", "decode", `[{"data":"aGlkZGVu"}]`, 400, "codec.body"),
		post("another field", "decode", `{"payloads":[],"hidden":1}`, 400, "codec.body"),
		post("no base64", "encode", `{"payloads":[{"data":"hidden!"}]}`, 400, "codec.body"),
		post("null", "encode", `{"payloads":[null]}`, 400, "codec.body"),
		post("too many", "encode", many, 413, "codec.body"),
		post("too large", "decode", large, 413, "api.body_too_large"),
		chunked, form, none, get,
		post("another key", "decode", body(t, foreign...), 400, payload.CodeUnknownKey),
		post("changed", "decode", body(t, changed...), 400, payload.CodeNotAuthentic),
		post("short", "decode", body(t, append(d.encrypted(t, "hidden"), short...)...), 400, payload.CodeMalformed),
		apitest.Scenario{
			Name: "none", Method: http.MethodPost, URL: "/api/v1/codec/decode", Headers: bearer(d.reader), Body: `{"payloads":[]}`,
			WantStatus: 200, WantJSON: `{}`,
		},
	)
}

// Pages of the Temporal UI get what they ask for, and errors that they can show; pages from elsewhere get nothing.
func TestOrigins(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	allowed := map[string]string{
		"Access-Control-Allow-Origin": ui, "Access-Control-Allow-Credentials": "true", "Access-Control-Expose-Headers": "X-Request-Id", "Vary": "Origin",
	}
	refused := map[string]string{"Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": "", "Vary": "Origin"}
	asked := map[string]string{"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,authorization-extras,content-type,x-namespace"}
	ask := func(origin string, want map[string]string, more ...string) apitest.Scenario {
		return apitest.Scenario{
			Name: "may " + origin, Method: http.MethodOptions, URL: "/api/v1/codec/decode", Headers: with(asked, "Origin", origin),
			WantStatus: 204, WantHeaders: with(want, more...), OutsideDocument: true,
		}
	}
	send := func(origin, token string, status int, want map[string]string) apitest.Scenario {
		return apitest.Scenario{
			Name: fmt.Sprint(status, " for ", origin), Method: http.MethodPost, URL: "/api/v1/codec/decode?preserveStorageRefs=true",
			Headers: with(bearer(token), "Origin", origin, "X-Namespace", "default"), Body: "{}", WantStatus: status, WantHeaders: want,
		}
	}
	d.run(t,
		ask(ui, allowed, "Access-Control-Allow-Methods", "GET, POST", "Access-Control-Max-Age", "600",
			"Access-Control-Allow-Headers", "Authorization, Authorization-Extras, Content-Type, X-Auth-Token, X-Namespace"),
		send(ui, d.reader, 200, allowed), send(ui, "x", 401, allowed), send(ui, d.stranger, 403, allowed),
	)
	for _, origin := range []string{"https://evil.example", ui + ".evil.example", "http://temporal.example.com", ui + ":8443", "null", "*", ui + ", https://evil.example"} {
		d.run(t, ask(origin, refused, "Access-Control-Allow-Headers", "", "Access-Control-Allow-Methods", ""), send(origin, d.reader, 200, refused))
	}
}

// The SDK's own client of the protocol, which the Temporal command line uses.
func TestRemoteCodec(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	server := httptest.NewServer(d.handler)
	t.Cleanup(server.Close)
	remote := func(token string) converter.PayloadCodec {
		return converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{
			Endpoint: server.URL + "/api/v1/codec",
			ModifyRequest: func(r *http.Request) error {
				r.Header.Set("Authorization", "Bearer "+token)
				r.Header.Set("X-Namespace", "default")
				return nil
			},
		})
	}
	clear := []*commonpb.Payload{{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`{"a": 1}`)}, {}}
	for name, encoding := range map[string]converter.PayloadCodec{"remote": remote(d.reader), "ours": d.codec} {
		encoded, err := encoding.Encode(clear)
		require.NoError(t, err, name)
		for _, p := range encoded {
			require.Equal(t, payload.Encoding, string(p.Metadata["encoding"]))
		}
		for _, decoding := range []converter.PayloadCodec{remote(d.reader), d.codec} {
			decoded, err := decoding.Decode(append(encoded, clear...))
			require.NoError(t, err, name)
			require.Len(t, decoded, 4)
			for i, p := range decoded {
				require.True(t, proto.Equal(clear[i%2], p), "%s: %v", name, p)
			}
		}
	}
	_, err := remote(d.stranger).Decode(d.encrypted(t, "hidden"))
	require.ErrorContains(t, err, "codec.not_reader")
}
