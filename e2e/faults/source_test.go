package faults

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/devstack"
	"assetflow/replication"
	"assetflow/storage"
)

// keyRing is what both regions seal and open with.
const keyRing = `{"primary": "1", "keys": {"1": "AAECAwQFBgcICQoLDA0ODw=="}}`

// source is the region that is copied from.
var source *sourceRegion

// sourceRegion is a bucket of its own and, before its S3 server, a proxy that counts what is asked for and can hold it.
type sourceRegion struct {
	url      string
	listener net.Listener
	server   *http.Server
	target   *url.URL
	store    *storage.Store

	mu    sync.Mutex
	asked map[string][]int64        // by path: where each range that was asked for begins
	hold  func(r ranged) bool       // which requests wait
	held  map[string]map[int64]bool // by path: where those begin
	free  chan struct{}             // closed when they may go on
}

// ranged is a request for a part of an object.
type ranged struct {
	path string
	off  int64
}

func startSource() (*sourceRegion, error) {
	s := &sourceRegion{asked: map[string][]int64{}, held: map[string]map[int64]bool{}, free: make(chan struct{})}
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.url = "http://" + s.listener.Addr().String()
	return s, nil
}

// open makes the bucket in the stack's S3 server, and opens the proxy.
func (s *sourceRegion) open(ctx context.Context) error {
	attached, err := devstack.Attach(dataDir)
	if err != nil {
		return err
	}
	if s.target, err = url.Parse(attached.Storage.Endpoint); err != nil {
		return err
	}
	attached.Storage.Bucket, attached.Storage.PresignEndpoint = "north", s.url
	if s.store, err = storage.Open(ctx, attached.Storage); err != nil {
		return err
	}
	if err := s.store.EnsureBucket(ctx); err != nil {
		return err
	}
	s.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: s}
	go func() { _ = s.server.Serve(s.listener) }()
	return nil
}

func (s *sourceRegion) stop() {
	if s.server != nil {
		_ = s.server.Close()
	}
	_ = s.listener.Close()
}

func (s *sourceRegion) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := ranged{path: r.URL.Path}
	_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &at.off)
	s.mu.Lock()
	s.asked[at.path] = append(s.asked[at.path], at.off)
	free := s.free
	wait := s.hold != nil && s.hold(at)
	if wait {
		if s.held[at.path] == nil {
			s.held[at.path] = map[int64]bool{}
		}
		s.held[at.path][at.off] = true
	}
	s.mu.Unlock()
	if wait {
		select {
		case <-free:
		case <-r.Context().Done():
			return
		}
	}
	(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(s.target)
		p.Out.Host = p.In.Host // it is signed
	}}).ServeHTTP(w, r)
}

// holdBack lets requests wait until release.
func (s *sourceRegion) holdBack(which func(r ranged) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = which
}

// awaitHeld returns when requests wait that begin there, so that none of them comes after a release.
func (s *sourceRegion) awaitHeld(t *testing.T, f copyFile, offs ...int64) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, off := range offs {
			if !s.held[s.path(f)][off] {
				return false
			}
		}
		return true
	}, time.Minute, 10*time.Millisecond, "the source is not asked for all that it holds back")
}

// release lets all requests go on, and forgets what was asked for so far.
func (s *sourceRegion) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = nil
	close(s.free)
	s.free = make(chan struct{})
	s.asked = map[string][]int64{}
}

// requests gives where the ranges begin that were asked for, in their order.
func (s *sourceRegion) requests(f copyFile) []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	offs := slices.Clone(s.asked[s.path(f)])
	slices.Sort(offs)
	return offs
}

// path is that of a file's content.
func (s *sourceRegion) path(f copyFile) string {
	return "/" + s.store.Bucket() + "/" + storage.BlobKey(f.sha256)
}

// copyFile is a file of an asset in the source region.
type copyFile struct {
	id, sha256 string
	content    []byte
}

// newAsset makes an asset with files of these sizes, the first of them the main one, and gives its replication info.
func (s *sourceRegion) newAsset(t *testing.T, sizes ...int) (assetID, info string, files []copyFile) {
	t.Helper()
	ctx := t.Context()
	assetID = uuid.NewString()
	random := rand.NewChaCha8(sha256.Sum256([]byte(assetID)))
	header := replication.ManifestHeader{AssetID: assetID, Files: len(sizes)}
	var lines []replication.ManifestFile
	for i, size := range sizes {
		content := make([]byte, size)
		_, _ = random.Read(content)
		sum, md := sha256.Sum256(content), md5.Sum(content)
		f := copyFile{id: uuid.NewString(), sha256: hex.EncodeToString(sum[:]), content: content}
		require.NoError(t, s.store.PutBlob(ctx, f.sha256, int64(size), bytes.NewReader(content)))
		link, err := s.store.PresignDownload(ctx, storage.BlobKey(f.sha256), "", time.Hour)
		require.NoError(t, err)
		line := replication.ManifestFile{
			FileID: f.id, Name: fmt.Sprintf("file-%d.mp4", i), MD5: base64.StdEncoding.EncodeToString(md[:]), Size: int64(size),
			SHA256: f.sha256, Type: "mp4", Category: catalog.MainCategory, URL: link,
		}
		if i > 0 {
			line.Category = "OTHER"
		}
		header.Bytes += line.Size
		files, lines = append(files, f), append(lines, line)
	}
	var manifest bytes.Buffer
	require.NoError(t, replication.WriteManifest(&manifest, header, func(yield func(replication.ManifestFile, error) bool) {
		for _, line := range lines {
			if !yield(line, nil) {
				return
			}
		}
	}))
	key := storage.ManifestKey("p", assetID, "1")
	size, digest, err := s.store.PutManifest(ctx, key, &manifest)
	require.NoError(t, err)
	link, err := s.store.PresignDownload(ctx, key, "", time.Hour)
	require.NoError(t, err)
	ring, err := replication.ParseKeyRing(keyRing)
	require.NoError(t, err)
	sealed, err := replication.Seal(ring, replication.Payload{
		SourceRegion: "north", ManifestURL: link, ManifestSHA256: digest, ManifestSize: size, IssuedAt: time.Now(),
		Metadata: replication.Metadata{Name: "film " + assetID, Type: "VIDEO", ExtraMeta: json.RawMessage(`{"a":"<b>"}`)},
	}, assetID, time.Now().Add(time.Hour), nil)
	require.NoError(t, err)
	text, err := json.Marshal(sealed)
	require.NoError(t, err)
	return assetID, string(text), files
}

// isBlob tells whether a path is that of a file's content.
func isBlob(path string) bool { return strings.Contains(path, "/blobs/") }
