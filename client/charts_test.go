package client_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/client"
)

const chartsPath = "/api/v1/projects/" + project + "/charts"

const chartJSON = `{"name":"demo","version":"1.2.0+build.7","app_version":"3.1","description":"d","sha256":"ab","size":7,"creator_id":"u1","creator_name":"ada","created_at":"2026-01-02T11:59:00Z"}`

func TestPushChart(t *testing.T) {
	t.Parallel()
	var got []string
	statuses := []int{http.StatusCreated, http.StatusOK}
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the body: %v", err)
		}
		got = append(got, r.Method+" "+r.RequestURI+" "+r.Header.Get("Content-Type")+" "+string(content))
		status := statuses[0]
		statuses = statuses[1:]
		answer(w, status, "application/json", chartJSON)
	})
	for _, added := range []bool{true, false} {
		chart, isNew, err := cl.PushChart(t.Context(), []byte("archive"))
		require.NoError(t, err)
		require.Equal(t, added, isNew)
		require.Equal(t, client.Chart{
			Name: "demo", Version: "1.2.0+build.7", AppVersion: "3.1", Description: "d", SHA256: "ab", Size: 7, CreatorID: "u1", CreatorName: "ada",
			CreatedAt: time.Date(2026, 1, 2, 11, 59, 0, 0, time.UTC),
		}, chart)
	}
	require.Equal(t, []string{"POST " + chartsPath + " application/gzip archive", "POST " + chartsPath + " application/gzip archive"}, got)
}

func TestPushIsRepeatedWhereItMayBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status, calls int
		refused       bool
	}{
		"for the moment": {503, 2, false},
		"for good":       {409, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if calls++; calls == 1 {
					answer(w, c.status, "application/problem+json", `{"detail":"The version is there with other bytes.","code":"catalog.chart_differs"}`)
					return
				}
				answer(w, 201, "application/json", chartJSON)
			})
			_, _, err := cl.PushChart(t.Context(), []byte("archive"))
			require.Equal(t, c.refused, err != nil, "%v", err)
			require.Equal(t, c.calls, calls)
		})
	}
}

func TestCharts(t *testing.T) {
	t.Parallel()
	var got []string
	charts, err := requests(t, &got, 200, `{"charts":[`+chartJSON+`],"next_cursor":"n"}`).ListCharts(t.Context(), 5, "c")
	require.NoError(t, err)
	require.Equal(t, "n", charts.NextCursor)
	require.Equal(t, "demo", charts.Charts[0].Name)
	versions, err := requests(t, &got, 200, `{"versions":[`+chartJSON+`]}`).ChartVersions(t.Context(), "a/b")
	require.NoError(t, err)
	require.Equal(t, charts.Charts, versions)
	chart, err := requests(t, &got, 200, chartJSON).Chart(t.Context(), "demo", "1.2.0+build.7")
	require.NoError(t, err)
	require.Equal(t, versions[0], chart)
	require.NoError(t, requests(t, &got, 204, "").DeleteChart(t.Context(), "demo", "1.2.0"))
	require.Equal(t, []string{
		"GET " + chartsPath + "?cursor=c&limit=5", "GET " + chartsPath + "/a%2Fb", "GET " + chartsPath + "/demo/1.2.0+build.7", "DELETE " + chartsPath + "/demo/1.2.0",
	}, got)
}

func TestPullChart(t *testing.T) {
	t.Parallel()
	const content = "the archive of a chart"
	sum := sha256.Sum256([]byte(content))
	digest := hex.EncodeToString(sum[:])
	pull := func(sent, etag string) (client.Archive, string, error) {
		cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
			require.Equal(t, "GET "+chartsPath+"/demo/1.2.0/archive", r.Method+" "+r.RequestURI)
			w.Header().Set("ETag", etag)
			w.Header().Set("Content-Type", "application/gzip")
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(sent))
		})
		var out bytes.Buffer
		archive, err := cl.PullChart(t.Context(), "demo", "1.2.0", &out, nil)
		return archive, out.String(), err
	}
	archive, got, err := pull(content, `"`+digest+`"`)
	require.NoError(t, err)
	require.Equal(t, content, got)
	require.Equal(t, client.Archive{Size: int64(len(content)), SHA256: digest}, archive)
	_, _, err = pull(content+"!", `"`+digest+`"`)
	require.ErrorIs(t, err, client.ErrArchiveChanged)
	_, _, err = pull(content, "")
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.True(t, refusal.Foreign())
}
