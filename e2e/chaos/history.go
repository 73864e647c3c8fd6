package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"assetflow/e2e/process"
)

// event is one line of the history.
type event struct {
	At    time.Time    `json:"at"`
	Round int          `json:"round,omitempty"`
	What  string       `json:"what"`
	Role  process.Role `json:"role,omitempty"`
	User  int          `json:"user,omitempty"`
	Op    string       `json:"op,omitempty"`
	Job   string       `json:"job,omitempty"`
	Text  string       `json:"text,omitempty"`
}

// history is the file of everything that happened, one JSON object per line.
type history struct {
	mu   sync.Mutex
	file *os.File
}

func openHistory(dir string) (*history, error) {
	file, err := os.OpenFile(filepath.Join(dir, "history.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return &history{file: file}, err
}

func (h *history) add(e event) {
	e.At = time.Now().UTC()
	line, err := json.Marshal(e)
	if err != nil {
		return // an event of plain fields has a JSON
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, _ = h.file.Write(append(line, '\n')) // a history with a gap is better than a run that ends for it
}

func (h *history) close() error { return h.file.Close() }
