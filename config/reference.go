package config

import (
	"fmt"
	"strings"
)

// Reference describes all settings in a table of Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString("| key | variable | flag | default | meaning | allowed |\n|---|---|---|---|---|---|\n")
	cell := strings.NewReplacer("<", "&lt;", "|", "\\|")
	for _, d := range Describe() {
		names, flags := []string{code(d.Variable)}, []string{}
		if d.Flag != "" {
			flags = append(flags, code(d.Flag))
		}
		if d.FileFlag != "" {
			names = append(names, code(d.Variable+"_FILE"))
			flags = append(flags, code(d.FileFlag))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", code(d.Key), strings.Join(names, ", "), strings.Join(flags, ", "),
			code(d.Default), d.Help, cell.Replace(d.Allowed))
	}
	return b.String()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
