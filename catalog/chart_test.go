package catalog_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func TestCharts(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		touchContent(t, c, "one")
		made, added, err := c.AddChart(ctx, s.User.ID, s.Chart("redis", "v1.2+one", "one"))
		require.NoError(t, err)
		require.True(t, added)
		want := s.Chart("redis", "v1.2+one", "one")
		want.CreatorID, want.CreatorName, want.CreatedAt = s.User.ID, s.User.Name, made.CreatedAt
		require.Equal(t, want, made, "the version stays as it is written")
		require.WithinDuration(t, time.Now(), made.CreatedAt, time.Minute)

		again := s.Chart("redis", "1.2.0", "one")
		again.Description = "changed"
		kept, added, err := c.AddChart(ctx, "another", again)
		require.NoError(t, err)
		require.False(t, added)
		require.Equal(t, made, kept)
		touchContent(t, c, "two")
		_, _, err = c.AddChart(ctx, s.User.ID, s.Chart("redis", "1.2.0+two", "two"))
		requireFault(t, err, fault.Conflict, "catalog.chart_differs")
		for _, version := range []string{"", "v1.2+one", "1.2.0", "1.2+other"} {
			got, err := c.Chart(ctx, s.Project.ID, "redis", version)
			require.NoError(t, err)
			require.Equal(t, made, got)
		}

		for _, unknown := range []struct{ project, name, version string }{
			{s.Project.ID, "redis", "1.2.1"}, {s.Project.ID, "redis", "1.2.0-rc"}, {s.Project.ID, "redis", "no version"},
			{s.Project.ID, "redis", "1.2.0\x00"}, {s.Project.ID, "red", "1.2.0"}, {s.Project.ID, "\x00", "1.2.0"}, {s.Project.ID, "\xff", ""},
			{s.Project.ID, "", ""}, {other.Project.ID, "redis", "1.2.0"}, {other.Project.ID, "redis", ""}, {"unknown", "redis", ""},
		} {
			_, err = c.Chart(ctx, unknown.project, unknown.name, unknown.version)
			requireFault(t, err, fault.NotFound, "catalog.chart_not_found")
			requireFault(t, c.DeleteChart(ctx, s.User.ID, unknown.project, unknown.name, unknown.version), fault.NotFound, "catalog.chart_not_found")
			if unknown.project != s.Project.ID || unknown.name != "redis" {
				_, err = c.ChartVersions(ctx, unknown.project, unknown.name)
				requireFault(t, err, fault.NotFound, "catalog.chart_not_found")
			}
		}
		theirs := other.AddChart(t, "redis", "1.2.0", "two") // other bytes in another project

		require.NoError(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", "1.2.0"))
		requireFault(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", "1.2.0"), fault.NotFound, "catalog.chart_not_found")
		_, err = c.Chart(ctx, s.Project.ID, "redis", "")
		requireFault(t, err, fault.NotFound, "catalog.chart_not_found")
		s.AddChart(t, "redis", "1.2.0", "two")
		got, err := c.Chart(ctx, other.Project.ID, "redis", "")
		require.NoError(t, err)
		require.Equal(t, theirs, got)

		require.Equal(t, []string{"chart.added", "chart.removed"}, trail(t, c, "redis/v1.2+one"))
		entries, _, err := c.ListAudit(ctx, catalog.AuditFilter{Action: catalog.ChartRemoved})
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.Equal(t, s.User.ID, entries[0].ActorID)
		require.Equal(t, "chart", entries[0].ResourceKind)
		require.JSONEq(t, `{"name": "redis", "version": "v1.2+one", "sha256": "`+made.SHA256+`"}`, string(entries[0].Details))
	})
}

