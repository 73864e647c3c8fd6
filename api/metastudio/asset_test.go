package metastudio_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/metastudio"
	"assetflow/auth/signature"
	"assetflow/catalog"
)

func texts(n int, text string) string {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = fmt.Sprintf("%q", text)
	}
	return "[" + strings.Join(entries, ",") + "]"
}

func TestCreateAndShow(t *testing.T) {
	t.Parallel()
	r := newFullRegion(t, "north")
	v := apitest.Validator(t, metastudio.Document())
	var id string
	create := r.as(r.developer, "create", "POST", "/digital-assets", `{"asset_name": "Café ☕", "asset_type": "HUMAN_MODEL_2D",
		"asset_description": "two\nlines", "tags": ["a", "`+strings.Repeat("é", 128)+`"],
		"asset_extra_meta": {"n": 12345678901234567890, "o": {"x": null}},
		"system_properties": ["plain", {"key": "STYLE_ID", "value": "1"}], "asset_owner": "unknown fields are passed over"}`, 200)
	create.Headers["X-App-UserId"] = strings.Repeat("é", 256)
	create.Check = func(t testing.TB, _ *http.Response, body []byte) {
		t.Helper()
		var got map[string]string
		require.NoError(t, json.Unmarshal(body, &got))
		id = got["asset_id"]
		require.Equal(t, map[string]string{"asset_id": id}, got)
		require.NotEmpty(t, id)
	}
	signed := r.as(r.developer, "signed as the vendor's SDK does", "POST", "/digital-assets", `{"asset_name": "signed", "asset_type": "PPT"}`+"\n", 200)
	delete(signed.Headers, "X-Auth-Token")
	signed.Prepare = func(t testing.TB, request *http.Request) {
		t.Helper()
		require.NoError(t, signature.Sign(request, r.developer.accessKey, r.developer.secretKey, time.Now()))
	}
	nulls := r.as(r.developer, "null is as good as nothing", "POST", "/digital-assets",
		`{"asset_name": "bare", "asset_type": "AUDIO", "asset_description": null, "tags": null, "asset_extra_meta": null, "system_properties": null}`, 200)
	nulls.OutsideDocument = true
	before := time.Now().Truncate(time.Millisecond)
	apitest.Run(t, r.handler, v, []apitest.Scenario{create, signed, nulls})

	want := func(id string) string {
		return fmt.Sprintf(`{"project_id": %q, "asset_id": %q, "asset_name": "Café ☕", "asset_description": "two\nlines", "app_user_id": %q,
			"asset_type": "HUMAN_MODEL_2D", "asset_state": "CREATING", "reason": "", "tags": ["a", %q],
			"asset_extra_meta": {"n": 12345678901234567890, "o": {"x": null}},
			"system_properties": ["plain", {"key": "STYLE_ID", "value": "1"}], "files": [], "asset_order": 0, `,
			r.project.ID, id, strings.Repeat("é", 256), strings.Repeat("é", 128))
	}
	var shown []apitest.Scenario
	for name, form := range map[string]string{
		"by its id": id, "without dashes": strings.ReplaceAll(id, "-", ""), "in capitals": strings.ToUpper(id),
	} {
		s := r.as(r.submitter, name, "GET", "/digital-assets/"+form, "", 200)
		s.WantBody = []string{"12345678901234567890"}
		s.Check = func(t testing.TB, _ *http.Response, body []byte) {
			t.Helper()
			var asset metastudio.Asset
			require.NoError(t, json.Unmarshal(body, &asset))
			require.Equal(t, asset.CreateTime, asset.UpdateTime)
			require.Equal(t, time.UTC, asset.CreateTime.Location())
			require.WithinRange(t, asset.CreateTime, before, time.Now())
			stamp := asset.CreateTime.Format(time.RFC3339Nano)
			require.JSONEq(t, want(id)+fmt.Sprintf(`"create_time": %q, "update_time": %q}`, stamp, stamp), string(body))
		}
		shown = append(shown, s)
	}
	bare := r.as(r.submitter, "bare", "GET", "/digital-assets?name=BARE", "", 200)
	bare.WantBody = []string{`"tags":[]`, `"asset_extra_meta":{}`, `"system_properties":[]`, `"files":[]`, `"app_user_id":""`, `"count":1`}
	apitest.Run(t, r.handler, v, append(shown, bare,
		r.refused("no such asset", "GET", "/digital-assets/none", "", "MSS.10001001", ""),
		r.refused("an id too long", "GET", "/digital-assets/"+strings.Repeat("x", 65), "", "MSS.10001001", ""),
		r.refused("an id that is none", "GET", "/digital-assets/%2e%2e%2f%00", "", "MSS.10001001", ""),
	))
}

