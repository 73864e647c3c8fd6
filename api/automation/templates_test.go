package automation_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/automation"
	"assetflow/api/middleware"
	"assetflow/assetpackage/servicetemplate"
	"assetflow/fault"
	"assetflow/storage"
)

// library is a deployment with five templates, whose numbers are 1 to 5.
func library(t *testing.T) *deployment {
	t.Helper()
	d := newDeployment(t)
	add := func(vendorID, keyName, version string, change func(*servicetemplate.Manifest)) {
		m := manifest(vendorID, keyName, version)
		if change != nil {
			change(&m)
		}
		d.imports(m.FileName(), string(template(t, m)))
	}
	add("com.example", "addVM", "01.00.00", func(m *servicetemplate.Manifest) {
		m.DisplayName, m.Description, m.Tags = "Add a virtual machine", "It's 100% automatic_", []string{"VM", "Compute"}
		m.VendorName, m.SupportedScheduleType = "Example & Sons", "immediate,schedule"
		m.UsedServices, m.UsedTemplates = []string{"svc1", "svc2"}, []string{"base"}
	})
	add("com.example", "addVM", "01.10.00", func(m *servicetemplate.Manifest) { m.Tags = []string{"VM"} })
	add("com.example", "addVM", "01.09.00", nil)
	add("com.other", "addVM", "00.00.01", func(m *servicetemplate.Manifest) { m.ReleaseState = servicetemplate.Debug })
	add("com.other", "size", "02.00.00", func(m *servicetemplate.Manifest) { m.DisplayName = "Größe" })
	return d
}

// lists is a list whose templates are those of the given numbers.
func lists(d *deployment, name, query string, count int, numbers ...int) apitest.Scenario {
	s := call(name, http.MethodGet, pathList+query, caller{}, 200)
	s.Headers["X-Auth-Token"] = d.modifier.token
	s.Check = func(t testing.TB, _ *http.Response, body []byte) {
		t.Helper()
		var got struct {
			Data []struct {
				InstanceID int `json:"instanceID"`
			} `json:"data"`
			Count int `json:"count"`
		}
		require.NoError(t, json.Unmarshal(body, &got))
		require.NotNil(t, got.Data)
		found := []int{}
		for _, one := range got.Data {
			found = append(found, one.InstanceID)
		}
		require.Equal(t, append([]int{}, numbers...), found)
		require.Equal(t, count, got.Count)
	}
	return s
}

