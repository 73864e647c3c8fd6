package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Chart is one version of a chart in the project's add-on library.
type Chart struct {
	Name        string    `json:"name"`
	Version     string    `json:"version"` // a semantic version
	AppVersion  string    `json:"app_version"`
	Description string    `json:"description"`
	SHA256      string    `json:"sha256"` // of the archive, hex digits
	Size        int64     `json:"size"`   // of the archive, bytes
	CreatorID   string    `json:"creator_id"`
	CreatorName string    `json:"creator_name"`
	CreatedAt   time.Time `json:"created_at"`
}

// ChartPage is one page of charts by name, each with its newest version.
type ChartPage struct {
	Charts     []Chart `json:"charts"`
	NextCursor string  `json:"next_cursor,omitempty"` // empty on the last page
}

// PushChart puts a chart, as `helm package` makes it, into the library. added is false where the library has the same bytes
// already. The same version with other bytes is refused with the status 409. The same again changes nothing, so a try
// that fails where another may not is repeated.
func (c *Client) PushChart(ctx context.Context, archive []byte) (chart Chart, added bool, err error) {
	for try := 1; ; try++ {
		chart, added, err = c.pushChart(ctx, archive)
		if err == nil || try == readTries || ctx.Err() != nil || !worthRepeating(err) {
			return chart, added, err
		}
		if err := c.pause(ctx, try, err); err != nil {
			return Chart{}, false, err
		}
	}
}

func (c *Client) pushChart(ctx context.Context, archive []byte) (chart Chart, added bool, err error) {
	const what = "push the chart"
	limited, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	req, err := c.newRequest(limited, http.MethodPost, c.chartPath(), nil, bytes.NewReader(archive))
	if err != nil {
		return Chart{}, false, fmt.Errorf("%s: %w", what, err)
	}
	req.Header.Set("Content-Type", "application/gzip")
	req.Header.Set("Expect", "100-continue")
	if err := c.identify(req); err != nil {
		return Chart{}, false, fmt.Errorf("%s: %w", what, err)
	}
	resp, err := c.send(ctx, what, req)
	if err != nil {
		return Chart{}, false, err
	}
	defer closeBody(resp)
	if err := decode(what, resp, &chart); err != nil {
		return Chart{}, false, err
	}
	return chart, resp.StatusCode == http.StatusCreated, nil
}

// ListCharts lists the charts of the library by name, each with its newest version. limit is at most 500, or 0 for the
// service's default; cursor is NextCursor of the page before.
func (c *Client) ListCharts(ctx context.Context, limit int, cursor string) (ChartPage, error) {
	query := url.Values{}
	setPage(query, limit, cursor)
	var page ChartPage
	err := c.get(ctx, "list charts", c.chartPath(), query, &page)
	return page, err
}

// ChartVersions lists the versions of a chart, newest first; *Error with status 404 where there is none.
func (c *Client) ChartVersions(ctx context.Context, name string) ([]Chart, error) {
	var list struct {
		Versions []Chart `json:"versions"`
	}
	err := c.get(ctx, "list the versions of chart "+name, c.chartPath(name), nil, &list)
	return list.Versions, err
}

// Chart asks for one version of a chart; *Error with status 404 where it is not there.
func (c *Client) Chart(ctx context.Context, name, version string) (Chart, error) {
	var chart Chart
	err := c.get(ctx, fmt.Sprintf("ask for chart %s %s", name, version), c.chartPath(name, version), nil, &chart)
	return chart, err
}

// PullChart writes the archive of a version of a chart to w, as it was pushed. Errors and progress are as with
// DownloadArchive; a chart can be pulled any number of times.
func (c *Client) PullChart(ctx context.Context, name, version string, w io.Writer, progress func(done, total int64)) (Archive, error) {
	return c.downloadArchive(ctx, fmt.Sprintf("pull chart %s %s", name, version), c.chartPath(name, version, "archive"),
		"application/gzip, application/json", w, progress)
}

// DeleteChart removes a version of a chart, which no add-on may consist of: refused with the status 409 otherwise.
func (c *Client) DeleteChart(ctx context.Context, name, version string) error {
	_, err := c.call(ctx, fmt.Sprintf("delete chart %s %s", name, version),
		call{method: http.MethodDelete, path: c.chartPath(name, version)}, nil)
	return err
}

func (c *Client) chartPath(rest ...string) string {
	return path(append([]string{"api", "v1", "projects", c.cfg.ProjectID, "charts"}, rest...)...)
}