func TestCreateRefusals(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "north")
	r.newAsset("taken")
	good := `{"asset_name": "x", "asset_type": "VIDEO"}`
	with := func(field, value string) string {
		return fmt.Sprintf(`{"asset_name": "x", "asset_type": "VIDEO", %q: %s}`, field, value)
	}
	var scenarios []apitest.Scenario
	refused := func(name, body, code, message string) {
		scenarios = append(scenarios, r.refused(name, "POST", "/digital-assets", body, code, message))
	}
	for name, body := range map[string]string{
		"none": "", "not JSON": "{", "two values": good + "{}", "a list": "[]", "null": "null", "a text": `"x"`,
		"a number for a name": `{"asset_name": 1, "asset_type": "VIDEO"}`, "tags that are no list": with("tags", `"a"`),
		"a tag that is no text": with("tags", `[1]`),
	} {
		refused("body: "+name, body, "MSS.00000002", "JSON object")
	}
	for name, c := range map[string]struct{ body, message string }{
		"no name":                 {`{"asset_type": "VIDEO"}`, "asset_name"},
		"an empty name":           {`{"asset_name": "", "asset_type": "VIDEO"}`, "asset_name"},
		"a long name":             {`{"asset_name": "` + strings.Repeat("é", 257) + `", "asset_type": "VIDEO"}`, "asset_name"},
		"a name of two lines":     {`{"asset_name": "a\nb", "asset_type": "VIDEO"}`, "asset_name"},
		"a name with a separator": {`{"asset_name": "a\u2028b", "asset_type": "VIDEO"}`, "asset_name"},
		"no type":                 {`{"asset_name": "x"}`, "asset_type"},
		"an unknown type":         {`{"asset_name": "x", "asset_type": "video"}`, "asset_type"},
		"a long description":      {with("asset_description", `"`+strings.Repeat("x", 1025)+`"`), "asset_description"},
		"a NUL":                   {with("asset_description", `"a\u0000"`), "asset_description"},
		"too many tags":           {with("tags", texts(51, "a")), "tags"},
		"a long tag":              {with("tags", texts(1, strings.Repeat("é", 129))), "tags"},
		"an empty tag":            {with("tags", `[""]`), "tags"},
		"extra meta: a list":      {with("asset_extra_meta", `[]`), "asset_extra_meta"},
		"extra meta: a text":      {with("asset_extra_meta", `"{}"`), "asset_extra_meta"},
		"extra meta: too large":   {with("asset_extra_meta", `{"x": "`+strings.Repeat("x", 16<<10)+`"}`), "asset_extra_meta"},
		"extra meta: a NUL":       {with("asset_extra_meta", `{"x": "\u0000"}`), "asset_extra_meta"},
		"properties: a number":    {with("system_properties", `[1]`), "system_properties"},
		"properties: null":        {with("system_properties", `[null]`), "system_properties"},
		"properties: too many":    {with("system_properties", texts(51, "a")), "system_properties"},
		"properties: too large":   {with("system_properties", texts(1, strings.Repeat("x", 159))), "system_properties"},
	} {
		refused(name, c.body, "MSS.00000003", c.message)
	}
	refused("a name that is taken", `{"asset_name": "taken", "asset_type": "VIDEO"}`, "MSS.10001005", "taken")
	for name, id := range map[string]string{"too long": strings.Repeat("x", 257), "Chinese": "用户", "two lines": "a\tb"} {
		s := r.refused("X-App-UserId: "+name, "POST", "/digital-assets", good, "MSS.00000003", "X-App-UserId")
		s.Headers["X-App-UserId"] = id
		scenarios = append(scenarios, s)
	}
	twice := r.refused("X-App-UserId: twice", "POST", "/digital-assets", good, "MSS.00000003", "X-App-UserId")
	twice.Prepare = func(_ testing.TB, request *http.Request) { request.Header["X-App-Userid"] = []string{"a", "b"} }
	large := r.as(r.developer, "a large body", "POST", "/digital-assets", with("x", `"`+strings.Repeat("x", 1<<20)+`"`), 413)
	large.Check = refusal("MSS.00000002", "larger than")
	forged := r.as(r.developer, "not what was signed", "POST", "/digital-assets", good, 401)
	delete(forged.Headers, "X-Auth-Token")
	forged.Prepare = func(t testing.TB, request *http.Request) {
		t.Helper()
		require.NoError(t, signature.Sign(request, r.developer.accessKey, r.developer.secretKey, time.Now()))
		other := strings.NewReader(strings.Replace(good, "x", "y", 1))
		replaced, err := http.NewRequestWithContext(t.Context(), http.MethodPost, request.URL.String(), other)
		require.NoError(t, err)
		request.Body, request.GetBody = replaced.Body, replaced.GetBody
	}
	forged.Check = refusal("MSS.00000001", "Incorrect IAM authentication information: verify aksk signature fail")
	apitest.Run(t, r.handler, apitest.Validator(t, metastudio.Document()), append(scenarios, twice, large, forged))
	_, total, err := r.catalog.ListDigitalAssets(t.Context(), catalog.DigitalFilter{ProjectID: r.project.ID})
	require.NoError(t, err)
	require.Equal(t, 1, total)
}

