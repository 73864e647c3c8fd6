package storagetest

import "sync"

// reader is a function that reads.
type reader func(p []byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

// lock guards what requests that run at the same time note down.
type lock struct{ sync.Mutex }

// first tells whether this is the first time that key is asked for.
func (l *lock) first(seen map[string]bool, key string) bool {
	l.Lock()
	defer l.Unlock()
	defer func() { seen[key] = true }()
	return !seen[key]
}
