package command

import (
	"context"

	"github.com/spf13/cobra"

	"assetflow/client"
)

// maxSelected is how many assets one job takes.
const maxSelected = 100

func (a *app) assetsDeleteCommand() *cobra.Command {
	var (
		flags          connectionFlags
		opts           client.StartOptions
		wait           bool
		digital, force bool
	)
	cmd := &cobra.Command{
		Use:   "delete ASSET...",
		Short: "Delete assets into the trash or the recycle bin",
		Long: `Starts a job that deletes assets, named by their ids or names: all of them, or none where one cannot be. An application
that other tasks use can only be deleted together with them. Deleted assets are in the trash, from where
` + "`assetflow trash restore`" + ` brings them back.

With --digital deletes digital assets into their recycle bin at once and without a job, one after the other in the order
given. ` + "`assetflow assets restore --digital`" + ` brings them back. With --force as well they are removed for good, also from the
recycle bin.`,
		Example: `  assetflow assets delete Shop "Orders sync" --wait
  assetflow assets delete 0194f7a0-dddd-7000-8000-00000000dddd
  assetflow assets delete --digital Ava
  assetflow assets delete --digital --force Ava`,
		Args: someArguments("ASSET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkConflict(opts.OnConflict); err != nil {
				return err
			}
			if err := onlyDigital(cmd, digital, "force"); err != nil {
				return err
			}
			if digital {
				return a.deleteDigital(cmd.Context(), &flags, args, force)
			}
			if len(args) > maxSelected {
				return usagef("%d assets are named: one job takes at most %d", len(args), maxSelected)
			}
			c, conn, err := a.connect(&flags, needProject|needInstance)
			if err != nil {
				return err
			}
			defer c.Close()
			selection, err := selectLive(cmd.Context(), c, args)
			if err != nil {
				return conn.blame(err)
			}
			id, err := c.StartDeletion(cmd.Context(), selection, opts)
			if err != nil {
				return conn.blame(unknownStart(err, "deletion", opts.IdempotencyKey))
			}
			if id, err = client.CanonicalJobID(id); err != nil {
				return err
			}
			return conn.blame(a.started(cmd.Context(), c, id, wait))
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the job has ended")
	startFlags(cmd, &opts.IdempotencyKey, &opts.OnConflict)
	cmd.Flags().BoolVar(&digital, "digital", false, digitalUsage)
	cmd.Flags().BoolVar(&force, "force", false, "digital: remove for good")
	for _, other := range []string{"wait", "idempotency-key", "on-conflict"} {
		cmd.MarkFlagsMutuallyExclusive("digital", other)
	}
	return cmd
}

// selectLive finds assets of either kind.
func selectLive(ctx context.Context, c *client.Client, texts []string) (client.Selection, error) {
	var s client.Selection
	for _, text := range texts {
		asset, err := liveAsset(ctx, c, text)
		switch {
		case err != nil:
			return s, err
		case asset.Kind == kindApplication:
			s.Applications = append(s.Applications, asset.ID)
		default:
			s.Tasks = append(s.Tasks, asset.ID)
		}
	}
	return s, nil
}
