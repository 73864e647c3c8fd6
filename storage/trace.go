package storage

import (
	"context"
	"errors"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	smithy "github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// tracingName is how the middleware is called among those of a client.
const tracingName = "AssetflowTracing"

// tracing adds to a client's requests what records each operation as a span of the request or step that it is made for,
// its tries included. What nobody traces makes no span.
//
// The middleware of OpenTelemetry itself would link the clients of three other AWS services, begin a trace with every
// health check, and put what a server says of an error into the span.
func tracing(tracer trace.Tracer, bucket string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc(tracingName, func(
			ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
		) (middleware.InitializeOutput, middleware.Metadata, error) {
			if !trace.SpanFromContext(ctx).IsRecording() {
				return next.HandleInitialize(ctx, in)
			}
			operation := awsmiddleware.GetOperationName(ctx)
			ctx, span := tracer.Start(ctx, "S3."+operation, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
				semconv.RPCSystemNameKey.String("aws-api"), semconv.RPCMethod("S3/"+operation), semconv.AWSS3Bucket(bucket)))
			defer span.End()
			out, metadata, err := next.HandleInitialize(ctx, in)
			if answer, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok {
				span.SetAttributes(semconv.HTTPResponseStatusCode(answer.StatusCode))
			}
			if err != nil && !isNotFound(err) { // that something is not there is an answer
				span.SetStatus(codes.Error, "")
				span.SetAttributes(semconv.ErrorTypeKey.String(sortOf(ctx, err)))
			}
			return out, metadata, err
		}), middleware.After) // the SDK's own name the operation
	}
}

// untraced leaves out what tracing added.
func untraced(stack *middleware.Stack) error {
	_, _ = stack.Initialize.Remove(tracingName) // it need not be there
	return nil
}

// sortOf says in a word what an error is: its text may say more than is anybody's business.
func sortOf(ctx context.Context, err error) string {
	var api smithy.APIError
	switch {
	case ctx.Err() != nil:
		return "cancelled"
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return "unreachable"
}
