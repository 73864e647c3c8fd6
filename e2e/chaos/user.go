package chaos

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/client"
)

// op is something that a user asked for.
type op struct {
	user, number int
	kind         catalog.JobKind
	key          string
	onConflict   string // client.Queue or empty
	jobID        string // canonical; empty until it was accepted

	// of an import
	mode    string
	prefix  string
	bundle  bundle
	bytes   []byte
	invalid bool // the package is broken

	// of a deletion or an export
	chosen []client.Asset // with ids
	lost   string         // an id that nobody has, in addition

	// of an export
	exported  []content // what was in the archive; nil where it was not downloaded
	brokenOff bool      // its download was
}

func (o *op) String() string { return fmt.Sprintf("u%02d-%04d-%s", o.user, o.number, o.kind) }

// tryTime bounds one request: longer than the service lets a repetition wait for the first one's answer.
const tryTime = 45 * time.Second

// user asks for one thing after the other, so that what becomes of each is decided by what was before.
type user struct {
	run      *run
	number   int
	id       string
	caller   *client.Client
	random   *mathrand.Rand
	ops      []*op // in the order they were accepted
	pending  []*op // of these, those not known to have ended
	accepted atomic.Int64
	tries    atomic.Int64

	mu      sync.Mutex
	current string // key of the submission under way
}

func (r *run) addUsers(ctx context.Context) error {
	for n := 1; n <= users; n++ {
		added, err := r.stack.auth.AddUser(ctx, "chaos", fmt.Sprintf("u%02d", n), rand.Text())
		if err != nil {
			return err
		}
		if err := r.stack.auth.GrantRole(ctx, added.ID, r.stack.project.ID, string(auth.RoleAdmin)); err != nil {
			return err
		}
		accessKey, secretKey, err := r.stack.auth.AddAccessKey(ctx, added.ID)
		if err != nil {
			return err
		}
		r.users = append(r.users, &user{
			run: r, number: n, id: added.ID, caller: newCaller(r.stack, accessKey, secretKey),
			random: newRandom(r.opts.Seed, uint64(n)),
		})
	}
	return nil
}

// work asks for things until stop is closed, and returns when all of them have ended.
func (u *user) work(ctx context.Context, stop <-chan struct{}) error {
	for number := 1; ; number++ {
		select {
		case <-stop:
			return u.awaitPending(ctx)
		default:
		}
		o, err := u.next(ctx, number)
		if err != nil {
			return err
		}
		if err := u.submit(ctx, o); err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
		if o.kind == catalog.AssetExport {
			if err := u.download(ctx, o); err != nil {
				return fmt.Errorf("%s: %w", o, err)
			}
		}
	}
}

// next decides what is asked for next. Imports may be asked for while the last one runs: the service keeps them in order.
func (u *user) next(ctx context.Context, number int) (*op, error) {
	o := &op{user: u.number, number: number, kind: catalog.AssetImport, key: rand.Text()}
	choice, impatient := u.random.IntN(10), u.random.IntN(4) == 0
	if u.random.IntN(2) == 0 {
		o.onConflict = client.Queue
	}
	if choice < 5 && impatient && len(u.pending) > 0 && u.pending[len(u.pending)-1].kind == catalog.AssetImport {
		return o, u.makeImport(ctx, o)
	}
	if err := u.awaitPending(ctx); err != nil {
		return nil, err
	}
	if choice < 5 {
		return o, u.makeImport(ctx, o)
	}
	assets, err := u.assets(ctx)
	if err != nil {
		return nil, err
	}
	if len(assets) < 3 {
		return o, u.makeImport(ctx, o)
	}
	o.kind = catalog.AssetDelete
	if choice > 7 {
		o.kind = catalog.AssetExport
	}
	for _, i := range u.random.Perm(len(assets))[:1+u.random.IntN(min(4, len(assets)))] {
		o.chosen = append(o.chosen, assets[i])
	}
	if u.random.IntN(10) == 0 {
		o.lost = uuid.NewString()
	}
	return o, nil
}

