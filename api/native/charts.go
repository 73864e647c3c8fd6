package native

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/gin-gonic/gin"

	"assetflow/addons"
	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
)

// routeCharts is the route that takes charts.
const routeCharts = "/api/v1/projects/:project_id/charts"

// codeBlobGone is the catalog's word for content that the sweep took between touching and using it.
const codeBlobGone = "catalog.blobs_not_found"

// storeTries is how often content that the sweep takes away under our hands is stored.
const storeTries = 3

// Blobs is what charts need of *storage.Store.
type Blobs interface {
	PutBlob(ctx context.Context, sha256 string, size int64, r io.Reader) error
	OpenBlob(ctx context.Context, sha256 string) (io.ReadCloser, int64, error)
}

// Targets lists the targets of add-ons: *addons.Targets.
type Targets interface {
	List(projectID string) []addons.Info
}

// PushChart puts a version of a chart into the add-on library.
func (s *server) PushChart(ctx context.Context, request PushChartRequestObject) (PushChartResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.ChartsPush); err != nil {
		return nil, err
	}
	switch request.ContentType {
	case "application/gzip", "application/octet-stream":
	default:
		return nil, fault.New(fault.Invalid, middleware.CodeParameter, "The Content-Type must be application/gzip or application/octet-stream.")
	}
	pushed, metadata, err := addons.ReadChart(ctx, request.Body)
	if err != nil {
		if _, ok := fault.As(err); !ok {
			err = fault.New(fault.Invalid, middleware.CodeBody, "The chart could not be read to its end.").Wrap(err)
		}
		return nil, err
	}
	chart, added, err := s.addChart(ctx, catalog.Chart{
		ProjectID: request.ProjectID, Name: pushed.Name, Version: pushed.Version, AppVersion: metadata.AppVersion,
		Description: metadata.Description, SHA256: pushed.SHA256, Size: int64(len(pushed.Archive)),
	}, pushed.Archive)
	switch {
	case err != nil:
		return nil, err
	case added:
		return PushChart201JSONResponse{
			Headers: PushChart201ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatChart(chart),
		}, nil
	}
	return PushChart200JSONResponse{
		Headers: PushChart200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatChart(chart),
	}, nil
}

// addChart stores the archive of a chart and puts the chart into the library. It can be done twice, also at the same time.
func (s *server) addChart(ctx context.Context, chart catalog.Chart, archive []byte) (kept catalog.Chart, added bool, err error) {
	p, _ := auth.PrincipalFrom(ctx)
	_, err = s.Catalog.Chart(ctx, chart.ProjectID, chart.Name, chart.Version)
	switch {
	case err == nil: // the catalog says whether it is this one; nothing is stored for one that it refuses
		return s.Catalog.AddChart(ctx, p.UserID, chart)
	case fault.KindOf(err) != fault.NotFound:
		return catalog.Chart{}, false, err
	}
	for try := 1; ; try++ {
		missing, err := s.Catalog.TouchBlobs(ctx, []catalog.Blob{{SHA256: chart.SHA256, Size: chart.Size}})
		if err != nil {
			return catalog.Chart{}, false, err
		}
		if len(missing) > 0 {
			if err := s.Blobs.PutBlob(ctx, chart.SHA256, chart.Size, bytes.NewReader(archive)); err != nil {
				return catalog.Chart{}, false, err
			}
		}
		kept, added, err = s.Catalog.AddChart(ctx, p.UserID, chart)
		if fault.CodeOf(err) != codeBlobGone || try == storeTries {
			return kept, added, err
		}
	}
}

// ListCharts gives one page of the charts of the add-on library.
func (s *server) ListCharts(ctx context.Context, request ListChartsRequestObject) (ListChartsResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.ChartsRead); err != nil {
		return nil, err
	}
	limit, err := checkLimit(request.Params.Limit)
	if err != nil {
		return nil, err
	}
	charts, next, err := s.Catalog.ListCharts(ctx, request.ProjectID, limit, valueOf(request.Params.Cursor))
	if err != nil {
		return nil, err
	}
	return ListCharts200JSONResponse{
		Headers: ListCharts200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)},
		Body:    ChartPage{Charts: formatCharts(charts), NextCursor: optional(next)},
	}, nil
}

// ListChartVersions gives all versions of a chart.
func (s *server) ListChartVersions(ctx context.Context, request ListChartVersionsRequestObject) (ListChartVersionsResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.ChartsRead); err != nil {
		return nil, err
	}
	charts, err := s.Catalog.ChartVersions(ctx, request.ProjectID, request.Name)
	if err != nil {
		return nil, err
	}
	return ListChartVersions200JSONResponse{
		Headers: ListChartVersions200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)},
		Body:    ChartVersions{Versions: formatCharts(charts)},
	}, nil
}

// GetChart gives one version of a chart.
func (s *server) GetChart(ctx context.Context, request GetChartRequestObject) (GetChartResponseObject, error) {
	ctx = middleware.Context(ctx)
	chart, err := s.chart(ctx, request.ProjectID, request.Name, request.Version)
	if err != nil {
		return nil, err
	}
	return GetChart200JSONResponse{
		Headers: GetChart200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatChart(chart),
	}, nil
}

