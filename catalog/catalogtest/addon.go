package catalogtest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
)

// NewEnvironment makes an environment of a new name in the scene's project.
func (s Scene) NewEnvironment(t testing.TB) catalog.Environment {
	t.Helper()
	e, err := s.Catalog.CreateEnvironment(context.Background(), s.User.ID, catalog.Environment{
		ProjectID: s.Project.ID, Name: "environment-" + catalog.NewID(), DeployMode: catalog.DeployContainer, VPCID: "vpc",
		Labels: []catalog.EnvironmentLabel{},
	})
	require.NoError(t, err)
	return e
}

// Chart makes a chart of the scene's project whose archive has the given content.
func (s Scene) Chart(name, version, content string) catalog.Chart {
	archive := File("", content)
	return catalog.Chart{
		ProjectID: s.Project.ID, Name: name, Version: version, AppVersion: "1", Description: "does " + name, SHA256: archive.SHA256, Size: archive.Size,
	}
}

// AddChart touches the blob of a chart whose archive has the given content, and adds the chart to the library.
func (s Scene) AddChart(t testing.TB, name, version, content string) catalog.Chart {
	t.Helper()
	chart := s.Chart(name, version, content)
	_, err := s.Catalog.TouchBlobs(context.Background(), []catalog.Blob{{SHA256: chart.SHA256, Size: chart.Size}})
	require.NoError(t, err)
	kept, _, err := s.Catalog.AddChart(context.Background(), s.User.ID, chart)
	require.NoError(t, err)
	return kept
}

// NewDelivery inserts a running delivery job and gives the installation by it of the named add-on on target "bucket".
func (s Scene) NewDelivery(t testing.TB, e catalog.Environment, name string) catalog.Delivery {
	t.Helper()
	d := catalog.Delivery{
		JobID: catalog.NewID(), ProjectID: s.Project.ID, UserID: s.User.ID, Action: catalog.AddonInstall, EnvironmentID: e.ID,
		AddonID: catalog.NewID(), Name: name, TargetID: "bucket",
	}
	s.insertDelivery(t, d)
	return d
}

// NextDelivery inserts a running delivery job and gives what the action on the add-on is by it.
func (s Scene) NextDelivery(t testing.TB, a catalog.Addon, action catalog.AddonAction) catalog.Delivery {
	t.Helper()
	d := catalog.Delivery{
		JobID: catalog.NewID(), ProjectID: a.ProjectID, UserID: s.User.ID, Action: action, EnvironmentID: a.EnvironmentID,
		AddonID: a.ID, Name: a.Name, TargetID: a.TargetID, CSEID: a.CSEID,
	}
	s.insertDelivery(t, d)
	return d
}

func (s Scene) insertDelivery(t testing.TB, d catalog.Delivery) {
	t.Helper()
	require.NoError(t, s.Catalog.InsertJob(context.Background(), catalog.Job{
		ID: d.JobID, Kind: catalog.AddonDelivery, ProjectID: d.ProjectID, UserID: d.UserID,
		WorkflowID: "addon:" + d.ProjectID + ":" + d.EnvironmentID + ":" + d.TargetID + "/" + d.Name, Subject: d.Name,
	}))
}

// Deliver begins a delivery and commits it with the revision, and gives the add-on as it is then; the zero value after an
// uninstall, which has no revision.
func (s Scene) Deliver(t testing.TB, d catalog.Delivery, revision string) catalog.Addon {
	t.Helper()
	begun, _, err := s.Catalog.BeginDelivery(context.Background(), d)
	require.NoError(t, err)
	_, err = s.Catalog.CommitDelivery(context.Background(), d, revision)
	require.NoError(t, err)
	if d.Action == catalog.AddonUninstall {
		return catalog.Addon{}
	}
	a, err := s.Catalog.Addon(context.Background(), d.ProjectID, d.EnvironmentID, begun.ID)
	require.NoError(t, err)
	return a
}
