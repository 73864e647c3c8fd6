package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
	"assetflow/hql"
	"assetflow/hql/hqltest"
)

// library imports templates whose fields differ in what databases like to confuse: case, accents, wildcards, lengths.
func library(t *testing.T, s catalogtest.Scene) []catalog.ServiceTemplate {
	t.Helper()
	words := []string{"", "Net", "net", "NET_work", "100%", "é", "É", "a'b", "日本語", "日本", "_", "n"}
	var templates []catalog.ImportedTemplate
	for i := range 24 {
		tmpl := catalogtest.Template([]string{"com.example", "org.Other"}[i%2], []string{"Deploy", "deploy", "Stop"}[i%3], fmt.Sprintf("01.%02d.00", i/6), fmt.Sprint(i))
		tmpl.DisplayName, tmpl.VendorName, tmpl.Description = words[i%len(words)], words[(i*5)%len(words)], words[(i*7)%len(words)]+" "+words[i/2]
		tmpl.SupportedScheduleType = words[(i+3)%len(words)]
		tmpl.Tags = append(tmpl.Tags, words[1:1+i%5]...)
		if i%3 > 0 {
			tmpl.UsedServices, tmpl.UsedTemplates = []string{words[1+i%10]}, []string{"x", words[1+i%11]}
		}
		if i%4 == 0 {
			tmpl.ReleaseState = catalog.ReleaseDebug
		}
		templates = append(templates, tmpl)
	}
	s.ImportTemplates(t, templates[:10]...)
	s.ImportTemplates(t, templates[10:]...)
	list, total, err := s.Catalog.ListServiceTemplates(ctx, catalog.TemplateFilter{ProjectID: s.Project.ID})
	require.NoError(t, err)
	require.Equal(t, len(templates), total)
	return list
}

// record is a template as an expression sees it.
func record(tmpl catalog.ServiceTemplate) hqltest.Record {
	text := func(s string) hql.Value { return hql.Value{Type: hql.Text, Text: s} }
	list := func(items []string) hql.Value { return text(strings.Join(items, ",")) }
	return hqltest.Record{
		"instanceID": {Type: hql.Number, Number: tmpl.Number}, "keyName": text(tmpl.KeyName), "displayName": text(tmpl.DisplayName),
		"vendorID": text(tmpl.VendorID), "vendorName": text(tmpl.VendorName), "version": text(tmpl.Version), "tags": list(tmpl.Tags),
		"createTime": {Type: hql.Time, Time: tmpl.CreatedAt}, "modifyTime": {Type: hql.Time, Time: tmpl.UpdatedAt},
		"description": text(tmpl.Description), "releaseState": text(tmpl.ReleaseState), "latest": {Type: hql.Boolean, Boolean: tmpl.Latest},
		"supportedScheduleType": text(tmpl.SupportedScheduleType), "usedServices": list(tmpl.UsedServices), "usedTemplates": list(tmpl.UsedTemplates),
	}
}

func numbersOf(templates []catalog.ServiceTemplate) []int64 {
	numbers := []int64{}
	for _, tmpl := range templates {
		numbers = append(numbers, tmpl.Number)
	}
	return numbers
}

// What the database finds is what the language means.
func TestExpressionsOverServiceTemplates(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		all := library(t, s)
		records := make([]hqltest.Record, len(all))
		for i, tmpl := range all {
			records[i] = record(tmpl)
		}
		random := rand.New(rand.NewPCG(1, 2)) // the same expressions each time
		some := 0
		for range 400 {
			e := hqltest.Random(random, catalog.TemplateFields(), records, 3)
			parsed, err := hql.Parse(e.String(), catalog.TemplateFields())
			require.NoError(t, err, e)
			found, total, err := c.ListServiceTemplates(ctx, catalog.TemplateFilter{ProjectID: s.Project.ID, Where: parsed})
			require.NoError(t, err, e)
			var want []catalog.ServiceTemplate
			for i, tmpl := range all {
				if hqltest.Match(e, records[i]) {
					want = append(want, tmpl)
				}
			}
			require.Equal(t, numbersOf(want), numbersOf(found), e)
			require.Equal(t, len(want), total)
			if len(want) > 0 && len(want) < len(all) {
				some++
			}
		}
		require.Greater(t, some, 100, "expressions that tell templates apart")
	})
}

