package servicetemplate

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"assetflow/assetpackage"
)

// Write writes a template: template.json in its one form, then the files in the order of their paths, each as open
// gives it. The same manifest and files give the same bytes on every machine and in every release: entries are stored
// without compression, because the output of a compressor changes when it is improved; names, dates and modes are
// fixed.
//
// A manifest that Open would refuse ends in an *assetpackage.ProblemsError before anything is written. What Open would
// refuse of the files shows when the result is opened, which the caller does before using it.
func Write(ctx context.Context, w io.Writer, m Manifest, paths []string, open func(path string) (io.ReadCloser, error)) error {
	manifest, err := encode(m)
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	if err := writeEntry(ctx, z, ManifestName, bytes.NewReader(manifest)); err != nil {
		return err
	}
	for _, path := range slices.Sorted(slices.Values(paths)) {
		r, err := open(path)
		if err != nil {
			return fmt.Errorf("open %s: %w", quote(path), err)
		}
		err = writeEntry(ctx, z, path, r)
		_ = r.Close() // read only: a failed close loses nothing
		if err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write archive directory: %w", err)
	}
	return nil
}

// BundleFile is a .st file for a bundle.
type BundleFile struct {
	Name  string // such as SP_GenericApplication_01.20.00.st
	Write func(w io.Writer) error
}

// WriteBundle writes a bundle of .st files in the order of their names. Its bytes depend on nothing but names and
// content, as those of Write do.
func WriteBundle(ctx context.Context, w io.Writer, files []BundleFile) error {
	z := zip.NewWriter(w)
	sorted := slices.SortedStableFunc(slices.Values(files), func(a, b BundleFile) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range sorted {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		entry, err := assetpackage.CreateEntry(z, f.Name)
		if err != nil {
			return err
		}
		if err := f.Write(entry); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write archive directory: %w", err)
	}
	return nil
}

func writeEntry(ctx context.Context, z *zip.Writer, name string, r io.Reader) error {
	entry, err := assetpackage.CreateEntry(z, name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(entry, assetpackage.ContextReader(ctx, r)); err != nil {
		return fmt.Errorf("write %s: %w", quote(name), err)
	}
	return nil
}
