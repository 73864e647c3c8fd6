package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	assetclient "assetflow/client"
)

// filled is a stack whose catalog holds many assets.
type filled struct {
	*stack
	assets int
	caller *assetclient.Client
	took   []time.Duration
}

// benchCatalog compares imports of a small package into a catalog of very different sizes. Each size has a stack of its
// own, and they take turns, so that a slow minute of the machine hits all.
func benchCatalog(ctx context.Context, first *stack, z sizes, out io.Writer) (err error) {
	var stacks []*filled
	defer func() {
		for _, s := range stacks[min(1, len(stacks)):] { // the first is our caller's
			err = errors.Join(err, s.stop())
		}
	}()
	for i, assets := range z.held {
		s := first
		if i > 0 {
			if s, err = first.beside(ctx, i); err != nil {
				return err
			}
		}
		stacks = append(stacks, &filled{stack: s, assets: assets})
	}
	for _, s := range stacks {
		var userID string
		if s.caller, userID, err = s.stack.caller(ctx, "importer"); err != nil {
			return err
		}
		begin := time.Now()
		if err := s.fill(ctx, s.assets, userID); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "bench: a catalog of %d assets filled in %s\n", s.assets, time.Since(begin).Round(time.Second))
	}
	const warmUp = 5
	for i := range warmUp + z.into {
		for j := range stacks {
			s := stacks[(i+j)%len(stacks)]
			took, err := s.importSmall(ctx)
			if err != nil {
				return err
			}
			if i >= warmUp {
				s.took = append(s.took, took)
			}
		}
	}
	var rows [][]string
	for _, s := range stacks {
		file, err := os.Stat(strings.TrimPrefix(s.CatalogURL, "sqlite:"))
		if err != nil {
			return err
		}
		rows = append(rows, []string{
			fmt.Sprint(s.assets), mib(file.Size()), millis(quantile(s.took, 0.5)), millis(quantile(s.took, 0.9)),
			fmt.Sprintf("**%.2f**", quantile(s.took, 0.5).Seconds()/quantile(stacks[0].took, 0.5).Seconds()),
		})
	}
	table(out, fmt.Sprintf("(g) Import of a small package (%d assets, %d KiB) by the size of the catalog, %d imports into each",
		smallAssets, smallBytes>>10, z.into), []string{"assets in the catalog", "file", "p50", "p90", "p50 beside the smallest"}, rows)
	return nil
}

// importSmall takes the time of one import.
func (s *filled) importSmall(ctx context.Context) (time.Duration, error) {
	pkg := spec(serial.Add(1), smallAssets, smallBytes).Bytes()
	begin := time.Now()
	id, err := s.caller.Import(ctx, "small.zip", bytes.NewReader(pkg), int64(len(pkg)), assetclient.ImportOptions{})
	if err != nil {
		return 0, err
	}
	err = awaitJob(ctx, s.caller, id, every(closely))
	return time.Since(begin), err
}
