package catalog_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func template(version, content string, change ...func(*catalog.ImportedTemplate)) catalog.ImportedTemplate {
	tmpl := catalogtest.Template("com.example", "Deploy", version, content)
	for _, c := range change {
		c(&tmpl)
	}
	return tmpl
}

func debug(t *catalog.ImportedTemplate) { t.ReleaseState = catalog.ReleaseDebug }

// shelf lists the living templates of the scene's project, as "key version state v1" with a star at the latest.
func shelf(t *testing.T, s catalogtest.Scene) []string {
	t.Helper()
	list, total, err := s.Catalog.ListServiceTemplates(ctx, catalog.TemplateFilter{ProjectID: s.Project.ID})
	require.NoError(t, err)
	require.Len(t, list, total)
	lines := make([]string, len(list))
	for i, tmpl := range list {
		lines[i] = fmt.Sprintf("%s %s %s v%d", tmpl.KeyName, tmpl.Version, tmpl.ReleaseState, tmpl.VersionNumber)
		if tmpl.Latest {
			lines[i] += "*"
		}
	}
	return lines
}

func readTemplate(t *testing.T, s catalogtest.Scene, number int64) catalog.ServiceTemplate {
	t.Helper()
	tmpl, err := s.Catalog.ServiceTemplate(ctx, s.Project.ID, number)
	require.NoError(t, err)
	return tmpl
}

func TestImportOfServiceTemplates(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		first := template("01.00.00", "one", func(tmpl *catalog.ImportedTemplate) {
			tmpl.Tags, tmpl.UsedServices, tmpl.UsedTemplates = []string{"Net", "red", "Net"}, []string{"s1", "s2"}, []string{"t1"}
		})
		imp := s.FillTemplates(t, first, catalogtest.Template("com.example", "Stop", "02.00.00", "two"))
		reasons, err := c.CompareTemplates(ctx, imp)
		require.NoError(t, err)
		require.Empty(t, reasons)
		require.Empty(t, shelf(t, s), "a comparison leaves no trace")
		result, err := c.CommitTemplates(ctx, imp)
		require.NoError(t, err)
		require.Equal(t, 2, result.Created)
		require.Zero(t, result.Replaced+result.Unchanged)
		item := result.Templates[0]
		require.Equal(t, catalog.TemplateImportItem{
			Number: item.Number, AssetID: item.AssetID, FileName: "com.example_Deploy_01.00.00.st", VendorID: "com.example", KeyName: "Deploy",
			Version: "01.00.00", Action: catalog.TemplateCreate,
		}, item)
		require.Positive(t, item.Number)
		require.NotEqual(t, item.Number, result.Templates[1].Number)

		again, err := c.CommitTemplates(ctx, imp)
		require.NoError(t, err)
		require.Equal(t, result, again, "the effect is there once")
		require.Equal(t, []string{"Deploy 01.00.00 release v1*", "Stop 02.00.00 release v1*"}, shelf(t, s))

		got := readTemplate(t, s, item.Number)
		want := first.ServiceTemplate
		want.Number, want.AssetID, want.ProjectID, want.Latest, want.VersionNumber = item.Number, item.AssetID, s.Project.ID, true, 1
		want.CreatedAt, want.UpdatedAt = got.CreatedAt, got.CreatedAt
		require.Equal(t, want, got)
		require.Equal(t, got.CreatedAt.Truncate(time.Millisecond), got.CreatedAt)
		require.WithinDuration(t, time.Now(), got.CreatedAt, time.Minute)
		job, err := c.Job(ctx, imp.JobID)
		require.NoError(t, err)
		require.Equal(t, catalog.JobSucceeded, job.State)

		_, err = c.ServiceTemplate(ctx, other.Project.ID, item.Number)
		requireFault(t, err, fault.NotFound, "catalog.template_not_found")
		require.Empty(t, shelf(t, other))
		other.ImportTemplates(t, first)
		require.Equal(t, []string{"Deploy 01.00.00 release v1*"}, shelf(t, other))
	})
}

