package command

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	studioPath = "/v1/" + projectID
	fileUUID   = "0194f7a0-f11e-7000-8000-00000000f11e"
	content    = "content of a file"
)

func contentMD5() string {
	sum := md5.Sum([]byte(content))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// digitalFile gives the JSON of a file whose bytes are at url.
func digitalFile(id, name, category, url string) string {
	return fmt.Sprintf(`{"file_id":%q,"file_name":%q,"file_md5":%q,"file_size":%d,"file_type":"mp4","asset_file_category":%q,
		"state":"CREATED","download_url":%q}`, id, name, contentMD5(), len(content), category, url)
}

// digitalAsset gives the JSON of a digital asset.
func digitalAsset(id, name, state string, files ...string) string {
	return fmt.Sprintf(`{"project_id":%q,"asset_id":%q,"asset_name":%q,"asset_description":"Presenter","app_user_id":"","reason":"",
		"create_time":"2026-01-01T08:00:00.123Z","update_time":"2026-01-02T09:30:00Z","asset_type":"VIDEO","asset_state":%q,
		"tags":["demo","2026"],"asset_extra_meta":{"fps":25},"system_properties":["x",{"key":"y"}],"asset_order":0,"files":[%s]}`,
		projectID, id, name, state, strings.Join(files, ","))
}

// assetsNamed answers a list of digital assets as the service does: by a part of the name, or by ids.
func assetsNamed(assets ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		found := []string{}
		for _, asset := range assets {
			var a struct {
				ID   string `json:"asset_id"`
				Name string `json:"asset_name"`
			}
			_ = json.Unmarshal([]byte(asset), &a)
			q := r.URL.Query()
			if strings.Contains(a.Name, q.Get("name")) && (q.Get("asset_id") == "" || q.Get("asset_id") == a.ID) {
				found = append(found, asset)
			}
		}
		reply(200, fmt.Sprintf(`{"count":%d,"assets":[%s]}`, len(found), strings.Join(found, ",")))(w, r)
	}
}

// done answers with nothing, and notes what was asked.
func done(t *testing.T, asked *string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the body: %v", err)
		}
		*asked = r.URL.RequestURI() + string(body)
		w.WriteHeader(http.StatusOK)
	}
}

func TestDigitalOutput(t *testing.T) {
	t.Parallel()
	ava := digitalAsset(assetUUID, "Ava \u202e", "ACTIVED", digitalFile(fileUUID, "ava.mp4", "MAIN", "http://s3/x"))
	endpoint := service(t, routes{
		"GET " + studioPath + "/digital-assets":              assetsNamed(ava, digitalAsset("id2", "Ava 2", "CREATING")),
		"GET " + studioPath + "/digital-assets/" + assetUUID: reply(200, ava),
		"GET " + studioPath + "/digital-assets/id2":          reply(200, digitalAsset("id2", "Ava 2", "CREATING")),
	})
	for name, args := range map[string][]string{
		"digital-list":      {"assets", "list", "--digital"},
		"digital-list-json": {"asset", "list", "--digital", "-o", "json"},
		"digital-show":      {"asset", "show", "--digital", assetUUID},
		"digital-show-name": {"asset", "show", "--digital", "Ava 2"},
		"digital-show-json": {"asset", "show", "--digital", "id2", "-o", "json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := signedIn(t, endpoint)
			a.environ = a.environ[:3] // no instance: they are the project's
			r := a.exec(t.Context(), args...)
			require.Equal(t, ExitOK, r.code, r.stderr)
			if !strings.HasSuffix(name, "-json") {
				require.NotContains(t, r.stdout, "\u202e")
				require.NotContains(t, r.stdout, "http://s3", "who has it can download")
			}
			golden(t, name, r.stdout+"--- stderr ---\n"+r.stderr)
		})
	}
}