func TestListing(t *testing.T) {
	t.Parallel()
	r := newFullRegion(t, "north")
	v := apitest.Validator(t, metastudio.Document())
	ids := map[string]string{}
	for i, name := range []string{"b", "a", "c"} {
		ids[name] = r.newAsset("asset " + name)
		r.call(r.developer, "PUT", "/digital-assets/"+ids[name], fmt.Sprintf(`{"asset_order": %d, "tags": ["t%d", "all"]}`, 10-i, i), nil)
	}
	r.call(r.developer, "PUT", "/digital-assets/"+ids["a"], `{"asset_type": "IMAGE"}`, nil)
	r.upload(ids["c"], "c.mp4", "MAIN", "c")
	ids["gone"] = r.newAsset("gone")
	r.call(r.developer, "DELETE", "/digital-assets/"+ids["gone"], "", nil)

	listed := func(query string, count int, names ...string) apitest.Scenario {
		s := r.as(r.submitter, query, "GET", "/digital-assets?"+query, "", 200)
		s.Check = func(t testing.TB, _ *http.Response, body []byte) {
			t.Helper()
			var page metastudio.AssetPage
			require.NoError(t, json.Unmarshal(body, &page))
			require.Equal(t, count, page.Count)
			got := make([]string, len(page.Assets))
			for i, asset := range page.Assets {
				got[i] = strings.TrimPrefix(asset.AssetName, "asset ")
				require.Equal(t, ids[got[i]], asset.AssetID)
			}
			require.Equal(t, append([]string{}, names...), got)
		}
		return s
	}
	refused := func(query, message string) apitest.Scenario {
		return r.refused(query, "GET", "/digital-assets?"+query, "", "MSS.00000003", message)
	}
	ids0 := "asset_id=" + ids["a"] + "&asset_id=" + strings.ReplaceAll(ids["b"], "-", "")
	apitest.Run(t, r.handler, v, []apitest.Scenario{
		listed("", 3, "b", "a", "c"),
		listed("sort_key=create_time&sort_dir=desc", 3, "c", "a", "b"),
		listed("sort_key=update_time&sort_dir=desc", 3, "c", "a", "b"),
		listed("sort_key=asset_order", 3, "c", "a", "b"),
		listed("limit=2", 3, "b", "a"),
		listed("limit=100&offset=2", 3, "c"),
		listed("limit=1&offset=2147483647", 3),
		listed("name=SET+A", 1, "a"),
		listed("name=%25", 0),
		listed("tag=all", 3, "b", "a", "c"),
		listed("tag=t1", 1, "a"),
		listed("tag=t", 0),
		listed("asset_type=IMAGE", 1, "a"),
		listed("asset_type=IMAGE,VIDEO", 3, "b", "a", "c"),
		listed("asset_state=ACTIVED", 1, "c"),
		listed("asset_state=ACTIVED,CREATING", 3, "b", "a", "c"),
		listed("asset_state=DELETING", 1, "gone"),
		listed("asset_state=BLOCK", 0),
		listed(ids0, 2, "b", "a"),
		listed("asset_id=none", 0),
		listed("unknown=x", 3, "b", "a", "c"),
		refused("limit=0", "limit"), refused("limit=101", "limit"), refused("limit=x", ""), refused("limit=10&limit=10", "limit"),
		refused("offset=-1", "offset"), refused("offset=2147483648", "offset"),
		refused("asset_type=image", "asset_type"), refused("asset_type=IMAGE,", "asset_type"), refused("asset_state=x", "asset_state"),
		refused("sort_key=name", "sort_key"), refused("sort_dir=up", "sort_dir"), refused("asset_id=", "asset_id"),
		refused("asset_id=x"+strings.Repeat("&asset_id=x", 100), "101 times"), refused("name=%ff", "name"), refused("name=%zz", "encoded"),
	})
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "north")
	v := apitest.Validator(t, metastudio.Document())
	r.newAsset("taken")
	id := r.newAsset("first")
	path := "/digital-assets/" + id
	updated := func(name, body string, want ...string) apitest.Scenario {
		s := r.as(r.developer, name, "PUT", path, body, 200)
		s.WantBody = append([]string{`"asset_id":"` + id + `"`}, want...)
		return s
	}
	apitest.Run(t, r.handler, v, []apitest.Scenario{
		updated("one field", `{"asset_description": "d"}`, `"asset_description":"d"`, `"asset_name":"first"`),
		updated("everything", `{"asset_name": "second", "asset_type": "PPT", "asset_state": "CREATING", "asset_description": "", "tags": ["x"],
			"asset_extra_meta": {"a": 1}, "system_properties": [{"key": "k"}], "asset_order": -9223372036854775808}`,
			`"asset_name":"second"`, `"asset_type":"PPT"`, `"asset_description":""`, `"tags":["x"]`, `"asset_extra_meta":{"a":1}`,
			`"system_properties":[{"key":"k"}]`, `"asset_order":-9223372036854775808`),
		updated("nothing", `{}`, `"asset_name":"second"`, `"tags":["x"]`),
		updated("lists emptied", `{"tags": [], "system_properties": [], "asset_extra_meta": {}}`, `"tags":[]`, `"system_properties":[]`, `"asset_extra_meta":{}`),
		r.refused("another state", "PUT", path, `{"asset_state": "ACTIVED"}`, "MSS.00000003", "CREATING"),
		r.refused("a name that is taken", "PUT", path, `{"asset_name": "taken"}`, "MSS.10001005", ""),
		r.refused("a bad name", "PUT", path, `{"asset_name": ""}`, "MSS.00000003", "asset_name"),
		r.refused("a bad type", "PUT", path, `{"asset_type": ""}`, "MSS.00000003", "asset_type"),
		r.refused("no body", "PUT", path, "", "MSS.00000002", ""),
		r.refused("no such asset", "PUT", "/digital-assets/none", "{}", "MSS.10001001", ""),
	})
	asset, err := r.catalog.DigitalAsset(t.Context(), r.project.ID, id)
	require.NoError(t, err)
	require.Equal(t, 4, asset.VersionNumber, "refusals and empty changes make no version")
	require.Equal(t, "second", asset.Name)
}

