package native_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/native"
	"assetflow/catalog"
)

func TestDigitalVersions(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	ctx := t.Context()
	made, err := d.catalog.CreateDigitalAsset(ctx, d.admin.ID, d.project.ID, catalog.DigitalMetadata{
		Name: "Anna", Type: "IMAGE", Tags: []string{"red"}, ExtraMeta: json.RawMessage(`{"a":1}`), Order: 3,
	})
	require.NoError(t, err)
	file, err := d.catalog.CreateDigitalFile(ctx, d.admin.ID, catalog.DigitalFile{
		AssetID: made.ID, ProjectID: d.project.ID, Name: "anna.png", MD5: "1B2M2Y8AsgTpgAmY7PhCfg==", Type: "png", Category: "MAIN", Size: 7,
	})
	require.NoError(t, err)
	digest := strings.Repeat("ab", 32)
	_, err = d.catalog.TouchBlobs(ctx, []catalog.Blob{{SHA256: digest, Size: 7}})
	require.NoError(t, err)
	_, err = d.catalog.CompleteDigitalFile(ctx, d.admin.ID, d.project.ID, file.ID, digest)
	require.NoError(t, err)
	rename := func(name string) func(m *catalog.DigitalMetadata) error {
		return func(m *catalog.DigitalMetadata) error { m.Name = name; return nil }
	}
	third, err := d.catalog.UpdateDigitalAsset(ctx, d.admin.ID, d.project.ID, made.ID, rename("Bea"))
	require.NoError(t, err)
	_, err = d.catalog.CreateDigitalFile(ctx, d.admin.ID, catalog.DigitalFile{
		AssetID: made.ID, ProjectID: d.project.ID, Name: "cover.png", Category: "COVER",
	})
	require.NoError(t, err)

	base := "/api/v1/projects/" + d.project.ID + "/digital-assets/" + made.ID + "/versions"
	elsewhere := "/api/v1/projects/" + d.other.ID + "/digital-assets/" + made.ID + "/versions"
	numbers := func(want ...int) apitest.Scenario {
		return apitest.Scenario{URL: base, WantStatus: 200, Check: read(func(t testing.TB, list native.VersionList) {
			t.Helper()
			var got []int
			for _, v := range list.Versions {
				got = append(got, v.Number)
				require.Equal(t, d.admin.ID, v.CreatedBy)
			}
			require.Equal(t, want, got)
		})}
	}
	shown := func(name string, version, files int) func(testing.TB, native.DigitalAsset) {
		return func(t testing.TB, a native.DigitalAsset) {
			t.Helper()
			require.Equal(t, name, a.Name)
			require.Equal(t, version, a.VersionNumber)
			require.Equal(t, []string{"red"}, a.Tags)
			require.JSONEq(t, `{"a":1}`, string(a.ExtraMeta))
			require.EqualValues(t, 3, a.Order)
			require.Equal(t, "ACTIVED", a.State)
			require.Len(t, a.Files, files)
			if files > 0 {
				require.Equal(t, native.DigitalFile{
					ID: file.ID, Name: "anna.png", Md5: file.MD5, Type: "png", Category: "MAIN", Size: 7, Sha256: digest,
				}, a.Files[0])
			}
		}
	}
	d.run(
		numbers(3, 2, 1),
		apitest.Scenario{URL: base + "/1", Headers: as(d.submitterToken), WantStatus: 200, Check: read(shown("Anna", 1, 0))},
		apitest.Scenario{URL: base + "/2", WantStatus: 200, Check: read(shown("Anna", 2, 1))},
		refused("no number", base+"/0", 400, "api.parameter", ""),
		refused("unknown version", base+"/4", 404, "catalog.version_not_found", ""),
		refused("unknown asset", strings.Replace(base, made.ID, "nothing", 1), 404, "catalog.asset_not_found", ""),
		refused("another project", elsewhere, 404, "catalog.asset_not_found", ""),
		refused("version in another project", elsewhere+"/1", 404, "catalog.asset_not_found", ""),
		refusedTo(d.strangerToken, "stranger", base, 404, "auth.project_not_found"),
		refusedTo(d.strangerToken, "version to a stranger", base+"/1", 404, "auth.project_not_found"),
		post(refusedTo(d.submitterToken, "restore without permission", base+"/1/restore", 403, "auth.forbidden")),
		post(refused("restore in another project", elsewhere+"/1/restore", 404, "catalog.asset_not_found", "")),
		post(refused("restore no number", base+"/0/restore", 400, "api.parameter", "")),
		post(apitest.Scenario{Name: "restore the current one", URL: base + "/3/restore", WantStatus: 200, Check: read(shown("Bea", 3, 1))}),
		post(apitest.Scenario{Name: "restore", URL: base + "/2/restore", WantStatus: 200, Check: read(shown("Anna", 4, 1))}),
		numbers(4, 3, 2, 1),
	)
	_, err = d.catalog.CreateDigitalAsset(ctx, d.admin.ID, d.project.ID, catalog.DigitalMetadata{Name: third.Name})
	require.NoError(t, err)
	d.run(post(refused("its name is taken", base+"/3/restore", 409, "catalog.name_taken", "Bea")))
}
