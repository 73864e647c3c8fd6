package jobs

import "sync"

// maxRemembered bounds each memory: a few hundred kilobytes.
const maxRemembered = 4096

// memory remembers what saves the callers who poll a job a read each time. It may forget everything at any moment: a
// miss costs one read.
type memory[K comparable, V any] struct {
	mu   sync.Mutex
	held map[K]V
}

func (m *memory[K, V]) get(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.held[key]
	return value, ok
}

func (m *memory[K, V]) put(key K, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil || len(m.held) >= maxRemembered {
		m.held = make(map[K]V)
	}
	m.held[key] = value
}
