package rolling

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"assetflow/assetpackage/packagetest"
	"assetflow/catalog"
	"assetflow/client"
)

const (
	users = 4
	// smallFile and bigFile are sizes of files in a package; the big one goes to the store in several parts.
	smallFile = 150 << 10
	bigFile   = 9 << 20
	// A slow user sends piece bytes in every pace, so that uploads are under way most of the time.
	piece = 16 << 10
	pace  = 30 * time.Millisecond
)

// user asks for one thing after the other, once each: nothing may fail.
type user struct {
	*client.Client
	number   int
	instance catalog.Instance
	live     map[string]bool // names of assets
	jobs     []string        // of the user, all of which succeeded
	archives int
}

// load is users at work.
type load struct {
	users   []*user
	stop    chan struct{}
	working sync.WaitGroup
}

// startLoad has users work until the load is stopped.
func (s *stack) startLoad() *load {
	l := &load{stop: make(chan struct{})}
	for n := 1; n <= users; n++ {
		u := &user{number: n, live: map[string]bool{}}
		u.Client, u.instance = s.newClient(s.proxy.URL)
		l.users = append(l.users, u)
		l.working.Go(func() {
			if err := u.work(s.failed, l.stop); err != nil {
				s.fail(fmt.Errorf("user %d: %w", u.number, err))
			}
		})
	}
	return l
}

// finish lets the users end what they are about.
func (l *load) finish() {
	close(l.stop)
	l.working.Wait()
}

func (u *user) work(ctx context.Context, stop <-chan struct{}) error {
	for turn := 1; ; turn++ {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := u.turn(ctx, turn); err != nil {
			return fmt.Errorf("turn %d: %w", turn, err)
		}
	}
}

// turn imports a package, exports what is in it, downloads that, and deletes every other.
func (u *user) turn(ctx context.Context, turn int) error {
	pkg := packagetest.Spec{
		Name: fmt.Sprintf("u%d t%03d", u.number, turn), Applications: 2, Tasks: 1, FilesPerAsset: 1, FileBytes: smallFile,
		Seed: uint64(u.number*1000 + turn),
	}
	if turn%4 == u.number%4 {
		pkg.FileBytes = bigFile
	}
	content := pkg.Bytes()
	var body io.Reader = bytes.NewReader(content)
	if u.number%2 == 0 && pkg.FileBytes == smallFile {
		body = &slowReader{reader: body, ctx: ctx}
	}
	id, err := u.Import(ctx, "package.zip", body, int64(len(content)), client.ImportOptions{IdempotencyKey: rand.Text()})
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if _, err = u.await(ctx, id); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	chosen, err := u.look(ctx, pkg)
	if err != nil {
		return err
	}
	if id, err = u.StartExport(ctx, chosen, client.StartOptions{}); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	job, err := u.await(ctx, id)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	digest := sha256.New()
	archive, err := u.DownloadArchive(ctx, job.ArchiveID, digest, nil)
	if err != nil {
		return fmt.Errorf("download: %w", err)
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != archive.SHA256 {
		return fmt.Errorf("the archive of %s arrived as %s", archive.SHA256, got)
	}
	u.archives++
	if turn%2 == 0 {
		return nil
	}
	if id, err = u.StartDeletion(ctx, chosen, client.StartOptions{}); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if _, err = u.await(ctx, id); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	for _, name := range namesOf(pkg) {
		delete(u.live, name)
	}
	return nil
}

// await waits for a job, which must succeed.
func (u *user) await(ctx context.Context, id string) (client.Job, error) {
	u.jobs = append(u.jobs, id)
	for {
		job, err := u.Job(ctx, id)
		switch {
		case err != nil:
			return job, fmt.Errorf("ask for job %s: %w", id, err)
		case job.Status == client.Failed:
			return job, fmt.Errorf("job %s failed: %+v", id, job.Reasons)
		case job.Ended():
			return job, nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return job, fmt.Errorf("job %s still runs: %w", id, err)
		}
	}
}

// look chooses the assets of a package that was imported, which must all be there.
func (u *user) look(ctx context.Context, pkg packagetest.Spec) (chosen client.Selection, err error) {
	page, err := u.ListAssets(ctx, client.AssetFilter{NameContains: pkg.Name + " ", Limit: 500})
	if err != nil {
		return chosen, fmt.Errorf("list assets: %w", err)
	}
	for _, a := range page.Assets {
		if a.VersionNumber != 1 {
			return chosen, fmt.Errorf("%q was imported once and has version %d", a.Name, a.VersionNumber)
		}
		u.live[a.Name] = true
		if a.Kind == string(catalog.KindTask) {
			chosen.Tasks = append(chosen.Tasks, a.ID)
		} else {
			chosen.Applications = append(chosen.Applications, a.ID)
		}
	}
	if names := namesOf(pkg); len(page.Assets) != len(names) {
		return chosen, fmt.Errorf("there are %d assets of a package of %d", len(page.Assets), len(names))
	}
	return chosen, nil
}

func namesOf(pkg packagetest.Spec) (names []string) {
	m := pkg.Manifest()
	for _, a := range append(m.Applications, m.Tasks...) {
		names = append(names, a.Name)
	}
	return names
}

// slowReader gives a package as a slow line does.
type slowReader struct {
	reader io.Reader
	ctx    context.Context
}

func (r *slowReader) Read(p []byte) (int, error) {
	if err := pause(r.ctx, pace); err != nil {
		return 0, err
	}
	return r.reader.Read(p[:min(len(p), piece)])
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
