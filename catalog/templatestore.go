package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

const (
	maxTemplatePage = 1000
	// maxSearch bounds a full text search, in bytes: databases bound patterns.
	maxSearch = 1024
)

// ServiceTemplate gives one living service template. NotFound "catalog.template_not_found".
func (c *Catalog) ServiceTemplate(ctx context.Context, projectID string, number int64) (ServiceTemplate, error) {
	var row templateRow
	err := selectTemplates(c.reader, &row, projectID).Where("t.number = ?", number).Where("a.deleted_at IS NULL").Scan(ctx)
	return row.template(), failed(ctx, "read the service template", orAbsent(err, noTemplate()))
}

// ListServiceTemplates gives a page of a project's service templates, and how many there are on all pages. Invalid
// "catalog.bad_filter" for what is not text, a search of more than 1024 bytes, or a field that is not one of
// TemplateFields.
func (c *Catalog) ListServiceTemplates(ctx context.Context, filter TemplateFilter) (templates []ServiceTemplate, total int, err error) {
	for _, text := range append([]string{filter.Q, filter.VendorID, filter.KeyName, filter.Version}, filter.Tags...) {
		if !isText(text) {
			return nil, 0, badTemplateFilter("a filter is not valid text")
		}
	}
	if len(filter.Q) > maxSearch {
		return nil, 0, badTemplateFilter("a search has at most %d bytes", maxSearch)
	}
	chosen, err := filter.matching()
	if err != nil {
		return nil, 0, err
	}
	order, err := templateOrder(filter.Sort)
	if err != nil {
		return nil, 0, err
	}
	limit := maxTemplatePage
	if filter.Limit > 0 {
		limit = min(filter.Limit, maxTemplatePage)
	}
	templates = []ServiceTemplate{}
	err = c.read(ctx, "list the service templates", func(tx bun.Tx) error {
		total, err = tx.NewSelect().TableExpr("service_templates AS t").Join("JOIN assets AS a ON a.id = t.asset_id").
			Where("t.project_id = ?", filter.ProjectID).Apply(chosen).Count(ctx)
		if err != nil {
			return err
		}
		var rows []templateRow
		err := selectTemplates(tx, &rows, filter.ProjectID).Apply(chosen, order).Limit(limit).Offset(max(0, filter.Offset)).Scan(ctx)
		for _, r := range rows {
			templates = append(templates, r.template())
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return templates, total, nil
}

func badTemplateFilter(format string, args ...any) error {
	return fault.New(fault.Invalid, "catalog.bad_filter", format, args...)
}

// matching narrows a selection of service templates of a project down to what the filter says.
func (f TemplateFilter) matching() (func(*bun.SelectQuery) *bun.SelectQuery, error) {
	var where *condition
	if f.Where != nil {
		var err error
		if where, err = templateCondition(f.Where); err != nil {
			return nil, err
		}
	}
	return func(q *bun.SelectQuery) *bun.SelectQuery {
		if f.Trash {
			q = q.Where("a.deleted_at IS NOT NULL")
		} else {
			q = q.Where("a.deleted_at IS NULL")
		}
		for _, word := range strings.Fields(f.Q) {
			q = q.Where(`t.search LIKE ? ESCAPE '!'`, "%"+escapeLike(strings.ToLower(word))+"%")
		}
		for _, tag := range slices.Compact(slices.Sorted(slices.Values(f.Tags))) {
			q = q.Where("EXISTS (SELECT 1 FROM service_template_tags AS tt WHERE tt.asset_id = t.asset_id AND tt.tag = ?)", tag)
		}
		for _, equal := range []struct{ column, value string }{{"vendor_id", f.VendorID}, {"key_name", f.KeyName}, {"version", f.Version}} {
			if equal.value != "" {
				q = q.Where("t.? = ?", bun.Ident(equal.column), equal.value)
			}
		}
		if where != nil {
			q = q.Where(where.text, where.values...)
		}
		return q
	}, nil
}
