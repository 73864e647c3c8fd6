package automation

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/assetpackage/servicetemplate"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/hql"
)

// maxPageSize is how many templates a list has at most.
const maxPageSize = 1000

// ListServiceTemplates lists what the filters choose.
func (s *server) ListServiceTemplates(ctx context.Context, request ListServiceTemplatesRequestObject) (ListServiceTemplatesResponseObject, error) {
	filter, err := templateFilter(request.Params)
	if err != nil {
		return nil, err
	}
	filter.ProjectID = ctx.(*gin.Context).GetString(projectKey)
	found, total, err := s.Templates.ListServiceTemplates(middleware.Context(ctx), filter)
	if err != nil {
		return nil, err
	}
	list := ListServiceTemplates200JSONResponse{Body: ServiceTemplateList{Data: make([]ServiceTemplate, len(found)), Count: total}}
	for i, t := range found {
		list.Body.Data[i] = shownTemplate(t)
	}
	return list, nil
}

func templateFilter(p ListServiceTemplatesParams) (catalog.TemplateFilter, error) {
	filter := catalog.TemplateFilter{Q: text(p.Q), VendorID: text(p.VendorID), KeyName: text(p.KeyName), Version: text(p.Version)}
	for tag := range strings.SplitSeq(text(p.Tags), ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			filter.Tags = append(filter.Tags, tag)
		}
	}
	var err error
	if where := text(p.HQLFilter); strings.TrimSpace(where) != "" {
		if filter.Where, err = hql.Parse(where, catalog.TemplateFields()); err != nil {
			return filter, err
		}
	}
	if sort := text(p.HQLSortBy); strings.TrimSpace(sort) != "" {
		if filter.Sort, err = hql.ParseSort(sort, catalog.TemplateFields()); err != nil {
			return filter, err
		}
	}
	return filter, paging(p, &filter)
}

// paging reads which part of the list is wanted.
func paging(p ListServiceTemplatesParams, filter *catalog.TemplateFilter) error {
	if p.HQLOffset != nil && p.Page != nil {
		return fault.New(fault.Invalid, codeParameter, "The parameters HQL::offset and page exclude each other.")
	}
	size, err := number("pageSize", p.PageSize, 1, maxPageSize, maxPageSize)
	if err != nil {
		return err
	}
	page, err := number("page", p.Page, 1, 1_000_000, 1)
	if err != nil {
		return err
	}
	filter.Limit, filter.Offset = size, (page-1)*size
	if p.HQLOffset != nil {
		filter.Offset, err = number("HQL::offset", p.HQLOffset, 0, 1_000_000_000, 0)
	}
	return err
}

func number(name string, value *string, least, most, otherwise int) (int, error) {
	if value == nil {
		return otherwise, nil
	}
	n, err := strconv.Atoi(*value)
	if err != nil || n < least || n > most {
		return 0, fault.New(fault.Invalid, codeParameter, "The parameter %s must be a number from %d to %d.", name, least, most)
	}
	return n, nil
}

func text(s *string) string { return *cmp.Or(s, new(string)) }

func shownTemplate(t catalog.ServiceTemplate) ServiceTemplate {
	return ServiceTemplate{
		InstanceID: t.Number, KeyName: t.KeyName, DisplayName: t.DisplayName, VendorID: t.VendorID, VendorName: t.VendorName, Version: t.Version,
		Tags: strings.Join(t.Tags, ","), CreateTime: formatTime(t.CreatedAt), ModifyTime: formatTime(t.UpdatedAt), Description: t.Description,
		ReleaseState: ServiceTemplateReleaseState(t.ReleaseState), Latest: t.Latest, SupportedScheduleType: t.SupportedScheduleType,
		UsedServices: strings.Join(t.UsedServices, ","), UsedTemplates: strings.Join(t.UsedTemplates, ","),
	}
}

// template finds the one that a path names.
func (s *server) template(ctx context.Context, id string) (catalog.ServiceTemplate, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != id {
		return catalog.ServiceTemplate{}, fault.New(fault.NotFound, codeNotFound, notFoundText)
	}
	return s.Templates.ServiceTemplate(middleware.Context(ctx), ctx.(*gin.Context).GetString(projectKey), n)
}

