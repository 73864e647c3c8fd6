package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"assetflow/api/middleware"
	"assetflow/telemetry"
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
func alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready asks all dependencies at the same time. The end of the process is that of the request's server, or what stopping
// says, which may be nil.
func ready(checks map[string]func(context.Context) error, stopping func() bool, logger *slog.Logger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if middleware.Stopping(r.Context()) || stopping != nil && stopping() {
			writeJSON(w, http.StatusServiceUnavailable, Readiness{Status: "stopping", Checks: map[string]string{}})
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		answer, status := Readiness{Status: "ok", Checks: make(map[string]string, len(checks))}, http.StatusOK
		for name, err := range telemetry.Check(ctx, checks) {
			answer.Checks[name] = "ok"
			if err != nil {
				logger.WarnContext(ctx, "a dependency is away", "dependency", name, "error", err)
				answer.Checks[name], answer.Status, status = "error", "unavailable", http.StatusServiceUnavailable
			}
		}
		writeJSON(w, status, answer)
	}
}

func writeJSON(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client is gone
}