func TestServiceTemplateAgain(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		number := s.ImportTemplates(t, template("01.00.00", "a", debug, func(tmpl *catalog.ImportedTemplate) { tmpl.Tags = []string{"old"} })).Templates[0].Number
		before := readTemplate(t, s, number)

		result := s.ImportTemplates(t, template("01.00.00", "a", debug))
		require.Equal(t, catalog.TemplateUnchanged, result.Templates[0].Action)
		require.Equal(t, before, readTemplate(t, s, number))

		result = s.ImportTemplates(t, template("01.00.00", "b", debug, func(tmpl *catalog.ImportedTemplate) {
			tmpl.Tags, tmpl.DisplayName = []string{"new"}, "Better"
		}))
		require.Equal(t, catalog.TemplateReplace, result.Templates[0].Action)
		require.Equal(t, 1, result.Replaced)
		require.Equal(t, number, result.Templates[0].Number)
		after := readTemplate(t, s, number)
		require.Equal(t, "Better", after.DisplayName)
		require.Equal(t, 2, after.VersionNumber)
		require.Equal(t, before.CreatedAt, after.CreatedAt)
		require.Equal(t, catalogtest.File("", "b").SHA256, after.SHA256)
		require.True(t, after.Latest)
		for tag, want := range map[string]int{"old": 0, "new": 1} {
			_, total, err := c.ListServiceTemplates(ctx, catalog.TemplateFilter{ProjectID: s.Project.ID, Tags: []string{tag}})
			require.NoError(t, err)
			require.Equal(t, want, total, tag)
		}

		result = s.ImportTemplates(t, template("01.00.00", "c"))
		require.Equal(t, catalog.TemplateReplace, result.Templates[0].Action, "a release takes the place of the debug build")
		require.Equal(t, []string{"Deploy 01.00.00 release v3*"}, shelf(t, s))
		result = s.ImportTemplates(t, template("01.00.00", "c"))
		require.Equal(t, catalog.TemplateUnchanged, result.Templates[0].Action)
		require.Equal(t, 1, result.Unchanged)

		for name, differs := range map[string]catalog.ImportedTemplate{
			"another release": template("01.00.00", "d"), "a debug build": template("01.00.00", "d", debug),
		} {
			imp := s.FillTemplates(t, catalogtest.Template("com.example", "Other", "01.00.00", "e"), differs)
			reasons, err := c.CompareTemplates(ctx, imp)
			require.NoError(t, err)
			require.Len(t, reasons, 1, name)
			require.Equal(t, "service-template", reasons[0].ResourceType)
			require.Equal(t, "com.example_Deploy_01.00.00.st", reasons[0].ResourceName)
			require.Equal(t, catalog.ReasonReleaseDiffers, reasons[0].Code)
			_, err = c.CommitTemplates(ctx, imp)
			var conflicts *catalog.ConflictsError
			require.ErrorAs(t, err, &conflicts, name)
			require.Equal(t, reasons, conflicts.Reasons)
			require.ErrorContains(t, err, "conflicts with the project")
		}
		require.Equal(t, []string{"Deploy 01.00.00 release v3*"}, shelf(t, s), "all or nothing")
	})
}

func TestServiceTemplateTwiceInAPackage(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		twice := template("01.00.00", "b")
		twice.FileName = "again.st"
		imp := s.FillTemplates(t, template("01.00.00", "a"), twice, template("01.00.01", "c"))
		reasons, err := c.CompareTemplates(ctx, imp)
		require.NoError(t, err)
		require.Len(t, reasons, 1)
		require.Equal(t, []string{"again.st", catalog.ReasonDuplicateTemplate}, []string{reasons[0].ResourceName, reasons[0].Code})
		require.Contains(t, reasons[0].Message, "com.example_Deploy_01.00.00.st")
		_, err = c.CommitTemplates(ctx, imp)
		requireFault(t, err, fault.Conflict, "catalog.import_conflicts")
		require.Empty(t, shelf(t, s))
	})
}

func TestLatestServiceTemplate(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		foreign := catalogtest.Template("org.other", "Deploy", "00.00.01", "x")
		numbers := make(map[string]int64)
		for _, item := range s.ImportTemplates(t, template("01.20.00", "b"), template("01.03.00", "a"), foreign).Templates {
			numbers[item.Version] = item.Number
		}
		require.Equal(t, []string{"Deploy 01.20.00 release v1*", "Deploy 01.03.00 release v1", "Deploy 00.00.01 release v1*"}, shelf(t, s))
		numbers["10.00.00"] = s.ImportTemplates(t, template("10.00.00", "c", debug)).Templates[0].Number
		remove := func(version string) {
			require.NoError(t, c.DeleteServiceTemplate(ctx, s.User.ID, s.Project.ID, numbers[version]))
		}
		newest := func() (versions []string) {
			for _, line := range shelf(t, s) {
				if strings.HasSuffix(line, "*") {
					versions = append(versions, strings.Fields(line)[1])
				}
			}
			return versions
		}
		require.Equal(t, []string{"00.00.01", "10.00.00"}, newest())
		remove("10.00.00")
		require.Equal(t, []string{"01.20.00", "00.00.01"}, newest())
		remove("01.03.00")
		require.Equal(t, []string{"01.20.00", "00.00.01"}, newest())
		remove("01.20.00")
		require.Equal(t, []string{"00.00.01"}, newest())
		_, err := c.RestoreServiceTemplate(ctx, s.User.ID, s.Project.ID, numbers["01.03.00"])
		require.NoError(t, err)
		require.Equal(t, []string{"01.03.00", "00.00.01"}, newest())
		restored, err := c.RestoreServiceTemplate(ctx, s.User.ID, s.Project.ID, numbers["10.00.00"])
		require.NoError(t, err)
		require.True(t, restored.Latest)
		require.Nil(t, restored.DeletedAt)
		require.Equal(t, []string{"00.00.01", "10.00.00"}, newest())
	})
}

