package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"assetflow/client"
)

func (a *app) templateTrashCommand() *cobra.Command {
	var (
		flags connectionFlags
		page  paging
	)
	cmd := &cobra.Command{
		Use:   "trash",
		Short: "List deleted service templates",
		Long: `Lists the service templates that were deleted and can still be restored. After a time that the service sets they are
removed for good.`,
		Example: `  assetflow template trash
  assetflow template trash --all -o json | jq '.service_templates[].number'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := page.check(); err != nil {
				return err
			}
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			templates, next, err := collectCounted(page, func(limit, offset int) ([]client.TrashedTemplate, int, error) {
				list, err := c.ListTemplateTrash(cmd.Context(), limit, offset)
				return list.Templates, list.Count, err
			})
			if err != nil {
				return conn.blame(err)
			}
			err = a.emit(map[string]any{"service_templates": templates}, func(s *sheet) { a.listTemplateTrash(s, templates) })
			a.noteMore(next)
			return err
		},
	}
	flags.add(cmd)
	page.add(cmd)
	return cmd
}

func (a *app) listTemplateTrash(s *sheet, templates []client.TrashedTemplate) {
	if len(templates) == 0 {
		a.note("The trash is empty.")
		return
	}
	rows := make([][]string, 0, len(templates)+1)
	rows = append(rows, []string{"ID", "VENDOR", "NAME", "VERSION", "STATE", "DELETED", "REMOVED AFTER"})
	for _, t := range templates {
		deleted, purge := "", ""
		if t.DeletedAt != nil {
			deleted = a.time(*t.DeletedAt)
		}
		if t.PurgeAfter != nil {
			purge = a.time(*t.PurgeAfter)
		}
		rows = append(rows, []string{fmt.Sprint(t.ID), t.VendorID, t.KeyName, t.Version, t.ReleaseState, deleted, purge})
	}
	s.table(rows)
}

func (a *app) templateRestoreCommand() *cobra.Command {
	return a.templateCommandOf("restore", "Bring a deleted service template back",
		"Brings a service template back from the trash. It is refused while there is another one of its vendor, name and version.",
		func(ctx context.Context, c *client.Client, id int64) error {
			restored, err := c.RestoreTemplate(ctx, id)
			if err != nil {
				return err
			}
			return a.emit(restored, func(s *sheet) {
				s.line("Restored %s %s %s (%d).", restored.VendorID, restored.KeyName, restored.Version, restored.ID)
			})
		})
}

func (a *app) templatePurgeCommand() *cobra.Command {
	return a.templateCommandOf("purge", "Remove a deleted service template for good",
		"Removes a service template from the trash for good. This cannot be undone.",
		func(ctx context.Context, c *client.Client, id int64) error {
			if err := c.PurgeTemplate(ctx, id); err != nil {
				return err
			}
			return a.emit(map[string]int64{"purged": id}, func(s *sheet) { s.line("Removed %d for good.", id) })
		})
}
