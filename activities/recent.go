package activities

import (
	"slices"
	"sync"

	"assetflow/assetpackage"
)

const (
	// recentBytes is the largest package that is remembered: it is in memory as a whole once it was opened.
	recentBytes = 256 << 10
	// recentPackages is how many are remembered, so that the memory stays at a few megabytes.
	recentPackages = 16
)

// recent remembers the small packages that were opened last. The steps of a job follow each other, mostly on the same
// worker: the next one need not fetch the package again. A staged package never changes under its key.
type recent struct {
	mu   sync.Mutex
	held []recentPackage // the latest last
}

type recentPackage struct {
	staged StagedPackage
	pkg    *assetpackage.Package
}

func (r *recent) find(staged StagedPackage) *assetpackage.Package {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.IndexFunc(r.held, func(p recentPackage) bool { return p.staged == staged })
	if at < 0 {
		return nil
	}
	return r.held[at].pkg
}

func (r *recent) add(staged StagedPackage, pkg *assetpackage.Package) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.held) == recentPackages {
		r.held = slices.Delete(r.held, 0, 1)
	}
	r.held = append(r.held, recentPackage{staged, pkg})
}
