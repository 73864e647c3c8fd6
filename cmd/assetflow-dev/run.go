package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"assetflow/devstack"
)

const (
	// startTimeout bounds the start, which takes a second or two.
	startTimeout = time.Minute
	// stopTimeout is how long everything may take to end.
	stopTimeout = 10 * time.Second
)

// run starts a stack, says where it is, and stops it when ctx ends or a part of it fails.
func run(ctx context.Context, out, logs io.Writer, opts devstack.Options) error {
	begin := time.Now()
	here, err := os.Getwd() // the stack changes it
	if err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	stack, err := devstack.Start(starting, opts)
	if err != nil {
		return err
	}
	if err := announce(out, place(here, opts.DataDir), stack, time.Since(begin)); err != nil {
		opts.Logger.WarnContext(ctx, "the addresses could not be printed", "error", err)
	}

	var failure error
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(logs, "Stopping … (Ctrl-C again ends at once)")
	case <-stack.Failed():
		failure = stack.Err()
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(failure, stack.Stop(stopping))
}

// place gives the data folder as a person in the working directory would name it, and whether the sample package and
// the command line are there.
func place(here, dataDir string) location {
	absolute := dataDir
	if !filepath.IsAbs(absolute) {
		absolute = filepath.Join(here, absolute)
	}
	l := location{folder: absolute, credentials: filepath.Join(absolute, "credentials.json"), command: "assetflow"}
	if relative, err := filepath.Rel(here, l.credentials); err == nil && filepath.IsLocal(relative) {
		l.credentials = relative
	}
	if built := filepath.Join("bin", "assetflow"); isFile(filepath.Join(here, built)) {
		l.command = built
	} else if isFile(filepath.Join(here, "cmd", "assetflow", "main.go")) {
		l.command = "go run ./cmd/assetflow"
	}
	return l
}

type location struct {
	folder      string // absolute
	credentials string // path of credentials.json, relative where that is shorter
	command     string // how the command line is called
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