func TestChartsThatAreRefused(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*catalog.Chart){
		"no name":          func(ch *catalog.Chart) { ch.Name = "" },
		"long name":        func(ch *catalog.Chart) { ch.Name = strings.Repeat("a", 54) },
		"upper case":       func(ch *catalog.Chart) { ch.Name = "Redis" },
		"path":             func(ch *catalog.Chart) { ch.Name = "../redis" },
		"line":             func(ch *catalog.Chart) { ch.Name = "redis\n" },
		"dash":             func(ch *catalog.Chart) { ch.Name = "-redis" },
		"NUL":              func(ch *catalog.Chart) { ch.Name = "a\x00" },
		"no version":       func(ch *catalog.Chart) { ch.Version = "" },
		"bad version":      func(ch *catalog.Chart) { ch.Version = "1.0.0.0" },
		"version line":     func(ch *catalog.Chart) { ch.Version = "1.0.0\n" },
		"leading zero":     func(ch *catalog.Chart) { ch.Version = "1.0.0-01" },
		"huge version":     func(ch *catalog.Chart) { ch.Version = "18446744073709551616.0.0" },
		"long version":     func(ch *catalog.Chart) { ch.Version = "1.0.0+" + strings.Repeat("a", 123) },
		"app version":      func(ch *catalog.Chart) { ch.AppVersion = "\x00" },
		"long app version": func(ch *catalog.Chart) { ch.AppVersion = strings.Repeat("a", 1025) },
		"description":      func(ch *catalog.Chart) { ch.Description = "\xff" },
		"long description": func(ch *catalog.Chart) { ch.Description = strings.Repeat("a", 4097) },
		"digest":           func(ch *catalog.Chart) { ch.SHA256 = strings.ToUpper(ch.SHA256) },
		"size":             func(ch *catalog.Chart) { ch.Size = -1 },
	}
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		touchContent(t, c, "one")
		for name, change := range changes {
			chart := s.Chart("redis", "1.0.0", "one")
			change(&chart)
			_, _, err := c.AddChart(ctx, s.User.ID, chart)
			require.Error(t, err, name)
			requireFault(t, err, fault.Invalid, "catalog.bad_chart")
		}
		chart := s.Chart("redis", "1.0.0", "one")
		chart.Size++
		_, _, err := c.AddChart(ctx, s.User.ID, chart)
		requireFault(t, err, fault.Invalid, "catalog.bad_blob")
		_, _, err = c.AddChart(ctx, s.User.ID, s.Chart("redis", "1.0.0", "never touched"))
		requireFault(t, err, fault.NotFound, "catalog.blobs_not_found")
		chart = s.Chart("redis", "1.0.0", "one")
		chart.ProjectID = "unknown"
		_, _, err = c.AddChart(ctx, s.User.ID, chart)
		requireFault(t, err, fault.NotFound, "catalog.project_not_found")
		s.AddChart(t, strings.Repeat("a", 53), "1.0.0+"+strings.Repeat("a", 122), "one")
	})
}

// version makes a random version, of few enough parts that many are near each other.
func version(random *rand.Rand) string {
	v := fmt.Sprintf("%d.%d.%d", random.IntN(2), []int{0, 2, 10}[random.IntN(3)], random.IntN(2))
	if random.IntN(3) > 0 {
		identifiers := []string{"0", "1", "9", "10", "100", "alpha", "alpha-", "Alpha", "a", "a0", "a-1", "-", "--", "-1", "1a", "rc", "rc1", "rc10", "rc2", "z"}
		chosen := make([]string, 1+random.IntN(3))
		for i := range chosen {
			chosen[i] = identifiers[random.IntN(len(identifiers))]
		}
		v += "-" + strings.Join(chosen, ".")
	}
	if random.IntN(4) == 0 {
		v += "+build." + fmt.Sprint(random.IntN(3))
	}
	return v
}

// The order of versions is that of semantic versioning, whatever was pushed and deleted before.
func TestTheOrderOfVersions(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		touchContent(t, c, "one")
		random := rand.New(rand.NewPCG(1, 2))
		library := make(map[string][]*semver.Version)
		names := []string{"a", "b", "b-c"}
		for range 300 {
			name := names[random.IntN(len(names))]
			held := library[name]
			if random.IntN(3) == 0 && len(held) > 0 {
				gone := random.IntN(len(held))
				if random.IntN(2) == 0 {
					gone = 0 // the newest
				}
				require.NoError(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, name, held[gone].String()))
				library[name] = slices.Delete(held, gone, gone+1)
			} else {
				v := semver.MustParse(version(random))
				_, added, err := c.AddChart(ctx, s.User.ID, s.Chart(name, v.Original(), "one"))
				require.NoError(t, err)
				known := slices.ContainsFunc(held, v.Equal)
				require.Equal(t, !known, added, v)
				if added {
					library[name] = append(held, v)
				}
			}
			slices.SortFunc(library[name], func(a, b *semver.Version) int { return b.Compare(a) })

			var newest []string
			for _, name := range names {
				if len(library[name]) > 0 {
					newest = append(newest, name+" "+library[name][0].Original())
				}
			}
			list, next, err := c.ListCharts(ctx, s.Project.ID, 0, "")
			require.NoError(t, err)
			require.Empty(t, next)
			require.Equal(t, newest, versionsOf(list, true))
			if held := library[name]; len(held) == 0 {
				_, err = c.ChartVersions(ctx, s.Project.ID, name)
				requireFault(t, err, fault.NotFound, "catalog.chart_not_found")
			} else {
				chart, err := c.Chart(ctx, s.Project.ID, name, "")
				require.NoError(t, err)
				require.Equal(t, held[0].Original(), chart.Version)
			}
		}
		for name, held := range library {
			versions, err := c.ChartVersions(ctx, s.Project.ID, name)
			require.NoError(t, err)
			var want []string
			for _, v := range held {
				want = append(want, v.Original())
			}
			require.Equal(t, want, versionsOf(versions, false))
			require.Greater(t, len(want), 20)
		}
	})
}

func versionsOf(charts []catalog.Chart, named bool) (versions []string) {
	for _, ch := range charts {
		if named {
			ch.Version = ch.Name + " " + ch.Version
		}
		versions = append(versions, ch.Version)
	}
	return versions
}

