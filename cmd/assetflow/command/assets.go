package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/client"
)

const (
	kindApplication = "application"
	kindTask        = "task"
)

func (a *app) assetsCommand() *cobra.Command {
	cmd := group("assets", "List, show, change, copy, delete and restore assets",
		`Assets are the applications and tasks of an instance, which packages bring and take away, and the digital assets of a
project, such as videos and models, which have files of their own and can be copied from region to region. Each has
versions. An asset is named by its id or by its name.

list, show, versions, restore and delete are for applications and tasks, and with --digital for digital assets. create,
update, upload, download, remove-file, replication-info and copy are for digital assets. The command may be written
`+"`assetflow asset`"+` as well.`,
		a.assetsListCommand(), a.assetsShowCommand(), a.assetsVersionsCommand(), a.assetsRestoreCommand(), a.assetsDeleteCommand(),
		a.assetsCreateCommand(), a.assetsUpdateCommand(), a.assetsUploadCommand(), a.assetsDownloadCommand(),
		a.assetsRemoveFileCommand(), a.assetsReplicationInfoCommand(), a.assetsCopyCommand())
	cmd.Aliases = []string{"asset"}
	return cmd
}

func (a *app) assetsListCommand() *cobra.Command {
	var (
		flags   connectionFlags
		filter  client.AssetFilter
		paging  paging
		digital bool
		list    digitalList
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the assets of an instance, or the digital assets of a project",
		Long: `Lists the assets of an instance: applications first, then tasks, each by name. With --digital lists the digital assets
of the project, the oldest first, without those in the recycle bin unless --state names DELETING.`,
		Example: `  assetflow assets list
  assetflow assets list --kind task --contains order
  assetflow assets list --digital --type VIDEO,IMAGE --sort update_time --descending
  assetflow assets list --digital --state DELETING
  assetflow assets list --all -o json | jq -r '.assets[].name'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOfFlag("kind", filter.Kind, kindApplication, kindTask); err != nil {
				return err
			}
			if err := list.check(cmd, digital); err != nil {
				return err
			}
			if err := paging.check(); err != nil {
				return err
			}
			if digital {
				return a.listDigital(cmd.Context(), &flags, list, filter.NameContains, paging)
			}
			c, conn, err := a.connect(&flags, needProject|needInstance)
			if err != nil {
				return err
			}
			defer c.Close()
			assets, next, err := collect(paging, func(limit int, cursor string) ([]client.Asset, string, error) {
				filter.Limit, filter.Cursor = limit, cursor
				page, err := c.ListAssets(cmd.Context(), filter)
				return page.Assets, page.NextCursor, err
			})
			if err != nil {
				return conn.blame(err)
			}
			err = a.emit(client.AssetPage{Assets: assets, NextCursor: next}, func(s *sheet) { a.listAssets(s, assets) })
			a.noteMore(next)
			return err
		},
	}
	flags.add(cmd)
	paging.add(cmd)
	assetFilterFlags(cmd, &filter)
	cmd.Flags().BoolVar(&digital, "digital", false, digitalUsage)
	list.add(cmd)
	cmd.MarkFlagsMutuallyExclusive("digital", "kind")
	cmd.MarkFlagsMutuallyExclusive("digital", "name")
	return cmd
}

func assetFilterFlags(cmd *cobra.Command, filter *client.AssetFilter) {
	cmd.Flags().StringVar(&filter.Kind, "kind", "", "only this `kind`: application or task")
	cmd.Flags().StringVar(&filter.Name, "name", "", "only the asset of exactly this `name`")
	cmd.Flags().StringVar(&filter.NameContains, "contains", "", "only assets whose name contains this `text`")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions([]string{kindApplication, kindTask}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) listAssets(s *sheet, assets []client.Asset) {
	if len(assets) == 0 {
		a.note("No assets.")
		return
	}
	rows := make([][]string, 0, len(assets)+1)
	rows = append(rows, []string{"ASSET", "KIND", "NAME", "VERSION", "LABEL", "CHANGED"})
	for _, asset := range assets {
		rows = append(rows, []string{
			asset.ID, asset.Kind, asset.Name, fmt.Sprint(asset.VersionNumber), asset.VersionLabel, a.time(asset.UpdatedAt),
		})
	}
	s.table(rows)
}

func (a *app) assetsShowCommand() *cobra.Command {
	var (
		flags   connectionFlags
		version int
		digital bool
	)
	cmd := &cobra.Command{
		Use:   "show ASSET",
		Short: "Show an asset with its content",
		Long: `Shows an asset, by its id or name, with the content of its current version: its definition, what it uses, and its files.
With --version it shows an older version, with --digital a digital asset. For scripts, the files of a digital asset have
URLs, with which anybody can download them for 24 hours.`,
		Example: `  assetflow assets show 0194f7a0-dddd-7000-8000-00000000dddd
  assetflow assets show Shop --version 2
  assetflow assets show 0194f7a0-dddd-7000-8000-00000000dddd -o json | jq .definition
  assetflow assets show --digital Ava
  assetflow assets show --digital Ava --version 2`,
		Args: arguments("ASSET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := versionFlag(cmd, version); err != nil {
				return err
			}
			switch {
			case digital && version > 0:
				return a.showDigitalVersion(cmd.Context(), &flags, args[0], version)
			case digital:
				return a.showDigital(cmd.Context(), &flags, args[0])
			}
			c, conn, err := a.connect(&flags, needProject|needInstance)
			if err != nil {
				return err
			}
			defer c.Close()
			id, err := liveID(cmd.Context(), c, args[0])
			if err != nil {
				return conn.blame(err)
			}
			var asset client.AssetDetail
			if version > 0 {
				asset, err = c.AssetAt(cmd.Context(), id, version)
			} else {
				asset, err = c.Asset(cmd.Context(), id)
			}
			if err != nil {
				return conn.blame(err)
			}
			return a.emit(asset, func(s *sheet) { a.showAsset(s, asset) })
		},
	}
	flags.add(cmd)
	cmd.Flags().IntVar(&version, "version", 0, "show the version with this `number`")
	cmd.Flags().BoolVar(&digital, "digital", false, digitalUsage)
	return cmd
}

func (a *app) showAsset(s *sheet, asset client.AssetDetail) {
	used := make([]string, 0, len(asset.Applications))
	for _, app := range asset.Applications {
		used = append(used, app.Name)
	}
	version := fmt.Sprint(asset.VersionNumber)
	if asset.VersionLabel != "" {
		version += " (" + asset.VersionLabel + ")"
	}
	s.fields(
		[2]string{"Asset", asset.ID}, [2]string{"Kind", asset.Kind}, [2]string{"Name", asset.Name},
		[2]string{"Description", asset.Description}, [2]string{"Version", version},
		[2]string{"Id in its package", asset.SourceID}, [2]string{"Uses", strings.Join(used, ", ")},
		[2]string{"Created", a.time(asset.CreatedAt)}, [2]string{"Changed", a.time(asset.UpdatedAt)},
		[2]string{"By job", asset.JobID}, [2]string{"Digest", asset.Digest},
	)
	if len(asset.DataSources) > 0 {
		rows := make([][]string, 0, len(asset.DataSources)+1)
		rows = append(rows, []string{"DATA SOURCE", "TYPE", "DESCRIPTION"})
		for _, d := range asset.DataSources {
			rows = append(rows, []string{d.Name, d.Type, d.Description})
		}
		s.line("")
		s.table(rows)
	}
	if len(asset.Files) > 0 {
		rows := make([][]string, 0, len(asset.Files)+1)
		rows = append(rows, []string{"FILE", "SIZE", "SHA-256"})
		for _, f := range slices.SortedFunc(slices.Values(asset.Files), func(x, y client.File) int { return strings.Compare(x.Path, y.Path) }) {
			rows = append(rows, []string{f.Path, size(f.Size), f.SHA256})
		}
		s.line("")
		s.table(rows)
	}
	var definition bytes.Buffer
	if err := json.Indent(&definition, asset.Definition, "", "  "); err == nil {
		s.line("\nDefinition:\n%s", definition.String())
	}
}
