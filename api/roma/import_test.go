package roma_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/roma"
	"assetflow/auth"
	"assetflow/fault"
	"assetflow/jobs"
)

const content = "PK\x03\x04 some bytes of a package"

// refusal is the body of an error answer, as far as a scenario cares.
func refusal(code, message, details string) func(testing.TB, *http.Response, []byte) {
	return func(t testing.TB, resp *http.Response, body []byte) {
		t.Helper()
		var got map[string]string // every field is a string
		require.NoError(t, json.Unmarshal(body, &got))
		require.Len(t, got, 4)
		require.Equal(t, code, got["error_code"])
		if message != "" {
			require.Regexp(t, message, got["error_msg"])
		}
		require.NotEmpty(t, got["error_msg"])
		require.Equal(t, details, got["error_details"])
		require.Equal(t, resp.Header.Get("X-Request-Id"), got["request_id"])
		require.NotEmpty(t, got["request_id"])
		require.Regexp(t, "^application/json", resp.Header.Get("Content-Type"))
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	path := d.prefix + "/import"
	good := form(packagePart("shop.zip", content))
	accepted := func(want jobs.ImportSubmission) func(testing.TB, *http.Response, []byte) {
		return func(t testing.TB, _ *http.Response, body []byte) {
			t.Helper()
			var got struct {
				JobID string `json:"job_id"`
			}
			require.NoError(t, json.Unmarshal(body, &got))
			require.Regexp(t, "^[0-9a-f]{32}$", got.JobID)
			require.Len(t, d.jobs.started, 1)
			sub := d.jobs.started[0]
			d.jobs.started = nil
			require.Equal(t, got.JobID, strings.ReplaceAll(sub.JobID, "-", ""))
			object := d.store.OpenStaged(t.Context(), sub.Staged.Key, sub.Staged.Size)
			staged, err := io.ReadAll(io.NewSectionReader(object, 0, object.Size()))
			require.NoError(t, err)
			require.Equal(t, content, string(staged))
			require.NoError(t, d.store.DeleteStaged(t.Context(), sub.Staged.Key))
			d.requireNothingStaged()

			want.JobID, want.Staged = sub.JobID, sub.Staged
			want.ProjectID, want.InstanceID = d.project.ID, d.instance.ID
			want.UserID, want.UserName = d.developer.user.ID, "dev"
			require.Equal(t, want, sub)
		}
	}
	scenario := func(name, query, body string, want jobs.ImportSubmission) apitest.Scenario {
		return apitest.Scenario{
			Name: name, Method: http.MethodPost, URL: path + query, Body: body,
			Headers:    map[string]string{"X-Auth-Token": d.developer.token, "Content-Type": formType},
			WantStatus: http.StatusOK, WantHeaders: map[string]string{"X-Request-Id": "*"}, Check: accepted(want),
		}
	}
	plain := jobs.ImportSubmission{FileName: "shop.zip", Mode: "AddNew"}
	signed := scenario("signed as the vendor's SDK does", "?type=Merge&prefix=a%20b", good,
		jobs.ImportSubmission{FileName: "shop.zip", Mode: "Merge", Prefix: "a b"})
	delete(signed.Headers, "X-Auth-Token")
	signed.Prepare = d.developer.sign(time.Now())
	quoted := scenario("boundary in quotes, upper-case type", "", good, plain)
	quoted.Headers["Content-Type"] = `Multipart/Form-Data; boundary="` + boundary + `"`

	apitest.Run(t, d.handler, apitest.Validator(t, roma.Document()), []apitest.Scenario{
		scenario("defaults", "", good, plain),
		scenario("all parameters", "?type=Merge&prefix=new-&datasource_overwrite=true", good,
			jobs.ImportSubmission{FileName: "shop.zip", Mode: "Merge", Prefix: "new-", OverwriteDataSources: true}),
		scenario("defaults spelled out", "?type=AddNew&prefix=&datasource_overwrite=false", good, plain),
		scenario("unknown parameter", "?colour=red&colour=blue", good, plain),
		scenario("longest prefix", "?prefix="+strings.Repeat("%C3%A9", 63), good,
			jobs.ImportSubmission{FileName: "shop.zip", Mode: "AddNew", Prefix: strings.Repeat("é", 63)}),
		scenario("extension in capitals", "", form(packagePart("0A-b_c+d.ZIP", content)),
			jobs.ImportSubmission{FileName: "0A-b_c+d.ZIP", Mode: "AddNew"}),
		scenario("preamble and epilogue", "", "hello\r\n"+good+"\r\nbye", plain),
		scenario("binary transfer encoding", "", form(part{
			disposition: `form-data; name="ImportAssetRequestBody"; filename="shop.zip"`, content: content,
			header: map[string]string{"Content-Transfer-Encoding": "binary"},
		}), plain),
		signed, quoted,
	})
}

func TestImportRefusals(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	path := d.prefix + "/import"
	good := form(packagePart("shop.zip", content))
	scenario := func(name, query, body string, status int, code, message string) apitest.Scenario {
		return apitest.Scenario{
			Name: name, Method: http.MethodPost, URL: path + query, Body: body,
			Headers:    map[string]string{"X-Auth-Token": d.developer.token, "Content-Type": formType},
			WantStatus: status, WantHeaders: map[string]string{"X-Request-Id": "*"}, Check: refusal(code, message, ""),
		}
	}
	parameter := func(name, query, message string) apitest.Scenario {
		return scenario(name, query, good, http.StatusBadRequest, "ROMA.13000", message)
	}
	body := func(name, body, message string) apitest.Scenario {
		return scenario(name, "", body, http.StatusBadRequest, "ROMA.13000", message)
	}
	fileName := func(name string) apitest.Scenario {
		return scenario("file name "+name, "", form(packagePart(name, content)), http.StatusBadRequest, "ROMA.10013", "")
	}
	contentType := func(name, contentType string) apitest.Scenario {
		s := body("content type "+name, good, "multipart/form-data")
		s.Headers["Content-Type"] = contentType
		return s
	}
	large := strings.Repeat("x", maxUpload+1)
	huge := scenario("declared far above the limit", "", form(packagePart("shop.zip", strings.Repeat("x", 2*maxUpload))),
		http.StatusRequestEntityTooLarge, "ROMA.13000", "")
	chunked := scenario("above the limit, length unknown", "", form(packagePart("shop.zip", large)),
		http.StatusRequestEntityTooLarge, "ROMA.13000", "")
	chunked.Prepare = func(_ testing.TB, r *http.Request) { r.ContentLength = -1 }
	preamble := scenario("a preamble above the limit, length unknown", "", strings.Repeat("blah\r\n", maxUpload/3)+good,
		http.StatusRequestEntityTooLarge, "ROMA.13000", "")
	preamble.Prepare = chunked.Prepare
	emptyChunked := scenario("no body, length unknown", "", "", http.StatusBadRequest, "ROMA.13001", "")
	emptyChunked.Prepare = func(_ testing.TB, r *http.Request) {
		r.Body, r.GetBody, r.ContentLength = io.NopCloser(strings.NewReader("")), nil, -1
	}

	scenarios := []apitest.Scenario{
		parameter("unknown type", "?type=addnew", "type"),
		parameter("empty type", "?type=", "type"),
		parameter("repeated type", "?type=Merge&type=Merge", "type"),
		parameter("unknown datasource_overwrite", "?datasource_overwrite=True", "datasource_overwrite"),
		parameter("datasource_overwrite=1", "?datasource_overwrite=1", "datasource_overwrite"),
		parameter("repeated prefix", "?prefix=a&prefix=b", "prefix"),
		parameter("prefix too long", "?prefix="+strings.Repeat("x", 64), "prefix"),
		parameter("prefix begins with a hyphen", "?prefix=-a", "prefix"),
		parameter("prefix with a slash", "?prefix=a/b", "prefix"),
		parameter("prefix with a line feed", "?prefix=a%0Ab", "prefix"),
		parameter("prefix that is not UTF-8", "?prefix=a%FF", "prefix"),
		parameter("bad encoding", "?type=Merge&prefix=%zz", "query"),
		parameter("semicolon", "?type=Merge;prefix=a", "query"),

		scenario("no body", "", "", http.StatusBadRequest, "ROMA.13001", ""),
		emptyChunked,
		contentType("absent", ""),
		contentType("json", "application/json"),
		contentType("zip", "application/zip"),
		contentType("mixed", "multipart/mixed; boundary="+boundary),
		contentType("without boundary", "multipart/form-data"),
		contentType("broken", "multipart/form-data; boundary"),

		body("not a form", "just some text", "boundary"),
		body("another boundary", strings.ReplaceAll(good, boundary, "another"), "boundary"),
		body("no part", "--"+boundary+"--\r\n", "exactly one part"),
		body("wrong field name", form(part{disposition: `form-data; name="file"; filename="shop.zip"`, content: content}), "ImportAssetRequestBody"),
		body("field name in lower case", form(part{disposition: `form-data; name="importassetrequestbody"; filename="shop.zip"`, content: content}), "ImportAssetRequestBody"),
		body("no field name", form(part{disposition: `form-data; filename="shop.zip"`, content: content}), "ImportAssetRequestBody"),
		body("no disposition", form(part{content: content}), "ImportAssetRequestBody"),
		body("attachment", form(part{disposition: `attachment; name="ImportAssetRequestBody"; filename="shop.zip"`, content: content}), "ImportAssetRequestBody"),
		body("two packages", form(packagePart("a.zip", content), packagePart("b.zip", content)), "exactly one part"),
		body("a field after the package", form(packagePart("a.zip", content), part{disposition: `form-data; name="x"`, content: "1"}), "exactly one part"),
		body("a field before the package", form(part{disposition: `form-data; name="x"`, content: "1"}, packagePart("a.zip", content)), "exactly one part"),
		body("empty file", form(packagePart("shop.zip", "")), "empty"),
		body("base64", form(part{
			disposition: `form-data; name="ImportAssetRequestBody"; filename="shop.zip"`, content: content,
			header: map[string]string{"Content-Transfer-Encoding": "base64"},
		}), "Content-Transfer-Encoding"),
		body("no closing boundary", strings.TrimSuffix(good, "--"+boundary+"--\r\n"), "closing boundary"),
		body("half a closing boundary", strings.TrimSuffix(good, "--\r\n"), "closing boundary"),
		body("ends in the part's headers", good[:len(boundary)+20], "not a valid form"),
		body("goes on after the closing boundary", good+strings.Repeat("x", 80<<10), "goes on"),

		fileName("shop.tar"), fileName("shop"), fileName(".zip"), fileName("-shop.zip"), fileName("_shop.zip"), fileName("+shop.zip"),
		fileName("my shop.zip"), fileName("shop.v2.zip"), fileName("é.zip"), fileName("shopé.zip"), fileName("../shop.zip"),
		fileName("dir/shop.zip"), fileName(`C:\\shop.zip`), fileName("shop.zip.exe"), fileName("shop.zip "), fileName("shopzip"), fileName(""),
		fileName(strings.Repeat("x", 300) + ".zip"),
		scenario("no file name", "", form(part{disposition: `form-data; name="ImportAssetRequestBody"`, content: content}),
			http.StatusBadRequest, "ROMA.10013", ""),

		scenario("file above the limit", "", form(packagePart("shop.zip", large)), http.StatusRequestEntityTooLarge, "ROMA.13000", ""),
		huge, chunked, preamble,
	}
	apitest.Run(t, d.handler, apitest.Validator(t, roma.Document()), scenarios)
	require.Empty(t, d.jobs.started)
	d.requireNothingStaged()
}

// Who is asked for first matters: a caller who may not know of the project learns nothing from a better request.
func TestImportSignIn(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	path := d.prefix + "/import"
	good := form(packagePart("shop.zip", content))
	expired, err := d.yesterday.IssueToken(t.Context(), auth.PasswordLogin{Domain: "acme", User: "dev", Password: "correct horse battery"})
	require.NoError(t, err)
	require.NoError(t, d.auth.GrantRole(t.Context(), d.developer.user.ID, d.other.ID, "Admin"))
	otherToken, err := d.auth.IssueToken(t.Context(), auth.PasswordLogin{
		Domain: "acme", User: "dev", Password: "correct horse battery", ProjectID: d.other.ID,
	})
	require.NoError(t, err)
	locked := d.newCaller("locked", auth.RoleDevelop)
	wrong := locked
	wrong.secretKey = "not the secret"

	scenario := func(name, url, token string, status int, code, message string) apitest.Scenario {
		s := apitest.Scenario{
			Name: name, Method: http.MethodPost, URL: url, Body: good,
			Headers:    map[string]string{"Content-Type": formType},
			WantStatus: status, WantHeaders: map[string]string{"X-Request-Id": "*"}, Check: refusal(code, message, ""),
		}
		if token != "" {
			s.Headers["X-Auth-Token"] = token
		}
		return s
	}
	signedBy := func(name string, c caller, at time.Time, message string) apitest.Scenario {
		s := scenario(name, path, "", http.StatusUnauthorized, "APIGW.0301", message)
		s.Prepare = c.sign(at)
		return s
	}
	unknownKey := d.developer
	unknownKey.accessKey = "NOBODYSKEY"
	tampered := signedBy("query changed after signing", d.developer, time.Now(), "verify aksk signature fail")
	sign := tampered.Prepare
	tampered.Prepare = func(t testing.TB, r *http.Request) {
		sign(t, r)
		r.URL.RawQuery = "type=Merge"
	}
	const iam = "^Incorrect IAM authentication information: "
	scenarios := []apitest.Scenario{
		scenario("no token", path, "", 401, "APIGW.0301", iam+"x-auth-token not found$"),
		scenario("garbage token", path, "garbage", 401, "APIGW.0301", iam+"decrypt token fail$"),
		scenario("expired token", path, expired.Value, 401, "APIGW.0301", iam+"token expires, expires_at: "),
		scenario("no token, unknown project, bad parameter", strings.Replace(path, d.project.ID, "nowhere", 1)+"?type=x", "", 401, "APIGW.0301", iam),
		signedBy("unknown access key", unknownKey, time.Now(), iam+"ak not exist$"),
		signedBy("signed 16 minutes ago", d.developer, time.Now().Add(-16*time.Minute), iam+"signature expired"),
		signedBy("signed in 16 minutes", d.developer, time.Now().Add(16*time.Minute), iam+"signature expired"),
		tampered,
		scenario("token of another project", path, otherToken.Value, 403, "ROMA.1006", ""),
		scenario("role too weak", path, d.submitter.token, 403, "ROMA.1006", ""),
		scenario("role too weak, bad parameter", path+"?type=x", d.submitter.token, 403, "ROMA.1006", ""),
		scenario("no role in the project", path, d.stranger.token, 404, "ROMA.1007", ""),
		scenario("unknown project", strings.Replace(path, d.project.ID, "0123456789abcdef0123456789abcdef", 1), d.developer.token, 404, "ROMA.1007", ""),
		scenario("unknown instance", strings.Replace(path, d.instance.ID, "nowhere", 1), d.developer.token, 404, "ROMA.1007", ""),
		scenario("instance of another project", strings.Replace(path, d.project.ID, d.other.ID, 1), d.developer.token, 404, "ROMA.1007", ""),
		scenario("unknown instance, bad parameter", strings.Replace(path, d.instance.ID, "nowhere", 1)+"?type=x", d.developer.token, 404, "ROMA.1007", ""),
	}
	for i := range 6 {
		scenarios = append(scenarios, signedBy(fmt.Sprintf("wrong secret %d", i+1), wrong, time.Now(), iam+"verify aksk signature fail$"))
	}
	scenarios = append(scenarios, signedBy("locked after six failures", locked, time.Now(), "locked until"))
	apitest.Run(t, d.handler, apitest.Validator(t, roma.Document()), scenarios)
	require.Empty(t, d.jobs.started)
	d.requireNothingStaged()
}

// A hash of the body that was signed holds for an upload, too.
func TestImportSignedBody(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	large := form(packagePart("shop.zip", strings.Repeat("0123456789", 80_000)))
	for _, tc := range []struct {
		name, signed, sent string
		want               int
	}{
		{"right", large, large, http.StatusOK},
		{"another byte in the file", large, strings.Replace(large, "0123", "0124", 1), http.StatusUnauthorized},
		{"another byte at the end", large, large + "x", http.StatusUnauthorized},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, d.handler)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+d.prefix+"/import", strings.NewReader(tc.sent))
			require.NoError(t, err)
			r.Header.Set("Content-Type", formType)
			signBody(t, r, tc.signed, d.developer)
			resp, err := server.Client().Do(r)
			require.NoError(t, err)
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, tc.want, resp.StatusCode, "%s", body)
			if tc.want == http.StatusUnauthorized {
				refusal("APIGW.0301", "verify aksk signature fail", "")(t, resp, body)
			}
		})
	}
	t.Cleanup(func() {
		require.Len(t, d.jobs.started, 1)
		require.Equal(t, []string{d.jobs.started[0].Staged.Key}, d.staged())
	})
}