func TestDigitalLists(t *testing.T) {
	t.Parallel()
	var asked []string
	page := func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)
		n := 100
		if r.URL.Query().Get("offset") == "100" {
			n = 20
		}
		reply(200, fmt.Sprintf(`{"count":120,"assets":[%s]}`, strings.Repeat(digitalAsset("x", "n", "ACTIVED")+",", n-1)+digitalAsset("x", "n", "ACTIVED")))(w, r)
	}
	endpoint := service(t, routes{"GET " + studioPath + "/digital-assets": page})
	r := signedIn(t, endpoint).exec(t.Context(), "assets", "list", "--digital", "--all", "--contains", "n", "--tag", "t", "--type", "VIDEO,IMAGE",
		"--state", "ACTIVED", "--sort", "update_time", "--descending", "-q")
	require.Equal(t, ExitOK, r.code, r.stderr)
	const filters = "asset_state=ACTIVED&asset_type=VIDEO%2CIMAGE&limit=100&name=n"
	require.Equal(t, []string{filters + "&sort_dir=desc&sort_key=update_time&tag=t", filters + "&offset=100&sort_dir=desc&sort_key=update_time&tag=t"}, asked)
	require.Equal(t, 121, strings.Count(r.stdout, "\n"))

	r = signedIn(t, endpoint).exec(t.Context(), "assets", "list", "--digital", "--limit", "100")
	require.Contains(t, r.stderr, "There are more")
	empty := service(t, routes{"GET " + studioPath + "/digital-assets": reply(200, `{"count":0,"assets":[]}`)})
	r = signedIn(t, empty).exec(t.Context(), "assets", "list", "--digital")
	require.Equal(t, result{stderr: "No digital assets.\n"}, r)
	r = signedIn(t, empty).exec(t.Context(), "assets", "list", "--digital", "-o", "json")
	require.JSONEq(t, `{"count":0,"assets":[]}`, r.stdout)
}

func TestDigitalChanges(t *testing.T) {
	t.Parallel()
	meta := filepath.Join(t.TempDir(), "meta.json")
	require.NoError(t, os.WriteFile(meta, []byte(`{"fps": 25}`), 0o600))
	const base = studioPath + "/digital-assets"
	for name, c := range map[string]struct {
		args           []string
		route, answer  string
		asked, printed string
	}{
		"create": {
			[]string{"create", "Ava", "--type", "VIDEO", "--description", "d", "--tag", "a,b", "--tag", "c", "--meta", `{"x":1}`},
			"POST " + base, `{"asset_id":"` + assetUUID + `"}`,
			base + `{"asset_name":"Ava","asset_type":"VIDEO","asset_description":"d","tags":["a,b","c"],"asset_extra_meta":{"x":1}}`,
			"Created " + assetUUID + ". Give it its main file:  assetflow assets upload " + assetUUID + " FILE\n",
		},
		"create for scripts": {
			[]string{"create", "Ava", "--type", "VIDEO", "-q"}, "POST " + base, `{"asset_id":"` + assetUUID + `"}`,
			base + `{"asset_name":"Ava","asset_type":"VIDEO"}`, assetUUID + "\n",
		},
		"update": {
			[]string{"update", assetUUID, "--name", "Eva", "--no-tags", "--description", "", "--order", "0", "--meta", "@" + meta},
			"PUT " + base + "/" + assetUUID, digitalAsset(assetUUID, "Eva", "ACTIVED"),
			base + "/" + assetUUID + `{"asset_name":"Eva","asset_description":"","tags":[],"asset_extra_meta":{"fps":25},"asset_order":0}`,
			"Changed Eva (" + assetUUID + ").\n",
		},
		"delete": {
			[]string{"delete", "--digital", assetUUID}, "DELETE " + base + "/" + assetUUID, "", base + "/" + assetUUID,
			"Deleted " + assetUUID + ". Get it back with `assetflow assets restore --digital " + assetUUID + "`.\n",
		},
		"delete by name": {
			[]string{"delete", "--digital", "Ava"}, "DELETE " + base + "/id1", "", base + "/id1",
			"Deleted id1. Get it back with `assetflow assets restore --digital id1`.\n",
		},
		"delete by an id that does not look like one": {
			[]string{"delete", "--digital", "id1", "-q", "-o", "json"}, "DELETE " + base + "/id1", "", base + "/id1", "{\n  \"deleted\": [\n    \"id1\"\n  ]\n}\n",
		},
		"delete for good": {
			[]string{"delete", "--digital", "--force", "Ava"}, "DELETE " + base + "/id1", "", base + "/id1?mode=force", "Removed id1 for good.\n",
		},
		"restore": {
			[]string{"restore", "--digital", "Ava"}, "POST " + base + "/id1/restore", "", base + "/id1/restore", "Restored id1.\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked string
			note := done(t, &asked)
			endpoint := service(t, routes{
				"GET " + base: assetsNamed(digitalAsset("id1", "Ava", "ACTIVED"), digitalAsset("id2", "Ava 2", "ACTIVED")),
				c.route: func(w http.ResponseWriter, r *http.Request) {
					if c.answer != "" {
						w.Header().Set("Content-Type", "application/json")
					}
					note(w, r)
					_, _ = io.WriteString(w, c.answer)
				},
			})
			r := signedIn(t, endpoint).exec(t.Context(), append([]string{"asset"}, c.args...)...)
			require.Equal(t, ExitOK, r.code, r.stderr)
			require.Equal(t, c.asked, asked)
			require.Equal(t, c.printed, r.stdout)
		})
	}
}

