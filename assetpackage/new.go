package assetpackage

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"assetflow/fault"
)

//go:embed template
var templateFiles embed.FS

// New writes a small valid package into the folder dir, as a start for authors: one application and one task named
// after name, with a file each. It makes the folder where it does not exist; one that is not empty ends in a fault of
// kind Conflict with the code "package.folder_not_empty", a name that CheckName refuses in its fault.
func New(dir, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	task := name + " sync"
	if err := CheckName(task); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make package folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read package folder: %w", err)
	}
	if len(entries) > 0 {
		return fault.New(fault.Conflict, "package.folder_not_empty", "The folder %s is not empty; choose another one.", quote(dir))
	}
	// A name has no character that JSON escapes.
	fill := strings.NewReplacer("{{name}}", name, "{{task}}", task)
	root, err := fs.Sub(templateFiles, "template")
	if err != nil {
		return fmt.Errorf("read template: %w", err)
	}
	return fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		target := filepath.Join(dir, filepath.FromSlash(path))
		switch {
		case err != nil:
			return fmt.Errorf("read template: %w", err)
		case path == ".":
			return nil
		case d.IsDir():
			if err := os.Mkdir(target, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("write package folder: %w", err)
			}
			return nil
		}
		data, err := fs.ReadFile(root, path)
		if err != nil {
			return fmt.Errorf("read template: %w", err)
		}
		if err := os.WriteFile(target, []byte(fill.Replace(string(data))), 0o640); err != nil { //nolint:gosec // the author's own files
			return fmt.Errorf("write package folder: %w", err)
		}
		return nil
	})
}
