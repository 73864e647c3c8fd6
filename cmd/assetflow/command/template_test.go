package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// templateFolder writes a folder with a small template.
func templateFolder(t *testing.T, name, more string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "plugins"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "template.json"), []byte(`{"keyName":"`+name+`","vendorID":"com.example","version":"01.00.00"`+more+`}`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plugins", "run.sh"), []byte("#!/bin/sh\n"), 0o600))
	return dir
}

func TestTemplatePackAndCheck(t *testing.T) {
	work := t.TempDir()
	t.Chdir(work)
	a := newApp(t)
	one, two := templateFolder(t, "one", ""), templateFolder(t, "two", `,"releaseState":"debug","properties":[{"keyName":"p","type":"string"}]`)

	r := a.exec(t.Context(), "template", "check", two)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, two+" is valid: 1 service template.\nVENDOR       NAME  VERSION   STATE  PROPERTIES  STEPS  SIZE\ncom.example  two   01.00.00  debug  1           0      ")
	require.Empty(t, r.stderr)

	r = a.exec(t.Context(), "template", "pack", two)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, "Wrote com.example_two_01.00.00_d.st")
	info, err := os.Stat("com.example_two_01.00.00_d.st")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm())

	r = a.exec(t.Context(), "template", "pack", two, one, "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	var packed struct {
		File      string
		Templates []templateResult
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &packed))
	require.Equal(t, "templates.zip", packed.File)
	require.Len(t, packed.Templates, 2)
	require.Equal(t, "com.example_one_01.00.00.st", packed.Templates[0].FileName)
	require.Equal(t, info.Size(), packed.Templates[1].Size)

	r = a.exec(t.Context(), "template", "check", "templates.zip", "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, `"valid": true`)
	require.Contains(t, r.stdout, `"problems": []`)

	require.NoError(t, os.Rename("com.example_two_01.00.00_d.st", "mine.st"))
	r = a.exec(t.Context(), "template", "check", "mine.st")
	require.Equal(t, ExitOK, r.code)
	require.Contains(t, r.stderr, "mine.st is usually called com.example_two_01.00.00_d.st.")

	entries, err := os.ReadDir(work)
	require.NoError(t, err)
	require.Len(t, entries, 2, "nothing half done is left")
}

func TestABadTemplateIsExplained(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	bad := templateFolder(t, "bad", `,"steps":[{"keyName":"a"}],"tag":"x"`)
	for _, args := range [][]string{{"check", bad}, {"pack", bad, "--out", filepath.Join(t.TempDir(), "a.st")}} {
		r := a.exec(t.Context(), append([]string{"template"}, args...)...)
		require.Equal(t, ExitFailure, r.code)
		require.Contains(t, r.stdout, bad+" is not valid: 2 problems.\nFILE  CODE")
		require.Contains(t, r.stdout, `the key "tag" is not known here`)
		require.Empty(t, r.stderr, "it is all said")
	}
	good := templateFolder(t, "good", "")
	require.NoError(t, os.WriteFile(filepath.Join(good, "icon.png"), []byte("no image"), 0o600))
	out := filepath.Join(t.TempDir(), "x.st")
	r := a.exec(t.Context(), "template", "pack", good, "--out", out)
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stdout, "x.st  bad_icon")
	entries, err := os.ReadDir(filepath.Dir(out))
	require.NoError(t, err)
	require.Empty(t, entries, "nothing half done is left")

	r = a.exec(t.Context(), "template", "pack", bad, good, "--out", filepath.Join(t.TempDir(), "a.zip"), "-o", "json")
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stdout, `"problems_total": 2`)
	twin := templateFolder(t, "good", "")
	r = a.exec(t.Context(), "template", "pack", twin, twin, "--out", filepath.Join(t.TempDir(), "a.zip"))
	require.Equal(t, ExitFailure, r.code, "one template twice")
}

func TestTemplateUsage(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	dir := templateFolder(t, "one", "")
	for want, args := range map[string][]string{
		"needs at least one DIR": {"pack"}, "needs FILE": {"check"}, "must end in .st": {"pack", dir, "--out", "a.zip"}, "must end in .zip": {"pack", dir, dir, "--out", "a.st"},
	} {
		r := a.exec(t.Context(), append([]string{"template"}, args...)...)
		require.Equal(t, ExitUsage, r.code, r.stderr)
		require.Contains(t, r.stderr, want)
	}
	for _, args := range [][]string{
		{"check", "/nowhere/a.st"}, {"pack", "/nowhere"}, {"pack", "/nowhere", dir}, {"pack", dir, "--out", "/nowhere/a.st"},
	} {
		r := a.exec(t.Context(), append([]string{"template"}, args...)...)
		require.Equal(t, ExitNotFound, r.code, r.stderr)
		require.True(t, strings.Contains(r.stderr, "/nowhere"), r.stderr)
	}
}