func TestDigitalVersions(t *testing.T) {
	t.Parallel()
	const base = "/api/v1/projects/" + projectID + "/digital-assets/" + assetUUID + "/versions"
	version := `{"id":"` + assetUUID + `","name":"Ava","description":"d","type":"VIDEO","app_user_id":"","tags":["demo"],"extra_meta":{"fps":25},
		"system_properties":["\"x\""],"order":0,"state":"ACTIVED","reason":"","version_number":2,"digest":"d1g","files":[{"id":"f1","name":"a.mp4",
		"md5":"m","type":"mp4","category":"MAIN","size":17,"sha256":"5ha"}],"created_at":"2026-01-01T08:00:00Z","updated_at":"2026-01-02T09:30:00Z"}`
	endpoint := service(t, routes{
		"GET " + base: reply(200, `{"versions":[{"number":2,"label":"","digest":"d2","created_by":"u1","job_id":"`+jobUUID+`",
			"created_at":"2026-01-02T09:30:00Z"},{"number":1,"label":"","digest":"d1","created_by":"u1","job_id":"","created_at":"2026-01-01T08:00:00Z"}]}`),
		"GET " + base + "/2":          reply(200, version),
		"POST " + base + "/1/restore": reply(200, version),
	})
	for name, args := range map[string][]string{
		"digital-versions":        {"versions", "--digital", strings.ToUpper(assetUUID)},
		"digital-version-show":    {"show", "--digital", assetUUID, "--version", "2"},
		"digital-version-restore": {"restore", "--digital", assetUUID, "--version", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signedIn(t, endpoint).exec(t.Context(), append([]string{"assets"}, args...)...)
			require.Equal(t, ExitOK, r.code, r.stderr)
			golden(t, name, r.stdout+"--- stderr ---\n"+r.stderr)
		})
	}
}

func TestDigitalNames(t *testing.T) {
	t.Parallel()
	var states []string
	list := assetsNamed(digitalAsset("id1", "Ava", "DELETING"), digitalAsset("id2", "Ava", "DELETING"))
	endpoint := service(t, routes{"GET " + studioPath + "/digital-assets": func(w http.ResponseWriter, r *http.Request) {
		states = append(states, r.URL.Query().Get("asset_state"))
		list(w, r)
	}})
	r := signedIn(t, endpoint).exec(t.Context(), "assets", "restore", "--digital", "Ava")
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "2 digital assets have the name \"Ava\"\nUse the id of one:\n  id1  VIDEO, DELETING\n")
	require.Equal(t, []string{"DELETING"}, states)
	r = signedIn(t, endpoint).exec(t.Context(), "assets", "show", "--digital", "Eva")
	require.Equal(t, ExitNotFound, r.code)
	require.Contains(t, r.stderr, `the project has no digital asset of the name "Eva"`)
}

// uploadService takes one file; store answers the PUT.
func uploadService(t *testing.T, store http.HandlerFunc, announced *string, confirmed *[]string) string {
	t.Helper()
	s3 := httptest.NewServer(store)
	t.Cleanup(s3.Close)
	return service(t, routes{
		"POST " + studioPath + "/files": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			*announced = string(body)
			reply(200, `{"file_id":"`+fileUUID+`","upload_url":"`+s3.URL+`/bucket/key?X-Amz-Signature=5ec4e7"}`)(w, r)
		},
		"POST " + studioPath + "/files/" + fileUUID + "/complete": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			*confirmed = append(*confirmed, string(body))
		},
	})
}