func TestList(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	if !t.Run("nothing", func(t *testing.T) {
		apitest.Run(t, d.handler, apitest.Validator(t, automation.Document()), []apitest.Scenario{lists(d, "nothing", "", 0)})
	}) {
		return
	}
	d = library(t)
	v := apitest.Validator(t, automation.Document())
	of := func(name, key, value string, numbers ...int) apitest.Scenario {
		return lists(d, name, "?"+url.Values{key: {value}}.Encode(), len(numbers), numbers...)
	}
	filter := func(where string, numbers ...int) apitest.Scenario {
		return of("filter "+where, "HQL::filter", where, numbers...)
	}
	sorted := func(order string, numbers ...int) apitest.Scenario {
		return of("sort by "+order, "HQL::sortBy", order, numbers...)
	}
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		lists(d, "all", "", 5, 1, 2, 3, 4, 5),
		of("full text", "q", "virtual", 1),
		of("words in capitals, all of which must be there", "q", "EXAMPLE vm", 1, 2, 3),
		of("a word that is nowhere", "q", "example nowhere"),
		of("no words", "q", "  ", 1, 2, 3, 4, 5),
		of("what SQL takes for a pattern", "q", "100%", 1),
		of("what SQL takes for a pattern, too", "q", "automatic_", 1),
		of("another alphabet", "q", "größe", 5),
		of("a tag", "tags", "VM", 1, 2),
		of("all tags", "tags", "VM,Compute", 1),
		of("tags with spaces", "tags", " VM , Compute ,", 1),
		of("no such tag", "tags", "V"),
		of("a vendor", "vendorID", "com.other", 4, 5),
		of("a name", "keyName", "addVM", 1, 2, 3, 4),
		of("a version", "version", "01.10.00", 2),
		lists(d, "several", "?keyName=addVM&vendorID=com.example&version=01.00.00", 1, 1),
		of("an empty filter", "HQL::filter", "", 1, 2, 3, 4, 5),
		filter("vendorID eq 'com.other' and releaseState ne 'debug'", 5),
		filter("version ge '01.09.00' or displayName = 'Größe'", 2, 3, 5),
		filter("(latest = true)", 2, 4, 5),
		filter("instanceID in [1,3,99]", 1, 3),
		filter("version not in ['01.00.00','02.00.00'] and vendorID ends 'example'", 2, 3),
		filter("description starts 'It''s'", 1),
		filter("createTime gt '2014-08-18T16:53:50.000+0900'", 1, 2, 3, 4, 5),
		filter("modifyTime lt '2014-08-18T16:53:50.000+0900'"),
		filter("keyName = '''; DROP TABLE service_templates; --'"),
		lists(d, "written out as it stands", "?HQL::filter=version%20%3D%20'01.10.00'", 1, 2),
		sorted("version", 4, 1, 3, 2, 5),
		sorted("vendorID desc, version desc", 5, 4, 2, 3, 1),
		lists(d, "first page", "?page=1&pageSize=2", 5, 1, 2),
		lists(d, "last page", "?page=3&pageSize=2", 5, 5),
		lists(d, "behind it", "?page=4&pageSize=2", 5),
		lists(d, "an offset", "?HQL::offset=3", 5, 4, 5),
		lists(d, "an offset with a size", "?HQL::offset=1&pageSize=2", 5, 2, 3),
		lists(d, "a page counts, not the offset", "?HQL::offset=4&page=1&pageSize=1", 5, 1),
		lists(d, "an offset far behind", "?HQL::offset=2147483647", 5),
		lists(d, "all together", "?q=addvm&vendorID=com.example&HQL::filter=version%20ne%20'01.09.00'&HQL::sortBy=version%20desc&pageSize=1&page=2", 2, 1),
		lists(d, "an unknown parameter", "?colour=red&colour=blue", 5, 1, 2, 3, 4, 5),
	})
	bad := func(query, message string) apitest.Scenario {
		s := refused(call("bad "+query, http.MethodGet, pathList+query, caller{}, 400), "KNAE90022-E", message, "")
		s.Headers["X-Auth-Token"] = d.modifier.token
		return s
	}
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		bad("?HQL::filter="+url.QueryEscape("version ge '01' but latest = true"), "column 17"),
		bad("?HQL::filter="+url.QueryEscape("sha256 = 'x'"), `column 1: there is no field "sha256"`),
		bad("?HQL::filter="+url.QueryEscape("latest = 'yes'"), "column 10"),
		bad("?HQL::filter="+strings.Repeat("(", 40), "column 33"),
		bad("?HQL::filter=keyName='a;b'", "encoded"),
		bad("?HQL::filter=%zz", "encoded"),
		bad("?HQL::filter=a&HQL::filter=b", "more than once"),
		bad("?HQL::sortBy=version,version", "twice"),
		bad("?HQL::sortBy=nothing", "there is no field"),
		bad("?HQL::offset=-1", "HQL::offset"), bad("?HQL::offset=2147483648", "HQL::offset"), bad("?HQL::offset=x", ""),
		bad("?page=0", "page"), bad("?page=1000001", "page"), bad("?page=99999999999999999999", ""), bad("?page=1.5", ""),
		bad("?pageSize=0", "pageSize"), bad("?pageSize=1001", "pageSize"), bad("?page=1&page=2", "more than once"),
		bad("?q="+strings.Repeat("%00", 3), ""),
	})
}

