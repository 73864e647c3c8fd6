package chaos

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

// visibilityTime is how long Temporal may take to list a workflow as closed that has closed.
const visibilityTime = time.Minute

// checker looks at what a run left. Nothing is running any more but the processes.
type checker struct {
	*run
	jobs   map[string]catalog.Job // by id
	oracle *oracle
}

// look is one check being made.
type look struct{ Check }

func (l *look) wrong(format string, args ...any) {
	l.Findings = append(l.Findings, fmt.Sprintf(format, args...))
}

// check makes all checks. The error is of a check that could not be made.
func (r *run) check(ctx context.Context) error {
	c := &checker{run: r, jobs: map[string]catalog.Job{}, oracle: newOracle()}
	for _, check := range []struct {
		name string
		do   func(ctx context.Context, l *look) error
	}{
		{"every accepted job has ended, and there are no other jobs", c.ended},
		{"no workflow is open", c.closed},
		{"every job did what the oracle did", c.outcomes},
		{"assets, versions and contents are the oracle's", c.assets},
		{"the trash is the oracle's", c.trash},
		{"every blob is there with its bytes", c.blobs},
		{"every archive has its row and its bytes", c.archives},
		{"nothing is left in staging by a job that has ended", c.staging},
		{"after a sweep there is nothing that nobody needs", c.swept},
	} {
		l := &look{Check{Name: check.name}}
		if err := check.do(ctx, l); err != nil {
			return fmt.Errorf("check that %s: %w", check.name, err)
		}
		for _, f := range l.Findings {
			r.history.add(event{What: "wrong", Text: l.Name + ": " + f})
		}
		r.report.Checks = append(r.report.Checks, l.Check)
	}
	return nil
}

// ended also reads the catalog's jobs.
func (c *checker) ended(ctx context.Context, l *look) error {
	filter := catalog.JobFilter{ProjectID: c.stack.project.ID, Limit: 500}
	for {
		page, next, err := c.stack.Catalog.ListJobs(ctx, filter)
		if err != nil {
			return err
		}
		for _, job := range page {
			c.jobs[job.ID] = job
		}
		if filter.Cursor = next; next == "" {
			break
		}
	}
	accepted := map[string]bool{}
	for _, u := range c.users {
		for _, o := range u.ops {
			l.Looked++
			accepted[o.jobID] = true
			switch job, ok := c.jobs[o.jobID]; {
			case !ok:
				l.wrong("%s: the accepted job %s is gone", o, o.jobID)
			case job.State == catalog.JobRunning || !job.Settled:
				l.wrong("%s: job %s is %s (settled: %v)", o, o.jobID, job.State, job.Settled)
			case job.State == catalog.JobSucceeded:
				c.report.Succeeded++
			default:
				c.report.Failed++
			}
		}
	}
	for id, job := range c.jobs {
		if !accepted[id] {
			l.wrong("nobody was told of job %s: %s of %s, %s, %s", id, job.Kind, job.UserName, job.Subject, job.State)
		}
	}
	return nil
}

