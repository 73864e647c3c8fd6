// Command bench prints the figures of docs/benchmarks.md: how the service compares, in one run on one machine, with
// the same work done bare. Ratios travel between machines; times do not.
//
//	go run ./bench            everything, about 20 minutes and 6 GB of room for temporary files
//	go run ./bench -only small,upload
//	go run ./bench -quick     a tenth of the sizes, to see that it works
//	go run ./bench -only chaos
//	                          no figure, and only where it is asked for: 200 kills, after which nothing may be lost
//	go run ./bench -only scale
//	                          on the servers of production, with one and more APIs and workers; only where it is asked
//	                          for, and after make production-programs
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"assetflow/e2e/chaos"
)

// sizes says how much each figure moves.
type sizes struct {
	imports     map[int]int // users -> imports in all
	users       []int
	uploadBytes int64
	uploads     int
	largeBytes  int64
	largeAssets int
	deletions   int
	exportBytes int64
	exports     int
	held        []int // assets in the catalog of each stack
	into        int   // imports into each
	copyBytes   int64 // in one file
	copies      int   // of it
	copyFiles   int   // of 100 KiB, copied once
	kills       int
	scaleUsers  int
	scaleJobs   int // of each side in a round
	scaleRounds int
}

var (
	full = sizes{
		users: []int{1, 16, 64}, imports: map[int]int{1: 60, 16: 320, 64: 640},
		uploadBytes: 1 << 30, uploads: 5, largeBytes: 2 << 30, largeAssets: 100,
		deletions: 30, exportBytes: 1 << 30, exports: 3, held: []int{1, 10_000, 1_000_000}, into: 40, copyBytes: 1 << 30, copies: 3, copyFiles: 10_000, kills: 200,
		scaleUsers: 16, scaleJobs: 160, scaleRounds: 5,
	}
	quick = sizes{
		users: []int{1, 16, 64}, imports: map[int]int{1: 10, 16: 64, 64: 128},
		uploadBytes: 128 << 20, uploads: 2, largeBytes: 256 << 20, largeAssets: 100,
		deletions: 5, exportBytes: 128 << 20, exports: 2, held: []int{1, 1000, 100_000}, into: 8, copyBytes: 128 << 20, copies: 2, copyFiles: 1000, kills: 20,
		scaleUsers: 16, scaleJobs: 32, scaleRounds: 1,
	}
)

// figure is one benchmark: it prints its table.
type figure struct {
	name  string
	run   func(ctx context.Context, s *stack, z sizes, out io.Writer) error
	alone bool // it starts what it needs itself, and runs only when it is asked for
}

var figures = []figure{
	{name: "small", run: benchSmall},
	{name: "upload", run: benchUpload},
	{name: "large", run: benchLarge},
	{name: "delete", run: benchDelete},
	{name: "export", run: benchExport},
	{name: "catalog", run: benchCatalog},
	{name: "copy", run: benchCopy},
	{name: "chaos", run: benchChaos, alone: true},
	{name: "scale", run: bounded(scaleProcesses), alone: true},
	{name: "shards", run: bounded(scaleShards), alone: true},
}

func main() {
	chaos.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // the deferred stop has been called
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	small := flags.Bool("quick", false, "a tenth of the sizes")
	only := flags.String("only", "", "figures to print, comma separated: small, upload, large, delete, export, catalog, copy, chaos, scale, shards")
	if err := flags.Parse(args); err != nil {
		return err
	}
	z := full
	if *small {
		z = quick
	}
	wanted := strings.Split(*only, ",")
	for _, f := range figures {
		if !slices.Contains(wanted, f.name) && (*only != "" || f.alone) {
			continue
		}
		if f.alone {
			if err := f.run(ctx, nil, z, out); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			continue
		}
		// Each figure has a process of its own, so that the memory of one is not counted in the next.
		s, err := startStack(ctx)
		if err != nil {
			return err
		}
		err = f.run(ctx, s, z, out)
		if stopErr := s.stop(); err == nil {
			err = stopErr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}
