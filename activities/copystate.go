package activities

import (
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"

	"assetflow/storage"
)

// transferState is what a heartbeat of CopyFiles says. Its first fields are those of Progress. It names no place.
type transferState struct {
	Progress
	Next    int                    `json:"next"`              // every file before this one is stored
	Uploads map[string]uploadState `json:"uploads,omitempty"` // of large files under way, by digest
}

// uploadState is how far the upload of a large file has come: every byte of its first parts was hashed and stored.
type uploadState struct {
	ID    string `json:"id"`
	Parts int    `json:"parts"`
	Hash  string `json:"hash"`  // state of the SHA-256 after them
	ETags string `json:"etags"` // digest of what the store said of them, in their order
}

// transfer knows how far a copy has come. It is safe for concurrent use.
type transfer struct {
	mu      sync.Mutex
	state   transferState
	ended   map[int]struct{} // files from state.Next on that are stored
	from    int              // what an earlier try had stored
	absent  int              // how often in a row the content store was asked for a file in vain
	outcome CopiedFiles
}

func newTransfer(total int64) *transfer {
	return &transfer{
		state: transferState{Progress: Progress{Total: total}, Uploads: map[string]uploadState{}}, ended: map[int]struct{}{},
	}
}

// goOnFrom takes over what an earlier try has told last.
func (t *transfer) goOnFrom(last transferState) {
	t.from = last.Next
	for digest, u := range last.Uploads {
		t.state.Uploads[digest] = u
	}
}

// details gives a copy of the state, for a heartbeat.
func (t *transfer) details() any {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.state
	now.Next = max(now.Next, t.from) // what an earlier try had is not counted yet
	now.Uploads = make(map[string]uploadState, len(t.state.Uploads))
	for digest, u := range t.state.Uploads {
		now.Uploads[digest] = u
	}
	return now
}

// has tells whether an earlier try has stored the file at the place.
func (t *transfer) has(at int) bool { return at < t.from }

// present counts a file that was not fetched.
func (t *transfer) present(at int, size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcome.Present++
	t.state.Done += size
	t.end(at)
}

// fetched counts a file that was. Its bytes may have been counted already.
func (t *transfer) fetched(at int, size, uncounted int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcome.Files++
	t.outcome.Bytes += size
	t.state.Done += uncounted
	t.end(at)
}

func (t *transfer) end(at int) {
	t.ended[at] = struct{}{}
	for {
		if _, ok := t.ended[t.state.Next]; !ok {
			return
		}
		delete(t.ended, t.state.Next)
		t.state.Next++
	}
}

func (t *transfer) copied() CopiedFiles {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.outcome
}

// askedInVain is after how many files that are not there the content store is not asked for further small ones. What an
// earlier job or try has left stands at the front, because files are copied in their order.
const askedInVain = 16

// worthAsking tells whether to ask the content store for a file of the size before it is fetched: for a small one the
// question costs a third of what it saves.
func (t *transfer) worthAsking(size int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return size >= probeSize || t.absent < askedInVain
}

func (t *transfer) asked(has bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.absent++; has {
		t.absent = 0
	}
}

// upload gives the noted upload of a file, if there is one.
func (t *transfer) upload(digest string) (uploadState, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, ok := t.state.Uploads[digest]
	return u, ok
}

// note writes down how far an upload is, and counts bytes. What is known of it already may be later news.
func (t *transfer) note(digest string, u uploadState, counted int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.Done += counted
	if known, ok := t.state.Uploads[digest]; !ok || known.ID != u.ID || known.Parts < u.Parts {
		t.state.Uploads[digest] = u
	}
}

// forget drops an upload that has ended.
func (t *transfer) forget(digest string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.state.Uploads, digest)
}

// partLog follows the parts of one upload: which are stored, and what the hash was after each.
type partLog struct {
	mu     sync.Mutex
	id     string
	hash   hash.Hash // of the bytes so far; only the part whose turn it is writes to it
	parts  []storage.BlobPart
	states []string  // of hash after each part, until the part and all before it are stored
	etags  hash.Hash // of the parts before next
	next   int       // every part before this index is stored
}

func newPartLog(id string, count int) *partLog {
	return &partLog{
		id: id, hash: sha256.New(), etags: sha256.New(), parts: make([]storage.BlobPart, count), states: make([]string, count),
	}
}

// hashed notes the hash after the part at the index, whose turn it is.
func (l *partLog) hashed(at int, data []byte) error {
	l.hash.Write(data)
	state, err := l.hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return fmt.Errorf("note the digest's state: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states[at] = base64.StdEncoding.EncodeToString(state)
	return nil
}

// stored notes that a part is stored, and gives how far the upload has come without a gap.
func (l *partLog) stored(p storage.BlobPart) uploadState {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parts[p.Number-1] = p
	for l.next < len(l.parts) && l.parts[l.next].Number > 0 {
		noteETag(l.etags, l.parts[l.next])
		if l.next > 0 {
			l.states[l.next-1] = ""
		}
		l.next++
	}
	u := uploadState{ID: l.id, Parts: l.next}
	if l.next > 0 {
		u.Hash, u.ETags = l.states[l.next-1], hex.EncodeToString(l.etags.Sum(nil))
	}
	return u
}

// resume takes over the first parts of an upload as they stand in the store, and tells whether they are those that were
// noted: a worker that was taken for dead may have written since.
func (l *partLog) resume(u uploadState, parts []storage.BlobPart) bool {
	state, err := base64.StdEncoding.DecodeString(u.Hash)
	if err != nil || u.Parts < 1 || u.Parts > len(parts) || u.Parts > len(l.parts) {
		return false
	}
	for i, p := range parts[:u.Parts] {
		if p.Number != i+1 || p.Size != storage.PartSize && i+1 < len(l.parts) {
			return false
		}
		noteETag(l.etags, p)
		l.parts[i] = p
	}
	l.next, l.states[u.Parts-1] = u.Parts, u.Hash
	return hex.EncodeToString(l.etags.Sum(nil)) == u.ETags && l.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) == nil
}

func noteETag(h hash.Hash, p storage.BlobPart) {
	_, _ = fmt.Fprintf(h, "%d %d %q\n", p.Number, p.Size, p.ETag) // a hash takes everything
}
