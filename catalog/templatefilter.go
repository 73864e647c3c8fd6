package catalog

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"assetflow/hql"
)

// templateColumn is a column that an expression may name.
type templateColumn struct {
	name  string
	holds hql.Type
}

// templateColumns are the columns of service_templates by the contract's names. Nothing else of an expression gets into
// a statement but as a bound value.
var templateColumns = map[string]templateColumn{
	"instanceID":            {"number", hql.Number},
	"keyName":               {"key_name", hql.Text},
	"displayName":           {"display_name", hql.Text},
	"vendorID":              {"vendor_id", hql.Text},
	"vendorName":            {"vendor_name", hql.Text},
	"version":               {"version", hql.Text},
	"tags":                  {"tags", hql.Text},
	"createTime":            {"created_at", hql.Time},
	"modifyTime":            {"updated_at", hql.Time},
	"description":           {"description", hql.Text},
	"releaseState":          {"release_state", hql.Text},
	"latest":                {"latest", hql.Boolean},
	"supportedScheduleType": {"supported_schedule_type", hql.Text},
	"usedServices":          {"used_services", hql.Text},
	"usedTemplates":         {"used_templates", hql.Text},
}

var templateOperators = map[hql.Operator]string{
	hql.Equal: "=", hql.NotEqual: "<>", hql.Greater: ">", hql.Less: "<", hql.GreaterOrEqual: ">=", hql.LessOrEqual: "<=",
	hql.In: "IN", hql.NotIn: "NOT IN",
}

// condition is SQL with the values for its marks.
type condition struct {
	text   string
	values []any
}

// templateCondition turns an expression into SQL. No column of it may be null. Invalid "catalog.bad_filter".
func templateCondition(e hql.Expr) (*condition, error) {
	switch e := e.(type) {
	case hql.And:
		return joinConditions(e, " AND ")
	case hql.Or:
		return joinConditions(e, " OR ")
	case hql.Comparison:
		return templateComparison(e)
	default:
		return nil, fmt.Errorf("an expression of type %T", e)
	}
}

func joinConditions(parts []hql.Expr, word string) (*condition, error) {
	joined := new(condition)
	texts := make([]string, len(parts))
	for i, part := range parts {
		c, err := templateCondition(part)
		if err != nil {
			return nil, err
		}
		texts[i] = c.text
		joined.values = append(joined.values, c.values...)
	}
	joined.text = "(" + strings.Join(texts, word) + ")"
	return joined, nil
}

func templateComparison(e hql.Comparison) (*condition, error) {
	column, known := templateColumns[e.Field]
	if !known || len(e.Values) == 0 {
		return nil, badTemplateFilter("service templates have no field %q", e.Field)
	}
	values := make([]any, len(e.Values))
	for i, v := range e.Values {
		var err error
		if values[i], err = boundValue(v, column); err != nil {
			return nil, err
		}
	}
	name := bun.Ident(column.name)
	switch e.Operator {
	case hql.Starts, hql.Ends:
		// Not LIKE, which is blind to case in one of the databases.
		n := utf8.RuneCountInString(e.Values[0].Text)
		if e.Operator == hql.Starts {
			return &condition{"substr(t.?, 1, ?) = ?", []any{name, n, values[0]}}, nil
		}
		return &condition{
			"(length(t.?) >= ? AND substr(t.?, length(t.?) - ? + 1, ?) = ?)", []any{name, n, name, name, n, n, values[0]},
		}, nil
	case hql.In, hql.NotIn:
		return &condition{"t.? " + templateOperators[e.Operator] + " (?)", []any{name, bun.List(values)}}, nil
	case hql.Equal, hql.NotEqual, hql.Greater, hql.Less, hql.GreaterOrEqual, hql.LessOrEqual:
		return &condition{"t.? " + templateOperators[e.Operator] + " ?", []any{name, values[0]}}, nil
	default:
		return nil, badTemplateFilter("service templates cannot be compared by %q", e.Operator)
	}
}

// boundValue is a value as the column holds it.
func boundValue(v hql.Value, column templateColumn) (any, error) {
	if v.Type != column.holds {
		return nil, badTemplateFilter("the field %s does not hold %s", column.name, v.Type)
	}
	switch v.Type {
	case hql.Number:
		return v.Number, nil
	case hql.Boolean:
		return v.Boolean, nil
	case hql.Time:
		// The column holds whole milliseconds. Whatever lies between two of them compares like the middle, and so does the
		// year 1, which a stamp takes for null.
		at := v.Time.Truncate(time.Millisecond)
		if !at.Equal(v.Time) || at.IsZero() {
			at = at.Add(time.Millisecond / 2)
		}
		return stampOf(at), nil
	default:
		if !isText(v.Text) {
			return nil, badTemplateFilter("a filter is not valid text")
		}
		return v.Text, nil
	}
}

// templateOrder sorts by the fields, and by number where they are equal. Invalid "catalog.bad_filter".
func templateOrder(order []hql.Sort) (func(*bun.SelectQuery) *bun.SelectQuery, error) {
	for _, s := range order {
		if _, known := templateColumns[s.Field]; !known {
			return nil, badTemplateFilter("service templates have no field %q", s.Field)
		}
	}
	return func(q *bun.SelectQuery) *bun.SelectQuery {
		for _, s := range order {
			direction := "ASC"
			if s.Descending {
				direction = "DESC"
			}
			q = q.OrderExpr("t.? ?", bun.Ident(templateColumns[s.Field].name), bun.Safe(direction))
		}
		return q.OrderExpr("t.number")
	}, nil
}