func TestUpload(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "Ava.MP4")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	var announced string
	var confirmed []string
	endpoint := uploadService(t, func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) != content || r.Header.Get("Content-MD5") != contentMD5() || r.Header.Get("X-Auth-Token") != "" {
			w.WriteHeader(http.StatusForbidden)
		}
	}, &announced, &confirmed)
	r := signedIn(t, endpoint).exec(t.Context(), "asset", "upload", assetUUID, path)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.JSONEq(t, fmt.Sprintf(`{"asset_id":%q,"file_name":"Ava.MP4","file_type":"mp4","asset_file_category":"MAIN","file_size":17,"file_md5":%q}`,
		assetUUID, contentMD5()), announced)
	require.Equal(t, []string{`{"state":"CREATED"}`}, confirmed)
	require.Equal(t, "File "+fileUUID+" is the asset's MAIN file.\n", r.stdout)
	require.Equal(t, "Uploading Ava.MP4 (17 B)\nUploaded Ava.MP4 (17 B) in 0s.\n", r.stderr)

	r = signedIn(t, endpoint).exec(t.Context(), "asset", "upload", assetUUID, path, "--category", "COVER", "--name", "cover", "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.JSONEq(t, fmt.Sprintf(`{"file_id":%q,"asset_id":%q,"file_name":"cover","file_type":"bin","asset_file_category":"COVER","file_size":17,"file_md5":%q}`,
		fileUUID, assetUUID, contentMD5()), r.stdout)
	require.Empty(t, r.stderr)
	require.NotContains(t, r.stdout, "Signature")
}

func TestAnUploadThatTheStoreRefuses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	var announced string
	var confirmed []string
	endpoint := uploadService(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code></Error>`)
	}, &announced, &confirmed)
	r := signedIn(t, endpoint).exec(t.Context(), "asset", "upload", assetUUID, path)
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stderr, "assetflow: the object store answered 403 Forbidden (AccessDenied)\nThe URLs of files are good for 24 hours.")
	require.NotContains(t, r.stderr, "Signature")
	require.Equal(t, []string{`{"state":"FAILED"}`}, confirmed)
}

func TestFilesThatCannotBeUploaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, huge := filepath.Join(dir, "empty"), filepath.Join(dir, "huge")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	require.NoError(t, os.WriteFile(huge, nil, 0o600))
	require.NoError(t, os.Truncate(huge, 5<<30+1))
	for path, says := range map[string]string{dir: "is not a regular file", empty: "is empty", huge: "at most 5120.0 MiB"} {
		r := signedIn(t, "http://127.0.0.1:1").exec(t.Context(), "asset", "upload", assetUUID, path)
		require.Equal(t, ExitUsage, r.code)
		require.Contains(t, r.stderr, says)
	}
	r := signedIn(t, "http://127.0.0.1:1").exec(t.Context(), "asset", "upload", assetUUID, filepath.Join(dir, "none"))
	require.Equal(t, ExitNotFound, r.code)
}

// downloadService has an asset whose files have the given names, each with the same content.
func downloadService(t *testing.T, names ...string) string {
	t.Helper()
	s3 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"e"`)
		if r.URL.Path == "/spoilt" {
			_, _ = io.WriteString(w, strings.ToUpper(content))
			return
		}
		_, _ = io.WriteString(w, content)
	}))
	t.Cleanup(s3.Close)
	files := make([]string, len(names))
	for i, name := range names {
		files[i] = digitalFile(fmt.Sprintf("f%d", i+1), name, "OTHER", s3.URL+"/"+name+"?X-Amz-Signature=5ec4e7")
	}
	return service(t, routes{
		"GET " + studioPath + "/digital-assets/" + assetUUID: reply(200, digitalAsset(assetUUID, "Ava", "ACTIVED", files...)),
	})
}

