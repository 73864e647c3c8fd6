package backup

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	temporal "go.temporal.io/sdk/client"

	"assetflow/addons/addonstest"
	"assetflow/assetpackage/packagetest"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/client"
	"assetflow/devstack/folder"
	"assetflow/storage"
)

// service is a stack of either kind.
type service interface {
	Catalog() *catalog.Catalog
	Auth() *auth.Service
	Storage() *storage.Store
	Temporal() temporal.Client
	Credentials() folder.Credentials
}

// person is somebody with a project, an instance and an access key, which they still have after a restore.
type person struct {
	*client.Client
	config client.Config
	user   catalog.User
	number int
}

func newPerson(t *testing.T, stack service, name string) *person {
	t.Helper()
	project, err := stack.Catalog().CreateProject(t.Context(), "backup", name)
	require.NoError(t, err)
	instance, err := stack.Catalog().CreateInstance(t.Context(), project.ID, "main")
	require.NoError(t, err)
	user, err := stack.Auth().AddUser(t.Context(), "backup", name, "correct horse battery")
	require.NoError(t, err)
	require.NoError(t, stack.Auth().GrantRole(t.Context(), user.ID, project.ID, string(auth.RoleAdmin)))
	ak, sk, err := stack.Auth().AddAccessKey(t.Context(), user.ID)
	require.NoError(t, err)
	p := &person{user: user, config: client.Config{ProjectID: project.ID, InstanceID: instance.ID, AccessKey: ak, SecretKey: sk}}
	p.goTo(t, stack)
	return p
}

// goTo has the person use another stack, in which they are known.
func (p *person) goTo(t *testing.T, stack service) {
	t.Helper()
	p.config.Endpoint = stack.Credentials().Endpoint
	p.Client = client.New(p.config)
	t.Cleanup(p.Close)
}

// pack makes a package of three assets whose content nobody else has.
func (p *person) pack() []byte {
	p.number++
	return packagetest.Spec{
		Name: fmt.Sprintf("%s %d", p.user.Name, p.number), Applications: 2, Tasks: 1, FilesPerAsset: 2, FileBytes: 4 << 10, Seed: rand.Uint64(),
	}.Bytes()
}