func TestDeleteAndRestore(t *testing.T) {
	t.Parallel()
	r := newFullRegion(t, "north")
	v := apitest.Validator(t, metastudio.Document())
	id := r.newAsset("a")
	r.upload(id, "a.mp4", "MAIN", "a")
	path := "/digital-assets/" + id
	done := func(c caller, name, method, path string) apitest.Scenario {
		s := r.as(c, name, method, path, "", 200)
		s.Check = func(t testing.TB, _ *http.Response, body []byte) {
			t.Helper()
			require.Empty(t, body)
		}
		return s
	}
	shows := func(state string) apitest.Scenario {
		s := r.as(r.submitter, "it is "+state, "GET", path, "", 200)
		s.WantBody = []string{`"asset_state":"` + state + `"`}
		return s
	}
	forbidden := r.as(r.developer, "for good, without the right to", "DELETE", path+"?mode=force", "", 403)
	forbidden.Check = refusal("MSS.00000001", "assets:purge")
	apitest.Run(t, r.handler, v, []apitest.Scenario{
		done(r.developer, "delete", "DELETE", path), shows("DELETING"),
		done(r.developer, "again, in a mode that is not force", "DELETE", path+"?mode=gently"),
		r.refused("change it there", "PUT", path, "{}", "MSS.10001001", ""),
		r.refused("add a file there", "POST", "/files", fileBody(id, "b", "OTHER", "b"), "MSS.10001001", ""),
		r.refused("copy it from there", "GET", path+"/replication-info", "", "MSS.00000003", "DELETING"),
		done(r.developer, "restore", "POST", path+"/restore"), shows("ACTIVED"),
		r.refused("restore what is not there", "POST", path+"/restore", "", "MSS.10001001", ""),
		forbidden, shows("ACTIVED"),
		done(r.developer, "delete once more", "DELETE", path),
		done(r.admin, "for good", "DELETE", path+"?mode=force"),
		r.refused("it is gone", "GET", path, "", "MSS.10001001", ""),
		r.refused("and stays gone", "POST", path+"/restore", "", "MSS.10001001", ""),
		r.refused("delete what is gone", "DELETE", path, "", "MSS.10001001", ""),
	})
	alive := r.newAsset("b")
	r.call(r.admin, "DELETE", "/digital-assets/"+alive+"?mode=force", "", nil)
	name := r.newAsset("c")
	r.call(r.developer, "DELETE", "/digital-assets/"+name, "", nil)
	r.newAsset("c")
	apitest.Run(t, r.handler, v, []apitest.Scenario{
		r.refused("past the recycle bin", "GET", "/digital-assets/"+alive, "", "MSS.10001001", ""),
		r.refused("restore under a name that is taken", "POST", "/digital-assets/"+name+"/restore", "", "MSS.10001005", ""),
	})
}

