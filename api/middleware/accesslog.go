package middleware

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// AccessLog writes one record per request when it is answered: method, route (the pattern, not the path: nothing of
// a caller's making), status, bytes, duration; request and user id come from the context. The cause of an answer from
// 500 on is in it, too, and nowhere else. Routes in quiet are logged at debug level.
func AccessLog(logger *slog.Logger, quiet ...string) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		// Also when a panic ends the connection.
		defer func() {
			status := c.Writer.Status()
			level := slog.LevelInfo
			attrs := []slog.Attr{
				slog.String("method", c.Request.Method),
				slog.String("route", c.FullPath()),
				slog.Int("status", status),
				slog.Int("bytes", max(0, c.Writer.Size())),
				slog.Duration("duration", time.Since(start)),
			}
			for _, route := range quiet {
				if c.FullPath() == route {
					level = slog.LevelDebug
				}
			}
			if last := c.Errors.Last(); last != nil {
				gone := errors.Is(c.Request.Context().Err(), context.Canceled)
				if status >= http.StatusInternalServerError && !gone {
					level = slog.LevelError
				}
				attrs = append(attrs, slog.String("error", last.Error()))
			}
			logger.LogAttrs(c.Request.Context(), level, "request", attrs...)
		}()
		c.Next()
	}
}
