package command

import (
	"github.com/spf13/cobra"

	"assetflow/client"
)

func (a *app) auditCommand() *cobra.Command {
	return group("audit", "See who did what",
		`The audit trail of a project: every job, and every change that an administrator made. Nothing in it is ever changed or
removed. Reading it needs the role Admin.`,
		a.auditListCommand())
}

func (a *app) auditListCommand() *cobra.Command {
	var (
		flags  connectionFlags
		filter client.AuditFilter
		paging paging
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who did what in a project, newest first",
		Long:  "Lists the audit trail of the project. An entry without a user was made by the service itself or its command line.",
		Example: `  assetflow audit list
  assetflow audit list --action asset.purged
  assetflow audit list --resource 0194f7a0-cccc-7000-8000-00000000cccc -o json | jq '.entries[].details'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := paging.check(); err != nil {
				return err
			}
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			entries, next, err := collect(paging, func(limit int, cursor string) ([]client.AuditEntry, string, error) {
				filter.Limit, filter.Cursor = limit, cursor
				page, err := c.ListAudit(cmd.Context(), filter)
				return page.Entries, page.NextCursor, err
			})
			if err != nil {
				return conn.blame(err)
			}
			err = a.emit(client.AuditPage{Entries: entries, NextCursor: next}, func(s *sheet) { a.listAudit(s, entries) })
			a.noteMore(next)
			return err
		},
	}
	flags.add(cmd)
	paging.add(cmd)
	cmd.Flags().StringVar(&filter.ActorID, "user", "", "only what the user with this `id` did")
	cmd.Flags().StringVar(&filter.Action, "action", "", "only this `action`, such as job.started")
	cmd.Flags().StringVar(&filter.ResourceID, "resource", "", "only what was done to the job, asset, user or key with this `id`")
	return cmd
}

func (a *app) listAudit(s *sheet, entries []client.AuditEntry) {
	if len(entries) == 0 {
		a.note("No entries.")
		return
	}
	rows := make([][]string, 0, len(entries)+1)
	rows = append(rows, []string{"WHEN", "USER", "ACTION", "WHAT", "ID", "DETAILS"})
	for _, e := range entries {
		user := e.ActorName
		switch {
		case user == "" && e.ActorID == "":
			user = "-"
		case user == "":
			user = e.ActorID
		}
		rows = append(rows, []string{a.time(e.At), user, e.Action, e.ResourceKind, e.ResourceID, string(e.Details)})
	}
	s.table(rows)
}