func (u *user) makeImport(ctx context.Context, o *op) error {
	o.mode = client.Merge
	if u.random.IntN(4) == 0 {
		o.mode = client.AddNew
	}
	if u.random.IntN(5) == 0 {
		o.prefix = prefix
	}
	o.bundle = newBundle(u.random, u.number, o.number)
	var err error
	if o.bytes, err = o.bundle.bytes(ctx); err != nil {
		return fmt.Errorf("make a package: %w", err)
	}
	switch u.random.IntN(16) {
	case 0:
		o.invalid, o.bytes = true, o.bytes[:len(o.bytes)/2]
	case 1:
		o.invalid, o.bytes = true, fmt.Appendf(nil, "no package at all, said user %d for the %dth time", u.number, o.number)
	}
	return nil
}

// assets lists what the user has, by asking until there is an answer.
func (u *user) assets(ctx context.Context) ([]client.Asset, error) {
	for {
		page, err := u.caller.ListAssets(ctx, client.AssetFilter{NameContains: fmt.Sprintf("u%02d ", u.number), Limit: 500})
		if err == nil {
			return page.Assets, nil
		}
		if err := u.again(ctx, err); err != nil {
			return nil, fmt.Errorf("list assets: %w", err)
		}
	}
}

// again waits a moment after a request that failed; it gives the error back where repeating it makes no sense.
func (u *user) again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	if !passing(err) {
		return err
	}
	return pause(ctx, 150*time.Millisecond)
}

// submit repeats a submission until it is answered with a job's id. Any two answers must name the same job.
func (u *user) submit(ctx context.Context, o *op) error {
	u.setCurrent(o.key)
	defer u.setCurrent("")
	for {
		type answer struct {
			id  string
			err error
		}
		parallel := 1
		if u.random.IntN(4) == 0 {
			parallel = 2
		}
		answers := make(chan answer, parallel)
		for range parallel {
			go func() {
				id, err := u.try(ctx, o)
				answers <- answer{id, err}
			}()
		}
		var last error
		for range parallel {
			a := <-answers
			if a.err != nil {
				last = a.err
				continue
			}
			if err := u.took(o, a.id); err != nil {
				return err
			}
		}
		switch {
		case last != nil && !passing(last):
			return fmt.Errorf("an answer that nobody should get: %w", last)
		case o.jobID == "":
			if err := u.again(ctx, last); err != nil {
				return err
			}
			continue
		}
		if u.random.IntN(8) == 0 { // as a client does that has not seen the answer
			if id, err := u.try(ctx, o); err == nil {
				return u.took(o, id)
			}
		}
		return nil
	}
}

// took notes the id with which a submission was answered.
func (u *user) took(o *op, id string) error {
	id, err := client.CanonicalJobID(id)
	if err != nil {
		return err
	}
	switch o.jobID {
	case id:
		return nil
	case "":
		o.jobID = id
		u.ops, u.pending = append(u.ops, o), append(u.pending, o)
		u.accepted.Add(1)
		u.moved()
		return nil
	default:
		return fmt.Errorf("one key, two jobs: %s and %s", o.jobID, id)
	}
}

func (u *user) moved() {
	select {
	case u.run.progress <- struct{}{}:
	default:
	}
}

// try sends the submission once.
func (u *user) try(ctx context.Context, o *op) (id string, err error) {
	limited, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	u.tries.Add(1)
	switch o.kind {
	case catalog.AssetImport:
		id, err = u.caller.Import(limited, o.String()+".zip", bytes.NewReader(o.bytes), int64(len(o.bytes)),
			client.ImportOptions{Type: o.mode, Prefix: o.prefix, IdempotencyKey: o.key, OnConflict: o.onConflict})
	case catalog.AssetDelete:
		id, err = u.caller.StartDeletion(limited, o.selection(), client.StartOptions{IdempotencyKey: o.key, OnConflict: o.onConflict})
	case catalog.AssetExport:
		id, err = u.caller.StartExport(limited, o.selection(), client.StartOptions{IdempotencyKey: o.key, OnConflict: o.onConflict})
	default: // there are no others here
	}
	e := event{What: "accepted", User: u.number, Op: o.String(), Job: id}
	if err != nil {
		e.What, e.Text = "not accepted", err.Error()
	}
	u.run.history.add(e)
	return id, err
}

