package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"assetflow/client"
)

func (a *app) trashCommand() *cobra.Command {
	return group("trash", "List, restore and purge deleted assets",
		`Deleted assets stay in the trash of their instance for as long as the service is set to keep them, and can be brought
back with all their versions. An asset is named by its id or by its name.`,
		a.trashListCommand(), a.trashRestoreCommand(), a.trashPurgeCommand())
}

func (a *app) trashListCommand() *cobra.Command {
	var (
		flags  connectionFlags
		filter client.AssetFilter
		paging paging
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List deleted assets, the last deleted first",
		Long:  "Lists what is in the trash of an instance: when it was deleted, by whom, and when it is removed for good.",
		Example: `  assetflow trash list
  assetflow trash list --kind task -o json | jq -r '.assets[].id'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOfFlag("kind", filter.Kind, kindApplication, kindTask); err != nil {
				return err
			}
			if err := paging.check(); err != nil {
				return err
			}
			c, conn, err := a.connect(&flags, needProject|needInstance)
			if err != nil {
				return err
			}
			defer c.Close()
			assets, next, err := collect(paging, func(limit int, cursor string) ([]client.TrashedAsset, string, error) {
				filter.Limit, filter.Cursor = limit, cursor
				page, err := c.ListTrash(cmd.Context(), filter)
				return page.Assets, page.NextCursor, err
			})
			if err != nil {
				return conn.blame(err)
			}
			err = a.emit(client.TrashPage{Assets: assets, NextCursor: next}, func(s *sheet) { a.listTrash(s, assets) })
			a.noteMore(next)
			return err
		},
	}
	flags.add(cmd)
	paging.add(cmd)
	assetFilterFlags(cmd, &filter)
	return cmd
}

func (a *app) listTrash(s *sheet, assets []client.TrashedAsset) {
	if len(assets) == 0 {
		a.note("The trash is empty.")
		return
	}
	rows := make([][]string, 0, len(assets)+1)
	rows = append(rows, []string{"ASSET", "KIND", "NAME", "DELETED", "BY USER", "REMOVED AFTER"})
	for _, asset := range assets {
		removed := "never"
		if asset.PurgeAfter != nil {
			removed = a.time(*asset.PurgeAfter)
		}
		rows = append(rows, []string{asset.ID, asset.Kind, asset.Name, a.time(asset.DeletedAt), asset.DeletedBy, removed})
	}
	s.table(rows)
}

func (a *app) trashRestoreCommand() *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "restore ASSET...",
		Short: "Bring deleted assets back",
		Long: `Brings deleted assets back with all their versions, one after the other in the order given: name applications before the
tasks that use them. An asset cannot come back while another one has its name.`,
		Example: `  assetflow trash restore Shop "Orders sync"`,
		Args:    someArguments("ASSET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.restoreAssets(cmd.Context(), &flags, args)
		},
	}
	flags.add(cmd)
	return cmd
}

// restoreAssets brings deleted assets back in the order they are named, up to the first that cannot be.
func (a *app) restoreAssets(ctx context.Context, flags *connectionFlags, texts []string) error {
	restored := []client.Asset{}
	return a.eachTrashed(ctx, flags, texts, func(c *client.Client, id string) error {
		asset, err := c.RestoreAsset(ctx, id)
		if err == nil {
			restored = append(restored, asset)
		}
		return err
	}, func() error {
		return a.emit(map[string][]client.Asset{"assets": restored}, func(s *sheet) {
			for _, asset := range restored {
				s.line("Restored %s %s (%s).", asset.Kind, asset.Name, asset.ID)
			}
		})
	})
}

func (a *app) trashPurgeCommand() *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "purge ASSET...",
		Short: "Remove deleted assets for good",
		Long: `Removes deleted assets with all their versions, one after the other in the order given: name tasks before the
applications that they use. This cannot be undone.`,
		Example: `  assetflow trash purge "Orders sync" Shop`,
		Args:    someArguments("ASSET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			purged := []string{}
			return a.eachTrashed(cmd.Context(), &flags, args, func(c *client.Client, id string) error {
				err := c.PurgeAsset(cmd.Context(), id)
				if err == nil {
					purged = append(purged, id)
				}
				return err
			}, func() error {
				return a.emit(map[string][]string{"purged": purged}, func(s *sheet) {
					for _, id := range purged {
						s.line("Removed %s for good.", id)
					}
				})
			})
		},
	}
	flags.add(cmd)
	return cmd
}

// eachTrashed does something to each of the named deleted assets, up to the first where it fails. done shows what was
// done: also when only some of it was, for that is not undone.
func (a *app) eachTrashed(ctx context.Context, flags *connectionFlags, texts []string,
	do func(c *client.Client, id string) error, done func() error,
) error {
	c, conn, err := a.connect(flags, needProject|needInstance)
	if err != nil {
		return err
	}
	defer c.Close()
	ids := make([]string, len(texts)) // a name that is wrong is found before anything is done
	for i, text := range texts {
		if ids[i], err = trashedID(ctx, c, text); err != nil {
			return conn.blame(err)
		}
	}
	for i, id := range ids {
		if err := do(c, id); err != nil {
			if i > 0 {
				err = errors.Join(err, done())
			}
			return conn.blame(err)
		}
	}
	return done()
}
