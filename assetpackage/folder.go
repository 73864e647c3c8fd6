package assetpackage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Pack writes the folder dir as a package and returns its manifest in canonical form. The folder is laid out as the
// archive will be: manifest.json, and the files under the paths it lists. The manifest may leave out the sha256 and
// size of a file; given ones must be right. Files and folders whose names begin with a dot are left out unless they
// are listed; every other file must be listed. Links are refused.
//
// What is wrong with the content ends in a *ProblemsError; every other error is a failure to read or write.
func Pack(ctx context.Context, dir string, w io.Writer) (*Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open package folder: %w", err)
	}
	defer func() { _ = root.Close() }() // read only: a failed close loses nothing
	f := folder{root: root.FS(), limits: DefaultLimits()}
	m, err := f.manifest(ctx)
	if err != nil {
		return nil, err
	}
	if err := Write(ctx, w, m, f.open); err != nil {
		return nil, err
	}
	return m.Canonical()
}

// folder is a package that is not packed yet.
type folder struct {
	root   fs.FS
	limits Limits
	ps     problems
}

func (f *folder) open(_ context.Context, name string) (io.ReadCloser, error) {
	return f.root.Open(name)
}

// manifest reads the manifest and completes it from the files.
func (f *folder) manifest(ctx context.Context) (*Manifest, error) {
	data, err := f.readManifest()
	if err != nil {
		return nil, err
	}
	m, complete := decodeManifest(data, f.limits, folderSchemas(), &f.ps)
	present, err := f.walk(ownersOf(m), complete)
	if err != nil {
		return nil, err
	}
	if m != nil {
		if err := f.complete(ctx, m, present); err != nil {
			return nil, err
		}
	}
	return m, f.ps.err()
}

func (f *folder) readManifest() ([]byte, error) {
	file, err := f.root.Open(ManifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(CodeNoManifest, "The folder has no manifest.json.")
	}
	if err != nil {
		return nil, fmt.Errorf("open manifest: %w", err)
	}
	defer func() { _ = file.Close() }() // read only: a failed close loses nothing
	data, err := io.ReadAll(io.LimitReader(file, f.limits.MaxManifestBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if int64(len(data)) > f.limits.MaxManifestBytes {
		return nil, refuse(CodeTooLarge, "manifest.json is longer than the %s that are allowed. Move bulk data from the definitions into files.", bytesText(f.limits.MaxManifestBytes))
	}
	return data, nil
}

// walk finds the regular files of the folder, and reports what does not belong into a package.
func (f *folder) walk(owners map[string]asset, complete bool) (present map[string]bool, err error) {
	present = make(map[string]bool)
	err = fs.WalkDir(f.root, ".", func(name string, d fs.DirEntry, err error) error {
		owner, listed := owners[name]
		switch {
		case err != nil:
			return err
		case name == ".", name == ManifestName:
		case d.IsDir():
			if hidden(name) && !listedBelow(owners, name) {
				return fs.SkipDir
			}
		case hidden(name) && !listed:
		case !d.Type().IsRegular():
			f.ps.add(owner, CodeSpecialFile, "%s is a link or another special file; a package holds regular files only. Put in the file itself.", quote(name))
		case !listed && complete && !hiddenAnywhere(name):
			f.ps.add(asset{}, CodeUnlistedFile, "The folder holds %s, which no asset lists. List it under an asset's files, or take it out.", quote(name))
		default:
			present[name] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("walk package folder: %w", err)
	}
	return present, nil
}

func hidden(name string) bool { return strings.HasPrefix(path.Base(name), ".") }

func hiddenAnywhere(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

func listedBelow(owners map[string]asset, dir string) bool {
	for name := range owners {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

// complete fills in sizes and digests, and compares those that are given.
func (f *folder) complete(ctx context.Context, m *Manifest, present map[string]bool) (err error) {
	each(m, func(owner asset, file *File) {
		switch {
		case err != nil, pathFlaw(file.Path) != "":
		case !present[file.Path]:
			if !f.isSpecial(file.Path) {
				f.ps.add(owner, CodeMissingFile, "The file %s is listed, but is not in the folder. Add it, or take it off the list.", quote(file.Path))
			}
		default:
			err = f.measure(ctx, owner, file)
		}
	})
	return err
}

// isSpecial reports whether the walk has reported the path as no regular file.
func (f *folder) isSpecial(name string) bool {
	info, err := fs.Lstat(f.root, name)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

func (f *folder) measure(ctx context.Context, owner asset, file *File) error {
	r, err := f.root.Open(file.Path)
	if err != nil {
		return fmt.Errorf("open %s: %w", quote(file.Path), err)
	}
	defer func() { _ = r.Close() }() // read only: a failed close loses nothing
	digest := sha256.New()
	size, err := io.Copy(digest, contextReader{ctx, r})
	if err != nil {
		return fmt.Errorf("read %s: %w", quote(file.Path), err)
	}
	sum := hex.EncodeToString(digest.Sum(nil))
	if file.Size != sizeUnknown && file.Size != size {
		f.ps.add(owner, CodeSizeMismatch, "The file %s is %d bytes long, but the manifest says %d. Correct the size, or leave it out of the folder's manifest.", quote(file.Path), size, file.Size)
	}
	if file.SHA256 != "" && file.SHA256 != sum {
		f.ps.add(owner, CodeDigestMismatch, "The SHA-256 of the file %s is %s, but the manifest says %s. Correct it, or leave it out of the folder's manifest.", quote(file.Path), sum, file.SHA256)
	}
	file.Size, file.SHA256 = size, sum
	return nil
}

// ContextReader reads from r until ctx ends, and then gives its cause.
func ContextReader(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context //nolint:containedctx // lives as long as one copy
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.r.Read(p)
}

// Check checks the package at path completely: a file by Open and Verify, a folder by packing it to nowhere. A package
// that is not valid ends in a *ProblemsError. The limits apply to a file; a folder is packed under DefaultLimits.
func Check(ctx context.Context, path string, limits Limits) (Summary, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Summary{}, fmt.Errorf("check package: %w", err)
	}
	if info.IsDir() {
		m, err := Pack(ctx, path, io.Discard)
		if err != nil {
			return Summary{}, err
		}
		return summaryOf(m), nil
	}
	src, err := OpenFile(path)
	if err != nil {
		return Summary{}, err
	}
	defer func() { _ = src.Close() }() // read only: a failed close loses nothing
	p, err := Open(ctx, src, limits)
	if err != nil {
		return Summary{}, err
	}
	return p.Summary(), p.Verify(ctx, nil)
}