func TestTrashOfServiceTemplates(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		item := s.ImportTemplates(t, template("01.00.00", "a", func(tmpl *catalog.ImportedTemplate) { tmpl.Tags = []string{"x"} })).Templates[0]
		remove := func(projectID string) error { return c.DeleteServiceTemplate(ctx, s.User.ID, projectID, item.Number) }
		restore := func() error {
			_, err := c.RestoreServiceTemplate(ctx, s.User.ID, s.Project.ID, item.Number)
			return err
		}
		purge := func(projectID string) error { return c.PurgeServiceTemplate(ctx, s.User.ID, projectID, item.Number) }
		requireGone := func(err error) { t.Helper(); requireFault(t, err, fault.NotFound, "catalog.template_not_found") }
		requireGone(remove(other.Project.ID))
		requireGone(remove("nowhere"))
		requireGone(restore())
		requireGone(purge(s.Project.ID))
		require.NoError(t, remove(s.Project.ID))
		requireGone(remove(s.Project.ID))
		_, err := c.ServiceTemplate(ctx, s.Project.ID, item.Number)
		requireGone(err)
		require.Empty(t, shelf(t, s))
		trashed, total, err := c.ListServiceTemplates(ctx, catalog.TemplateFilter{ProjectID: s.Project.ID, Trash: true})
		require.NoError(t, err)
		require.Equal(t, 1, total)
		require.NotNil(t, trashed[0].DeletedAt)
		require.False(t, trashed[0].Latest)

		// The name is free: what comes in its place is another asset.
		second := s.ImportTemplates(t, template("01.00.00", "b")).Templates[0]
		require.Equal(t, catalog.TemplateCreate, second.Action)
		require.NotEqual(t, item.Number, second.Number)
		requireFault(t, restore(), fault.Conflict, "catalog.name_taken")
		require.NoError(t, c.DeleteServiceTemplate(ctx, s.User.ID, s.Project.ID, second.Number))
		require.NoError(t, restore())
		require.NoError(t, remove(s.Project.ID))

		requireGone(purge(other.Project.ID))
		require.NoError(t, purge(s.Project.ID))
		requireGone(purge(s.Project.ID))
		requireGone(restore())
		require.Equal(t, []string{"asset.deleted", "asset.restored", "asset.deleted", "asset.purged"}, trail(t, c, item.AssetID))

		// What is left in the trash goes with the sweep, once it is old enough.
		n, err := c.PurgeTrash(ctx, time.Now().Add(-time.Hour), 10)
		require.NoError(t, err)
		require.Zero(t, n)
		living := s.ImportTemplates(t, template("02.00.00", "c")).Templates[0]
		n, err = c.PurgeTrash(ctx, time.Now().Add(time.Hour), 10)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		readTemplate(t, s, living.Number)
		again := s.ImportTemplates(t, template("01.00.00", "b")).Templates[0]
		require.Greater(t, again.Number, living.Number, "a number is never given twice")

		// The blob of what was purged belongs to nobody; that of what lives stays.
		for _, line := range shelf(t, s) {
			require.Contains(t, line, "release v1")
		}
		c.SetClockSkew(0)
		blobs, err := c.SweepBlobs(ctx, time.Now().Add(time.Hour), 100)
		require.NoError(t, err)
		require.Equal(t, []catalog.Blob{{SHA256: catalogtest.File("", "a").SHA256, Size: 1}}, blobs)
	})
}

func TestACommitOfServiceTemplatesIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		s.ImportTemplates(t, template("01.00.00", "old", debug))
		before := shelf(t, s)
		for _, step := range []string{"blobs", "version files", "templates", "effect", "job"} {
			imp := s.FillTemplates(t, template("01.00.00", "new "+step, debug), template("02.00.00", "more "+step))
			broken := errors.New("broken")
			reached := false
			c.SetFailpoint(func(at string) error {
				if at == step {
					reached = true
					return broken
				}
				return nil
			})
			_, err := c.CommitTemplates(ctx, imp)
			require.ErrorIs(t, err, broken, step)
			require.True(t, reached)
			require.Equal(t, before, shelf(t, s), step)
			c.SetFailpoint(func(string) error { return nil })
		}
		imp := s.FillTemplates(t, template("03.00.00", "never touched"))
		imp.Templates[0].SHA256 = catalogtest.File("", "other").SHA256
		_, err := c.CommitTemplates(ctx, imp)
		requireFault(t, err, fault.NotFound, "catalog.blobs_not_found")
		imp = s.FillTemplates(t, template("03.00.00", "ended"))
		endAs(t, c, imp.JobID, catalog.JobCancelled)
		_, err = c.CommitTemplates(ctx, imp)
		requireFault(t, err, fault.Conflict, "catalog.job_ended")
		require.Equal(t, before, shelf(t, s))
	})
}