// operations are all of them, with a body that is taken.
func operations(id string) []struct{ method, path, body string } {
	return []struct{ method, path, body string }{
		{"POST", "/digital-assets", `{"asset_name": "n", "asset_type": "VIDEO"}`},
		{"GET", "/digital-assets", ""},
		{"GET", "/digital-assets/" + id, ""},
		{"PUT", "/digital-assets/" + id, `{}`},
		{"DELETE", "/digital-assets/" + id, ""},
		{"POST", "/digital-assets/" + id + "/restore", ""},
		{"GET", "/digital-assets/" + id + "/replication-info", ""},
		{"POST", "/digital-assets-by-replication-info", `{}`},
		{"POST", "/files", fileBody(id, "f", "MAIN", "f")},
		{"POST", "/files/" + id + "/complete", `{"state": "CREATED"}`},
		{"DELETE", "/files/" + id, ""},
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	r := newFullRegion(t, "north")
	v := apitest.Validator(t, metastudio.Document())
	id := r.newAsset("a")
	require.NoError(t, r.auth.GrantRole(t.Context(), r.submitter.user.ID, r.other.ID, "Submit"))
	reading := []string{"GET /digital-assets", "GET /digital-assets/" + id}
	taking := append(slices.Clone(reading), "GET /digital-assets/"+id+"/replication-info")
	for _, operation := range operations(id) {
		name := operation.method + " " + operation.path
		t.Run(name, func(t *testing.T) {
			scenario := func(who string, c caller, status int, code, message string) apitest.Scenario {
				s := r.as(c, who, operation.method, operation.path, operation.body, status)
				s.Check = refusal(code, message)
				return s
			}
			anonymous := scenario("nobody", caller{}, 401, "MSS.00000001", "Incorrect IAM authentication information: x-auth-token not found")
			delete(anonymous.Headers, "X-Auth-Token")
			elsewhere := scenario("no role in this project", r.developer, 400, "MSS.00010009", "")
			elsewhere.URL = strings.Replace(elsewhere.URL, r.project.ID, r.other.ID, 1)
			nowhere := scenario("no such project", r.admin, 400, "MSS.00010009", "")
			nowhere.URL = strings.Replace(nowhere.URL, r.project.ID, "nowhere", 1)
			scenarios := []apitest.Scenario{
				anonymous, elsewhere, nowhere,
				scenario("no role", r.stranger, 400, "MSS.00010009", ""),
				scenario("a false token", caller{token: "x"}, 401, "MSS.00000001", "decrypt token fail"),
			}
			if !slices.Contains(reading, name) {
				scenarios = append(scenarios, scenario("only to look", r.submitter, 403, "MSS.00000001", "permits"))
			}
			if !slices.Contains(taking, name) {
				scenarios = append(scenarios, scenario("only to take out", r.modifier, 403, "MSS.00000001", "permits"))
			}
			apitest.Run(t, r.handler, v, scenarios)
		})
	}
	// A project sees nothing of another one.
	require.NoError(t, r.auth.GrantRole(t.Context(), r.developer.user.ID, r.other.ID, "Admin"))
	file := r.announce(id, "f", "MAIN", "f").FileID
	for _, operation := range operations(id) {
		path, code := strings.Replace(operation.path, "/files/"+id, "/files/"+file, 1), "MSS.10001001"
		switch {
		case strings.HasPrefix(path, "/files/"):
			code = "MSS.10001004"
		case !strings.Contains(path+operation.body, id):
			continue
		}
		s := r.refused("from another project: "+operation.method+" "+operation.path, operation.method, path, operation.body, code, "")
		s.URL = strings.Replace(s.URL, r.project.ID, r.other.ID, 1)
		apitest.Run(t, r.handler, v, []apitest.Scenario{s})
	}
	require.Equal(t, metastudio.AssetStateCREATING, r.show(id).AssetState)
}

// What the document does not describe is answered in the contract's form all the same.
func TestOutsideTheDocument(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "north")
	scenario := func(name, method, path string, status int, code string) apitest.Scenario {
		s := r.as(r.developer, name, method, path, "", status)
		delete(s.WantHeaders, "Cache-Control") // some of these are answered before the contract is asked
		s.Check = refusal(code, "")
		return s
	}
	headers := scenario("large headers", "GET", "/digital-assets", 431, "MSS.00000003")
	headers.Headers["X-Large"] = strings.Repeat("x", 40<<10)
	body := scenario("a large body where none is wanted", "GET", "/digital-assets", 413, "MSS.00000002")
	body.Body = strings.Repeat("x", 2<<20)
	apitest.Run(t, r.handler, nil, []apitest.Scenario{
		headers, body,
		scenario("unknown path", "GET", "/digital-humans", 404, "MSS.00000003"),
		scenario("another method", "PATCH", "/digital-assets", 405, "MSS.00000003"),
		scenario("a trailing slash", "GET", "/digital-assets/", 404, "MSS.00000003"),
	})
}