func TestGetActionsAndDelete(t *testing.T) {
	t.Parallel()
	d := library(t)
	v := apitest.Validator(t, automation.Document())
	with := func(s apitest.Scenario) apitest.Scenario {
		delete(s.Headers, "Authorization")
		s.Headers["X-Auth-Token"], s.Headers["Host"] = d.developer.token, "assets.example:22015"
		return s
	}
	one := with(call("one", http.MethodGet, pathList+"/1", d.developer, 200))
	one.Check = func(t testing.TB, _ *http.Response, body []byte) {
		t.Helper()
		var got map[string]any
		require.NoError(t, json.Unmarshal(body, &got))
		require.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4}$`, got["createTime"])
		require.Equal(t, got["createTime"], got["modifyTime"])
		delete(got, "createTime")
		delete(got, "modifyTime")
		require.Equal(t, map[string]any{
			"instanceID": 1.0, "keyName": "addVM", "displayName": "Add a virtual machine", "vendorID": "com.example", "vendorName": "Example & Sons",
			"version": "01.00.00", "tags": "VM,Compute", "description": "It's 100% automatic_", "releaseState": "release", "latest": false,
			"supportedScheduleType": "immediate,schedule", "usedServices": "svc1,svc2", "usedTemplates": "base",
		}, got)
	}
	actions := with(call("actions", http.MethodGet, pathList+"/1/actions", d.developer, 200))
	const at = "http://assets.example:22015" + pathList + "/1"
	actions.WantJSON = fmt.Sprintf(`{"data": [{"name": "delete", "href": %q, "method": "DELETE", "parameters": []},
		{"name": "export", "href": %q, "method": "POST", "parameters": []}], "count": 2}`, at, at+"/actions/export/invoke")
	proxied := with(call("actions behind a proxy", http.MethodGet, pathList+"/1/actions", d.developer, 200))
	proxied.Headers["X-Forwarded-Proto"] = "https"
	proxied.WantBody = []string{`"https://assets.example:22015`}
	gone := func(method, id, suffix string) apitest.Scenario {
		s := call(method+" "+id+suffix, method, pathList+"/"+id+suffix, caller{}, 404)
		s.Headers["X-Auth-Token"] = d.developer.token
		return refused(s, "KNAE02102-E", "^The specified resource does not exist or you do not have access.$", "")
	}
	deleted := func(id string) apitest.Scenario {
		s := call("delete "+id, http.MethodDelete, pathList+"/"+id, caller{}, 204)
		s.Headers["X-Auth-Token"] = d.developer.token
		s.Check = func(t testing.TB, _ *http.Response, body []byte) {
			t.Helper()
			require.Empty(t, body)
		}
		return s
	}
	scenarios := []apitest.Scenario{one, actions, proxied}
	for _, id := range []string{"99", "0", "-1", "01", "+1", "1.0", "x", "9223372036854775808", "1%2F2", "%00"} {
		scenarios = append(scenarios, gone("GET", id, ""), gone("GET", id, "/actions"), gone("POST", id, "/actions/export/invoke"), deleted(id))
	}
	scenarios = append(scenarios,
		lists(d, "all are there", "", 5, 1, 2, 3, 4, 5),
		deleted("2"), deleted("2"), gone("GET", "2", ""), gone("GET", "2", "/actions"), gone("POST", "2", "/actions/export/invoke"),
		lists(d, "the next one is the latest", "?HQL::filter="+url.QueryEscape("vendorID = 'com.example' and latest = true"), 1, 3),
	)
	apitest.Run(t, d.handler, v, scenarios)

	// Those of other projects are not there.
	other := call("of another project", http.MethodGet, pathList+"/1", d.multi, 404)
	other.Headers["X-Project-Id"] = d.other.ID
	not := call("deletion in another project", http.MethodDelete, pathList+"/1", d.multi, 204)
	not.Headers["X-Project-Id"] = d.other.ID
	none := call("list of another project", http.MethodGet, pathList, d.multi, 200)
	none.Headers["X-Project-Id"] = d.other.ID
	none.WantJSON = `{"data": [], "count": 0}`
	apitest.Run(t, d.handler, v, []apitest.Scenario{other, not, none, one})
}