// Of many imports at once one after the other counts: there is one latest, and one template of each name.
func TestImportsOfServiceTemplatesAtOnce(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		const n = 8
		errs := make([]error, n)
		var all sync.WaitGroup
		for i := range n {
			imp := s.FillTemplates(t, template(fmt.Sprintf("01.00.%02d", i), fmt.Sprint(i)), template("02.00.00", fmt.Sprint("debug", i), debug))
			all.Go(func() { _, errs[i] = c.CommitTemplates(ctx, imp) })
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
		lines := shelf(t, s)
		require.Len(t, lines, n+1)
		for _, line := range lines {
			require.Equal(t, strings.Contains(line, "02.00.00"), strings.HasSuffix(line, "*"), line)
			if strings.Contains(line, "02.00.00") {
				require.Contains(t, line, fmt.Sprintf(" v%d*", n))
			}
		}
	})
}

func TestServiceTemplatesAreChecked(t *testing.T) {
	t.Parallel()
	s := catalogtest.NewScene(t, catalogtest.New(t))
	for name, wrong := range map[string]func(*catalog.ImportedTemplate){
		"no file name":      func(tmpl *catalog.ImportedTemplate) { tmpl.FileName = "" },
		"no vendor":         func(tmpl *catalog.ImportedTemplate) { tmpl.VendorID = "" },
		"no key name":       func(tmpl *catalog.ImportedTemplate) { tmpl.KeyName = "" },
		"slash in vendor":   func(tmpl *catalog.ImportedTemplate) { tmpl.VendorID = "a/b" },
		"slash in key name": func(tmpl *catalog.ImportedTemplate) { tmpl.KeyName = "a/b" },
		"long":              func(tmpl *catalog.ImportedTemplate) { tmpl.KeyName = strings.Repeat("k", 1010) },
		"version":           func(tmpl *catalog.ImportedTemplate) { tmpl.Version = "1.0.0" },
		"version and more":  func(tmpl *catalog.ImportedTemplate) { tmpl.Version = "01.00.00\n" },
		"state":             func(tmpl *catalog.ImportedTemplate) { tmpl.ReleaseState = "beta" },
		"comma in a tag":    func(tmpl *catalog.ImportedTemplate) { tmpl.Tags = []string{"a,b"} },
		"empty tag":         func(tmpl *catalog.ImportedTemplate) { tmpl.Tags = []string{""} },
		"long tag":          func(tmpl *catalog.ImportedTemplate) { tmpl.Tags = []string{strings.Repeat("ä", 129)} },
		"many tags":         func(tmpl *catalog.ImportedTemplate) { tmpl.Tags = strings.Fields(strings.Repeat("t ", 65)) },
		"comma in a list":   func(tmpl *catalog.ImportedTemplate) { tmpl.UsedTemplates = []string{"a,b"} },
		"no text":           func(tmpl *catalog.ImportedTemplate) { tmpl.Description = "a\x00" },
		"no text in a list": func(tmpl *catalog.ImportedTemplate) { tmpl.UsedServices = []string{"\xff"} },
		"digest":            func(tmpl *catalog.ImportedTemplate) { tmpl.SHA256 = "x" },
		"size":              func(tmpl *catalog.ImportedTemplate) { tmpl.Size = -1 },
	} {
		imp := s.FillTemplates(t, template("01.00.00", "a"))
		wrong(&imp.Templates[0])
		_, err := s.Catalog.CommitTemplates(ctx, imp)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%s: %v", name, err)
		_, err = s.Catalog.CompareTemplates(ctx, imp)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%s: %v", name, err)
	}
	imp := s.FillTemplates(t)
	_, err := s.Catalog.CommitTemplates(ctx, imp)
	requireFault(t, err, fault.Invalid, "catalog.bad_template")
	imp = s.FillTemplates(t, template("01.00.00", "a"))
	imp.ProjectID = "nowhere"
	_, err = s.Catalog.CompareTemplates(ctx, imp)
	requireFault(t, err, fault.NotFound, "catalog.project_not_found")
	_, err = s.Catalog.CommitTemplates(ctx, imp)
	requireFault(t, err, fault.NotFound, "catalog.job_not_found")
	require.Empty(t, shelf(t, s))
}
