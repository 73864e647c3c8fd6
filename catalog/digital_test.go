package catalog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func avatar(name string) catalog.DigitalMetadata {
	return catalog.DigitalMetadata{
		Name: name, Description: "an avatar <3", AppUserID: "app-user", Type: "HUMAN_MODEL", Tags: []string{"red", "Blue", "red"},
		ExtraMeta: json.RawMessage(`{"size": 12345678901234567890, "a": {"b": [1]}}`), SystemProperties: []string{"BASE_MODEL:Y"}, Order: 7,
	}
}

func newDigital(t *testing.T, s catalogtest.Scene, name string) catalog.DigitalAsset {
	t.Helper()
	a, err := s.Catalog.CreateDigitalAsset(ctx, s.User.ID, s.Project.ID, avatar(name))
	require.NoError(t, err)
	return a
}

func readDigital(t *testing.T, s catalogtest.Scene, id string) catalog.DigitalAsset {
	t.Helper()
	a, err := s.Catalog.DigitalAsset(ctx, s.Project.ID, id)
	require.NoError(t, err)
	return a
}

// newFile creates a file of the asset, with the size of its later content.
func newFile(t *testing.T, s catalogtest.Scene, assetID, category, content string) catalog.DigitalFile {
	t.Helper()
	f, err := s.Catalog.CreateDigitalFile(ctx, s.User.ID, upload(s, assetID, category, content))
	require.NoError(t, err)
	return f
}

func upload(s catalogtest.Scene, assetID, category, content string) catalog.DigitalFile {
	return catalog.DigitalFile{
		AssetID: assetID, ProjectID: s.Project.ID, Name: content + ".bin", MD5: "1B2M2Y8AsgTpgAmY7PhCfg==", Type: "bin", Category: category,
		Size: int64(len(content)),
	}
}

// touchContent says that the content is about to be used, and gives its digest.
func touchContent(t *testing.T, c *catalog.Catalog, content string) string {
	t.Helper()
	f := catalogtest.File("", content)
	_, err := c.TouchBlobs(ctx, []catalog.Blob{{SHA256: f.SHA256, Size: f.Size}})
	require.NoError(t, err)
	return f.SHA256
}

// addFile creates a file and completes it.
func addFile(t *testing.T, s catalogtest.Scene, assetID, category, content string) catalog.DigitalFile {
	t.Helper()
	f := newFile(t, s, assetID, category, content)
	done, err := s.Catalog.CompleteDigitalFile(ctx, s.User.ID, s.Project.ID, f.ID, touchContent(t, s.Catalog, content))
	require.NoError(t, err)
	return done
}

func TestCreateDigitalAsset(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		made := newDigital(t, s, "Anna")
		want := avatar("Anna")
		want.ExtraMeta = json.RawMessage(`{"a":{"b":[1]},"size":12345678901234567890}`)
		require.Equal(t, want, made.DigitalMetadata)
		require.Equal(t, catalog.DigitalCreating, made.State)
		require.Equal(t, 1, made.VersionNumber)
		require.Len(t, made.Digest, 64)
		require.Empty(t, made.Files)
		require.Equal(t, made.CreatedAt, made.UpdatedAt)
		require.Equal(t, made, readDigital(t, s, made.ID))
		require.Equal(t, []string{"asset.added"}, trail(t, c, made.ID))

		_, err := c.CreateDigitalAsset(ctx, s.User.ID, s.Project.ID, avatar("Anna"))
		requireFault(t, err, fault.Conflict, "catalog.name_taken")
		newDigital(t, s, "anna") // names are compared byte by byte
		newDigital(t, other, "Anna")
		// Other kinds have their own names.
		s.Import(t, catalog.Import{Applications: []catalog.ImportAsset{{Name: "Anna"}}})

		_, err = c.CreateDigitalAsset(ctx, s.User.ID, "nowhere", avatar("Bea"))
		requireFault(t, err, fault.NotFound, "catalog.project_not_found")
		_, err = c.DigitalAsset(ctx, other.Project.ID, made.ID)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		for _, id := range []string{"", "nothing", "a\x00b", strings.Repeat("a", 65)} {
			_, err = c.DigitalAsset(ctx, s.Project.ID, id)
			requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		}

		empty, err := c.CreateDigitalAsset(ctx, s.User.ID, s.Project.ID, catalog.DigitalMetadata{Name: "empty"})
		require.NoError(t, err)
		require.Equal(t, catalog.DigitalMetadata{Name: "empty", Tags: []string{}, SystemProperties: []string{}}, empty.DigitalMetadata)
		require.Equal(t, empty, readDigital(t, s, empty.ID))
	})
}