func (o *op) selection() client.Selection {
	var s client.Selection
	for _, a := range o.chosen {
		if a.Kind == string(catalog.KindTask) {
			s.Tasks = append(s.Tasks, a.ID)
		} else {
			s.Applications = append(s.Applications, a.ID)
		}
	}
	if o.lost != "" {
		s.Applications = append(s.Applications, o.lost)
	}
	return s
}

func (u *user) setCurrent(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.current = key
}

// expireClaim makes the claim of the submission under way run out. The process that held it is dead.
func (u *user) expireClaim(ctx context.Context) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.current != "" {
		// Where there is no claim, there is nothing to expire.
		_ = u.run.stack.Catalog.RenewSubmission(ctx, u.id, u.current, time.Now().Add(-2*catalog.SubmissionLease))
	}
}

// awaitPending returns when every accepted job of the user has ended.
func (u *user) awaitPending(ctx context.Context) error {
	for len(u.pending) > 0 {
		if err := u.await(ctx, u.pending[0]); err != nil {
			return fmt.Errorf("%s, job %s: %w", u.pending[0], u.pending[0].jobID, err)
		}
		u.pending = u.pending[1:]
	}
	return nil
}

func (u *user) await(ctx context.Context, o *op) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		job, err := u.caller.Job(ctx, o.jobID)
		if err == nil && job.Ended() {
			u.run.history.add(event{What: job.Status, User: u.number, Op: o.String(), Job: o.jobID, Text: fmt.Sprint(job.Reasons)})
			u.moved()
			return nil
		}
		if err != nil {
			if err := u.again(ctx, err); err != nil {
				return fmt.Errorf("ask for an accepted job: %w", err)
			}
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// download fetches some archives whole, breaks some downloads off, and leaves the others.
func (u *user) download(ctx context.Context, o *op) error {
	choice := u.random.IntN(4)
	if err := u.awaitPending(ctx); err != nil {
		return err
	}
	job, err := u.job(ctx, o)
	if err != nil || job.Status != client.Succeeded || choice == 0 {
		return err
	}
	for {
		archive := &buffer{breakOff: choice == 1}
		got, err := u.caller.DownloadArchive(ctx, job.ArchiveID, archive, nil)
		u.run.history.add(event{What: "download", User: u.number, Op: o.String(), Text: fmt.Sprintf("%d bytes: %v", archive.Len(), err)})
		switch {
		case errors.Is(err, errBrokenOff):
			o.brokenOff = true
			return nil
		case err == nil:
			return u.unpack(ctx, o, archive.Bytes(), got)
		}
		if err := u.again(ctx, err); err != nil {
			return fmt.Errorf("download the archive: %w", err)
		}
	}
}

var errBrokenOff = errors.New("broken off")

// buffer takes an archive, or breaks the download off at its first bytes.
type buffer struct {
	bytes.Buffer
	breakOff bool
}

func (b *buffer) Write(p []byte) (int, error) {
	if b.breakOff {
		return 0, errBrokenOff
	}
	return b.Buffer.Write(p)
}

func (u *user) job(ctx context.Context, o *op) (client.Job, error) {
	for {
		job, err := u.caller.Job(ctx, o.jobID)
		if err == nil {
			return job, nil
		}
		if err := u.again(ctx, err); err != nil {
			return job, err
		}
	}
}

// unpack checks an archive that was downloaded and keeps what was in it.
func (u *user) unpack(ctx context.Context, o *op, archive []byte, said client.Archive) error {
	if sum := sha256.Sum256(archive); hex.EncodeToString(sum[:]) != said.SHA256 {
		return fmt.Errorf("the archive's bytes are not those of its ETag %s", said.SHA256)
	}
	pkg, err := assetpackage.Open(ctx, packagetest.Source(archive), assetpackage.DefaultLimits())
	if err != nil {
		return fmt.Errorf("open the archive: %w", err)
	}
	if err := pkg.Verify(ctx, nil); err != nil {
		return fmt.Errorf("verify the archive: %w", err)
	}
	o.exported = contentsOf(pkg.Manifest())
	return nil
}
