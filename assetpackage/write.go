package assetpackage

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"assetflow/fault"
)

// zipEpoch is the earliest date a zip archive can hold, 1980-01-01, in its own encoding. Every entry has it.
const zipEpoch = 1<<5 | 1

// Write writes a package: the manifest in canonical form, then the files in the order of their paths, each as open
// gives it. The same manifest and files give the same bytes on every machine and in every release: all entries are
// stored without compression, because the output of a compressor changes when it is improved; names, dates and modes
// are fixed; nothing depends on the order of m.
//
// A manifest that Open would refuse under DefaultLimits ends in a *ProblemsError before anything is written. A file
// that is not what the manifest says ends in a fault with the code "package.content_mismatch"; by then part of the
// archive is written, and the caller throws it away. Nothing is held in memory but the manifest and one buffer.
func Write(ctx context.Context, w io.Writer, m *Manifest, open func(ctx context.Context, path string) (io.ReadCloser, error)) error {
	m, err := m.Canonical()
	if err != nil {
		return err
	}
	manifest := encodeManifest(m)
	files, err := plan(m, manifest, DefaultLimits())
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	entry, err := CreateEntry(z, ManifestName)
	if err != nil {
		return err
	}
	if _, err := entry.Write(manifest); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	buffer := make([]byte, bufferBytes)
	for _, f := range files {
		if err := writeFile(ctx, z, f, open, buffer); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("write archive directory: %w", err)
	}
	return nil
}

// plan lists the files in the order of the archive and checks what Open would refuse of the archive as a whole.
func plan(m *Manifest, manifest []byte, limits Limits) ([]File, error) {
	var ps problems
	if size := int64(len(manifest)); size > limits.MaxManifestBytes {
		ps.add(asset{}, CodeTooLarge, "The manifest would be %s long; at most %s are allowed. Take fewer assets into one package.", bytesText(size), bytesText(limits.MaxManifestBytes))
	}
	var files []File
	locations := []location{{path: ManifestName}}
	var total, directory int64
	each(m, func(owner asset, f *File) {
		files = append(files, *f)
		locations = append(locations, location{path: f.Path})
		total += f.Size
		directory += headerLen + int64(len(f.Path)) + zip64FieldLen
		if f.Size > limits.MaxEntryBytes {
			ps.add(owner, CodeTooLarge, "The file %s is %s long; at most %s are allowed for one file.", quote(f.Path), bytesText(f.Size), bytesText(limits.MaxEntryBytes))
		}
	})
	if len(locations) > limits.MaxEntries {
		ps.add(asset{}, CodeTooManyEntries, "The package would have %d entries; at most %d are allowed. Take fewer assets into one package.", len(locations), limits.MaxEntries)
	}
	if directory > limits.MaxDirectoryBytes {
		ps.add(asset{}, CodeTooLarge, "The archive's directory would be %s long; at most %s are allowed. Take fewer assets into one package.", bytesText(directory), bytesText(limits.MaxDirectoryBytes))
	}
	if total > limits.MaxTotalBytes {
		ps.add(asset{}, CodeTooLarge, "The files of the package are %s long together; at most %s are allowed. Take fewer assets into one package.", bytesText(total), bytesText(limits.MaxTotalBytes))
	}
	checkCollisions(locations, func(code, message string) { ps.add(asset{}, code, "%s.", message) })
	sortFiles(files)
	return files, ps.err()
}

// zip64FieldLen is the room an entry of a large archive takes in the directory beyond header and name.
const zip64FieldLen = 28

// CreateEntry begins an entry of an archive that has the same bytes for the same content: not compressed, and without a
// time of its own.
func CreateEntry(z *zip.Writer, name string) (io.Writer, error) {
	h := &zip.FileHeader{Name: name, Method: zip.Store}
	h.SetMode(0o644)
	h.ModifiedDate = zipEpoch //nolint:staticcheck // with Modified the library adds an extra field
	w, err := z.CreateHeader(h)
	if err != nil {
		return nil, fmt.Errorf("write entry %s: %w", quote(name), err)
	}
	return w, nil
}

func writeFile(ctx context.Context, z *zip.Writer, f File, open func(context.Context, string) (io.ReadCloser, error), buffer []byte) error {
	r, err := open(ctx, f.Path)
	if err != nil {
		return fmt.Errorf("open %s: %w", quote(f.Path), err)
	}
	defer func() { _ = r.Close() }() // read only: a failed close loses nothing
	entry, err := CreateEntry(z, f.Path)
	if err != nil {
		return err
	}
	digest := sha256.New()
	var size int64
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := r.Read(buffer)
		size += int64(n)
		if size > f.Size {
			break
		}
		digest.Write(buffer[:n])
		if _, err := entry.Write(buffer[:n]); err != nil {
			return fmt.Errorf("write %s: %w", quote(f.Path), err)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", quote(f.Path), err)
		}
	}
	if size != f.Size || hex.EncodeToString(digest.Sum(nil)) != f.SHA256 {
		return fault.New(fault.Internal, "package.content_mismatch", "The content of %s is not what the manifest says.", quote(f.Path))
	}
	return nil
}
