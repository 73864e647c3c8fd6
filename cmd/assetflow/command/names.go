package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/client"
)

var uuidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// liveID gives the id of the asset that text is the id or the name of. An id is not looked up.
func liveID(ctx context.Context, c *client.Client, text string) (string, error) {
	if uuidForm.MatchString(text) {
		return strings.ToLower(text), nil
	}
	asset, err := liveNamed(ctx, c, text, "")
	return asset.ID, err
}

// liveNamed finds the one asset of a name; kind may be empty.
func liveNamed(ctx context.Context, c *client.Client, name, kind string) (client.Asset, error) {
	page, err := c.ListAssets(ctx, client.AssetFilter{Name: name, Kind: kind, Limit: maxPage})
	if err != nil {
		return client.Asset{}, err
	}
	what := "asset"
	if kind != "" {
		what = kind
	}
	return theOne(page.Assets, fmt.Sprintf("the instance has no %s of the name %q", what, name), name, "assets list`, and digital assets with `assetflow assets list --digital")
}

// liveAsset finds the asset that text is the id or the name of, with its kind.
func liveAsset(ctx context.Context, c *client.Client, text string) (client.Asset, error) {
	if !uuidForm.MatchString(text) {
		return liveNamed(ctx, c, text, "")
	}
	detail, err := c.Asset(ctx, strings.ToLower(text))
	return detail.Asset, err
}

// trashedID gives the id of the deleted asset that text is the id or the name of.
func trashedID(ctx context.Context, c *client.Client, text string) (string, error) {
	if uuidForm.MatchString(text) {
		return strings.ToLower(text), nil
	}
	page, err := c.ListTrash(ctx, client.AssetFilter{Name: text, Limit: maxPage})
	if err != nil {
		return "", err
	}
	found := make([]client.Asset, len(page.Assets))
	for i, asset := range page.Assets {
		found[i] = asset.Asset
	}
	asset, err := theOne(found, fmt.Sprintf("there is nothing of the name %q in the trash", text), text, "trash list")
	return asset.ID, err
}

// theOne gives the only asset of those that have a name.
func theOne(found []client.Asset, none, name, list string) (client.Asset, error) {
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return client.Asset{}, &hintError{
			err: errors.New(none), code: ExitNotFound, hint: fmt.Sprintf("See what there is with `assetflow %s`.", list),
		}
	}
	lines := make([]string, len(found))
	for i, asset := range found {
		lines[i] = fmt.Sprintf("  %s  %s, version %d", asset.ID, asset.Kind, asset.VersionNumber)
	}
	return client.Asset{}, &usageError{
		text: fmt.Sprintf("%d assets have the name %q", len(found), name),
		hint: "Use the id of one:\n" + strings.Join(lines, "\n"),
	}
}

// versionFlag checks the number of a version, where it is given.
func versionFlag(cmd *cobra.Command, version int) error {
	if cmd.Flags().Changed("version") && version < 1 {
		return usagef("--version %d: versions are counted from 1", version)
	}
	return nil
}
