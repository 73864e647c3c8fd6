package automation

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/hql"
)

// Paging of lists.
const (
	maxPageSize = 1000 // also where the caller says nothing
	maxPage     = 1_000_000
)

// ListServiceTemplates gives those templates of the project that all conditions hold for.
func (s *server) ListServiceTemplates(ctx context.Context, request ListServiceTemplatesRequestObject) (ListServiceTemplatesResponseObject, error) {
	filter, err := templateFilter(request.Params)
	if err != nil {
		return nil, err
	}
	filter.ProjectID = projectOf(ctx)
	found, total, err := s.Templates.ListServiceTemplates(middleware.Context(ctx), filter)
	if err != nil {
		return nil, err
	}
	list := ServiceTemplateList{Data: make([]ServiceTemplate, len(found)), Count: total}
	for i, t := range found {
		list.Data[i] = formatTemplate(t)
	}
	return ListServiceTemplates200JSONResponse{
		Headers: ListServiceTemplates200ResponseHeaders{WWWAuthenticate: hssoOf(ctx), XRequestID: middleware.RequestIDOf(ctx)}, Body: list,
	}, nil
}

func templateFilter(p ListServiceTemplatesParams) (catalog.TemplateFilter, error) {
	filter := catalog.TemplateFilter{
		Q: valueOf(p.Q), VendorID: valueOf(p.VendorID), KeyName: valueOf(p.KeyName), Version: valueOf(p.Version),
	}
	for tag := range strings.SplitSeq(valueOf(p.Tags), ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			filter.Tags = append(filter.Tags, tag)
		}
	}
	var err error
	if strings.TrimSpace(valueOf(p.HQLFilter)) != "" {
		if filter.Where, err = hql.Parse(*p.HQLFilter, catalog.TemplateFields()); err != nil {
			return filter, err
		}
	}
	if strings.TrimSpace(valueOf(p.HQLSortBy)) != "" {
		if filter.Sort, err = hql.ParseSort(*p.HQLSortBy, catalog.TemplateFields()); err != nil {
			return filter, err
		}
	}
	offset, size, page := valueOf(p.HQLOffset), maxPageSize, valueOf(p.Page)
	if p.PageSize != nil {
		size = *p.PageSize
	}
	switch {
	case offset < 0 || offset > 1<<31-1:
		return filter, badParameter("HQL::offset", "a number from 0 to 2147483647")
	case size < 1 || size > maxPageSize:
		return filter, badParameter("pageSize", "a number from 1 to 1000")
	case p.Page != nil && (page < 1 || page > maxPage):
		return filter, badParameter("page", "a number from 1 to 1000000")
	case p.Page != nil:
		offset = (page - 1) * size
	}
	filter.Offset, filter.Limit = offset, size
	return filter, nil
}

func badParameter(name, want string) error {
	return fault.New(fault.Invalid, codeParameter, "The parameter %s must be %s.", name, want)
}

// GetServiceTemplate shows one.
func (s *server) GetServiceTemplate(ctx context.Context, request GetServiceTemplateRequestObject) (GetServiceTemplateResponseObject, error) {
	t, err := s.find(ctx, request.ID)
	if err != nil {
		return nil, err
	}
	return GetServiceTemplate200JSONResponse{
		Headers: GetServiceTemplate200ResponseHeaders{WWWAuthenticate: hssoOf(ctx), XRequestID: middleware.RequestIDOf(ctx)},
		Body:    formatTemplate(t),
	}, nil
}

// DeleteServiceTemplate moves one to the trash. One that is not there is as good as deleted.
func (s *server) DeleteServiceTemplate(ctx context.Context, request DeleteServiceTemplateRequestObject) (DeleteServiceTemplateResponseObject, error) {
	if number, ok := parseNumber(request.ID); ok {
		err := s.Templates.DeleteServiceTemplate(middleware.Context(ctx), callerOf(ctx).UserID, projectOf(ctx), number)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return nil, err
		}
	}
	return DeleteServiceTemplate204Response{
		Headers: DeleteServiceTemplate204ResponseHeaders{WWWAuthenticate: hssoOf(ctx), XRequestID: middleware.RequestIDOf(ctx)},
	}, nil
}

// ListServiceTemplateActions says what can be done with one.
func (s *server) ListServiceTemplateActions(ctx context.Context, request ListServiceTemplateActionsRequestObject) (ListServiceTemplateActionsResponseObject, error) {
	t, err := s.find(ctx, request.ID)
	if err != nil {
		return nil, err
	}
	href := templateURL(ctx.(*gin.Context).Request, t.Number)
	list := []Action{
		{Name: "delete", Href: href, Method: DELETE, Parameters: []map[string]any{}},
		{Name: "export", Href: href + "/actions/export/invoke", Method: POST, Parameters: []map[string]any{}},
	}
	return ListServiceTemplateActions200JSONResponse{
		Headers: ListServiceTemplateActions200ResponseHeaders{WWWAuthenticate: hssoOf(ctx), XRequestID: middleware.RequestIDOf(ctx)},
		Body:    ActionList{Data: list, Count: len(list)},
	}, nil
}

// find gives the template that a path names. ctx is the one that generated code hands on.
func (s *server) find(ctx context.Context, id string) (catalog.ServiceTemplate, error) {
	number, ok := parseNumber(id)
	if !ok {
		return catalog.ServiceTemplate{}, fault.New(fault.NotFound, codeTemplate, notFoundText)
	}
	return s.Templates.ServiceTemplate(middleware.Context(ctx), projectOf(ctx), number)
}

// parseNumber reads an instanceID in the one form that we write.
func parseNumber(text string) (int64, bool) {
	number, err := strconv.ParseInt(text, 10, 64)
	return number, err == nil && number > 0 && strconv.FormatInt(number, 10) == text
}

func formatTemplate(t catalog.ServiceTemplate) ServiceTemplate {
	return ServiceTemplate{
		InstanceID: t.Number, KeyName: t.KeyName, DisplayName: t.DisplayName, VendorID: t.VendorID, VendorName: t.VendorName,
		Version: t.Version, Tags: strings.Join(t.Tags, ","), CreateTime: formatTime(t.CreatedAt), ModifyTime: formatTime(t.UpdatedAt),
		Description: t.Description, ReleaseState: ServiceTemplateReleaseState(cmp.Or(t.ReleaseState, catalog.ReleaseFinal)), Latest: t.Latest,
		SupportedScheduleType: t.SupportedScheduleType, UsedServices: strings.Join(t.UsedServices, ","),
		UsedTemplates: strings.Join(t.UsedTemplates, ","),
	}
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }
