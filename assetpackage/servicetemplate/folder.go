package servicetemplate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"assetflow/assetpackage"
)

// Pack writes the folder dir as a template and returns its manifest. The folder is laid out as the archive will be:
// template.json, icon.png and the folder plugins. Files and folders whose names begin with a dot are left out; links
// are refused, and so is every other file.
//
// What is wrong with the content ends in an *assetpackage.ProblemsError; every other error is a failure to read or
// write. What Open finds beyond that, such as an icon of another size, shows when the result is opened.
func Pack(ctx context.Context, dir string, w io.Writer) (Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Manifest{}, fmt.Errorf("open template folder: %w", err)
	}
	defer func() { _ = root.Close() }() // read only: a failed close loses nothing
	m, paths, err := readFolder(root.FS(), filepath.Base(dir))
	if err != nil {
		return Manifest{}, err
	}
	return m, Write(ctx, w, m, paths, func(name string) (io.ReadCloser, error) { return root.Open(name) })
}

// ReadFolder returns the manifest of the template that Pack would make of a folder, with the errors of Pack.
func ReadFolder(dir string) (Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Manifest{}, fmt.Errorf("open template folder: %w", err)
	}
	defer func() { _ = root.Close() }() // read only: a failed close loses nothing
	m, _, err := readFolder(root.FS(), filepath.Base(dir))
	return m, err
}

func readFolder(root fs.FS, dir string) (Manifest, []string, error) {
	var ps problems
	file, err := root.Open(ManifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, nil, refuse(dir, CodeNotATemplate, "The folder has no template.json.")
	}
	if err != nil {
		return Manifest{}, nil, fmt.Errorf("open template.json: %w", err)
	}
	defer func() { _ = file.Close() }() // read only: a failed close loses nothing
	limits := DefaultLimits()
	data, err := io.ReadAll(io.LimitReader(file, limits.MaxManifestBytes+1))
	if err != nil {
		return Manifest{}, nil, fmt.Errorf("read template.json: %w", err)
	}
	if int64(len(data)) > limits.MaxManifestBytes {
		return Manifest{}, nil, refuse(dir, assetpackage.CodeTooLarge, "template.json is longer than the %d KiB that are allowed.", limits.MaxManifestBytes/kib)
	}
	m := decode(data, limits, dir, &ps)
	paths, err := walk(root, dir, &ps)
	if err != nil {
		return Manifest{}, nil, err
	}
	return m, paths, ps.err()
}

// walk lists the files of a folder beside template.json.
func walk(root fs.FS, dir string, ps *problems) ([]string, error) {
	var paths []string
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".", name == ManifestName && d.Type().IsRegular():
		case strings.HasPrefix(path.Base(name), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir():
		case !d.Type().IsRegular():
			ps.add(dir, assetpackage.CodeSpecialFile, "%s is a link or another special file; a template holds regular files only. Put in the file itself.", quote(name))
		case name != IconName && !strings.HasPrefix(name, PluginFolder+"/"):
			ps.add(dir, CodeUnknownFile, "The folder holds %s; beside template.json and icon.png, there are only files in the folder plugins. Take it out.", quote(name))
		default:
			paths = append(paths, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("walk template folder: %w", err)
	}
	return paths, nil
}

// Check reads the template or bundle in the file name completely, with the errors of Open. The templates it returns
// cannot be opened any more.
func Check(ctx context.Context, name string) ([]Template, error) {
	src, err := assetpackage.OpenFile(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = src.Close() }() // read only: a failed close loses nothing
	b, err := Open(ctx, filepath.Base(name), src, DefaultLimits(), nil)
	if err != nil {
		return nil, err
	}
	return b.Templates(), nil
}

// PackBundle writes a bundle of the templates that Pack makes of folders, with the errors of Pack.
func PackBundle(ctx context.Context, dirs []string, w io.Writer) error {
	files := make([]BundleFile, len(dirs))
	for i, dir := range dirs {
		m, err := ReadFolder(dir)
		if err != nil {
			return err
		}
		files[i] = BundleFile{Name: m.FileName(), Write: func(w io.Writer) error {
			_, err := Pack(ctx, dir, w)
			return err
		}}
	}
	return WriteBundle(ctx, w, files)
}
