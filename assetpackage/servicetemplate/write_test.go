package servicetemplate_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
	"assetflow/assetpackage/servicetemplate"
)

func entry(name, data string) packagetest.Entry {
	return packagetest.Entry{Name: name, Data: []byte(data)}
}

func bundleOf(entries ...packagetest.Entry) []byte {
	return packagetest.Archive{Entries: entries}.Bytes()
}

// The digest of what is written stays for ever: a template that is packed again tomorrow must be the same release.
func TestWriteIsStable(t *testing.T) {
	t.Parallel()
	m, err := servicetemplate.Decode([]byte(full))
	require.NoError(t, err)
	content := map[string]string{"plugins/b": "bb", "plugins/a": "a", "icon.png": string("icon")}
	opener := func(path string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content[path])), nil }
	var one, two bytes.Buffer
	require.NoError(t, servicetemplate.Write(t.Context(), &one, m, []string{"plugins/b", "icon.png", "plugins/a"}, opener))
	require.NoError(t, servicetemplate.Write(t.Context(), &two, m, []string{"plugins/a", "plugins/b", "icon.png"}, opener))
	require.Equal(t, one.Bytes(), two.Bytes())
	require.Equal(t, "e0b225fa6d809fcfa5d888bb743d181ec1d230d4d41a9cc6635f5ad189e2843f", digest(one.Bytes()))
	z, err := zip.NewReader(bytes.NewReader(one.Bytes()), int64(one.Len()))
	require.NoError(t, err)
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	require.Equal(t, []string{"template.json", "icon.png", "plugins/a", "plugins/b"}, names)
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := servicetemplate.Write(t.Context(), &out, servicetemplate.Manifest{KeyName: "a", VendorID: "v", Version: "1"}, nil, nil)
	require.Equal(t, servicetemplate.CodeBadVersion, problemsOf(t, err)[0].Code)
	require.Empty(t, out.Bytes())
	m := servicetemplate.Manifest{KeyName: "a", VendorID: "v", Version: "01.00.00"}
	err = servicetemplate.Write(t.Context(), io.Discard, m, []string{"plugins/a"}, func(string) (io.ReadCloser, error) { return nil, fs.ErrNotExist })
	require.ErrorIs(t, err, fs.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, servicetemplate.Write(ctx, io.Discard, m, nil, nil), context.Canceled)
	require.ErrorIs(t, servicetemplate.WriteBundle(ctx, io.Discard, []servicetemplate.BundleFile{{Name: "a.st"}}), context.Canceled)
	broken := errors.New("broken")
	require.ErrorIs(t, servicetemplate.WriteBundle(t.Context(), io.Discard, []servicetemplate.BundleFile{{Name: "a.st", Write: func(io.Writer) error { return broken }}}), broken)
}

// folder writes a folder of files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "my template")
	for name, content := range files {
		name = filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	}
	return dir
}

func TestPack(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"template.json": full, "icon.png": string(icon(48)), "plugins/com.example_ssh_01.00.00/run.sh": "#!/bin/sh", ".git/config": "x", "plugins/.hidden": "x"})
	var packed bytes.Buffer
	m, err := servicetemplate.Pack(t.Context(), dir, &packed)
	require.NoError(t, err)
	read, err := servicetemplate.ReadFolder(dir)
	require.NoError(t, err)
	require.Equal(t, m, read)
	b, err := open(t, m.FileName(), packed.Bytes())
	require.NoError(t, err)
	require.Equal(t, m, b.Templates()[0].Manifest)
	require.Equal(t, packed.Bytes(), bytesOf(t, b.Templates()[0]))
	require.NotContains(t, packed.String(), "hidden")

	var bundle bytes.Buffer
	write := func(w io.Writer) error {
		_, err := w.Write(packed.Bytes())
		return err
	}
	other := func(w io.Writer) error {
		_, err := w.Write(numbered("1"))
		return err
	}
	require.NoError(t, servicetemplate.WriteBundle(t.Context(), &bundle, []servicetemplate.BundleFile{{Name: "b.st", Write: write}, {Name: "a.st", Write: other}}))
	file := filepath.Join(t.TempDir(), "b.zip")
	require.NoError(t, os.WriteFile(file, bundle.Bytes(), 0o600))
	templates, err := servicetemplate.Check(t.Context(), file)
	require.NoError(t, err)
	require.Len(t, templates, 2)
	require.Equal(t, "a.st", templates[0].FileName)
	require.Equal(t, digest(packed.Bytes()), templates[1].SHA256)
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		code  string
	}{
		"no template.json": {map[string]string{"a": "x"}, servicetemplate.CodeNotATemplate},
		"a bad one":        {map[string]string{"template.json": "{}"}, servicetemplate.CodeBadTemplate},
		"too long":         {map[string]string{"template.json": strings.Repeat(" ", 1<<20+1)}, assetpackage.CodeTooLarge},
		"a stranger":       {map[string]string{"template.json": minimal, "readme.md": "x"}, servicetemplate.CodeUnknownFile},
	} {
		_, err := servicetemplate.Pack(t.Context(), folder(t, c.files), io.Discard)
		require.Equal(t, c.code, problemsOf(t, err)[0].Code, name)
		require.Equal(t, "my template", problemsOf(t, err)[0].ResourceName)
	}
	dir := folder(t, map[string]string{"template.json": minimal, "plugins/a": "x"})
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "plugins", "link")))
	_, err := servicetemplate.Pack(t.Context(), dir, io.Discard)
	require.Equal(t, assetpackage.CodeSpecialFile, problemsOf(t, err)[0].Code)
	_, err = servicetemplate.Pack(t.Context(), "/nowhere", io.Discard)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = servicetemplate.Check(t.Context(), "/nowhere.st")
	require.ErrorIs(t, err, fs.ErrNotExist)
}
