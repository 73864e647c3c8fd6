package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
)

func TestAPackageFromNothing(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	dir := filepath.Join(t.TempDir(), "web-shop")
	r := a.exec(t.Context(), "package", "new", dir)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, "assetflow package pack "+dir)

	r = a.exec(t.Context(), "package", "check", dir)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, "is a valid package: version 1.0.0, 1 application, 1 task")

	out := filepath.Join(t.TempDir(), "a.zip")
	r = a.exec(t.Context(), "package", "pack", dir, "--out", out)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, "Wrote "+out)
	info, err := os.Stat(out)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm())

	again := filepath.Join(t.TempDir(), "b.zip")
	r = a.exec(t.Context(), "package", "pack", dir, "--out", again, "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	var packed struct {
		File    string
		Summary assetpackage.Summary
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &packed))
	require.Equal(t, again, packed.File)
	require.Equal(t, info.Size(), packed.Summary.ArchiveBytes)
	first, err := os.ReadFile(out)
	require.NoError(t, err)
	second, err := os.ReadFile(again)
	require.NoError(t, err)
	require.Equal(t, first, second, "the same content gives the same bytes")

	r = a.exec(t.Context(), "package", "check", out, "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, `"valid": true`)
	require.Contains(t, r.stdout, `"problems": []`)

	r = a.exec(t.Context(), "package", "new", dir)
	require.Equal(t, ExitConflict, r.code)
	require.Contains(t, r.stderr, "is not empty")
}

func TestNamesOfNewPackages(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "x")
	r := newApp(t).exec(t.Context(), "package", "new", dir, "--name", "Web shop")
	require.Equal(t, ExitOK, r.code, r.stderr)
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	require.NoError(t, err)
	require.Contains(t, string(manifest), `"Web shop"`)

	r = newApp(t).exec(t.Context(), "package", "new", filepath.Join(t.TempDir(), "y"), "--name", "a\nb")
	require.Equal(t, ExitUsage, r.code, r.stderr)
}

func TestABadPackageIsExplained(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	path := packageFile(t, "this is not a zip")
	r := a.exec(t.Context(), "package", "check", path)
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stdout, path+" is not a valid package: 1 problem.\nWHAT     NAME  CODE")
	require.Contains(t, r.stdout, assetpackage.CodeNotAZip)
	require.Empty(t, r.stderr, "it is all said")

	r = a.exec(t.Context(), "package", "check", path, "-o", "json")
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stdout, `"valid": false`)
	require.Contains(t, r.stdout, `"problems_total": 1`)

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{"format":"assetflow.asset-package/v1","version":"1",
		"applications":[`+strings.Repeat(`{"name":"A","definition":{}},`, 20)+`{"name":"B","definition":{}}],"tasks":[]}`), 0o600))
	out := filepath.Join(t.TempDir(), "a.zip")
	r = a.exec(t.Context(), "package", "pack", dir, "--out", out)
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stdout, "is not a valid package: 19 problems.")
	require.Contains(t, r.stdout, "… and 9 more.")
	entries, err := os.ReadDir(filepath.Dir(out))
	require.NoError(t, err)
	require.Empty(t, entries, "nothing half done is left")
}

func TestPackagesThatAreNotThere(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for _, args := range [][]string{
		{"package", "check", "/nowhere/a.zip"}, {"package", "pack", "/nowhere", "--out", filepath.Join(t.TempDir(), "a.zip")},
		{"package", "pack", t.TempDir(), "--out", "/nowhere/a.zip"},
	} {
		r := a.exec(t.Context(), args...)
		require.Equal(t, ExitNotFound, r.code, r.stderr)
		require.Contains(t, r.stderr, "/nowhere")
	}
}

func TestPackNamesTheFileAfterTheFolder(t *testing.T) {
	work := t.TempDir()
	t.Chdir(work)
	a := newApp(t)
	require.Equal(t, ExitOK, a.exec(t.Context(), "package", "new", "shop").code)
	require.Equal(t, ExitOK, a.exec(t.Context(), "package", "pack", "shop/").code)
	require.FileExists(t, filepath.Join(work, "shop.zip"))
	t.Chdir(filepath.Join(work, "shop"))
	r := a.exec(t.Context(), "package", "pack", ".", "--out", filepath.Join(work, "again.zip"))
	require.Equal(t, ExitOK, r.code, r.stderr)
}
