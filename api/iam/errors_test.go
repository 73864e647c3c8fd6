package iam_test

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"assetflow/api/iam"
	"assetflow/api/middleware"
	"assetflow/fault"
)

func TestWriteError(t *testing.T) {
	t.Parallel()
	cause := errors.New("the cause is for logs")
	const failed = "The service failed. Try again later."
	for _, c := range []struct {
		err    error
		status int
		text   string
	}{
		{fault.New(fault.Invalid, "x", "said"), 400, "said"},
		{fault.New(fault.TooLarge, "x", "said"), 400, "said"},
		{fault.New(fault.Conflict, "x", "said"), 400, "said"},
		{fault.New(fault.Unauthenticated, "x", "said"), 401, "said"},
		{fault.New(fault.Forbidden, "x", "said"), 403, "said"},
		{fault.New(fault.NotFound, middleware.CodeNoRoute, "said"), 404, "said"},
		{fault.New(fault.Invalid, middleware.CodeMethodNotAllowed, "said"), 405, "said"},
		{fault.New(fault.Unavailable, "x", "said"), 503, "said"},
		{fault.New(fault.Internal, "x", "inner text"), 500, failed},
		{cause, 500, failed},
	} {
		if f, ok := fault.As(c.err); ok {
			c.err = f.Wrap(cause)
		}
		w := httptest.NewRecorder()
		ctx, _ := gin.CreateTestContext(w)
		iam.WriteError(ctx, c.err)
		require.Equal(t, c.status, w.Code)
		require.JSONEq(t, refusal(c.status, c.text), w.Body.String())
		require.True(t, ctx.IsAborted())
		require.ErrorIs(t, ctx.Errors.Last(), cause, "the access log gets the cause")
	}
}