// GetServiceTemplate shows one.
func (s *server) GetServiceTemplate(ctx context.Context, request GetServiceTemplateRequestObject) (GetServiceTemplateResponseObject, error) {
	t, err := s.template(ctx, request.InstanceID)
	if err != nil {
		return nil, err
	}
	shown := GetServiceTemplate200JSONResponse{Body: shownTemplate(t)}
	return shown, nil
}

// DeleteServiceTemplate moves one to the trash. One that is not there is what was asked for.
func (s *server) DeleteServiceTemplate(ctx context.Context, request DeleteServiceTemplateRequestObject) (DeleteServiceTemplateResponseObject, error) {
	p, _ := auth.PrincipalFrom(middleware.Context(ctx))
	t, err := s.template(ctx, request.InstanceID)
	if err == nil {
		err = s.Templates.DeleteServiceTemplate(middleware.Context(ctx), p.UserID, t.ProjectID, t.Number)
	}
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return nil, err
	}
	return DeleteServiceTemplate204Response{}, nil
}

// ListServiceTemplateActions tells what can be done with one: it can be exported.
func (s *server) ListServiceTemplateActions(ctx context.Context, request ListServiceTemplateActionsRequestObject) (ListServiceTemplateActionsResponseObject, error) {
	t, err := s.template(ctx, request.InstanceID)
	if err != nil {
		return nil, err
	}
	export := Action{
		Name: "export", Href: objectURL(ctx.(*gin.Context).Request, t.Number) + "/actions/export/invoke", Method: http.MethodPost,
		Parameters: []map[string]any{},
	}
	list := ListServiceTemplateActions200JSONResponse{Body: ActionList{Data: []Action{export}, Count: 1}}
	return list, nil
}

// ExportServiceTemplate streams the .st that was imported.
func (s *server) ExportServiceTemplate(ctx context.Context, request ExportServiceTemplateRequestObject) (ExportServiceTemplateResponseObject, error) {
	t, err := s.template(ctx, request.InstanceID)
	if err != nil {
		return nil, err
	}
	content, size, err := s.Store.OpenBlob(middleware.Context(ctx), t.SHA256)
	if fault.KindOf(err) == fault.NotFound {
		// The caller named something that exists; that we have lost it is our failure.
		err = errors.New("the content of a service template is not stored: " + t.SHA256)
	}
	if err != nil {
		return nil, err
	}
	return exported{content, size, t}, nil
}

// exported is the answer of an export.
type exported struct {
	content  io.ReadCloser
	size     int64
	template catalog.ServiceTemplate
}

// VisitExportServiceTemplateResponse sends the file. The error is one to answer with where nothing was sent; else it is
// for the log, and the connection breaks short of the announced length.
func (a exported) VisitExportServiceTemplateResponse(w http.ResponseWriter) error {
	defer func() { _ = a.content.Close() }() // read only: a failed close loses nothing
	content := bufio.NewReaderSize(a.content, 128<<10)
	if _, err := content.Peek(1); err != nil { // before anything is sent: the store may be away
		return err
	}
	name := servicetemplate.Manifest{
		VendorID: a.template.VendorID, KeyName: a.template.KeyName, Version: a.template.Version, ReleaseState: a.template.ReleaseState,
	}.FileName()
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	// Quoted, as the contract has it; the names of templates need no escaping.
	header.Set("Content-Disposition", disposition(name))
	header.Set("Content-Length", strconv.FormatInt(a.size, 10))
	w.WriteHeader(http.StatusOK)
	_, err := io.Copy(w, content)
	return err
}

func disposition(name string) string {
	for _, r := range name {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return mime.FormatMediaType("attachment", map[string]string{"filename": name})
		}
	}
	return `attachment; filename="` + name + `"`
}

// GetVersion tells what answers here.
func (s *server) GetVersion(context.Context, GetVersionRequestObject) (GetVersionResponseObject, error) {
	return GetVersion200JSONResponse{ProductName: "Assetflow", ProductVersion: cmp.Or(s.Version, "dev"), APIVersion: "1"}, nil
}
