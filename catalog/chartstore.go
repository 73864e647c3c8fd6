package catalog

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type chartRow struct {
	bun.BaseModel `bun:"table:charts,alias:ch"`

	ProjectID   string `bun:"project_id,pk"`
	Name        string `bun:"name,pk"`
	Precedence  string `bun:"precedence,pk"`
	Version     string `bun:"version"`
	AppVersion  string `bun:"app_version"`
	Description string `bun:"description"`
	SHA256      string `bun:"sha256"`
	Size        int64  `bun:"size"`
	CreatorID   string `bun:"creator_id"`
	CreatorName string `bun:"creator_name,scanonly"`
	CreatedAt   stamp  `bun:"created_at"`
}

func (r chartRow) chart() Chart {
	return Chart{
		ProjectID: r.ProjectID, Name: r.Name, Version: r.Version, AppVersion: r.AppVersion, Description: r.Description, SHA256: r.SHA256,
		Size: r.Size, CreatorID: r.CreatorID, CreatorName: r.CreatorName, CreatedAt: r.CreatedAt.at,
	}
}

func chartsOf(rows []chartRow) []Chart {
	charts := make([]Chart, len(rows))
	for i, r := range rows {
		charts[i] = r.chart()
	}
	return charts
}

func noChart() error {
	return fault.New(fault.NotFound, "catalog.chart_not_found", "the library of the project has no such chart")
}

func badChart(format string, args ...any) error {
	return fault.New(fault.Invalid, "catalog.bad_chart", format, args...)
}

const (
	maxChartName        = 53   // what Helm leaves of a DNS label
	maxChartDescription = 4096 // bytes
)

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func isChartName(name string) bool { return len(name) <= maxChartName && dnsLabel.MatchString(name) }

// newChartRow checks what the schema relies on.
func newChartRow(chart Chart) (chartRow, error) {
	row := chartRow{
		ProjectID: chart.ProjectID, Name: chart.Name, Version: chart.Version, AppVersion: chart.AppVersion, Description: chart.Description,
		SHA256: chart.SHA256, Size: chart.Size,
	}
	var valid bool
	row.Precedence, valid = precedenceOf(chart.Version)
	switch {
	case !isChartName(chart.Name):
		return row, badChart("the name of a chart is 1 to %d lower-case letters, digits and dashes, with no dash at either end", maxChartName)
	case !valid:
		return row, badChart("the version of a chart is a semantic version of at most %d bytes", maxVersion)
	case len(chart.AppVersion) > maxName || !isText(chart.AppVersion):
		return row, badChart("the application version of a chart is text of at most %d bytes", maxName)
	case len(chart.Description) > maxChartDescription || !isText(chart.Description):
		return row, badChart("the description of a chart is text of at most %d bytes", maxChartDescription)
	case checkBlob(chart.SHA256, chart.Size) != nil:
		return row, badChart("a chart has an archive with a SHA-256 of 64 lower-case hex digits and a size")
	}
	return row, nil
}

// selectCharts selects charts of a project with the names of their creators.
func selectCharts(db bun.IDB, rows any, projectID string) *bun.SelectQuery {
	return db.NewSelect().Model(rows).ColumnExpr("?TableColumns, u.name AS creator_name").
		Join("LEFT JOIN users AS u ON u.id = ch.creator_id").Where("ch.project_id = ?", projectID)
}

// AddChart puts a version of a chart into the library. Its blob must have been touched with TouchBlobs, and stored. The
// same bytes again are no error and change nothing: added is false then. Conflict "catalog.chart_differs" when the version
// is there with other bytes; NotFound "catalog.project_not_found", "catalog.blobs_not_found" when the blob was not touched,
// or condemned since: touch and store it again; Invalid "catalog.bad_chart", "catalog.bad_blob" where the blob has another
// size.
func (c *Catalog) AddChart(ctx context.Context, userID string, chart Chart) (kept Chart, added bool, err error) {
	row, err := newChartRow(chart)
	if err != nil {
		return Chart{}, false, err
	}
	err = c.write(ctx, "add the chart", func(tx bun.Tx) error {
		added = false
		// So that of two who push one version, the second finds that of the first.
		if err := c.lockProject(ctx, tx, row.ProjectID); err != nil {
			return err
		}
		there, err := readChart(ctx, tx, row.ProjectID, row.Name, row.Precedence)
		switch {
		case err == nil && there.SHA256 != row.SHA256:
			return fault.New(fault.Conflict, "catalog.chart_differs",
				"version %s of the chart %s is there already with other content: give it another version, or delete the other one first",
				there.Version, there.Name)
		case err == nil:
			kept = there.chart()
			return nil
		case fault.KindOf(err) != fault.NotFound:
			return err
		}
		row.CreatorID, row.CreatedAt = userID, now()
		if err := c.requireBlobs(ctx, tx, []definedFile{{SHA256: row.SHA256, Size: row.Size}}, row.CreatedAt); err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(&row).Exec(ctx); err != nil {
			return fmt.Errorf("write the chart: %w", err)
		}
		if err := writeAudit(ctx, tx, chartEntry(ChartAdded, userID, row)); err != nil {
			return err
		}
		if there, err = readChart(ctx, tx, row.ProjectID, row.Name, row.Precedence); err != nil {
			return err
		}
		kept, added = there.chart(), true
		return c.failpoint("chart")
	})
	if err != nil {
		return Chart{}, false, err
	}
	return kept, added, nil
}

