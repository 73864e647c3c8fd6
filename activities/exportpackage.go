package activities

import (
	"crypto/sha256"
	"encoding/hex"

	"assetflow/assetpackage"
	"assetflow/catalog"
)

// mixedVersion is the version of a package of assets that came in different versions.
const mixedVersion = "0.0.0"

// exportPackage is the package that an export writes. It depends on nothing but the assets' content, so the same
// content gives the same bytes.
type exportPackage struct {
	manifest  assetpackage.Manifest
	digests   map[string]string // SHA-256 by path
	bytes     int64
	relocated bool
}

func newExportPackage(content catalog.Export) *exportPackage {
	p := &exportPackage{manifest: assetpackage.Manifest{Format: assetpackage.Format, Version: content.VersionLabel}}
	if p.manifest.Version == "" {
		p.manifest.Version = mixedVersion
	}
	p.manifest.Applications = manifestAssets(content.Applications)
	p.manifest.Tasks = manifestAssets(content.Tasks)
	p.dropAmbiguousIDs()
	p.index()
	return p
}

func manifestAssets(details []catalog.AssetDetail) []assetpackage.Asset {
	assets := make([]assetpackage.Asset, len(details))
	for i, d := range details {
		assets[i] = assetpackage.Asset{ID: d.SourceID, Name: d.Name, Description: d.Description, Definition: d.Definition}
		for _, a := range d.Applications {
			assets[i].Applications = append(assets[i].Applications, a.Name)
		}
		for _, s := range d.DataSources {
			assets[i].DataSources = append(assets[i].DataSources, assetpackage.DataSource{
				Name: s.Name, Type: s.Type, Description: s.Description, Settings: s.Settings,
			})
		}
		for _, f := range d.Files {
			assets[i].Files = append(assets[i].Files, assetpackage.File(f))
		}
	}
	return assets
}

// each calls do with every asset of the package and the folder of its kind.
func (p *exportPackage) each(do func(kind string, a *assetpackage.Asset)) {
	for i := range p.manifest.Applications {
		do("applications", &p.manifest.Applications[i])
	}
	for i := range p.manifest.Tasks {
		do("tasks", &p.manifest.Tasks[i])
	}
}

// dropAmbiguousIDs leaves out the ids that assets of different packages share: an id means something only in the
// package it came in, and there it is unique.
func (p *exportPackage) dropAmbiguousIDs() {
	seen := make(map[string]int)
	p.each(func(_ string, a *assetpackage.Asset) { seen[a.ID]++ })
	p.each(func(_ string, a *assetpackage.Asset) {
		if seen[a.ID] > 1 {
			a.ID = ""
		}
	})
}

// relocate puts the files of every asset into a folder of its own, named by a digest of the asset's name: short, and
// the same in every export.
func (p *exportPackage) relocate() {
	p.relocated = true
	p.each(func(kind string, a *assetpackage.Asset) {
		sum := sha256.Sum256([]byte(a.Name))
		for i := range a.Files {
			a.Files[i].Path = kind + "/" + hex.EncodeToString(sum[:6]) + "/" + a.Files[i].Path
		}
	})
	p.index()
}

func (p *exportPackage) index() {
	p.digests, p.bytes = make(map[string]string), 0
	p.each(func(_ string, a *assetpackage.Asset) {
		for _, f := range a.Files {
			p.digests[f.Path] = f.SHA256
			p.bytes += f.Size
		}
	})
}

func (p *exportPackage) blobs() []catalog.Blob {
	_, blobs := blobsOf(&p.manifest)
	return blobs
}
