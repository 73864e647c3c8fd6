package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// maxStatement is how much of a statement stands in a span, in bytes.
const maxStatement = 2 << 10

// WithTraces has each statement recorded as a span of the request or step that it is made for, without its values. What
// nobody traces makes no span.
func WithTraces(provider trace.TracerProvider) Option {
	return func(c *Catalog) { c.tracer = provider.Tracer("assetflow/catalog") }
}

// traceStatements has the statements of both pools recorded, where somebody wants that.
func (c *Catalog) traceStatements() {
	if c.tracer == nil {
		return
	}
	hook := statementTracer{tracer: c.tracer, system: semconv.DBSystemNameSQLite}
	if _, ok := c.database.(postgresDatabase); ok {
		hook.system = semconv.DBSystemNamePostgreSQL
	}
	writer := c.writer.WithQueryHook(hook)
	if c.reader == c.writer {
		c.reader = writer
	} else {
		c.reader = c.reader.WithQueryHook(hook)
	}
	c.writer = writer
}

// statementTracer makes the spans. Bun's own hook would put the texts of errors into them, which name values, and begin a
// trace with every statement of the service's housekeeping; what traces a driver would see the values in the statements.
type statementTracer struct {
	tracer trace.Tracer
	system attribute.KeyValue
}

type spanKey struct{}

// BeforeQuery begins a span. It stands in the event and not in the context, which bun keeps for the end of a transaction.
func (t statementTracer) BeforeQuery(ctx context.Context, event *bun.QueryEvent) context.Context {
	if trace.SpanFromContext(ctx).IsRecording() {
		_, span := t.tracer.Start(ctx, "SQL", trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(event.StartTime),
			trace.WithAttributes(t.system))
		event.Stash = map[any]any{spanKey{}: span}
	}
	return ctx
}

// AfterQuery ends it.
func (t statementTracer) AfterQuery(ctx context.Context, event *bun.QueryEvent) {
	span, ok := event.Stash[spanKey{}].(trace.Span)
	if !ok {
		return
	}
	defer span.End()
	operation := event.Operation()
	name, text := operation, statementOf(event)
	if event.IQuery != nil {
		if table, _, _ := strings.Cut(event.IQuery.GetTableName(), " "); table != "" { // without its alias
			name += " " + table
			span.SetAttributes(semconv.DBCollectionName(table))
		}
	}
	span.SetName(name)
	span.SetAttributes(semconv.DBOperationName(operation), semconv.DBQueryText(text[:min(len(text), maxStatement)]))
	if err := event.Err; err != nil && !errors.Is(err, sql.ErrNoRows) {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(semconv.ErrorTypeKey.String(sortOf(ctx, err)))
	}
}

// statementOf gives the statement with a "?" for each value.
func statementOf(event *bun.QueryEvent) string {
	if event.IQuery != nil {
		if text, err := event.IQuery.AppendQuery(schema.NewNopQueryGen(), nil); err == nil {
			return string(text)
		}
	}
	return event.QueryTemplate
}

// sortOf says in a word what an error is: the code of the database where it has one.
func sortOf(ctx context.Context, err error) string {
	code := postgresCode(err)
	if n := sqliteCode(err); n != 0 {
		code = strconv.Itoa(n)
	}
	switch {
	case ctx.Err() != nil:
		return "cancelled"
	case code == "" && isUnavailable(err):
		return "unreachable"
	}
	return cmp.Or(code, semconv.ErrorTypeOther.Value.AsString())
}
