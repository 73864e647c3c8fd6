package e2e

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/client"
	"assetflow/storage"
)

// tenant is a project with an instance and a caller.
type tenant struct {
	*client.Client
	project  catalog.Project
	instance catalog.Instance
	user     catalog.User
	password string
}

func newTenant(t *testing.T) *tenant {
	t.Helper()
	project, err := stack.Catalog().CreateProject(t.Context(), "e2e", strings.ToLower("p-"+uuid.NewString()))
	require.NoError(t, err)
	instance, err := stack.Catalog().CreateInstance(t.Context(), project.ID, "main")
	require.NoError(t, err)
	return addUser(t, project, instance)
}

// addUser makes a further caller of the tenant's project.
func addUser(t *testing.T, project catalog.Project, instance catalog.Instance) *tenant {
	t.Helper()
	tn := &tenant{project: project, instance: instance, password: "pass-" + uuid.NewString()}
	var err error
	tn.user, err = stack.Auth().AddUser(t.Context(), "e2e", "u-"+uuid.NewString(), tn.password)
	require.NoError(t, err)
	require.NoError(t, stack.Auth().GrantRole(t.Context(), tn.user.ID, project.ID, string(auth.RoleDevelop)))
	ak, sk, err := stack.Auth().AddAccessKey(t.Context(), tn.user.ID)
	require.NoError(t, err)
	tn.Client = client.New(client.Config{
		Endpoint: stack.Credentials().Endpoint, ProjectID: project.ID, InstanceID: instance.ID, AccessKey: ak, SecretKey: sk,
	})
	t.Cleanup(tn.Close)
	return tn
}

// submit uploads a package and returns the job's id.
func (tn *tenant) submit(t *testing.T, pkg []byte, opts client.ImportOptions) string {
	t.Helper()
	id, err := tn.Import(t.Context(), "sample.zip", bytes.NewReader(pkg), int64(len(pkg)), opts)
	require.NoError(t, err)
	return id
}

// ends waits for the end of a job.
func (tn *tenant) ends(t *testing.T, id string) client.Job {
	t.Helper()
	job, err := tn.WaitJob(t.Context(), id, nil)
	require.NoError(t, err)
	return job
}

// imports imports a package that must succeed.
func (tn *tenant) imports(t *testing.T, pkg []byte, opts client.ImportOptions) client.Job {
	t.Helper()
	job := tn.ends(t, tn.submit(t, pkg, opts))
	require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)
	return job
}

// names lists the names of the tenant's assets by kind.
func (tn *tenant) names(t *testing.T) []string {
	t.Helper()
	page, err := tn.ListAssets(t.Context(), client.AssetFilter{Limit: 500})
	require.NoError(t, err)
	names := []string{}
	for _, a := range page.Assets {
		names = append(names, a.Kind+" "+a.Name)
	}
	return names
}

// requireNothingStaged proves that none of the tenant's uploads is left in staging, whole or in parts.
func (tn *tenant) requireNothingStaged(t *testing.T) {
	t.Helper()
	prefix := strings.TrimSuffix(storage.StagingKey(tn.project.ID, "x"), "x/package")
	require.Contains(t, prefix, tn.project.ID)
	for object, err := range stack.Storage().ListStaged(t.Context(), prefix) {
		require.NoError(t, err)
		require.Fail(t, "left in staging", object.Key)
	}
	for upload, err := range stack.Storage().ListUnfinishedUploads(t.Context(), prefix) {
		require.NoError(t, err)
		require.Fail(t, "left as an unfinished upload", upload.Key)
	}
}