// submit starts an import that waits its turn.
func (p *person) submit(t *testing.T, pkg []byte) string {
	t.Helper()
	id, err := p.Import(t.Context(), "sample.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{OnConflict: client.Queue})
	require.NoError(t, err)
	return canonical(t, id)
}

func (p *person) imports(t *testing.T, pkg []byte) string {
	t.Helper()
	id := p.submit(t, pkg)
	p.succeeds(t, id)
	return id
}

// ends waits until a job has ended.
func (p *person) ends(t *testing.T, id string) client.JobDetail {
	t.Helper()
	var job client.JobDetail
	require.Eventually(t, func() bool {
		var err error
		job, err = p.ShowJob(t.Context(), id)
		require.NoError(t, err)
		return job.Ended()
	}, 2*time.Minute, 50*time.Millisecond, "job %s", id)
	return job
}

func (p *person) succeeds(t *testing.T, id string) client.JobDetail {
	t.Helper()
	job := p.ends(t, id)
	require.Equal(t, client.JobSucceeded, job.State, "%+v", job.Reasons)
	return job
}

func (p *person) selection(t *testing.T) client.Selection {
	t.Helper()
	page, err := p.ListAssets(t.Context(), client.AssetFilter{Limit: 100})
	require.NoError(t, err)
	return selectionOf(page)
}

func selectionOf(page client.AssetPage) client.Selection {
	var s client.Selection
	for _, a := range page.Assets {
		if a.Kind == "task" {
			s.Tasks = append(s.Tasks, a.ID)
		} else {
			s.Applications = append(s.Applications, a.ID)
		}
	}
	return s
}

func canonical(t *testing.T, id string) string {
	t.Helper()
	id, err := client.CanonicalJobID(id)
	require.NoError(t, err)
	return id
}

// work does one thing after the other, as it comes, until the context ends. What fails then, fails.
func (p *person) work(ctx context.Context) {
	for turn := 0; ctx.Err() == nil; turn++ {
		pkg := p.pack()
		id, err := p.Import(ctx, "sample.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{OnConflict: client.Queue})
		if err != nil || turn%3 == 0 {
			continue // the next one waits behind it
		}
		if _, err = p.WaitJob(ctx, id, nil); err != nil {
			continue
		}
		page, err := p.ListAssets(ctx, client.AssetFilter{Limit: 20})
		if err != nil || len(page.Assets) == 0 {
			continue
		}
		if turn%2 == 0 {
			if id, err := p.StartDeletion(ctx, selectionOf(page), client.StartOptions{OnConflict: client.Queue}); err == nil {
				_, _ = p.WaitJob(ctx, id, nil)
			}
			continue
		}
		id, err = p.StartExport(ctx, selectionOf(page), client.StartOptions{OnConflict: client.Queue})
		if err != nil {
			continue
		}
		job, err := p.WaitJob(ctx, id, nil)
		if err == nil && job.ArchiveID != "" && turn%4 == 1 {
			_, _ = p.DownloadArchive(ctx, job.ArchiveID, io.Discard, nil)
		}
	}
}

// crowd is people who work until they are told to stop.
type crowd struct {
	people []*person
	stop   context.CancelFunc
	done   sync.WaitGroup
}

func newCrowd(t *testing.T, stack service, size int) *crowd {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	c := &crowd{stop: stop}
	for i := range size {
		p := newPerson(t, stack, fmt.Sprintf("crowd-%d", i))
		c.people = append(c.people, p)
		c.done.Go(func() { p.work(ctx) })
	}
	return c
}

func (c *crowd) leave() {
	c.stop()
	c.done.Wait()
}

// changes makes a new version of what the person's last package has.
func (p *person) changes(t *testing.T) {
	t.Helper()
	p.number--
	pkg := p.pack()
	id, err := p.Import(t.Context(), "changed.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{Type: client.Merge})
	require.NoError(t, err)
	p.succeeds(t, canonical(t, id))
}

// uploads uploads the main file of a new digital asset, and gives their ids. It is not confirmed.
func (p *person) uploads(t *testing.T, content []byte) (assetID, fileID string) {
	t.Helper()
	name, kind := "portrait", "IMAGE"
	assetID, err := p.CreateDigitalAsset(t.Context(), client.DigitalMetadata{Name: &name, Type: &kind})
	require.NoError(t, err)
	source := bytes.NewReader(content)
	sum, err := client.FileMD5(t.Context(), source, source.Size(), nil)
	require.NoError(t, err)
	file := client.NewFile{AssetID: assetID, Name: "portrait.png", Type: "png", Category: "MAIN", Size: source.Size(), MD5: sum}
	fileID, url, err := p.CreateFile(t.Context(), file)
	require.NoError(t, err)
	require.NoError(t, p.PutFile(t.Context(), url, file, source, nil))
	return assetID, fileID
}

// restores takes assets out of the trash.
func (p *person) restores(t *testing.T, s client.Selection) {
	t.Helper()
	for _, id := range append(slices.Clone(s.Applications), s.Tasks...) {
		_, err := p.RestoreAsset(t.Context(), id)
		require.NoError(t, err)
	}
}

func (p *person) pushes(t *testing.T, version string) {
	t.Helper()
	_, added, err := p.PushChart(t.Context(), addonstest.Chart(t, "hello", version).Archive)
	require.NoError(t, err)
	require.True(t, added)
}

// requireDelivered looks whether the catalog and the target have the same version of the add-on, both the wanted one.
func (p *person) requireDelivered(t *testing.T, stack service, environment, addonID, version string) {
	t.Helper()
	addon, err := p.Addon(t.Context(), environment, addonID)
	require.NoError(t, err)
	require.Equal(t, "SUCCEEDED", addon.Status)
	require.Equal(t, version, addon.Version)
	index, _, err := stack.Storage().Get(t.Context(), "gitops/"+environment+"/hello/kustomization.yaml", 1<<20)
	require.NoError(t, err)
	require.Contains(t, string(index), fmt.Sprintf(`"version":%q`, version))
}
