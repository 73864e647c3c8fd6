package temporal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	persistencespb "go.temporal.io/server/api/persistence/v1"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	persistencesql "go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/common/searchattribute/sadefs"
	schema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// ensureNamespace makes the namespace, or gives an existing one the retention and the search attributes it lacks. It is
// done in the database, before the server starts: through the API the server would know about it only seconds later.
func ensureNamespace(ctx context.Context, store *config.SQL, opts Options) (err error) {
	db, err := persistencesql.NewSQLDB(sqlplugin.DbKindMain, store, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	rows, err := db.SelectFromNamespace(ctx, sqlplugin.NamespaceFilter{Name: &opts.Namespace})
	if errors.Is(err, sql.ErrNoRows) {
		created, err := schema.NewNamespaceConfig(clusterName, opts.Namespace, false, nil)
		if err != nil {
			return err
		}
		created.Detail.Info.Description = "Made by the embedded Temporal server"
		if err := configureNamespace(created.Detail, opts); err != nil {
			return err
		}
		return schema.CreateNamespaces(store, created)
	}
	if err != nil {
		return fmt.Errorf("look for the namespace: %w", err)
	}
	return updateNamespace(ctx, db, rows[0], opts)
}

func updateNamespace(ctx context.Context, db sqlplugin.DB, row sqlplugin.NamespaceRow, opts Options) error {
	if row.DataEncoding != enumspb.ENCODING_TYPE_PROTO3.String() { // the only one the server writes
		return fmt.Errorf("read the namespace: unknown encoding %q", row.DataEncoding)
	}
	detail := new(persistencespb.NamespaceDetail)
	if err := proto.Unmarshal(row.Data, detail); err != nil {
		return fmt.Errorf("read the namespace: %w", err)
	}
	before := proto.Clone(detail)
	if err := configureNamespace(detail, opts); err != nil {
		return err
	}
	if proto.Equal(before, detail) {
		return nil
	}
	var err error
	if row.Data, err = proto.Marshal(detail); err != nil {
		return fmt.Errorf("write the namespace: %w", err)
	}
	if _, err := db.UpdateNamespace(ctx, &row); err != nil {
		return fmt.Errorf("write the namespace: %w", err)
	}
	return nil
}

// configureNamespace sets the retention and gives each missing search attribute the next free column.
func configureNamespace(detail *persistencespb.NamespaceDetail, opts Options) error {
	detail.Config.Retention = durationpb.New(opts.Retention)
	aliases := detail.Config.CustomSearchAttributeAliases // column -> name
	if aliases == nil {
		aliases = map[string]string{}
		detail.Config.CustomSearchAttributeAliases = aliases
	}
	known := slices.Collect(maps.Values(aliases))
	var free []string
	for column, kind := range sadefs.GetDBIndexSearchAttributes(nil).GetCustomSearchAttributes() {
		if _, taken := aliases[column]; kind == enumspb.INDEXED_VALUE_TYPE_KEYWORD && !taken {
			free = append(free, column)
		}
	}
	slices.Sort(free)
	for _, name := range opts.SearchAttributes {
		if slices.Contains(known, name) {
			continue
		}
		if len(free) == 0 {
			return fmt.Errorf("no room for search attribute %q: a namespace has 10 of type Keyword", name)
		}
		aliases[free[0]], free, known = name, free[1:], append(known, name)
	}
	return nil
}