func TestExport(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	v := apitest.Validator(t, automation.Document())
	m := manifest("com.example", "addVM", "01.02.03")
	final := string(template(t, m))
	path := d.imports("anything.st", final)
	m.KeyName, m.ReleaseState = "addVM2", servicetemplate.Debug
	debug := string(template(t, m))
	debugPath := d.imports("anything.st", debug)
	export := func(name, path, accept, content, fileName string) apitest.Scenario {
		s := call(name, http.MethodPost, path+"/actions/export/invoke", d.developer, 200)
		if accept != "" {
			s.Headers["Accept"] = accept
		}
		s.WantHeaders["Content-Type"] = "application/octet-stream"
		s.WantHeaders["Content-Disposition"] = `attachment; filename="` + fileName + `"`
		s.WantHeaders["Content-Length"] = fmt.Sprint(len(content))
		s.Check = func(t testing.TB, _ *http.Response, body []byte) {
			t.Helper()
			require.Equal(t, content, string(body))
		}
		return s
	}
	not := func(accept string) apitest.Scenario {
		s := refused(call("not "+accept, http.MethodPost, path+"/actions/export/invoke", d.developer, 406), "KNAE90024-E", "application/octet-stream", "")
		s.Headers["Accept"] = accept
		return s
	}
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		export("a release", path, "application/octet-stream", final, "com.example_addVM_01.02.03.st"),
		export("a debug build", debugPath, "application/octet-stream", debug, "com.example_addVM2_01.02.03_d.st"),
		export("without Accept", path, "", final, "com.example_addVM_01.02.03.st"),
		export("anything", path, "text/html, */*;q=0.1", final, "com.example_addVM_01.02.03.st"),
		export("any of its family", path, "application/*", final, "com.example_addVM_01.02.03.st"),
		not("application/json"), not("application/octet-stream;q=0, */*"), not("text/*"),
	})
	for _, tc := range []struct {
		name, messageID string
		status          int
		blobs           automation.Blobs
	}{
		{"away", "KNAE90025-E", 412, badBlobs{fault.New(fault.Unavailable, "storage.unavailable", "Away.")}},
		{"lost", "KNAE90012-E", 500, badBlobs{fault.New(fault.NotFound, "storage.not_found", "the object does not exist")}},
		{"breaks at once", "KNAE90012-E", 500, brokenBlobs{d.store, 0}},
	} {
		d.blobs = tc.blobs
		d.renew(middleware.DefaultPace(10 * time.Second))
		s := refused(call(tc.name, http.MethodPost, path+"/actions/export/invoke", d.developer, tc.status), tc.messageID, "", "")
		s.WantHeaders["Content-Disposition"] = ""
		apitest.Run(t, d.handler, v, []apitest.Scenario{s})
	}

	// What breaks later must not look whole.
	d.blobs = brokenBlobs{d.store, 10}
	d.renew(middleware.DefaultPace(10 * time.Second))
	server := newServer(t, d.handler)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path+"/actions/export/invoke", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", d.developer.basic)
	resp, err := server.Client().Do(r)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, resp.Body.Close())
	}
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// badBlobs opens nothing.
type badBlobs struct{ err error }

func (b badBlobs) OpenBlob(context.Context, string) (io.ReadCloser, int64, error) {
	return nil, 0, b.err
}

// brokenBlobs breaks off after so many bytes.
type brokenBlobs struct {
	*storage.Store
	after int64
}

func (b brokenBlobs) OpenBlob(ctx context.Context, sha256 string) (io.ReadCloser, int64, error) {
	content, size, err := b.Store.OpenBlob(ctx, sha256)
	if err != nil {
		return nil, 0, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(content, b.after), errorReader{}), content}, size, nil
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) {
	return 0, fmt.Errorf("the connection to the store broke")
}
