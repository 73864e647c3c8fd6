package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/client"
)

const (
	assetID    = "0194f7a0-dddd-7000-8000-00000000dddd"
	studioPath = "/v1/" + project
	assetWire  = `{"project_id":"` + project + `","asset_id":"` + assetID + `","asset_name":"Ava","asset_description":"d","app_user_id":"u",
		"create_time":"2026-01-01T00:00:00.5Z","update_time":"2026-01-02T00:00:00Z","asset_type":"VIDEO","asset_state":"ACTIVED",
		"reason":"","tags":["a","b"],"asset_extra_meta":{"k":1},"system_properties":["x",{"key":"y"}],"asset_order":7,
		"files":[{"file_id":"f1","file_name":"a.mp4","file_md5":"1B2M2Y8AsgTpgAmY7PhCfg==","file_size":3,"file_type":"mp4",
		"asset_file_category":"MAIN","state":"CREATED","download_url":"http://s3/x"}]}`
)

// asked is one request as a fake service saw it.
type asked struct{ line, body string }

// note answers every request and keeps what it was.
func note(t *testing.T, got *asked, status int, body string) *client.Client {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the body: %v", err)
		}
		if r.Header.Get("X-Auth-Token") != "t0ken" {
			t.Errorf("%s %s without identity", r.Method, r.URL)
		}
		*got = asked{r.Method + " " + r.RequestURI, string(content)}
		if body == "" {
			w.WriteHeader(status)
			return
		}
		answer(w, status, "application/json", body)
	})
}

func ptr[T any](v T) *T { return &v }

func TestDigitalAssets(t *testing.T) {
	t.Parallel()
	var want client.DigitalAsset
	require.NoError(t, json.Unmarshal([]byte(assetWire), &want))
	require.Equal(t, time.Date(2026, 1, 1, 0, 0, 0, 500_000_000, time.UTC), want.CreatedAt)
	require.Equal(t, "MAIN", want.Files[0].Category)
	for name, c := range map[string]struct {
		answer string
		call   func(c *client.Client) (any, error)
		want   any
		asked  asked
	}{
		"create": {
			`{"asset_id":"` + assetID + `"}`,
			func(c *client.Client) (any, error) {
				return c.CreateDigitalAsset(t.Context(), client.DigitalMetadata{Name: ptr("Ava"), Type: ptr("VIDEO"), Tags: &[]string{"a"}})
			}, assetID,
			asked{"POST " + studioPath + "/digital-assets", `{"asset_name":"Ava","asset_type":"VIDEO","tags":["a"]}`},
		},
		"list": {
			`{"count":1,"assets":[` + assetWire + `]}`,
			func(c *client.Client) (any, error) { return c.ListDigitalAssets(t.Context(), client.DigitalFilter{}) },
			client.DigitalPage{Count: 1, Assets: []client.DigitalAsset{want}},
			asked{"GET " + studioPath + "/digital-assets", ""},
		},
		"list some": {
			`{"count":0,"assets":[]}`,
			func(c *client.Client) (any, error) {
				return c.ListDigitalAssets(t.Context(), client.DigitalFilter{
					Name: "a b", Tag: "t", Types: []string{"VIDEO", "IMAGE"}, States: []string{client.AssetDeleting}, IDs: []string{"x", "y"},
					SortKey: "update_time", Descending: true, Limit: 5, Offset: 10,
				})
			}, client.DigitalPage{Assets: []client.DigitalAsset{}},
			asked{"GET " + studioPath + "/digital-assets?asset_id=x&asset_id=y&asset_state=DELETING&asset_type=VIDEO%2CIMAGE" +
				"&limit=5&name=a+b&offset=10&sort_dir=desc&sort_key=update_time&tag=t", ""},
		},
		"show": {
			assetWire, func(c *client.Client) (any, error) { return c.DigitalAsset(t.Context(), "a/b") }, want,
			asked{"GET " + studioPath + "/digital-assets/a%2Fb", ""},
		},
		"update": {
			assetWire,
			func(c *client.Client) (any, error) {
				return c.UpdateDigitalAsset(t.Context(), assetID, client.DigitalMetadata{
					Description: ptr(""), Tags: &[]string{}, ExtraMeta: json.RawMessage(`{}`), Order: ptr[int64](0),
				})
			}, want,
			asked{"PUT " + studioPath + "/digital-assets/" + assetID, `{"asset_description":"","tags":[],"asset_extra_meta":{},"asset_order":0}`},
		},
		"delete": {
			"", func(c *client.Client) (any, error) { return nil, c.DeleteDigitalAsset(t.Context(), assetID) }, nil,
			asked{"DELETE " + studioPath + "/digital-assets/" + assetID, ""},
		},
		"purge": {
			"", func(c *client.Client) (any, error) { return nil, c.PurgeDigitalAsset(t.Context(), assetID) }, nil,
			asked{"DELETE " + studioPath + "/digital-assets/" + assetID + "?mode=force", ""},
		},
		"restore": {
			"", func(c *client.Client) (any, error) { return nil, c.RestoreDigitalAsset(t.Context(), assetID) }, nil,
			asked{"POST " + studioPath + "/digital-assets/" + assetID + "/restore", ""},
		},
		"versions": {
			`{"versions":[{"number":3}]}`, func(c *client.Client) (any, error) { return c.ListDigitalVersions(t.Context(), assetID) },
			[]client.Version{{Number: 3}},
			asked{"GET /api/v1/projects/" + project + "/digital-assets/" + assetID + "/versions", ""},
		},
		"a version": {
			`{"id":"x","files":[{"sha256":"ab","size":7}]}`,
			func(c *client.Client) (any, error) { return c.DigitalAssetAt(t.Context(), assetID, 2) },
			client.DigitalVersion{ID: "x", Files: []client.DigitalVersionFile{{SHA256: "ab", Size: 7}}},
			asked{"GET /api/v1/projects/" + project + "/digital-assets/" + assetID + "/versions/2", ""},
		},
		"an old version again": {
			`{"version_number":4}`,
			func(c *client.Client) (any, error) { return c.RestoreDigitalVersion(t.Context(), assetID, 2) },
			client.DigitalVersion{VersionNumber: 4},
			asked{"POST /api/v1/projects/" + project + "/digital-assets/" + assetID + "/versions/2/restore", ""},
		},
		"delete a file": {
			"", func(c *client.Client) (any, error) { return nil, c.DeleteFile(t.Context(), "f1") }, nil,
			asked{"DELETE " + studioPath + "/files/f1", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen asked
			got, err := c.call(note(t, &seen, 200, c.answer))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			require.Equal(t, c.asked, seen)
		})
	}
}