// The column holds milliseconds, an expression any fraction.
func TestTimesOfServiceTemplates(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		s.ImportTemplates(t, template("01.00.00", "a"))
		created := readAll(t, s)[0].CreatedAt
		for _, offset := range []time.Duration{
			0, 1, -1, time.Microsecond, -time.Microsecond, time.Millisecond, -time.Millisecond, time.Millisecond - 1, 1 - time.Millisecond,
			time.Hour, -time.Hour,
		} {
			for _, op := range []hql.Operator{hql.Equal, hql.NotEqual, hql.Greater, hql.Less, hql.GreaterOrEqual, hql.LessOrEqual, hql.In, hql.NotIn} {
				e := hql.Comparison{Field: "createTime", Operator: op, Values: []hql.Value{{Type: hql.Time, Time: created.Add(offset)}}}
				_, total, err := c.ListServiceTemplates(ctx, catalog.TemplateFilter{ProjectID: s.Project.ID, Where: e})
				require.NoError(t, err)
				want := hqltest.Match(e, hqltest.Record{"createTime": {Type: hql.Time, Time: created}})
				require.Equal(t, want, total == 1, "%s %s", op, offset)
			}
		}
		for _, year := range []int{1, 9999} {
			e := hql.Comparison{Field: "createTime", Operator: hql.Greater, Values: []hql.Value{{Type: hql.Time, Time: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)}}}
			_, total, err := c.ListServiceTemplates(ctx, catalog.TemplateFilter{ProjectID: s.Project.ID, Where: e})
			require.NoError(t, err)
			require.Equal(t, year == 1, total == 1, year)
		}
	})
}

func readAll(t *testing.T, s catalogtest.Scene) []catalog.ServiceTemplate {
	t.Helper()
	list, _, err := s.Catalog.ListServiceTemplates(ctx, catalog.TemplateFilter{ProjectID: s.Project.ID})
	require.NoError(t, err)
	return list
}

func TestOrderOfServiceTemplates(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		all := library(t, s)
		for field := range catalog.TemplateFields() {
			for _, descending := range []bool{false, true} {
				order := []hql.Sort{{Field: field, Descending: descending}, {Field: "releaseState", Descending: true}}
				want := slices.Clone(all)
				slices.SortStableFunc(want, func(a, b catalog.ServiceTemplate) int {
					for _, by := range order {
						cmp := hqltest.Compare(record(a)[by.Field], record(b)[by.Field])
						if by.Descending {
							cmp = -cmp
						}
						if cmp != 0 {
							return cmp
						}
					}
					return 0
				})
				var got []int64
				for offset := 0; offset < len(all); offset += 7 {
					page, total, err := c.ListServiceTemplates(ctx, catalog.TemplateFilter{ProjectID: s.Project.ID, Sort: order, Limit: 7, Offset: offset})
					require.NoError(t, err)
					require.Equal(t, len(all), total)
					got = append(got, numbersOf(page)...)
				}
				require.Equal(t, numbersOf(want), got, "%s descending %v", field, descending)
			}
		}
	})
}

