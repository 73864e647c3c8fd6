package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/client"
)

// maxDigitalPage is the largest page of digital assets that the service gives.
const maxDigitalPage = 100

const digitalUsage = "digital assets of the project, instead of applications and tasks of an instance"

// digitalList are the flags of a list that are for digital assets only.
type digitalList struct {
	tag           string
	types, states []string
	sortKey       string
	descending    bool
}

func (l *digitalList) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.tag, "tag", "", "digital: only assets with this `tag`")
	cmd.Flags().StringSliceVar(&l.types, "type", nil, "digital: only these `types`, such as VIDEO,IMAGE")
	cmd.Flags().StringSliceVar(&l.states, "state", nil, "digital: only these `states`, such as ACTIVED; DELETING are those in the recycle bin")
	cmd.Flags().StringVar(&l.sortKey, "sort", "", "digital: by create_time (the default), update_time or asset_order")
	cmd.Flags().BoolVar(&l.descending, "descending", false, "digital: the last first")
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(client.AssetTypes, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(client.AssetStates, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(sortKeys, cobra.ShellCompDirectiveNoFileComp))
}

var sortKeys = []string{"create_time", "update_time", "asset_order"}

// onlyDigital refuses flags that say nothing of applications and tasks.
func onlyDigital(cmd *cobra.Command, digital bool, names ...string) error {
	for _, name := range names {
		if !digital && cmd.Flags().Changed(name) {
			return usagef("--%s is for digital assets: use it with --digital", name)
		}
	}
	return nil
}

func (l *digitalList) check(cmd *cobra.Command, digital bool) error {
	if err := onlyDigital(cmd, digital, "tag", "type", "state", "sort", "descending"); err != nil {
		return err
	}
	for _, kind := range l.types {
		if err := oneOfFlag("type", kind, client.AssetTypes...); err != nil {
			return err
		}
	}
	for _, state := range l.states {
		if err := oneOfFlag("state", state, client.AssetStates...); err != nil {
			return err
		}
	}
	return oneOfFlag("sort", l.sortKey, sortKeys...)
}

// listDigital lists digital assets.
func (a *app) listDigital(ctx context.Context, flags *connectionFlags, l digitalList, contains string, paging paging) error {
	c, conn, err := a.connect(flags, needProject)
	if err != nil {
		return err
	}
	defer c.Close()
	filter := client.DigitalFilter{
		Name: contains, Tag: l.tag, Types: l.types, States: l.states, SortKey: l.sortKey, Descending: l.descending,
	}
	total := 0
	assets, next, err := collect(paging, func(limit int, cursor string) ([]client.DigitalAsset, string, error) {
		page, next, err := digitalPage(ctx, c, filter, limit, cursor)
		total = page.Count
		return page.Assets, next, err
	})
	if err != nil {
		return conn.blame(err)
	}
	err = a.emit(client.DigitalPage{Count: total, Assets: assets}, func(s *sheet) { a.listDigitalAssets(s, assets) })
	a.noteMore(next)
	return err
}

// digitalPage gives one page, with an offset as its cursor. next is empty where there is no more.
func digitalPage(ctx context.Context, c *client.Client, filter client.DigitalFilter, limit int, cursor string) (client.DigitalPage, string, error) {
	filter.Limit = min(limit, maxDigitalPage)
	filter.Offset = offsetOf(cursor)
	page, err := c.ListDigitalAssets(ctx, filter)
	return page, nextOffset(filter.Offset, len(page.Assets), page.Count), err
}

func (a *app) listDigitalAssets(s *sheet, assets []client.DigitalAsset) {
	if len(assets) == 0 {
		a.note("No digital assets.")
		return
	}
	rows := make([][]string, 0, len(assets)+1)
	rows = append(rows, []string{"ASSET", "TYPE", "NAME", "STATE", "FILES", "SIZE", "CHANGED"})
	for _, asset := range assets {
		files, bytes := 0, int64(0)
		for _, f := range asset.Files {
			if f.State == client.FileCreated {
				files++
				bytes += f.Size
			}
		}
		rows = append(rows, []string{
			asset.ID, asset.Type, asset.Name, asset.State, strconv.Itoa(files), size(bytes), a.time(asset.UpdatedAt),
		})
	}
	s.table(rows)
}

// showDigital shows a digital asset.
func (a *app) showDigital(ctx context.Context, flags *connectionFlags, text string) error {
	c, conn, err := a.connect(flags, needProject)
	if err != nil {
		return err
	}
	defer c.Close()
	asset, err := digitalNamed(ctx, c, text)
	if err != nil {
		return conn.blame(err)
	}
	return a.emit(asset, func(s *sheet) { a.showDigitalAsset(s, asset) })
}

