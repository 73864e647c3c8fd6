package catalog

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

type assetKey struct {
	kind AssetKind
	name string
}

// instanceState is what a plan needs to know of an instance: the assets and data sources that the import names.
type instanceState struct {
	assets      map[assetKey]existingAsset
	dataSources map[string]string // id by name
}

type existingAsset struct {
	ID            string `bun:"id"`
	Kind          string `bun:"kind"`
	Name          string `bun:"name"`
	VersionNumber int    `bun:"version_number"`
	Digest        string `bun:"digest"`
}

// PlanImport says what CommitImport would do now. It only reads; imp.JobID and imp.UserID are not looked at. NotFound
// "catalog.instance_not_found", Invalid "catalog.bad_import", "catalog.bad_name", "catalog.bad_blob".
func (c *Catalog) PlanImport(ctx context.Context, imp Import) (ImportPlan, error) {
	p, err := prepareImport(imp)
	if err != nil {
		return ImportPlan{}, err
	}
	var plan ImportPlan
	err = c.read(ctx, "plan the import", func(tx bun.Tx) error {
		plan, err = planIn(ctx, tx, p)
		return err
	})
	return plan, err
}

// planIn plans an import from what a transaction that only reads sees.
func planIn(ctx context.Context, tx bun.Tx, p *preparedImport) (ImportPlan, error) {
	if err := requireInstance(ctx, tx, p.ProjectID, p.InstanceID); err != nil {
		return ImportPlan{}, err
	}
	state, err := readState(ctx, tx, p)
	if err != nil {
		return ImportPlan{}, err
	}
	return planImport(p, state), nil
}

// readState reads what the import names, whatever its size, in two statements.
func readState(ctx context.Context, db bun.IDB, p *preparedImport) (instanceState, error) {
	state := instanceState{assets: make(map[assetKey]existingAsset), dataSources: make(map[string]string)}
	var names []string
	for _, a := range p.assets {
		names = append(names, a.name)
		for _, r := range a.references {
			if !r.inPackage {
				names = append(names, r.name)
			}
		}
	}
	if len(names) > 0 {
		var assets []existingAsset
		err := db.NewSelect().TableExpr("assets AS a").ColumnExpr("a.id, a.kind, a.name, a.version_number, v.digest").
			Join("JOIN asset_versions AS v ON v.asset_id = a.id AND v.number = a.version_number").
			Where("a.instance_id = ?", p.InstanceID).Where("a.project_id = ?", p.ProjectID).Where("a.deleted_at IS NULL").
			Where("a.kind IN (?)", bun.List([]string{string(KindApplication), string(KindTask)})).
			Where("a.name IN (?)", bun.List(names)).Scan(ctx, &assets)
		if err != nil {
			return state, err
		}
		for _, a := range assets {
			state.assets[assetKey{AssetKind(a.Kind), a.Name}] = a
		}
	}
	if len(p.dataSources) > 0 {
		sourceNames := make([]string, len(p.dataSources))
		for i, d := range p.dataSources {
			sourceNames[i] = d.Name
		}
		var sources []dataSourceRow
		err := db.NewSelect().Model(&sources).Column("id", "name").
			Where("s.instance_id = ?", p.InstanceID).Where("s.project_id = ?", p.ProjectID).
			Where("s.name IN (?)", bun.List(sourceNames)).Scan(ctx)
		if err != nil {
			return state, err
		}
		for _, s := range sources {
			state.dataSources[s.Name] = s.ID
		}
	}
	return state, nil
}

// planImport decides what an import does to an instance. It is a pure function of the two.
func planImport(p *preparedImport, state instanceState) ImportPlan {
	plan := ImportPlan{
		Assets:      make([]PlannedAsset, 0, len(p.assets)),
		DataSources: make([]PlannedDataSource, 0, len(p.dataSources)),
		Conflicts:   append([]Reason{}, p.conflicts...),
	}
	for _, a := range p.assets {
		planned := PlannedAsset{Kind: a.kind, Name: a.name, Action: ActionCreate}
		if existing, taken := state.assets[assetKey{a.kind, a.name}]; taken {
			planned.AssetID = existing.ID
			switch {
			case p.Mode == AddNew:
				planned.Action = ActionConflict
				plan.Conflicts = append(plan.Conflicts, Reason{
					ResourceType: string(a.kind), ResourceName: a.name, Code: ReasonNameTaken,
					Message: fmt.Sprintf("The instance already has an asset of kind %s named %q. Import with a prefix, or merge.", a.kind, a.name),
				})
			case existing.Digest == a.digest:
				planned.Action = ActionUnchanged
			default:
				planned.Action = ActionNewVersion
			}
		}
		for _, r := range a.references {
			if _, exists := state.assets[assetKey{KindApplication, r.name}]; r.inPackage || exists {
				continue
			}
			planned.Action = ActionConflict
			plan.Conflicts = append(plan.Conflicts, Reason{
				ResourceType: string(a.kind), ResourceName: a.name, Code: ReasonUnknownReference,
				Message: fmt.Sprintf("The application %q that it uses is neither in the package nor in the instance.", r.name),
			})
		}
		plan.Assets = append(plan.Assets, planned)
	}
	for _, d := range p.dataSources {
		planned := PlannedDataSource{Name: d.Name, Action: ActionCreate}
		if _, exists := state.dataSources[d.Name]; exists {
			planned.Action = ActionKeep
			if p.OverwriteDataSources {
				planned.Action = ActionOverwrite
			}
		}
		plan.DataSources = append(plan.DataSources, planned)
	}
	return plan
}
