package config_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/config"
)

var update = flag.Bool("update", false, "write the documentation anew")

// TestDocs keeps the table in docs/configuration.md as the code has it.
func TestDocs(t *testing.T) {
	t.Parallel()
	const (
		path  = "../docs/configuration.md"
		begin = "<!-- Made by `go test ./config -run Docs -update`. -->\n"
		end   = "<!-- The end of what is made. -->\n"
	)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(content), begin)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	want := before + begin + reference() + end + after
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o600))
		return
	}
	require.Equal(t, want, string(content), "run the test with -update")
}

func reference() string {
	var b strings.Builder
	b.WriteString("| key | variable | flag | default | meaning | allowed |\n|---|---|---|---|---|---|\n")
	code := func(s string) string {
		if s == "" {
			return ""
		}
		return "`" + s + "`"
	}
	for _, d := range config.Describe() {
		names := []string{code(d.Variable)}
		flags := []string{}
		if d.Flag != "" {
			flags = append(flags, code(d.Flag))
		}
		if d.FileFlag != "" {
			names = append(names, code(d.Variable+"_FILE"))
			flags = append(flags, code(d.FileFlag))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", code(d.Key), strings.Join(names, ", "), strings.Join(flags, ", "),
			code(d.Default), d.Help, strings.NewReplacer("<", "&lt;", "|", "\\|").Replace(d.Allowed))
	}
	return b.String()
}