func (a *app) showDigitalAsset(s *sheet, asset client.DigitalAsset) {
	properties := make([]string, len(asset.SystemProperties))
	for i, p := range asset.SystemProperties {
		properties[i] = string(p)
	}
	order := ""
	if asset.Order != 0 {
		order = strconv.FormatInt(asset.Order, 10)
	}
	s.fields(
		[2]string{"Asset", asset.ID}, [2]string{"Type", asset.Type}, [2]string{"Name", asset.Name},
		[2]string{"State", asset.State}, [2]string{"Reason", asset.Reason}, [2]string{"Description", asset.Description},
		[2]string{"Tags", strings.Join(asset.Tags, ", ")}, [2]string{"System properties", strings.Join(properties, ", ")},
		[2]string{"Order", order}, [2]string{"App user", asset.AppUserID},
		[2]string{"Created", a.time(asset.CreatedAt)}, [2]string{"Changed", a.time(asset.UpdatedAt)},
	)
	if len(asset.Files) > 0 {
		rows := make([][]string, 0, len(asset.Files)+1)
		rows = append(rows, []string{"FILE", "CATEGORY", "NAME", "TYPE", "SIZE", "STATE", "MD5"})
		for _, f := range asset.Files {
			rows = append(rows, []string{f.ID, f.Category, f.Name, f.Type, size(f.Size), f.State, f.MD5})
		}
		s.line("")
		s.table(rows)
	}
	showExtraMeta(s, asset.ExtraMeta)
}

func showExtraMeta(s *sheet, meta json.RawMessage) {
	var text bytes.Buffer
	if err := json.Indent(&text, meta, "", "  "); err == nil && text.String() != "{}" {
		s.line("\nExtra metadata:\n%s", text.String())
	}
}

// deleteDigital moves digital assets to the recycle bin, or removes them for good, one after the other.
func (a *app) deleteDigital(ctx context.Context, flags *connectionFlags, texts []string, force bool) error {
	states := []string(nil)
	if force {
		states = client.AssetStates // the recycle bin, too
	}
	return a.eachDigital(ctx, flags, texts, states, "deleted", func(c *client.Client, id string) error {
		if force {
			return c.PurgeDigitalAsset(ctx, id)
		}
		return c.DeleteDigitalAsset(ctx, id)
	}, func(id string) string {
		if force {
			return fmt.Sprintf("Removed %s for good.", id)
		}
		return fmt.Sprintf("Deleted %s. Get it back with `assetflow assets restore --digital %s`.", id, id)
	})
}

// restoreDigital brings a digital asset back from the recycle bin.
func (a *app) restoreDigital(ctx context.Context, flags *connectionFlags, text string) error {
	return a.eachDigital(ctx, flags, []string{text}, []string{client.AssetDeleting}, "restored", func(c *client.Client, id string) error {
		return c.RestoreDigitalAsset(ctx, id)
	}, func(id string) string { return fmt.Sprintf("Restored %s.", id) })
}

// eachDigital does something to each of the named assets, up to the first where it fails, and shows what was done: also when
// only some of it was. verb names the list of ids for scripts, done says it for people.
func (a *app) eachDigital(ctx context.Context, flags *connectionFlags, texts, states []string, verb string,
	do func(c *client.Client, id string) error, done func(id string) string,
) error {
	c, conn, err := a.connect(flags, needProject)
	if err != nil {
		return err
	}
	defer c.Close()
	ids := make([]string, len(texts)) // a name that is wrong is found before anything is done
	for i, text := range texts {
		if ids[i], err = digitalID(ctx, c, text, states...); err != nil {
			return conn.blame(err)
		}
	}
	n := 0
	for n < len(ids) && err == nil {
		if err = do(c, ids[n]); err == nil {
			n++
		}
	}
	if err == nil || n > 0 {
		err = errors.Join(err, a.emit(map[string][]string{verb: ids[:n]}, func(s *sheet) {
			for _, id := range ids[:n] {
				s.line("%s", done(id))
			}
		}))
	}
	return conn.blame(err)
}

var digitalForm = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)

// digitalID gives the id of the digital asset that text is the id or the name of. An id is not looked up. A name is looked for
// among assets in the given states; where none is given, among those that are not in the recycle bin.
func digitalID(ctx context.Context, c *client.Client, text string, states ...string) (string, error) {
	if uuidForm.MatchString(text) || digitalForm.MatchString(text) {
		return text, nil
	}
	var found []client.DigitalAsset
	for cursor := ""; ; {
		page, next, err := digitalPage(ctx, c, client.DigitalFilter{Name: text, States: states}, maxDigitalPage, cursor)
		if err != nil {
			return "", err
		}
		for _, asset := range page.Assets {
			if asset.Name == text || asset.ID == text {
				found = append(found, asset)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	switch len(found) {
	case 1:
		return found[0].ID, nil
	case 0:
		// The id of a copy is the source's, which need not look like one of ours.
		page, err := c.ListDigitalAssets(ctx, client.DigitalFilter{IDs: []string{text}, States: states})
		if err == nil && len(page.Assets) == 1 {
			return page.Assets[0].ID, nil
		}
		return "", &hintError{
			err: fmt.Errorf("the project has no digital asset of the name %q", text), code: ExitNotFound,
			hint: "See what there is with `assetflow assets list --digital`, and in the recycle bin with --state DELETING.",
		}
	}
	lines := make([]string, len(found))
	for i, asset := range found {
		lines[i] = fmt.Sprintf("  %s  %s, %s", asset.ID, asset.Type, asset.State)
	}
	return "", &usageError{
		text: fmt.Sprintf("%d digital assets have the name %q", len(found), text),
		hint: "Use the id of one:\n" + strings.Join(lines, "\n"),
	}
}

// digitalNamed gives the digital asset that text is the id or the name of.
func digitalNamed(ctx context.Context, c *client.Client, text string) (client.DigitalAsset, error) {
	id, err := digitalID(ctx, c, text)
	if err != nil {
		return client.DigitalAsset{}, err
	}
	return c.DigitalAsset(ctx, id)
}
