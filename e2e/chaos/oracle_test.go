package chaos

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/client"
)

// imported is an import of one application, and its job as it says what it did.
func imported(t *testing.T, number int, mode string, said ...catalog.ImportedAsset) (*op, catalog.Job) {
	t.Helper()
	b := bundle{version: "1", contents: []content{{Kind: catalog.KindApplication, Name: "shop", Description: string(rune('a' + number))}}}
	job := catalog.Job{State: catalog.JobFailed, EndedAt: new(time.Time)}
	if len(said) > 0 {
		job.State = catalog.JobSucceeded
		var err error
		job.Result, err = json.Marshal(catalog.ImportResult{Assets: said})
		require.NoError(t, err)
	}
	return &op{user: 1, number: number, kind: catalog.AssetImport, mode: mode, bundle: b}, job
}

func shop(version int, action catalog.ImportAction) catalog.ImportedAsset {
	return catalog.ImportedAsset{ID: "1", Kind: catalog.KindApplication, Name: "shop", VersionNumber: version, Action: action}
}

func TestTheOracleSeesWhatIsLostAndWhatIsDoneTwice(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode     string
		said     []catalog.ImportedAsset
		findings int
	}{
		"a new version":                      {client.Merge, []catalog.ImportedAsset{shop(2, catalog.ActionNewVersion)}, 0},
		"a name that is taken":               {client.AddNew, nil, 0},
		"a name that is taken, and imported": {client.AddNew, []catalog.ImportedAsset{shop(2, catalog.ActionNewVersion)}, 1},
		"two versions":                       {client.Merge, []catalog.ImportedAsset{shop(3, catalog.ActionNewVersion)}, 1},
		"a change that was lost":             {client.Merge, []catalog.ImportedAsset{shop(1, catalog.ActionUnchanged)}, 1},
		"a job that failed":                  {client.Merge, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOracle()
			first, job := imported(t, 1, client.AddNew, shop(1, catalog.ActionCreate))
			require.Empty(t, o.apply(first, job))
			second, job := imported(t, 2, c.mode, c.said...)
			require.Len(t, o.apply(second, job), c.findings)
		})
	}
}

func TestTheOracleKeepsApplicationsThatAreUsed(t *testing.T) {
	t.Parallel()
	o := newOracle()
	for _, a := range []*asset{
		{assetKey: assetKey{catalog.KindApplication, "shop"}, id: "1", versions: []version{{}}},
		{assetKey: assetKey{catalog.KindTask, "sync"}, id: "2", versions: []version{{content: content{Applications: []string{"shop"}}}}},
	} {
		o.live[a.assetKey] = a
	}
	app, task := client.Asset{ID: "1", Kind: "application", Name: "shop"}, client.Asset{ID: "2", Kind: "task", Name: "sync"}
	require.NotEmpty(t, o.refuses(&op{kind: catalog.AssetDelete, chosen: []client.Asset{app}}))
	require.Empty(t, o.refuses(&op{kind: catalog.AssetDelete, chosen: []client.Asset{app, task}}))
	require.NotEmpty(t, o.refuses(&op{kind: catalog.AssetExport, chosen: []client.Asset{app}, lost: "3"}))
}
