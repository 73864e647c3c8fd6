package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
)

// readyTimeout bounds each check of a dependency.
const readyTimeout = 2 * time.Second

// Readiness is what GET /readyz answers: 200 with status "ok", or 503 with status "unavailable", or "stopping" where the
// process is about to end, whatever it depends on.
type Readiness struct {
	Status string            `json:"status"`
	Checks map[string]string `json:"checks"` // by dependency: "ok" or "error"; why is in the log
}

// alive answers as long as the process can answer at all.
func alive(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) }

// ready asks all dependencies at the same time.
func ready(checks map[string]func(context.Context) error, logger *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		if middleware.Stopping(c.Request.Context()) {
			c.JSON(http.StatusServiceUnavailable, Readiness{Status: "stopping", Checks: map[string]string{}})
			return
		}
		ctx, cancel := context.WithTimeout(c.Request.Context(), readyTimeout)
		defer cancel()
		var mu sync.Mutex
		var wg sync.WaitGroup
		answer, status := Readiness{Status: "ok", Checks: make(map[string]string, len(checks))}, http.StatusOK
		for name, check := range checks {
			wg.Go(func() {
				result := "ok"
				if err := within(ctx, check); err != nil {
					result = "error"
					logger.WarnContext(ctx, "a dependency is away", "dependency", name, "error", err)
				}
				mu.Lock()
				defer mu.Unlock()
				if answer.Checks[name] = result; result != "ok" {
					answer.Status, status = "unavailable", http.StatusServiceUnavailable
				}
			})
		}
		wg.Wait()
		c.JSON(status, answer)
	}
}

// within gives up on a check that does not heed its context.
func within(ctx context.Context, check func(context.Context) error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("the check panicked: %v", p)
			}
		}()
		done <- check(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
