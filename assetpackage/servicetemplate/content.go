package servicetemplate

import (
	"bytes"
	"fmt"
	"image/png"
	"io"
	"strings"

	"assetflow/assetpackage"
)

// content reads every file of a template. Problems are collected under the file's name; an error is a failure to read
// the source.
func (o *opener) content(file string, archive *assetpackage.Archive) (Manifest, error) {
	entries := archive.Entries()
	at := indexOf(archive, ManifestName)
	if at < 0 {
		o.ps.add(file, CodeNotATemplate, "%s", notATemplateText(archive))
		return Manifest{}, nil
	}
	var m Manifest
	for i, e := range entries {
		// Limits are for the upload as a whole: what this template takes, the next one does not have.
		o.limits.MaxEntries = max(o.limits.MaxEntries-1, 1)
		o.limits.MaxTotalBytes = max(o.limits.MaxTotalBytes-e.Size, 1)
		var data bytes.Buffer
		var into io.Writer = &data
		switch {
		case i == at && e.Size > o.limits.MaxManifestBytes:
			o.ps.add(file, assetpackage.CodeTooLarge, "template.json is %d KiB long; at most %d KiB are allowed.", e.Size/kib, o.limits.MaxManifestBytes/kib)
			continue
		case e.Name == IconName && e.Size > MaxIconBytes:
			o.ps.add(file, assetpackage.CodeTooLarge, "icon.png is %d KiB long; at most %d KiB are allowed.", e.Size/kib, MaxIconBytes/kib)
			continue
		case i == at, e.Name == IconName:
		case strings.HasPrefix(e.Name, PluginFolder+"/"):
			into = io.Discard
		default:
			o.ps.add(file, CodeUnknownFile, "The template holds %s; beside template.json and icon.png, there are only files in the folder plugins. Take it out.", quote(e.Name))
			continue
		}
		if err := o.read(archive, i, into); err != nil {
			if err := o.ps.take(file, err); err != nil {
				return m, err
			}
			continue
		}
		switch {
		case i == at:
			m = decode(data.Bytes(), o.limits, file, &o.ps)
		case e.Name == IconName:
			if flaw := iconFlaw(data.Bytes()); flaw != "" {
				o.ps.add(file, CodeBadIcon, "icon.png %s; an icon is a PNG image of %d by %d pixels.", flaw, IconSide, IconSide)
			}
		}
	}
	return m, nil
}

func (o *opener) read(archive *assetpackage.Archive, i int, into io.Writer) error {
	r, err := archive.OpenEntry(o.ctx, i)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // read only: a failed close loses nothing
	return o.copy(into, r)
}

// iconFlaw says what is wrong with an icon. Its size is looked at before anything is decoded: an image of a few bytes
// may say that it has billions of pixels.
func iconFlaw(data []byte) string {
	config, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return "is no PNG image"
	}
	if config.Width != IconSide || config.Height != IconSide {
		return fmt.Sprintf("has %d by %d pixels", config.Width, config.Height)
	}
	if _, err := png.Decode(bytes.NewReader(data)); err != nil {
		return "is a damaged PNG image"
	}
	return ""
}
