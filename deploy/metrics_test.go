package deploy_test

import (
	"encoding/json"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// exported are the metrics that the processes say, with their labels and types: those of the table in docs/telemetry.md,
// which a test of cmd/assetflow/serve compares with what a running api and worker answer.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) \\| (.*?) \\|").FindAllStringSubmatch(string(read(t, "../docs/telemetry.md")), -1) {
		name, kind, labels := row[1], row[2], regexp.MustCompile("[a-z_]+").FindAllString(row[3], -1)
		labels = append(labels, "job", "instance") // those of Prometheus itself
		if kind == "histogram" {
			all[name+"_bucket"], all[name+"_count"], all[name+"_sum"] = append(slices.Clone(labels), "le"), labels, labels
			continue
		}
		all[name] = labels
	}
	require.Greater(t, len(all), 40)
	all["up"] = []string{"job", "instance"}
	return all
}

// checkQuery makes sure that an expression can be read, and names nothing that no process says.
func checkQuery(t *testing.T, known map[string][]string, query string) {
	t.Helper()
	parsed, err := metricsql.Parse(strings.ReplaceAll(query, "$__rate_interval", "1m"))
	require.NoError(t, err, query)
	var names, labels []string
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		switch e := e.(type) {
		case *metricsql.MetricExpr:
			for _, filters := range e.LabelFilterss {
				require.Equal(t, "__name__", filters[0].Label, query)
				names = append(names, filters[0].Value)
				for _, f := range filters[1:] {
					require.Contains(t, known[filters[0].Value], f.Label, "%s in %s", filters[0].Value, query)
				}
			}
		case *metricsql.AggrFuncExpr:
			if strings.EqualFold(e.Modifier.Op, "by") {
				labels = append(labels, e.Modifier.Args...)
			}
		}
	})
	require.NotEmpty(t, names, query)
	var have []string
	for _, name := range names {
		require.NotNil(t, known[name], "no process says %s: %s", name, query)
		have = append(have, known[name]...)
	}
	require.Subset(t, have, labels, query)
}

func TestDashboard(t *testing.T) {
	t.Parallel()
	type target struct {
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
		Datasource   struct {
			UID string `json:"uid"`
		} `json:"datasource"`
	}
	type gridPos struct{ X, Y, W, H int }
	var dashboard struct {
		UID    string `json:"uid"`
		Panels []struct {
			ID      int      `json:"id"`
			Type    string   `json:"type"`
			Title   string   `json:"title"`
			Targets []target `json:"targets"`
			GridPos gridPos  `json:"gridPos"`
		} `json:"panels"`
		Templating struct {
			List []struct {
				Name  string `json:"name"`
				Query struct {
					Query string `json:"query"`
				} `json:"query"`
			} `json:"list"`
		} `json:"templating"`
	}
	require.NoError(t, json.Unmarshal(read(t, "grafana/assetflow.json"), &dashboard))
	require.NotEmpty(t, dashboard.UID)
	var datasource struct {
		Datasources []struct {
			UID, URL string
		}
	}
	require.NoError(t, yaml.Unmarshal(read(t, "grafana/datasource.yml"), &datasource))
	require.Len(t, datasource.Datasources, 1)

	known := exported(t)
	ids, titles := map[int]bool{}, map[string]bool{}
	var queries []string
	for i, p := range dashboard.Panels {
		require.False(t, ids[p.ID], "%s: two panels have the id %d", p.Title, p.ID)
		require.False(t, titles[p.Title], "two panels are called %s", p.Title)
		ids[p.ID], titles[p.Title] = true, true
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for _, other := range dashboard.Panels[:i] {
			apart := p.GridPos.X >= other.GridPos.X+other.GridPos.W || other.GridPos.X >= p.GridPos.X+p.GridPos.W ||
				p.GridPos.Y >= other.GridPos.Y+other.GridPos.H || other.GridPos.Y >= p.GridPos.Y+p.GridPos.H
			require.True(t, apart, "%s covers %s", p.Title, other.Title)
		}
		require.Equal(t, p.Type == "row", len(p.Targets) == 0, p.Title)
		for _, query := range p.Targets {
			require.Equal(t, datasource.Datasources[0].UID, query.Datasource.UID, p.Title)
			queries = append(queries, query.Expr)
			checkQuery(t, known, query.Expr)
			for _, label := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(query.LegendFormat, -1) {
				require.Regexp(t, `by \([^)]*\b`+label[1]+`\b`, query.Expr, "%s: the legend names a label that the query has not", p.Title)
			}
		}
	}
	variable := regexp.MustCompile(`^label_values\(([a-z_]+), ([a-z_]+)\)$`)
	for _, v := range dashboard.Templating.List {
		named := variable.FindStringSubmatch(v.Query.Query)
		require.NotNil(t, named, v.Query.Query)
		require.Contains(t, known[named[1]], named[2])
		require.True(t, slices.ContainsFunc(queries, func(q string) bool { return strings.Contains(q, "$"+v.Name) }), "nothing uses $%s", v.Name)
	}
	for name := range known { // what is worth counting is worth seeing
		if strings.HasPrefix(name, "assetflow_") && !strings.HasSuffix(name, "_count") && !strings.HasSuffix(name, "_sum") {
			require.True(t, slices.ContainsFunc(queries, func(q string) bool { return strings.Contains(q, name) }), "nothing shows %s", name)
		}
	}
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(read(t, "prometheus/alerts.yml"), &file))
	known, names := exported(t), map[string]bool{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			require.False(t, names[rule.Alert], rule.Alert)
			names[rule.Alert] = true
			checkQuery(t, known, rule.Expr)
			require.Contains(t, []string{"warning", "critical"}, rule.Labels["severity"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["description"], rule.Alert)
			for _, label := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(rule.Annotations["summary"], -1) {
				if !strings.Contains(rule.Expr, " by (") {
					require.Contains(t, append(known["up"], known["assetflow_dependency_up"]...), label[1], rule.Alert)
					continue
				}
				require.Regexp(t, `by \([^)]*\b`+label[1]+`\b`, rule.Expr, "%s: the summary names a label that the expression has not", rule.Alert)
			}
		}
	}
	for _, name := range []string{"AssetflowAPIErrors", "AssetflowJobsWait", "AssetflowJobsFail", "AssetflowNotReady", "AssetflowNoPollers"} {
		require.True(t, names[name], name)
	}
}

