package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"assetflow/client"
)

func (a *app) assetsVersionsCommand() *cobra.Command {
	var (
		flags   connectionFlags
		digital bool
	)
	cmd := &cobra.Command{
		Use:   "versions ASSET",
		Short: "List the versions of an asset, newest first",
		Long: `Lists all versions of an asset: who made them, when, and by which job. ` + "`assetflow assets show --version`" + ` shows the
content of one, ` + "`assetflow assets restore --version`" + ` brings it back. With --digital the versions of a digital asset.`,
		Example: `  assetflow assets versions Shop
  assetflow assets versions 0194f7a0-dddd-7000-8000-00000000dddd -o json | jq -r '.versions[].number'
  assetflow assets versions --digital Ava`,
		Args: arguments("ASSET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if digital {
				return a.digitalVersions(cmd.Context(), &flags, args[0])
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
			versions, err := c.ListVersions(cmd.Context(), id)
			if err != nil {
				return conn.blame(err)
			}
			return a.emit(map[string][]client.Version{"versions": versions}, func(s *sheet) { a.listVersions(s, versions) })
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&digital, "digital", false, digitalUsage)
	return cmd
}

func (a *app) listVersions(s *sheet, versions []client.Version) {
	rows := make([][]string, 0, len(versions)+1)
	rows = append(rows, []string{"VERSION", "LABEL", "MADE", "BY USER", "BY JOB", "DIGEST"})
	for _, v := range versions {
		rows = append(rows, []string{fmt.Sprint(v.Number), v.Label, a.time(v.CreatedAt), v.CreatedBy, v.JobID, v.Digest})
	}
	s.table(rows)
}

func (a *app) assetsRestoreCommand() *cobra.Command {
	var (
		flags   connectionFlags
		version int
		digital bool
	)
	cmd := &cobra.Command{
		Use:   "restore ASSET",
		Short: "Bring back an older version, or a deleted asset",
		Long: `With --version makes a new version of an asset with the content of an older one; where the content is equal already,
nothing changes. Without it brings a deleted asset back from the trash, as ` + "`assetflow trash restore`" + ` does. With --digital
does either with a digital asset, whose trash is its recycle bin.`,
		Example: `  assetflow assets restore Shop --version 2
  assetflow assets restore 0194f7a0-dddd-7000-8000-00000000dddd
  assetflow assets restore --digital Ava
  assetflow assets restore --digital Ava --version 1`,
		Args: arguments("ASSET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := versionFlag(cmd, version); err != nil {
				return err
			}
			switch {
			case digital && version > 0:
				return a.restoreDigitalVersion(cmd.Context(), &flags, args[0], version)
			case digital:
				return a.restoreDigital(cmd.Context(), &flags, args[0])
			}
			if version == 0 {
				return a.restoreAssets(cmd.Context(), &flags, args)
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
			asset, err := c.RestoreVersion(cmd.Context(), id, version)
			if err != nil {
				return conn.blame(err)
			}
			return a.emit(asset, func(s *sheet) {
				s.line("%s %s has the content of version %d; its current version is %d.", asset.Kind, asset.Name, version, asset.VersionNumber)
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().IntVar(&version, "version", 0, "bring back the version with this `number`")
	cmd.Flags().BoolVar(&digital, "digital", false, digitalUsage)
	return cmd
}
