package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"assetflow/assetpackage/packagetest"
	assetclient "assetflow/client"
	"assetflow/workflows"
)

// deletedAssets is how many assets one deletion takes: as many as a request may name.
const deletedAssets = 100

// closely is how often one caller asks whose job takes some tens of milliseconds.
const closely = 5 * time.Millisecond

// benchDelete compares deletions of many assets in one job with bare workflows of as many steps on the same server.
func benchDelete(ctx context.Context, s *stack, z sizes, out io.Writer) error {
	w, err := s.startBareWorker()
	if err != nil {
		return err
	}
	defer w.Stop()
	caller, _, err := s.caller(ctx, "deleter")
	if err != nil {
		return err
	}
	bareOnce := s.bareOnce(len(workflows.DeleteSteps), every(closely))

	var ours, theirs []time.Duration
	for round := range z.deletions + 1 { // the first warms up
		chosen, err := importAssets(ctx, caller, spec(serial.Add(1), deletedAssets, deletedAssets<<10))
		if err != nil {
			return err
		}
		begin := time.Now()
		id, err := caller.StartDeletion(ctx, chosen, assetclient.StartOptions{})
		if err != nil {
			return err
		}
		if err := awaitJob(ctx, caller, id, every(closely)); err != nil {
			return err
		}
		took := time.Since(begin)
		begin = time.Now()
		if err := bareOnce(ctx, 0, round); err != nil {
			return err
		}
		if round > 0 {
			ours, theirs = append(ours, took), append(theirs, time.Since(begin))
		}
	}
	table(out, fmt.Sprintf("(e) Deletion of %d assets in one job beside a bare workflow of %d no-op steps, %d of each",
		deletedAssets, len(workflows.DeleteSteps), z.deletions),
		[]string{"deletion: p50", "p90", "bare workflow: p50", "p90", "ratio of p50"}, [][]string{{
			millis(quantile(ours, 0.5)), millis(quantile(ours, 0.9)), millis(quantile(theirs, 0.5)), millis(quantile(theirs, 0.9)),
			fmt.Sprintf("**%.2f**", quantile(ours, 0.5).Seconds()/quantile(theirs, 0.5).Seconds()),
		}})
	return nil
}

// importAssets imports a package of applications and gives what chooses them.
func importAssets(ctx context.Context, c *assetclient.Client, s packagetest.Spec) (assetclient.Selection, error) {
	pkg := s.Bytes()
	id, err := c.Import(ctx, "package.zip", bytes.NewReader(pkg), int64(len(pkg)), assetclient.ImportOptions{})
	if err != nil {
		return assetclient.Selection{}, err
	}
	if err := awaitJob(ctx, c, id, lengthening); err != nil {
		return assetclient.Selection{}, err
	}
	return imported(ctx, c, s)
}

// imported chooses the applications of a package that was imported.
func imported(ctx context.Context, c *assetclient.Client, s packagetest.Spec) (assetclient.Selection, error) {
	page, err := c.ListAssets(ctx, assetclient.AssetFilter{Kind: "application", NameContains: s.Name + " ", Limit: 500})
	if err == nil && len(page.Assets) != s.Applications {
		err = fmt.Errorf("%d assets are there instead of %d", len(page.Assets), s.Applications)
	}
	var chosen assetclient.Selection
	for _, a := range page.Assets {
		chosen.Applications = append(chosen.Applications, a.ID)
	}
	return chosen, err
}
