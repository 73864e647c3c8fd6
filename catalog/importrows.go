package catalog

// importRows is everything a commit writes, made from the plan before the first statement that writes.
type importRows struct {
	at              stamp
	raised          []string // ids of the assets that get a new version
	dataSources     []dataSourceRow
	assets          []assetRow
	versions        []versionRow
	files           []fileRow
	applicationUses []applicationUseRow
	dataSourceUses  []dataSourceUseRow
	result          ImportResult
}

// newImportRows carries out a plan without conflicts.
func newImportRows(p *preparedImport, plan ImportPlan, state instanceState, at stamp) *importRows {
	rows := &importRows{at: at, result: ImportResult{Assets: make([]ImportedAsset, 0, len(plan.Assets))}}
	sourceIDs := rows.planDataSources(p, plan, state)

	ids := make([]string, len(plan.Assets))
	applicationIDs := make(map[string]string)
	for key, existing := range state.assets {
		if key.kind == KindApplication {
			applicationIDs[key.name] = existing.ID
		}
	}
	for i, planned := range plan.Assets {
		ids[i] = planned.AssetID
		if planned.Action == ActionCreate {
			ids[i] = NewID()
		}
		if planned.Kind == KindApplication {
			applicationIDs[planned.Name] = ids[i]
		}
	}
	for i, planned := range plan.Assets {
		number := state.assets[assetKey{planned.Kind, planned.Name}].VersionNumber // 0 where there is none
		switch planned.Action {
		case ActionCreate:
			rows.result.Created++
			number = 1
			rows.assets = append(rows.assets, assetRow{
				ID: ids[i], ProjectID: p.ProjectID, InstanceID: p.InstanceID, Kind: string(planned.Kind), Name: planned.Name,
				VersionNumber: number, CreatedAt: at,
			})
			rows.addVersion(p, p.assets[i], ids[i], number, applicationIDs, sourceIDs)
		case ActionNewVersion:
			rows.result.NewVersions++
			number++
			rows.raised = append(rows.raised, ids[i])
			rows.addVersion(p, p.assets[i], ids[i], number, applicationIDs, sourceIDs)
		default:
			rows.result.Unchanged++
		}
		rows.result.Assets = append(rows.result.Assets, ImportedAsset{
			ID: ids[i], Kind: planned.Kind, Name: planned.Name, VersionNumber: number, Action: planned.Action,
		})
	}
	return rows
}

// planDataSources fills in the data sources to write and gives the ids of all that the import names.
func (rows *importRows) planDataSources(p *preparedImport, plan ImportPlan, state instanceState) map[string]string {
	ids := make(map[string]string, len(plan.DataSources))
	for i, planned := range plan.DataSources {
		d := p.dataSources[i]
		ids[d.Name] = state.dataSources[d.Name]
		row := dataSourceRow{
			// Overwriting is an insert that meets the row of that name, which keeps its own id.
			ID: NewID(), ProjectID: p.ProjectID, InstanceID: p.InstanceID, Name: d.Name, Type: d.Type, Description: d.Description,
			Settings: string(d.Settings), CreatedAt: rows.at, UpdatedAt: rows.at, JobID: p.JobID,
		}
		switch planned.Action {
		case ActionCreate:
			rows.result.DataSourcesCreated++
			ids[d.Name] = row.ID
			rows.dataSources = append(rows.dataSources, row)
		case ActionOverwrite:
			rows.result.DataSourcesOverwritten++
			rows.dataSources = append(rows.dataSources, row)
		default:
			rows.result.DataSourcesKept++
		}
	}
	return ids
}

func (rows *importRows) addVersion(p *preparedImport, a preparedAsset, id string, number int, applicationIDs, sourceIDs map[string]string) {
	rows.versions = append(rows.versions, versionRow{
		AssetID: id, Number: number, Label: p.VersionLabel, SourceID: a.sourceID, Description: a.description, Definition: a.definition,
		Digest: a.digest, CreatedBy: p.UserID, JobID: p.JobID, CreatedAt: rows.at,
	})
	for _, f := range a.files {
		rows.files = append(rows.files, fileRow{AssetID: id, VersionNumber: number, Path: f.Path, SHA256: f.SHA256, Size: f.Size})
	}
	for _, r := range a.references {
		rows.applicationUses = append(rows.applicationUses, applicationUseRow{AssetID: id, VersionNumber: number, ApplicationID: applicationIDs[r.name]})
	}
	for _, name := range a.dataSources {
		rows.dataSourceUses = append(rows.dataSourceUses, dataSourceUseRow{AssetID: id, VersionNumber: number, DataSourceID: sourceIDs[name]})
	}
}
