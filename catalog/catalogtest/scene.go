package catalogtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
)

// Scene is a user with a project and an instance in it: what most tests begin with.
type Scene struct {
	Catalog  *catalog.Catalog
	User     catalog.User
	Project  catalog.Project
	Instance catalog.Instance
}

// NewScene makes a scene of new names.
func NewScene(t testing.TB, c *catalog.Catalog) Scene {
	t.Helper()
	ctx, s := context.Background(), Scene{Catalog: c}
	var err error
	s.User, err = c.CreateUser(ctx, "acme", "user-"+catalog.NewID(), "")
	require.NoError(t, err)
	s.Project, err = c.CreateProject(ctx, "acme", "project-"+catalog.NewID())
	require.NoError(t, err)
	s.Instance, err = c.CreateInstance(ctx, s.Project.ID, "instance")
	require.NoError(t, err)
	return s
}

// NewJob inserts a running import job and gives its id.
func (s Scene) NewJob(t testing.TB) string {
	t.Helper()
	id := catalog.NewID()
	require.NoError(t, s.Catalog.InsertJob(context.Background(), catalog.Job{
		ID: id, Kind: catalog.AssetImport, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID,
		WorkflowID: "asset-import:" + s.Project.ID + ":" + s.User.ID, Subject: "package.zip",
	}))
	return id
}

// Fill completes an import with this scene's ids and a new job, unless they are set, and touches its blobs.
func (s Scene) Fill(t testing.TB, imp catalog.Import) catalog.Import {
	t.Helper()
	if imp.ProjectID == "" {
		imp.ProjectID, imp.InstanceID, imp.UserID = s.Project.ID, s.Instance.ID, s.User.ID
	}
	if imp.JobID == "" {
		imp.JobID = s.NewJob(t)
	}
	if imp.Mode == "" {
		imp.Mode = catalog.AddNew
	}
	var blobs []catalog.Blob
	for _, assets := range [][]catalog.ImportAsset{imp.Applications, imp.Tasks} {
		for _, a := range assets {
			for _, f := range a.Files {
				blobs = append(blobs, catalog.Blob{SHA256: f.SHA256, Size: f.Size})
			}
		}
	}
	_, err := s.Catalog.TouchBlobs(context.Background(), blobs)
	require.NoError(t, err)
	return imp
}

// Import fills an import in and commits it.
func (s Scene) Import(t testing.TB, imp catalog.Import) catalog.ImportResult {
	t.Helper()
	result, err := s.Catalog.CommitImport(context.Background(), s.Fill(t, imp))
	require.NoError(t, err)
	return result
}

// File makes a file of a package from its content.
func File(path, content string) catalog.File {
	sum := sha256.Sum256([]byte(content))
	return catalog.File{Path: path, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}
}