func TestFiltersOfServiceTemplates(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		all := library(t, s)
		for name, test := range map[string]struct {
			filter catalog.TemplateFilter
			match  func(catalog.ServiceTemplate) bool
		}{
			"word in any case":   {catalog.TemplateFilter{Q: "nEt"}, func(tmpl catalog.ServiceTemplate) bool { return searched(tmpl, "net") }},
			"accents":            {catalog.TemplateFilter{Q: "É"}, func(tmpl catalog.ServiceTemplate) bool { return searched(tmpl, "é") }},
			"wildcards are none": {catalog.TemplateFilter{Q: "0%"}, func(tmpl catalog.ServiceTemplate) bool { return searched(tmpl, "0%") }},
			"all words":          {catalog.TemplateFilter{Q: " 100%\tother "}, func(tmpl catalog.ServiceTemplate) bool { return searched(tmpl, "100%") && searched(tmpl, "other") }},
			"no word":            {catalog.TemplateFilter{Q: "  "}, func(catalog.ServiceTemplate) bool { return true }},
			"a tag":              {catalog.TemplateFilter{Tags: []string{"net"}}, func(tmpl catalog.ServiceTemplate) bool { return slices.Contains(tmpl.Tags, "net") }},
			"tags": {catalog.TemplateFilter{Tags: []string{"Net", "100%", "Net"}}, func(tmpl catalog.ServiceTemplate) bool {
				return slices.Contains(tmpl.Tags, "Net") && slices.Contains(tmpl.Tags, "100%")
			}},
			"vendor":   {catalog.TemplateFilter{VendorID: "org.Other"}, func(tmpl catalog.ServiceTemplate) bool { return tmpl.VendorID == "org.Other" }},
			"key name": {catalog.TemplateFilter{KeyName: "deploy"}, func(tmpl catalog.ServiceTemplate) bool { return tmpl.KeyName == "deploy" }},
			"version": {catalog.TemplateFilter{Version: "01.02.00", VendorID: "com.example"}, func(tmpl catalog.ServiceTemplate) bool {
				return tmpl.Version == "01.02.00" && tmpl.VendorID == "com.example"
			}},
			"part of a version": {catalog.TemplateFilter{Version: "01"}, func(catalog.ServiceTemplate) bool { return false }},
		} {
			test.filter.ProjectID = s.Project.ID
			found, total, err := c.ListServiceTemplates(ctx, test.filter)
			require.NoError(t, err, name)
			want := slices.DeleteFunc(slices.Clone(all), func(tmpl catalog.ServiceTemplate) bool { return !test.match(tmpl) })
			require.Equal(t, numbersOf(want), numbersOf(found), name)
			require.Equal(t, len(want), total, name)
			if name != "no word" && name != "part of a version" {
				require.NotEmpty(t, want, name)
				require.Less(t, len(want), len(all), name)
			}
		}
		for name, filter := range map[string]catalog.TemplateFilter{
			"search no text": {Q: "\x00"}, "search too long": {Q: strings.Repeat("a", 1025)}, "tag no text": {Tags: []string{"\xff"}},
			"unknown field": {Where: hql.Comparison{Field: "number", Operator: hql.Equal, Values: []hql.Value{{}}}},
			"other type":    {Where: hql.Comparison{Field: "latest", Operator: hql.Equal, Values: []hql.Value{{}}}},
			"no value":      {Where: hql.Comparison{Field: "keyName", Operator: hql.In}},
			"operator":      {Where: hql.Comparison{Field: "keyName", Operator: "like", Values: []hql.Value{{}}}},
			"value no text": {Where: hql.And{hql.Comparison{Field: "keyName", Operator: hql.Equal, Values: []hql.Value{{Text: "a\x00"}}}}},
			"sort":          {Sort: []hql.Sort{{Field: "search"}}},
		} {
			filter.ProjectID = s.Project.ID
			_, _, err := c.ListServiceTemplates(ctx, filter)
			requireFault(t, err, fault.Invalid, "catalog.bad_filter")
			require.Error(t, err, name)
		}
		long, err := hql.Parse(strings.TrimSuffix(strings.Repeat("latest=true or ", 260), " or "), catalog.TemplateFields())
		require.NoError(t, err)
		_, _, err = c.ListServiceTemplates(ctx, catalog.TemplateFilter{ProjectID: s.Project.ID, Where: long, Q: strings.Repeat("a ", 512)})
		require.NoError(t, err, "the longest that there is")
	})
}

func searched(tmpl catalog.ServiceTemplate, word string) bool {
	fields := append([]string{tmpl.KeyName, tmpl.DisplayName, tmpl.VendorID, tmpl.VendorName, tmpl.Description}, tmpl.Tags...)
	return slices.ContainsFunc(fields, func(f string) bool { return strings.Contains(strings.ToLower(f), word) })
}