// TestScrapes makes sure that Prometheus asks each of our processes, at the port where it answers.
func TestScrapes(t *testing.T) {
	t.Parallel()
	var file struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName string `yaml:"job_name"`
			DNS     []struct {
				Names []string
				Type  string
				Port  int
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal(read(t, "prometheus/prometheus.yml"), &file))
	p := load(t, nil, "scaled")
	asked := map[string][]string{}
	for _, job := range file.ScrapeConfigs {
		for _, d := range job.DNS {
			require.Equal(t, "A", d.Type)
			asked[strings.TrimPrefix(job.JobName, "assetflow-")] = d.Names
			for _, name := range d.Names {
				_, port, err := net.SplitHostPort(*p.Services[name].Environment["ASSETFLOW_TELEMETRY_METRICS_ADDR"])
				require.NoError(t, err)
				require.Equal(t, strconv.Itoa(d.Port), port)
			}
		}
	}
	for _, command := range []string{"api", "worker"} {
		var want []string
		for _, s := range ours(p)[command] {
			want = append(want, s.Name)
			for _, published := range s.Ports {
				require.NotEqual(t, "9464", published.Published, "%s: operators alone are answered there", s.Name)
				require.NotEqualValues(t, 9464, published.Target, "%s: operators alone are answered there", s.Name)
			}
		}
		require.ElementsMatch(t, want, asked[command])
	}

	prometheus := map[string]string{}
	for _, c := range p.Services["prometheus"].Configs {
		prometheus[c.Target] = p.Configs[c.Source].File
	}
	require.Contains(t, prometheus, "/etc/prometheus/prometheus.yml")
	for _, path := range file.RuleFiles {
		require.Contains(t, prometheus, path)
		require.FileExists(t, prometheus[path])
	}
	grafana := map[string]string{}
	for _, c := range p.Services["grafana"].Configs {
		require.FileExists(t, p.Configs[c.Source].File)
		grafana[c.Target] = filepath.Base(p.Configs[c.Source].File)
	}
	var provider struct {
		Providers []struct{ Options struct{ Path string } }
	}
	require.NoError(t, yaml.Unmarshal(read(t, "grafana/dashboards.yml"), &provider))
	require.Contains(t, grafana, provider.Providers[0].Options.Path+"/assetflow.json")
	require.Equal(t, provider.Providers[0].Options.Path+"/assetflow.json", *p.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
}
