package command

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/client"
)

// metadataFlags are what can be said of a digital asset.
type metadataFlags struct {
	name, kind, description, meta string
	tags                          []string
	order                         int64
}

func (f *metadataFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.kind, "type", "", "its `type`: "+strings.Join(client.AssetTypes, ", "))
	cmd.Flags().StringVar(&f.description, "description", "", "what it is, in at most 1024 characters")
	cmd.Flags().StringArrayVar(&f.tags, "tag", nil, "a `tag` of at most 128 characters; may be repeated, up to 50")
	cmd.Flags().StringVar(&f.meta, "meta", "", "extra metadata: a JSON `object`, or @ and the name of a file with one")
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(client.AssetTypes, cobra.ShellCompDirectiveNoFileComp))
}

// metadata gives what was said.
func (f *metadataFlags) metadata(cmd *cobra.Command) (client.DigitalMetadata, error) {
	var m client.DigitalMetadata
	said := cmd.Flags().Changed
	if said("name") {
		m.Name = &f.name
	}
	if said("type") {
		if err := oneOfFlag("type", f.kind, client.AssetTypes...); err != nil {
			return m, err
		}
		m.Type = &f.kind
	}
	if said("description") {
		m.Description = &f.description
	}
	if said("tag") {
		m.Tags = &f.tags
	}
	if said("order") {
		m.Order = &f.order
	}
	if said("meta") {
		content := []byte(f.meta)
		if file, ok := strings.CutPrefix(f.meta, "@"); ok {
			var err error
			if content, err = os.ReadFile(file); err != nil { //nolint:gosec // the user names it
				return m, fmt.Errorf("read the extra metadata: %w", err)
			}
		}
		if !isObject(content) {
			return m, usagef("--meta is no JSON object")
		}
		m.ExtraMeta = content
	}
	return m, nil
}

// isObject tells whether text is one JSON object.
func isObject(text []byte) bool {
	var object map[string]json.RawMessage
	return json.Unmarshal(text, &object) == nil && object != nil
}

func (a *app) assetsCreateCommand() *cobra.Command {
	var (
		flags connectionFlags
		meta  metadataFlags
	)
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a digital asset",
		Long: `Makes a digital asset without files in the project, whose other digital assets have other names. It is CREATING until
` + "`assetflow assets upload`" + ` has given it its main file.`,
		Example: `  assetflow assets create Ava --type HUMAN_MODEL --description "Presenter" --tag demo --tag 2026
  id=$(assetflow assets create Ava --type VIDEO --meta '{"fps": 25}' -o json | jq -r .asset_id)`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := meta.metadata(cmd)
			if err != nil {
				return err
			}
			if m.Type == nil || *m.Type == "" {
				return usagef("--type is needed: one of %s", strings.Join(client.AssetTypes, ", "))
			}
			m.Name = &args[0]
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			id, err := c.CreateDigitalAsset(cmd.Context(), m)
			if err != nil {
				return conn.blame(err)
			}
			return a.emit(map[string]string{"asset_id": id}, func(s *sheet) {
				if a.quiet {
					s.line("%s", id)
					return
				}
				s.line("Created %s. Give it its main file:  assetflow assets upload %s FILE", id, id)
			})
		},
	}
	flags.add(cmd)
	meta.add(cmd)
	return cmd
}

func (a *app) assetsUpdateCommand() *cobra.Command {
	var (
		flags  connectionFlags
		meta   metadataFlags
		noTags bool
	)
	cmd := &cobra.Command{
		Use:   "update ASSET",
		Short: "Change what is said of a digital asset",
		Long: `Changes what is said of a digital asset, named by its id or name. What is not given stays as it is; tags and extra
metadata are replaced as a whole.`,
		Example: `  assetflow assets update Ava --description "Presenter, evening" --tag demo
  assetflow assets update Ava --name "Ava 2" --no-tags --meta @ava.json`,
		Args: arguments("ASSET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := meta.metadata(cmd)
			if err != nil {
				return err
			}
			if noTags {
				m.Tags = &[]string{}
			}
			if m.Name == nil && m.Type == nil && m.Description == nil && m.Tags == nil && m.Order == nil && m.ExtraMeta == nil {
				return usagef("nothing is to be changed: say what, such as with --description")
			}
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			id, err := digitalID(cmd.Context(), c, args[0])
			if err != nil {
				return conn.blame(err)
			}
			asset, err := c.UpdateDigitalAsset(cmd.Context(), id, m)
			if err != nil {
				return conn.blame(err)
			}
			return a.emit(asset, func(s *sheet) {
				if !a.quiet {
					s.line("Changed %s (%s).", asset.Name, asset.ID)
				}
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&meta.name, "name", "", "its new `name`")
	meta.add(cmd)
	cmd.Flags().BoolVar(&noTags, "no-tags", false, "take all tags away")
	cmd.Flags().Int64Var(&meta.order, "order", 0, "its `place` where lists are sorted by asset_order")
	cmd.MarkFlagsMutuallyExclusive("tag", "no-tags")
	return cmd
}