// chart finds a version of a chart that the caller may read.
func (s *server) chart(ctx context.Context, projectID, name, version string) (catalog.Chart, error) {
	if err := s.authorize(ctx, projectID, auth.ChartsRead); err != nil {
		return catalog.Chart{}, err
	}
	return s.Catalog.Chart(ctx, projectID, name, version)
}

// DownloadChart gives a version of a chart as it was pushed.
func (s *server) DownloadChart(ctx context.Context, request DownloadChartRequestObject) (DownloadChartResponseObject, error) {
	rctx := middleware.Context(ctx)
	chart, err := s.chart(rctx, request.ProjectID, request.Name, request.Version)
	if err != nil {
		return nil, err
	}
	if names(valueOf(request.Params.IfNoneMatch), etag(chart)) {
		return DownloadChart304Response{Headers: DownloadChart304ResponseHeaders{
			XRequestID: middleware.RequestIDOf(ctx), ETag: etag(chart),
		}}, nil
	}
	archive, err := s.archive(rctx, chart)
	if err != nil {
		return nil, err
	}
	ctx.(*gin.Context).Header("Content-Disposition",
		mime.FormatMediaType("attachment", map[string]string{"filename": chart.Name + "-" + chart.Version + ".tgz"}))
	return DownloadChart200ApplicationGzipResponse{
		Headers: DownloadChart200ResponseHeaders{
			XRequestID: middleware.RequestIDOf(ctx), ETag: etag(chart), ContentLength: chart.Size,
		},
		Body: bytes.NewReader(archive), ContentLength: chart.Size,
	}, nil
}

// HeadChart tells size and digest of a version of a chart.
func (s *server) HeadChart(ctx context.Context, request HeadChartRequestObject) (HeadChartResponseObject, error) {
	chart, err := s.chart(middleware.Context(ctx), request.ProjectID, request.Name, request.Version)
	if err != nil {
		return nil, err
	}
	if names(valueOf(request.Params.IfNoneMatch), etag(chart)) {
		ctx.(*gin.Context).Header("ETag", etag(chart))
		return HeadChart304Response{}, nil
	}
	ctx.(*gin.Context).Header("Content-Type", "application/gzip")
	return HeadChart200Response{Headers: HeadChart200ResponseHeaders{
		XRequestID: middleware.RequestIDOf(ctx), ETag: etag(chart), ContentLength: chart.Size,
	}}, nil
}

// archive reads a chart's archive, and gives nothing but what was pushed.
func (s *server) archive(ctx context.Context, chart catalog.Chart) ([]byte, error) {
	body, _, err := s.Blobs.OpenBlob(ctx, chart.SHA256)
	if err != nil {
		return nil, unreadable(err)
	}
	defer func() { _ = body.Close() }()
	archive, err := io.ReadAll(io.LimitReader(body, chart.Size+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if sum := sha256.Sum256(archive); hex.EncodeToString(sum[:]) != chart.SHA256 {
		return nil, fmt.Errorf("the blob of the chart %s %s is not what was stored", chart.Name, chart.Version)
	}
	return archive, nil
}

// unreadable makes a blob that is not there our own failure: the library has the chart.
func unreadable(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return fmt.Errorf("read the archive of a chart: %s", err) //nolint:errorlint // it is not the caller's NotFound any more
	}
	return err
}

func etag(chart catalog.Chart) string { return `"` + chart.SHA256 + `"` }

// names reports whether the value of an If-None-Match names the entity tag. Weak tags are as good as strong ones there.
func names(header, tag string) bool {
	for _, one := range strings.Split(header, ",") {
		if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == "*" || one == tag {
			return true
		}
	}
	return false
}

// DeleteChart removes a version of a chart from the add-on library.
func (s *server) DeleteChart(ctx context.Context, request DeleteChartRequestObject) (DeleteChartResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.ChartsDelete); err != nil {
		return nil, err
	}
	p, _ := auth.PrincipalFrom(ctx)
	if err := s.Catalog.DeleteChart(ctx, p.UserID, request.ProjectID, request.Name, request.Version); err != nil {
		return nil, err
	}
	return DeleteChart204Response{Headers: DeleteChart204ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}}, nil
}

// ListTargets gives the targets that are open to the project.
func (s *server) ListTargets(ctx context.Context, request ListTargetsRequestObject) (ListTargetsResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.AddonsRead); err != nil {
		return nil, err
	}
	list := TargetList{Targets: []Target{}}
	for _, t := range s.Targets.List(request.ProjectID) {
		list.Targets = append(list.Targets, Target{ID: t.ID, Kind: string(t.Kind)})
	}
	return ListTargets200JSONResponse{
		Headers: ListTargets200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: list,
	}, nil
}

func formatCharts(charts []catalog.Chart) []Chart {
	list := make([]Chart, len(charts))
	for i, c := range charts {
		list[i] = formatChart(c)
	}
	return list
}

func formatChart(c catalog.Chart) Chart {
	return Chart{
		Name: c.Name, Version: c.Version, AppVersion: c.AppVersion, Description: c.Description, Sha256: c.SHA256, Size: c.Size,
		CreatorID: c.CreatorID, CreatorName: c.CreatorName, CreatedAt: c.CreatedAt.UTC(),
	}
}