// What the library that we compare with elsewhere leaves open, or gets wrong.
func TestTheOrderOfUnusualVersions(t *testing.T) {
	t.Parallel()
	c := catalogtest.New(t)
	s := catalogtest.NewScene(t, c)
	touchContent(t, c, "one")
	ascending := []string{
		"0", "0.0.1-0", "0.0.1-1.0", "0.0.1-9", "0.0.1-10", "0.0.1-18446744073709551615", "0.0.1-18446744073709551616", "0.0.1-100000000000000000000",
		"0.0.1--", "0.0.1-0a", "0.0.1-A", "0.0.1-a", "0.0.1-a.0", "0.0.1-a.-", "0.0.1-a-", "0.0.1-a-.0", "0.0.1-aa", "v0.0.1", "1.9", "1.10",
		"2-rc", "2", "10", "18446744073709551615.18446744073709551615.18446744073709551615-1." + strings.Repeat("2.", 31) + "x",
		"18446744073709551615.18446744073709551615.18446744073709551615",
	}
	for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(len(ascending)) {
		_, added, err := c.AddChart(ctx, s.User.ID, s.Chart("redis", ascending[i], "one"))
		require.NoError(t, err, ascending[i])
		require.True(t, added, ascending[i])
	}
	versions, err := c.ChartVersions(ctx, s.Project.ID, "redis")
	require.NoError(t, err)
	slices.Reverse(versions)
	require.Equal(t, ascending, versionsOf(versions, false))
}

func TestPagesOfCharts(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		var want []string
		for i := range 5 {
			name := fmt.Sprintf("chart-%d", i)
			s.AddChart(t, name, "9.0.0", "a")
			s.AddChart(t, name, "10.0.0", "b")
			s.AddChart(t, name, "10.0.0-rc", "c")
			other.AddChart(t, name, "11.0.0", "d")
			want = append(want, name+" 10.0.0")
		}
		for _, limit := range []int{1, 2, 5, 0} {
			var got []string
			cursor, pages := "", 0
			for {
				list, next, err := c.ListCharts(ctx, s.Project.ID, limit, cursor)
				require.NoError(t, err)
				got = append(got, versionsOf(list, true)...)
				pages++
				if cursor = next; cursor == "" {
					break
				}
				require.Len(t, list, limit)
			}
			require.Equal(t, want, got)
			if limit > 0 {
				require.Equal(t, (len(want)+limit-1)/limit, pages)
			}
		}
		_, next, err := c.ListCharts(ctx, s.Project.ID, 2, "")
		require.NoError(t, err)
		require.NoError(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, "chart-1", "10"))
		s.AddChart(t, "chart-0a", "1.0.0", "e")
		list, _, err := c.ListCharts(ctx, s.Project.ID, 2, next)
		require.NoError(t, err)
		require.Equal(t, want[2:4], versionsOf(list, true), "what comes and goes shifts no page")
		for _, cursor := range []string{"x", "W10", "WyJcdTAwMDAiXQ", "WyJhIiwiYiJd"} { // none, [], ["\u0000"], ["a","b"]
			_, _, err := c.ListCharts(ctx, s.Project.ID, 2, cursor)
			requireFault(t, err, fault.Invalid, "catalog.bad_cursor")
		}
		list, next, err = c.ListCharts(ctx, "unknown", 2, "")
		require.NoError(t, err)
		require.Empty(t, list)
		require.Empty(t, next)
	})
}

func TestOneVersionPushedByManyAtOnce(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		for round := range 5 {
			version := fmt.Sprintf("1.0.%d", round)
			const n = 6
			charts := make([]catalog.Chart, n)
			for i := range n {
				content := fmt.Sprint(i % 2)
				touchContent(t, c, content)
				charts[i] = s.Chart("redis", version, content)
			}
			var all sync.WaitGroup
			var kept [n]catalog.Chart
			var added [n]bool
			var errs [n]error
			for i := range n {
				all.Go(func() { kept[i], added[i], errs[i] = c.AddChart(ctx, s.User.ID, charts[i]) })
			}
			all.Wait()
			winner, err := c.Chart(ctx, s.Project.ID, "redis", version)
			require.NoError(t, err)
			adders := 0
			for i := range n {
				if charts[i].SHA256 != winner.SHA256 {
					requireFault(t, errs[i], fault.Conflict, "catalog.chart_differs")
					continue
				}
				require.NoError(t, errs[i])
				require.Equal(t, winner, kept[i])
				if added[i] {
					adders++
				}
			}
			require.Equal(t, 1, adders)
			require.Len(t, trail(t, c, "redis/"+version), 1)
		}
	})
}

func TestAPushStoppedAtAnyStep(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		touchContent(t, c, "one")
		killed := errors.New("killed")
		for _, at := range []string{"blobs", "chart"} {
			c.SetFailpoint(func(step string) error {
				if step == at {
					return killed
				}
				return nil
			})
			_, added, err := c.AddChart(ctx, s.User.ID, s.Chart("redis", "1.0.0", "one"))
			require.ErrorIs(t, err, killed, at)
			require.False(t, added)
			_, err = c.Chart(ctx, s.Project.ID, "redis", "")
			requireFault(t, err, fault.NotFound, "catalog.chart_not_found")
		}
		c.SetFailpoint(func(string) error { return nil })
		require.Empty(t, trail(t, c, "redis/1.0.0"))
		s.AddChart(t, "redis", "1.0.0", "one")
	})
}