func TestDownload(t *testing.T) {
	t.Parallel()
	endpoint := downloadService(t, "a.mp4", "b.png")
	dir := filepath.Join(t.TempDir(), "new", "folder")
	r := signedIn(t, endpoint).exec(t.Context(), "asset", "download", assetUUID, "--dir", dir)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, fmt.Sprintf("Wrote %s/a.mp4 (17 B).\nWrote %s/b.png (17 B).\n", dir, dir), r.stdout)
	require.NotContains(t, r.stderr, "Signature")
	for _, name := range []string{"a.mp4", "b.png"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, content, string(got))
	}

	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.png"), []byte("mine"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(dir, "a.mp4")))
	r = signedIn(t, endpoint).exec(t.Context(), "asset", "download", assetUUID, "--dir", dir)
	require.Equal(t, ExitConflict, r.code)
	require.Contains(t, r.stderr, "b.png exists\nReplace it with --overwrite")
	require.NoFileExists(t, filepath.Join(dir, "a.mp4"), "nothing is done where not all can be")
	r = signedIn(t, endpoint).exec(t.Context(), "asset", "download", assetUUID, "--dir", dir, "--overwrite", "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.JSONEq(t, fmt.Sprintf(`{"files":[{"file_id":"f1","file":"%[1]s/a.mp4","file_size":17,"file_md5":"%[2]s"},
		{"file_id":"f2","file":"%[1]s/b.png","file_size":17,"file_md5":"%[2]s"}]}`, dir, contentMD5()), r.stdout)

	out := filepath.Join(dir, "one")
	r = signedIn(t, endpoint).exec(t.Context(), "asset", "download", assetUUID, "--file", "b.png", "--out", out, "-q")
	require.Equal(t, result{}, r)
	require.FileExists(t, out)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 3, "no unfinished file is left")
}

func TestDownloadsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files []string
		args  []string
		code  int
		says  string
	}{
		"out of the folder":  {[]string{"../x"}, nil, ExitUsage, "which is no file's here"},
		"the folder above":   {[]string{".."}, nil, ExitUsage, "which is no file's here"},
		"an absolute path":   {[]string{"/tmp/x"}, nil, ExitUsage, "which is no file's here"},
		"two of a name":      {[]string{"a", "a"}, nil, ExitUsage, "several of the files have the name \"a\""},
		"one of two":         {[]string{"a", "a"}, []string{"--file", "a"}, ExitUsage, "2 files of the asset have the name"},
		"two into one":       {[]string{"a", "b"}, []string{"--out", "x"}, ExitUsage, "the asset has 2 files, and --out names one"},
		"none of a name":     {[]string{"a"}, []string{"--file", "b"}, ExitNotFound, `has no file "b"`},
		"no files":           {nil, nil, ExitNotFound, "the asset Ava has no files"},
		"not what was named": {[]string{"spoilt"}, nil, ExitFailure, "the file is not the one that was announced: MD5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := append([]string{"asset", "download", assetUUID}, c.args...)
			if len(c.args) == 0 || c.args[0] != "--out" {
				args = append(args, "--dir", dir)
			}
			r := signedIn(t, downloadService(t, c.files...)).exec(t.Context(), args...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
			require.NotContains(t, r.stderr, "Signature")
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestRemoveFile(t *testing.T) {
	t.Parallel()
	var asked string
	endpoint := service(t, routes{
		"GET " + studioPath + "/digital-assets/" + assetUUID: reply(200, digitalAsset(assetUUID, "Ava", "ACTIVED", digitalFile("f1", "a", "MAIN", "x"))),
		"DELETE " + studioPath + "/files/f1":                 done(t, &asked),
	})
	r := signedIn(t, endpoint).exec(t.Context(), "asset", "remove-file", assetUUID, "a")
	require.Equal(t, result{stdout: "Removed a (f1) from Ava.\n"}, r)
	require.Equal(t, studioPath+"/files/f1", asked)
}

func TestRefusalsOfMetaStudioHaveTheirExitCodes(t *testing.T) {
	t.Parallel()
	for code, c := range map[string]struct {
		message string
		exit    int
		says    string
	}{
		"MSS.00000003": {"Bad.", ExitFailure, "Bad. (MSS.00000003, HTTP 400"},
		"MSS.00010009": {"No project.", ExitForbidden, "A token is for one project"},
		"MSS.10001001": {"No asset.", ExitNotFound, "assetflow assets list --digital"},
		"MSS.10001004": {"No file.", ExitNotFound, "No file."},
		"MSS.10001005": {"Taken.", ExitConflict, "Taken."},
		"MSS.10001008": {"Main.", ExitConflict, "--category"},
		"MSS.10001006": {"It is the job " + jobUUID + ".", ExitConflict, "assetflow job watch " + jobUUID},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			endpoint := service(t, routes{"GET " + studioPath + "/digital-assets/" + assetUUID: reply(400, `{"error_code":"`+code+`","error_msg":"`+c.message+`"}`)})
			r := signedIn(t, endpoint).exec(t.Context(), "asset", "show", "--digital", assetUUID)
			require.Equal(t, c.exit, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
		})
	}
}
