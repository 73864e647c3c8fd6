package catalogtest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
)

// Template makes a release of a service template whose file has the given content.
func Template(vendorID, keyName, version, content string) catalog.ImportedTemplate {
	file := File(catalog.TemplatePath, content)
	return catalog.ImportedTemplate{
		FileName: vendorID + "_" + keyName + "_" + version + ".st",
		ServiceTemplate: catalog.ServiceTemplate{
			VendorID: vendorID, VendorName: "Vendor of " + vendorID, KeyName: keyName, DisplayName: "The " + keyName, Version: version,
			Description: "does " + keyName, ReleaseState: catalog.ReleaseFinal, SupportedScheduleType: "immediate",
			Tags: []string{}, UsedServices: []string{}, UsedTemplates: []string{}, SHA256: file.SHA256, Size: file.Size,
		},
	}
}

// FillTemplates makes an import of the templates with this scene's ids and a new job, and touches their blobs.
func (s Scene) FillTemplates(t testing.TB, templates ...catalog.ImportedTemplate) catalog.TemplateImport {
	t.Helper()
	imp := catalog.TemplateImport{JobID: catalog.NewID(), ProjectID: s.Project.ID, UserID: s.User.ID, Templates: templates}
	require.NoError(t, s.Catalog.InsertJob(context.Background(), catalog.Job{
		ID: imp.JobID, Kind: catalog.ServiceTemplateImport, ProjectID: s.Project.ID, UserID: s.User.ID,
		WorkflowID: "template-import:" + s.Project.ID + ":" + s.User.ID, Subject: "templates.zip",
	}))
	blobs := make([]catalog.Blob, len(templates))
	for i, tmpl := range templates {
		blobs[i] = catalog.Blob{SHA256: tmpl.SHA256, Size: tmpl.Size}
	}
	_, err := s.Catalog.TouchBlobs(context.Background(), blobs)
	require.NoError(t, err)
	return imp
}

// ImportTemplates fills an import of the templates in and commits it.
func (s Scene) ImportTemplates(t testing.TB, templates ...catalog.ImportedTemplate) catalog.TemplateImportResult {
	t.Helper()
	result, err := s.Catalog.CommitTemplates(context.Background(), s.FillTemplates(t, templates...))
	require.NoError(t, err)
	return result
}