// chartEntry stands in the trail of a version of a chart, which goes by its name and version.
func chartEntry(action AuditAction, userID string, row chartRow) AuditEntry {
	return AuditEntry{
		ActorID: userID, Action: action, ProjectID: row.ProjectID, ResourceKind: "chart", ResourceID: row.Name + "/" + row.Version,
		Details: auditDetails(map[string]string{"name": row.Name, "version": row.Version, "sha256": row.SHA256}),
	}
}

// readChart finds a version of a chart by what tells versions apart.
func readChart(ctx context.Context, db bun.IDB, projectID, name, precedence string) (chartRow, error) {
	var row chartRow
	err := selectCharts(db, &row, projectID).Where("ch.name = ?", name).Where("ch.precedence = ?", precedence).Scan(ctx)
	return row, orAbsent(err, noChart())
}

// newestChart finds the newest version of a chart.
func newestChart(ctx context.Context, db bun.IDB, projectID, name string) (chartRow, error) {
	var row chartRow
	err := selectCharts(db, &row, projectID).Where("ch.name = ?", name).Order("ch.precedence DESC").Limit(1).Scan(ctx)
	return row, orAbsent(err, noChart())
}

// ListCharts gives a page of a project's charts by name, each with its newest version by semantic versioning (a release
// is newer than its own pre-releases), and the cursor of the next page. limit as in ListJobs. Invalid "catalog.bad_cursor".
func (c *Catalog) ListCharts(ctx context.Context, projectID string, limit int, cursor string) (charts []Chart, next string, err error) {
	limit = pageSize(limit)
	// Of the versions that are not shown, it looks at nothing but the index.
	newest := c.reader.NewSelect().Model((*chartRow)(nil)).ColumnExpr("ch.name, MAX(ch.precedence) AS precedence").
		Where("ch.project_id = ?", projectID).Group("ch.name").Order("ch.name").Limit(limit + 1)
	if cursor != "" {
		key, err := decodeCursor(cursor, 1)
		if err != nil {
			return nil, "", err
		}
		if !isText(key[0]) {
			return nil, "", badCursor()
		}
		newest = newest.Where("ch.name > ?", key[0])
	}
	var rows []chartRow
	err = selectCharts(c.reader, &rows, projectID).Join("JOIN (?) AS n ON n.name = ch.name AND n.precedence = ch.precedence", newest).
		Order("ch.name").Scan(ctx)
	if err != nil {
		return nil, "", failed(ctx, "list the charts", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = encodeCursor(rows[limit-1].Name)
	}
	return chartsOf(rows), next, nil
}

// ChartVersions gives all versions of a chart, newest first by semantic versioning. NotFound "catalog.chart_not_found".
func (c *Catalog) ChartVersions(ctx context.Context, projectID, name string) ([]Chart, error) {
	if !isChartName(name) {
		return nil, noChart()
	}
	var rows []chartRow
	err := selectCharts(c.reader, &rows, projectID).Where("ch.name = ?", name).Order("ch.precedence DESC").Scan(ctx)
	if err == nil && len(rows) == 0 {
		err = noChart()
	}
	if err != nil {
		return nil, failed(ctx, "list the versions of the chart", err)
	}
	return chartsOf(rows), nil
}

// Chart finds a version of a chart; with an empty version the newest. NotFound "catalog.chart_not_found".
func (c *Catalog) Chart(ctx context.Context, projectID, name, version string) (Chart, error) {
	if !isChartName(name) {
		return Chart{}, noChart()
	}
	if version == "" {
		row, err := newestChart(ctx, c.reader, projectID, name)
		return row.chart(), failed(ctx, "read the chart", err)
	}
	precedence, valid := precedenceOf(version)
	if !valid {
		return Chart{}, noChart()
	}
	row, err := readChart(ctx, c.reader, projectID, name, precedence)
	return row.chart(), failed(ctx, "read the chart", err)
}

// DeleteChart removes a version of a chart that no add-on consists of and no running delivery is about to deliver. Its
// blob stays until a sweep finds it unused. NotFound "catalog.chart_not_found"; Conflict "catalog.chart_in_use" with the ids
// of the add-ons as details.
func (c *Catalog) DeleteChart(ctx context.Context, userID, projectID, name, version string) error {
	precedence, valid := precedenceOf(version)
	if !valid || !isChartName(name) {
		return noChart()
	}
	return c.write(ctx, "delete the chart", func(tx bun.Tx) error {
		// So that no delivery begins with it meanwhile.
		if err := c.lockProjectOr(ctx, tx, projectID, noChart()); err != nil {
			return err
		}
		row, err := readChart(ctx, tx, projectID, name, precedence)
		if err != nil {
			return err
		}
		var ids []string
		err = tx.NewSelect().Model((*addonRow)(nil)).Column("id").Where("ad.project_id = ?", projectID).Where("ad.name = ?", name).
			Where("ad.chart = ? OR ad.job_chart = ?", precedence, precedence).Order("ad.id").Scan(ctx, &ids)
		if err != nil {
			return fmt.Errorf("look for add-ons: %w", err)
		}
		if len(ids) > 0 {
			return fault.New(fault.Conflict, "catalog.chart_in_use", "add-ons consist of version %s of the chart, or are about to", row.Version).
				WithDetails(strings.Join(ids, ", "))
		}
		if _, err := tx.NewDelete().Model(&row).WherePK().Exec(ctx); err != nil {
			return err
		}
		return writeAudit(ctx, tx, chartEntry(ChartRemoved, userID, row))
	})
}
