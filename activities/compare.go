package activities

import (
	"context"
	"errors"
	"fmt"

	"assetflow/assetpackage"
	"assetflow/catalog"
	"assetflow/storage"
)

// ImportComparison is what an import would do now.
type ImportComparison struct {
	Plan   catalog.ImportPlan
	Assets []catalog.AssetDifference
	// Reasons are why the import would fail; empty where it would succeed.
	Reasons []catalog.Reason
}

// ComparePackage checks a staged package as an import would and says what the import would do. It is no step of a job:
// it writes nothing and takes no lock.
func ComparePackage(ctx context.Context, cat *catalog.Catalog, store *storage.Store, limits assetpackage.Limits, job ImportJob) (ImportComparison, error) {
	var bad *assetpackage.ProblemsError
	pkg, err := assetpackage.Open(ctx, store.OpenStaged(ctx, job.Staged.Key, job.Staged.Size), limits)
	if err == nil {
		err = pkg.Verify(ctx, func(int64, int64) {})
	}
	if errors.As(err, &bad) {
		return ImportComparison{Reasons: reasonsFromProblems(bad.Problems, job.FileName)}, nil
	}
	if err != nil {
		return ImportComparison{}, fmt.Errorf("check the package: %w", err)
	}
	if reasons := badNames(job, pkg.Manifest()); len(reasons) > 0 {
		return ImportComparison{Reasons: reasons}, nil
	}
	assets, plan, err := cat.CompareImport(ctx, catalogImport(job, pkg.Manifest()))
	if err != nil {
		return ImportComparison{}, fmt.Errorf("compare the package with the instance: %w", err)
	}
	return ImportComparison{Plan: plan, Assets: assets, Reasons: plan.Conflicts}, nil
}
