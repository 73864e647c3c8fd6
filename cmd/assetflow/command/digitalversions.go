package command

import (
	"context"
	"strconv"
	"strings"

	"assetflow/client"
)

// withDigital runs what works on the digital asset that text is the id or the name of.
func (a *app) withDigital(ctx context.Context, flags *connectionFlags, text string, run func(c *client.Client, id string) error) error {
	c, conn, err := a.connect(flags, needProject)
	if err != nil {
		return err
	}
	defer c.Close()
	id, err := digitalID(ctx, c, text)
	if err == nil {
		err = run(c, strings.ToLower(id))
	}
	return conn.blame(err)
}

// digitalVersions lists the versions of a digital asset.
func (a *app) digitalVersions(ctx context.Context, flags *connectionFlags, text string) error {
	return a.withDigital(ctx, flags, text, func(c *client.Client, id string) error {
		versions, err := c.ListDigitalVersions(ctx, id)
		if err != nil {
			return err
		}
		return a.emit(map[string][]client.Version{"versions": versions}, func(s *sheet) { a.listVersions(s, versions) })
	})
}

// showDigitalVersion shows a digital asset as it was in a version.
func (a *app) showDigitalVersion(ctx context.Context, flags *connectionFlags, text string, version int) error {
	return a.withDigital(ctx, flags, text, func(c *client.Client, id string) error {
		asset, err := c.DigitalAssetAt(ctx, id, version)
		if err != nil {
			return err
		}
		return a.emit(asset, func(s *sheet) { a.showDigitalAt(s, asset) })
	})
}

func (a *app) showDigitalAt(s *sheet, asset client.DigitalVersion) {
	s.fields(
		[2]string{"Asset", asset.ID}, [2]string{"Type", asset.Type}, [2]string{"Name", asset.Name},
		[2]string{"Version", strconv.Itoa(asset.VersionNumber)}, [2]string{"Description", asset.Description},
		[2]string{"Tags", strings.Join(asset.Tags, ", ")}, [2]string{"System properties", strings.Join(asset.SystemProperties, ", ")},
		[2]string{"Created", a.time(asset.CreatedAt)}, [2]string{"Made", a.time(asset.UpdatedAt)}, [2]string{"Digest", asset.Digest},
	)
	if len(asset.Files) > 0 {
		rows := make([][]string, 0, len(asset.Files)+1)
		rows = append(rows, []string{"FILE", "CATEGORY", "NAME", "TYPE", "SIZE", "SHA-256"})
		for _, f := range asset.Files {
			rows = append(rows, []string{f.ID, f.Category, f.Name, f.Type, size(f.Size), f.SHA256})
		}
		s.line("")
		s.table(rows)
	}
	showExtraMeta(s, asset.ExtraMeta)
}

// restoreDigitalVersion gives a digital asset the content of an older version.
func (a *app) restoreDigitalVersion(ctx context.Context, flags *connectionFlags, text string, version int) error {
	return a.withDigital(ctx, flags, text, func(c *client.Client, id string) error {
		asset, err := c.RestoreDigitalVersion(ctx, id, version)
		if err != nil {
			return err
		}
		return a.emit(asset, func(s *sheet) {
			s.line("%s (%s) has the content of version %d; its current version is %d.", asset.Name, asset.ID, version, asset.VersionNumber)
		})
	})
}