func TestDigitalMetadataIsChecked(t *testing.T) {
	t.Parallel()
	s := catalogtest.NewScene(t, catalogtest.New(t))
	for name, wrong := range map[string]func(*catalog.DigitalMetadata){
		"no name":      func(m *catalog.DigitalMetadata) { m.Name = "" },
		"long name":    func(m *catalog.DigitalMetadata) { m.Name = strings.Repeat("n", 1025) },
		"name no text": func(m *catalog.DigitalMetadata) { m.Name = "a\x00" },
		"description":  func(m *catalog.DigitalMetadata) { m.Description = "\xff" },
		"user":         func(m *catalog.DigitalMetadata) { m.AppUserID = "\x00" },
		"type":         func(m *catalog.DigitalMetadata) { m.Type = "\x00" },
		"tag":          func(m *catalog.DigitalMetadata) { m.Tags = []string{"a", "\x00"} },
		"empty tag":    func(m *catalog.DigitalMetadata) { m.Tags = []string{""} },
		"long tag":     func(m *catalog.DigitalMetadata) { m.Tags = []string{strings.Repeat("ä", 129)} },
		"many tags":    func(m *catalog.DigitalMetadata) { m.Tags = make([]string, 51) },
		"property":     func(m *catalog.DigitalMetadata) { m.SystemProperties = []string{"\xff"} },
		"extra array":  func(m *catalog.DigitalMetadata) { m.ExtraMeta = json.RawMessage(`[1]`) },
		"extra too deep": func(m *catalog.DigitalMetadata) {
			m.ExtraMeta = json.RawMessage(`{"a":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `}`)
		},
		"extra no JSON": func(m *catalog.DigitalMetadata) { m.ExtraMeta = json.RawMessage(`{"a":}`) },
	} {
		m := avatar("x")
		wrong(&m)
		_, err := s.Catalog.CreateDigitalAsset(ctx, s.User.ID, s.Project.ID, m)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%s: %v", name, err)
	}
	deep := avatar("deep")
	deep.ExtraMeta = json.RawMessage(`{"a":` + strings.Repeat("[", 9997) + strings.Repeat("]", 9997) + `}`)
	made, err := s.Catalog.CreateDigitalAsset(ctx, s.User.ID, s.Project.ID, deep)
	require.NoError(t, err)
	require.Equal(t, deep.ExtraMeta, readDigital(t, s, made.ID).ExtraMeta)
	m := avatar("x")
	m.Tags, m.ExtraMeta = []string{strings.Repeat("ä", 128)}, json.RawMessage(" null ")
	made, err = s.Catalog.CreateDigitalAsset(ctx, s.User.ID, s.Project.ID, m)
	require.NoError(t, err)
	require.Nil(t, made.ExtraMeta)
}

func TestUpdateDigitalAsset(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		made := newDigital(t, s, "Anna")
		newDigital(t, s, "Bea")
		addFile(t, s, made.ID, "MAIN", "body")

		update := func(change func(*catalog.DigitalMetadata) error) (catalog.DigitalAsset, error) {
			return c.UpdateDigitalAsset(ctx, s.User.ID, s.Project.ID, made.ID, change)
		}
		before := readDigital(t, s, made.ID)
		same, err := update(func(m *catalog.DigitalMetadata) error {
			require.Equal(t, before.DigitalMetadata, *m)
			m.ExtraMeta = json.RawMessage(`{ "size":12345678901234567890, "a":{"b":[1]}}`) // equal but for its form
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, before, same)

		changed, err := update(func(m *catalog.DigitalMetadata) error {
			m.Name, m.Tags, m.Type, m.Order = "Clara", []string{"green"}, "SCENE", -1
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, before.VersionNumber+1, changed.VersionNumber)
		require.Equal(t, "Clara", changed.Name)
		require.Equal(t, catalog.DigitalActived, changed.State)
		require.Equal(t, before.Files, changed.Files)
		require.True(t, changed.UpdatedAt.After(before.UpdatedAt))
		require.NotEqual(t, before.Digest, changed.Digest)
		require.Equal(t, changed, readDigital(t, s, made.ID))
		newDigital(t, s, "Anna") // the name is free again
		require.Equal(t, []string{"asset.added", "file.added", "file.completed", "asset.changed"}, trail(t, c, made.ID))

		_, err = update(func(m *catalog.DigitalMetadata) error { m.Name = "Bea"; return nil })
		requireFault(t, err, fault.Conflict, "catalog.name_taken")
		_, err = update(func(m *catalog.DigitalMetadata) error { m.Name = ""; return nil })
		requireFault(t, err, fault.Invalid, "catalog.bad_name")
		refused := errors.New("refused")
		_, err = update(func(m *catalog.DigitalMetadata) error { m.Name = "Dora"; return refused })
		require.ErrorIs(t, err, refused)
		require.Equal(t, changed, readDigital(t, s, made.ID))

		none := func(*catalog.DigitalMetadata) error { return nil }
		_, err = c.UpdateDigitalAsset(ctx, s.User.ID, other.Project.ID, made.ID, none)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, made.ID))
		_, err = update(none)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
	})
}

func TestDigitalChangesAtOnceAllCount(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		made := newDigital(t, s, "Anna")
		const n = 8
		errs := make([]error, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				_, errs[i] = c.UpdateDigitalAsset(ctx, s.User.ID, s.Project.ID, made.ID, func(m *catalog.DigitalMetadata) error {
					m.SystemProperties = append(m.SystemProperties, fmt.Sprint(i))
					return nil
				})
			})
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
		after := readDigital(t, s, made.ID)
		require.Equal(t, 1+n, after.VersionNumber)
		require.Len(t, after.SystemProperties, 1+n)

		// Of several with one name, one is made.
		var won int
		var mutex sync.Mutex
		for range n {
			all.Go(func() {
				_, err := c.CreateDigitalAsset(ctx, s.User.ID, s.Project.ID, avatar("Bea"))
				mutex.Lock()
				defer mutex.Unlock()
				if err == nil {
					won++
				} else if fault.CodeOf(err) != "catalog.name_taken" {
					t.Errorf("unexpected: %v", err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, won)
	})
}

func TestListDigitalAssets(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		newDigital(t, other, "theirs")
		const n = 1000
		ids := make([]string, n)
		for i := range n {
			a, err := c.CreateDigitalAsset(ctx, s.User.ID, s.Project.ID, catalog.DigitalMetadata{
				Name: fmt.Sprintf("asset %04d %%_!", i), Type: []string{"SCENE", "VIDEO", "IMAGE"}[i%3], Order: int64(i * 7 % 10),
				Tags: []string{fmt.Sprint("tag", i%4), "all"},
			})
			require.NoError(t, err)
			ids[i] = a.ID
		}
		addFile(t, s, ids[10], "MAIN", "ten")
		newFile(t, s, ids[10], "COVER", "cover")
		addFile(t, s, ids[20], "MAIN", "twenty")
		require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, ids[30]))
		require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, ids[20]))

		list := func(f catalog.DigitalFilter) (found []string, total int) {
			f.ProjectID = s.Project.ID
			assets, total, err := c.ListDigitalAssets(ctx, f)
			require.NoError(t, err)
			for _, a := range assets {
				require.Equal(t, s.Project.ID, a.ProjectID)
				found = append(found, a.ID)
			}
			return found, total
		}
		// Every page once, in every order.
		for _, key := range []string{"", "create_time", "update_time", "asset_order"} {
			for _, descending := range []bool{false, true} {
				seen := make(map[string]bool, n)
				var before *catalog.DigitalAsset
				for offset := 0; offset < n; offset += 100 {
					assets, total, err := c.ListDigitalAssets(ctx, catalog.DigitalFilter{
						ProjectID: s.Project.ID, SortKey: key, Descending: descending, Limit: 100, Offset: offset,
					})
					require.NoError(t, err)
					require.Equal(t, n-2, total)
					for _, a := range assets {
						require.False(t, seen[a.ID])
						seen[a.ID] = true
						if before != nil {
							first, second := *before, a
							if descending {
								first, second = second, first
							}
							requireOrder(t, key, first, second)
						}
						before = &a
					}
				}
				require.Len(t, seen, n-2)
			}
		}
		page, total := list(catalog.DigitalFilter{})
		require.Equal(t, ids[:10], page)
		require.Equal(t, n-2, total)
		page, _ = list(catalog.DigitalFilter{Limit: 500})
		require.Len(t, page, 100)
		page, _ = list(catalog.DigitalFilter{Limit: 2, Offset: n - 3, SortKey: "create_time"})
		require.Equal(t, []string{ids[n-1]}, page)
		page, total = list(catalog.DigitalFilter{Offset: 5000})
		require.Empty(t, page)
		require.Equal(t, n-2, total)
		page, _ = list(catalog.DigitalFilter{SortKey: "update_time", Descending: true, Limit: 1})
		require.Equal(t, []string{ids[10]}, page)

		for name, f := range map[string]struct {
			filter catalog.DigitalFilter
			total  int
			first  string
		}{
			"name":          {catalog.DigitalFilter{Name: "ASSET 001"}, 10, ids[10]},
			"name literal":  {catalog.DigitalFilter{Name: "7 %_!"}, 100, ids[7]},
			"wildcard":      {catalog.DigitalFilter{Name: "a%t"}, 0, ""},
			"long name":     {catalog.DigitalFilter{Name: strings.Repeat("a", 2000)}, 0, ""},
			"tag":           {catalog.DigitalFilter{Tag: "tag3"}, 250, ids[3]},
			"part of a tag": {catalog.DigitalFilter{Tag: "tag"}, 0, ""},
			"type":          {catalog.DigitalFilter{Types: []string{"VIDEO"}}, 333, ids[1]},
			"types":         {catalog.DigitalFilter{Types: []string{"VIDEO", "SCENE"}}, 333 + 334 - 1, ids[0]},
			"actived":       {catalog.DigitalFilter{States: []catalog.DigitalState{catalog.DigitalActived}}, 1, ids[10]},
			"creating":      {catalog.DigitalFilter{States: []catalog.DigitalState{catalog.DigitalCreating}}, n - 3, ids[0]},
			"trash":         {catalog.DigitalFilter{States: []catalog.DigitalState{catalog.DigitalDeleting}}, 2, ids[20]},
			"any": {catalog.DigitalFilter{States: []catalog.DigitalState{
				catalog.DigitalDeleting, catalog.DigitalCreating, catalog.DigitalActived,
			}}, n, ids[0]},
			"trash and actived": {catalog.DigitalFilter{States: []catalog.DigitalState{catalog.DigitalDeleting, catalog.DigitalActived}}, 3, ids[10]},
			"deleted":           {catalog.DigitalFilter{States: []catalog.DigitalState{catalog.DigitalDeleted}}, 0, ""},
			"ids":               {catalog.DigitalFilter{IDs: []string{ids[999], ids[5], "nothing", ids[30]}}, 2, ids[5]},
			"everything":        {catalog.DigitalFilter{Name: "asset", Tag: "tag0", Types: []string{"IMAGE"}, IDs: ids[:12]}, 1, ids[8]},
		} {
			page, total := list(f.filter)
			require.Equal(t, f.total, total, name)
			if f.first != "" {
				require.Equal(t, f.first, page[0], name)
			} else {
				require.Empty(t, page, name)
			}
		}
		assets, _, err := c.ListDigitalAssets(ctx, catalog.DigitalFilter{ProjectID: s.Project.ID, IDs: []string{ids[10], ids[11]}})
		require.NoError(t, err)
		require.Equal(t, readDigital(t, s, ids[10]), assets[0])
		require.Len(t, assets[0].Files, 2)
		require.Empty(t, assets[1].Files)

		for _, bad := range []catalog.DigitalFilter{{SortKey: "name"}, {Name: "\xff"}, {Tag: "\x00"}, {Types: []string{"\x00"}}, {IDs: []string{"\x00"}}} {
			bad.ProjectID = s.Project.ID
			_, _, err = c.ListDigitalAssets(ctx, bad)
			requireFault(t, err, fault.Invalid, "catalog.bad_filter")
		}

		// What lists the assets of instances sees nothing of them.
		for _, instance := range []string{s.Instance.ID, ""} {
			living, _, err := c.ListAssets(ctx, catalog.AssetFilter{ProjectID: s.Project.ID, InstanceID: instance})
			require.NoError(t, err)
			require.Empty(t, living)
			trashed, _, err := c.ListTrash(ctx, catalog.AssetFilter{ProjectID: s.Project.ID, InstanceID: instance})
			require.NoError(t, err)
			require.Empty(t, trashed)
			_, err = c.Asset(ctx, s.Project.ID, instance, ids[10])
			requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
			_, err = c.RestoreAsset(ctx, s.Project.ID, instance, ids[20], s.User.ID)
			requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
			purged, err := c.PurgeAssets(ctx, s.Project.ID, instance, ids, s.User.ID)
			require.NoError(t, err)
			require.Zero(t, purged)
		}
		reasons, err := c.PlanDeletion(ctx, deletion(t, s, ids[:1], ids[1:2]))
		require.NoError(t, err)
		require.Len(t, reasons, 2)
		require.Equal(t, catalog.ReasonUnknownAsset, reasons[0].Code)
	})
}

func requireOrder(t *testing.T, key string, first, second catalog.DigitalAsset) {
	t.Helper()
	var ordered, equal bool
	switch key {
	case "update_time":
		ordered, equal = first.UpdatedAt.Before(second.UpdatedAt), first.UpdatedAt.Equal(second.UpdatedAt)
	case "asset_order":
		ordered, equal = first.Order < second.Order, first.Order == second.Order
	default:
		ordered, equal = first.CreatedAt.Before(second.CreatedAt), first.CreatedAt.Equal(second.CreatedAt)
	}
	require.True(t, ordered || equal && first.ID < second.ID, "%s: %+v before %+v", key, first, second)
}