func TestImportWhileOneRuns(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	const running = "01936b2e-7f00-7abc-8def-0123456789ab"
	conflict := fault.New(fault.Conflict, jobs.CodeRunning, "A job runs.").WithDetails(running)
	scenario := func(name, body string, status int, code, details string) apitest.Scenario {
		return apitest.Scenario{
			Name: name, Method: http.MethodPost, URL: d.prefix + "/import", Body: body,
			Headers:    map[string]string{"X-Auth-Token": d.developer.token, "Content-Type": formType},
			WantStatus: status, WantHeaders: map[string]string{"X-Request-Id": "*"},
			WantNotBody: []string{"secret"}, Check: refusal(code, "", details),
		}
	}
	hex := strings.ReplaceAll(running, "-", "")
	good := form(packagePart("shop.zip", content))
	v := apitest.Validator(t, roma.Document())

	d.jobs.running = running
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		scenario("seen before the upload", good, http.StatusForbidden, "ROMA.10012", hex),
		scenario("seen before the form is read", "not a form", http.StatusForbidden, "ROMA.10012", hex),
	})
	d.jobs.running = ""
	d.jobs.startErr = conflict
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		scenario("seen at the start", good, http.StatusForbidden, "ROMA.10012", hex),
	})
	d.requireNothingStaged()

	// It is not known whether the job runs: its package stays, until the sweep finds that nobody needs it.
	d.jobs.startErr = errors.New("a secret of ours")
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		scenario("the start fails", good, http.StatusInternalServerError, "ROMA.10010", ""),
	})
	d.jobs.startErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Try again.").Wrap(errors.New("a secret of ours"))
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		scenario("the job service is away", good, http.StatusServiceUnavailable, "ROMA.10010", ""),
	})
	require.Len(t, d.staged(), 2)
}

// Every code that a refusal can carry stands in the document.
func TestErrorCodesAreDocumented(t *testing.T) {
	t.Parallel()
	codes := regexp.MustCompile(`(ROMA|APIGW)\.\d+`)
	documented := codes.FindAllString(string(roma.Document()), -1)
	for _, code := range []string{"ROMA.1006", "ROMA.1007", "ROMA.10010", "ROMA.10012", "ROMA.10013", "ROMA.13000", "ROMA.13001", "APIGW.0301"} {
		require.Contains(t, documented, code)
	}
}