func (c *checker) closed(ctx context.Context, l *look) error {
	query := fmt.Sprintf("AssetflowProject = '%s' AND ExecutionStatus = 'Running'", c.stack.project.ID)
	for deadline := time.Now().Add(visibilityTime); ; {
		open, err := c.stack.Temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		if err != nil {
			return err
		}
		l.Looked++
		if open.GetCount() == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			l.wrong("%d workflows are open", open.GetCount())
			return nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// outcomes applies every job to the oracle, in the order in which they ended.
func (c *checker) outcomes(_ context.Context, l *look) error {
	var ops []*op
	for _, u := range c.users {
		for i, o := range u.ops {
			job := c.jobs[o.jobID]
			if job.EndedAt == nil {
				continue // ended has told it
			}
			ops = append(ops, o)
			if i > 0 {
				if before := c.jobs[u.ops[i-1].jobID]; before.EndedAt != nil && job.EndedAt.Before(*before.EndedAt) {
					l.wrong("%s ended before %s, which was asked for first", o, u.ops[i-1])
				}
			}
		}
	}
	slices.SortStableFunc(ops, func(a, b *op) int { return c.jobs[a.jobID].EndedAt.Compare(*c.jobs[b.jobID].EndedAt) })
	for _, o := range ops {
		l.Looked++
		l.Findings = append(l.Findings, c.oracle.apply(o, c.jobs[o.jobID])...)
	}
	return nil
}

// assets compares what lives. Version numbers must count the changes that succeeded, each once.
func (c *checker) assets(ctx context.Context, l *look) error {
	project, instance := c.stack.project.ID, c.stack.instance.ID
	there := map[assetKey]catalog.Asset{}
	filter := catalog.AssetFilter{ProjectID: project, InstanceID: instance, Limit: 500}
	for {
		page, next, err := c.stack.Catalog.ListAssets(ctx, filter)
		if err != nil {
			return err
		}
		for _, a := range page {
			there[assetKey{a.Kind, a.Name}] = a
		}
		if filter.Cursor = next; next == "" {
			break
		}
	}
	digests := digestBook{}
	for _, want := range c.oracle.all() {
		l.Looked++
		got, ok := there[want.assetKey]
		delete(there, want.assetKey)
		if !ok || got.ID != want.id || got.VersionNumber != len(want.versions) {
			l.wrong("%s %q: the catalog has %q in version %d, the oracle %q in %d",
				want.kind, want.name, got.ID, got.VersionNumber, want.id, len(want.versions))
			continue
		}
		versions, err := c.stack.Catalog.ListVersions(ctx, project, instance, want.id)
		if err != nil {
			return err
		}
		slices.Reverse(versions)
		if len(versions) != len(want.versions) {
			l.wrong("%q: the catalog has %d versions, the oracle %d", want.name, len(versions), len(want.versions))
			continue
		}
		for i, v := range versions {
			w := want.versions[i]
			if v.Number != i+1 || v.JobID != w.jobID || v.Label != w.label {
				l.wrong("%q: version %d is %s of job %s, and must be %d, %s of job %s", want.name, v.Number, v.Label, v.JobID, i+1, w.label, w.jobID)
			}
			digests.note(l, v.Digest, w.content.same())
			detail, err := c.stack.Catalog.AssetAt(ctx, project, instance, want.id, i+1)
			if err != nil {
				return err
			}
			if got, must := textOf([]content{contentOf(detail)}), textOf([]content{w.content}); got != must {
				l.wrong("%q: version %d is\n%sand must be\n%s", want.name, v.Number, got, must)
			}
		}
	}
	for key := range there {
		l.wrong("the oracle has no %s %q", key.kind, key.name)
	}
	return nil
}

// digestBook knows which digest goes with which content: one each.
type digestBook map[string]string

func (b digestBook) note(l *look, digest, content string) {
	for key, value := range map[string]string{"digest " + digest: content, "content " + content: digest} {
		if known, ok := b[key]; ok && known != value {
			l.wrong("%s goes with %s and with %s", key, known, value)
		}
		b[key] = value
	}
}

func contentOf(d catalog.AssetDetail) content {
	out := content{Kind: d.Kind, Name: d.Name, Description: d.Description, Definition: string(d.Definition)}
	for _, a := range d.Applications {
		out.Applications = append(out.Applications, a.Name)
	}
	for _, f := range d.Files {
		out.Files = append(out.Files, packageFile(f))
	}
	return out
}

func (c *checker) trash(ctx context.Context, l *look) error {
	filter := catalog.AssetFilter{ProjectID: c.stack.project.ID, InstanceID: c.stack.instance.ID, Limit: 500}
	there := map[string]catalog.TrashedAsset{}
	for {
		page, next, err := c.stack.Catalog.ListTrash(ctx, filter)
		if err != nil {
			return err
		}
		for _, a := range page {
			there[a.ID] = a
		}
		if filter.Cursor = next; next == "" {
			break
		}
	}
	for _, want := range c.oracle.trash {
		l.Looked++
		got, ok := there[want.id]
		delete(there, want.id)
		if !ok || got.Name != want.name || got.Kind != want.kind || got.VersionNumber != len(want.versions) {
			l.wrong("%s %q (%s) in version %d must be in the trash; there is %q in version %d",
				want.kind, want.name, want.id, len(want.versions), got.Name, got.VersionNumber)
		}
	}
	for _, a := range there {
		l.wrong("%s %q (%s) is in the trash", a.Kind, a.Name, a.ID)
	}
	return nil
}

func (c *checker) blobs(ctx context.Context, l *look) error {
	for digest, size := range c.oracle.blobs() {
		l.Looked++
		blob, stored, err := c.stack.Storage.OpenBlob(ctx, digest)
		if fault.KindOf(err) == fault.NotFound {
			l.wrong("blob %s is missing", digest)
			continue
		}
		if err != nil {
			return err
		}
		sum, err := digestOf(blob)
		if err != nil {
			return err
		}
		if sum != digest || stored != size {
			l.wrong("blob %s of %d bytes holds %d bytes of %s", digest, size, stored, sum)
		}
	}
	return nil
}

func digestOf(r io.ReadCloser) (string, error) {
	defer func() { _ = r.Close() }()
	sum := sha256.New()
	_, err := io.Copy(sum, r)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// archives looks at those that nobody has downloaded, too: they must still be there. One whose download was broken off may
// be there or not: a small one may have arrived in the client's machine whole before the client gave up.
func (c *checker) archives(ctx context.Context, l *look) error {
	rows := map[string]bool{} // key of the object -> can be downloaded
	for _, u := range c.users {
		for _, o := range u.ops {
			if o.kind != catalog.AssetExport || c.jobs[o.jobID].State != catalog.JobSucceeded {
				continue
			}
			archive, err := c.stack.Catalog.Archive(ctx, c.stack.project.ID, c.stack.instance.ID, o.jobID)
			if fault.KindOf(err) == fault.NotFound {
				if o.exported == nil && !o.brokenOff {
					l.wrong("%s: archive %s is gone, and nobody has downloaded it", o, o.jobID)
				}
				continue
			}
			if err != nil {
				return err
			}
			l.Looked++
			key := storage.ArchiveKey(c.stack.project.ID, o.jobID)
			rows[key] = true
			content, err := c.stack.Storage.OpenArchive(ctx, key, archive.Size).OpenRange(ctx, 0, archive.Size)
			if err != nil {
				l.wrong("%s: archive %s cannot be opened: %v", o, o.jobID, err)
				continue
			}
			if sum, err := digestOf(content); err != nil || sum != archive.SHA256 {
				l.wrong("%s: archive %s of digest %s holds %s (%v)", o, o.jobID, archive.SHA256, sum, err)
			}
		}
	}
	taken, err := c.stack.Catalog.ExpiredArchives(ctx, time.Now(), 100_000)
	if err != nil {
		return err
	}
	for _, a := range taken {
		rows[storage.ArchiveKey(a.ProjectID, a.JobID)] = false
	}
	for object, err := range c.stack.Storage.ListArchives(ctx, "") {
		if err != nil {
			return err
		}
		l.Looked++
		if _, ok := rows[object.Key]; !ok {
			l.wrong("%s has no row; its job is %s", object.Key, c.jobOf(object.Key))
		}
	}
	return nil
}

// jobOf tells the state of the job that an object belongs to; empty where there is no such job.
func (c *checker) jobOf(key string) string {
	parts := strings.Split(key, "/")
	if len(parts) < 3 {
		return ""
	}
	return string(c.jobs[parts[2]].State)
}

// staging looks at what jobs have left. What a request has left that died before its job was one is the sweep's.
func (c *checker) staging(ctx context.Context, l *look) error {
	for object, err := range c.stack.Storage.ListStaged(ctx, "") {
		if err != nil {
			return err
		}
		l.Looked++
		if state := c.jobOf(object.Key); state != "" {
			l.wrong("%s is left; its job is %s", object.Key, state)
		}
	}
	return nil
}