const sealed = `{"asset_id":"` + assetID + `","asset_info":"c2VjcmV0:c2VjcmV0","encryption_info":{"key_id":1},"expire_time":1767225600}`

func TestReplicationInfoAndCopy(t *testing.T) {
	t.Parallel()
	var seen asked
	info, err := note(t, &seen, 200, sealed).ReplicationInfo(t.Context(), assetID)
	require.NoError(t, err)
	require.Equal(t, asked{"GET " + studioPath + "/digital-assets/" + assetID + "/replication-info", ""}, seen)
	require.JSONEq(t, sealed, string(info))

	starts := 0
	copying := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = asked{r.Method + " " + r.RequestURI, string(body)}
		if starts++; starts == 1 {
			panic(http.ErrAbortHandler) // whether it has started nobody knows
		}
		w.Header().Set("X-Job-Id", jobUUID)
	}, func(cfg *client.Config) { cfg.Transport = &http.Transport{DisableKeepAlives: true} })
	id, err := copying.StartCopy(t.Context(), info)
	require.NoError(t, err)
	require.Equal(t, jobUUID, id)
	require.Equal(t, 2, starts)
	require.Equal(t, asked{"POST " + studioPath + "/digital-assets-by-replication-info", sealed}, seen)

	_, err = note(t, &seen, 200, "").StartCopy(t.Context(), info)
	require.ErrorContains(t, err, "no job id")
}

func TestAReplicationInfoIsNotPrinted(t *testing.T) {
	t.Parallel()
	info := client.ReplicationInfo(sealed)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "info", info, "inside", struct{ I client.ReplicationInfo }{info})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "info", info)
	for _, text := range []string{
		fmt.Sprint(info), fmt.Sprintf("%v %+v %#v %s %q %x %d", info, info, info, info, info, info, info),
		fmt.Sprintf("%+v", struct{ I *client.ReplicationInfo }{&info}), fmt.Sprint(fmt.Errorf("x: %v", info)), log.String(),
	} {
		require.NotContains(t, text, "c2VjcmV0")
		require.NotContains(t, text, "99 50 86") // the same as numbers
		require.NotContains(t, text, "633256")   // and as hex digits
	}
	again, err := json.Marshal(struct{ I client.ReplicationInfo }{info})
	require.NoError(t, err)
	require.JSONEq(t, `{"I":`+sealed+`}`, string(again))
}

func TestRefusalsOfMetaStudio(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		body    string
		code    string
		running string
	}{
		"a copy runs":     {400, `{"error_code":"MSS.10001006","error_msg":"A job runs. It is the job ` + jobUUID + `."}`, "MSS.10001006", jobHex},
		"its own failure": {500, `{"error_code":"MSS.10001006","error_msg":"Away since ` + jobUUID + `."}`, "MSS.10001006", ""},
		"no asset":        {400, `{"error_code":"MSS.10001001","error_msg":"No."}`, client.CodeNoAsset, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen asked
			_, err := note(t, &seen, c.status, c.body).StartCopy(t.Context(), client.ReplicationInfo(sealed))
			var refusal *client.Error
			require.True(t, errors.As(err, &refusal))
			require.Equal(t, c.code, refusal.Code)
			require.Equal(t, c.running, refusal.RunningJob())
			require.NotContains(t, err.Error(), "c2VjcmV0")
		})
	}
}
