package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/replication"
	"assetflow/storage"
)

// CopyJob is what every step of a copy is told. The replication info itself stands in staging and nowhere else: whoever
// has it can fetch the asset.
type CopyJob struct {
	JobID     string `json:"job_id"`
	ProjectID string `json:"project_id"`
	UserID    string `json:"user_id"`
	AssetID   string `json:"asset_id"` // the source's, which the copy keeps
	AssetName string `json:"asset_name"`
	// Staged is the replication info as it was received, in JSON.
	Staged StagedPackage `json:"staged"`
}

// CopyManifest is what the source's manifest says, and the claim check of what was staged of it.
type CopyManifest struct {
	Files  int           `json:"files"`
	Bytes  int64         `json:"bytes"` // of all files
	Staged StagedPackage `json:"staged"`
}

// CopiedFiles is what the copying step moved.
type CopiedFiles struct {
	Files   int   `json:"files"`   // files that were fetched
	Bytes   int64 `json:"bytes"`   // of these
	Present int   `json:"present"` // files the content store had already
}

// CopyFailure says which copy has failed and why.
type CopyFailure struct {
	JobID   string `json:"job_id"`
	AssetID string `json:"asset_id"`
	Reason  string `json:"reason"` // a sentence for a person
}

// Copy holds the steps of the copy of a digital asset from another region.
type Copy struct {
	Catalog *catalog.Catalog
	Storage *storage.Store
	Logger  *slog.Logger
	KeyRing *replication.KeyRing // nil: this region takes part in no copies
	Region  string               // this region's name
	Fetcher *replication.Fetcher
	Window  *Window
	// ParallelFiles is how many files of a copy are fetched at the same time.
	ParallelFiles int
}

// maxReplicationInfo is the largest replication info that is read, in bytes: the contract's largest, with room.
const maxReplicationInfo = 256 << 10

// ReadManifest opens the staged replication info, shows the asset as CREATING, and fetches the source's manifest into
// staging, where the later steps read it. It may run any number of times: the manifest is written as a whole, and is the
// one whose digest was sealed, or none.
//
// Whether the replication info has expired was asked when it was accepted. Its links tell for themselves.
func (a *Copy) ReadManifest(ctx context.Context, job CopyJob) (CopyManifest, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	payload, err := a.openInfo(ctx, job)
	if err != nil {
		return CopyManifest{}, a.failure(ctx, job, about("The replication info was not taken", err))
	}
	target := copyTarget(job, catalog.DigitalMetadata(payload.Metadata))
	if err := a.Catalog.BeginCopy(ctx, target); err != nil {
		return CopyManifest{}, a.failure(ctx, job, fmt.Errorf("begin the copy: %w", err))
	}
	found, err := a.stageManifest(ctx, job, payload)
	if err != nil {
		return CopyManifest{}, a.failure(ctx, job, about("The list of the asset's files could not be fetched", err))
	}
	return found, nil
}

// openInfo reads the staged replication info and opens it.
func (a *Copy) openInfo(ctx context.Context, job CopyJob) (replication.Payload, error) {
	if job.Staged.Size > maxReplicationInfo {
		return replication.Payload{}, fault.New(fault.TooLarge, "copy.info_too_large", "it is too large")
	}
	staged := a.Storage.OpenStaged(ctx, job.Staged.Key, job.Staged.Size)
	text, err := io.ReadAll(io.NewSectionReader(staged, 0, job.Staged.Size))
	if err != nil {
		return replication.Payload{}, fmt.Errorf("read it: %w", err)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != job.Staged.SHA256 {
		return replication.Payload{}, fault.New(fault.Invalid, "copy.info_changed", "it is not the one that was accepted")
	}
	var info replication.Info
	if err := json.Unmarshal(text, &info); err != nil {
		return replication.Payload{}, fault.New(fault.Invalid, "copy.bad_info", "it cannot be read")
	}
	if info.AssetID != job.AssetID {
		return replication.Payload{}, fault.New(fault.Invalid, "copy.other_asset", "it is another asset's")
	}
	return replication.Open(a.KeyRing, info, a.Region, time.Unix(0, 0)) // not expired at any rate, see ReadManifest
}

func copyTarget(job CopyJob, m catalog.DigitalMetadata) catalog.CopyTarget {
	return catalog.CopyTarget{JobID: job.JobID, ProjectID: job.ProjectID, UserID: job.UserID, AssetID: job.AssetID, Metadata: m}
}

// CommitCopy makes the asset equal to the source in one transaction of the catalog, exactly once: the transaction inserts
// the job's effect, and a second run finds it and answers the same. It also ends the job as succeeded.
func (a *Copy) CommitCopy(ctx context.Context, job CopyJob, found CopyManifest) (catalog.CopyResult, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	m, err := a.openManifest(ctx, job, found)
	if err != nil {
		return catalog.CopyResult{}, a.failure(ctx, job, err)
	}
	defer m.close()
	commit := catalog.Copy{CopyTarget: copyTarget(job, m.metadata), Files: make([]catalog.CopiedFile, 0, found.Files)}
	for f, err := range m.files() {
		if err != nil {
			return catalog.CopyResult{}, a.failure(ctx, job, err)
		}
		commit.Files = append(commit.Files, catalog.CopiedFile{
			ID: f.FileID, Name: f.Name, MD5: f.MD5, Type: f.Type, Category: f.Category, SHA256: f.SHA256, Size: f.Size,
		})
	}
	result, err := a.Catalog.CommitCopy(ctx, commit)
	if err != nil {
		return catalog.CopyResult{}, a.failure(ctx, job, fmt.Errorf("commit the copy: %w", err))
	}
	return result, nil
}

// FailCopy shows the asset of a copy that came to nothing as FAILED. Where the commit was made after all it changes
// nothing; doing it again changes nothing more.
func (a *Copy) FailCopy(ctx context.Context, f CopyFailure) error {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	if err := a.Catalog.FailCopy(ctx, f.JobID, f.AssetID, f.Reason); err != nil {
		return stepError(ctx, fmt.Errorf("show the copy as failed: %w", err))
	}
	return nil
}

// failure turns an error of a step into what Temporal should do about it. No error of these steps quotes a URL.
func (a *Copy) failure(ctx context.Context, job CopyJob, err error) error {
	info := activity.GetInfo(ctx)
	a.Logger.WarnContext(ctx, "step failed", "job_id", job.JobID, "step", info.ActivityType.Name, "attempt", info.Attempt, "error", err)
	return stepError(ctx, err)
}

// about says what a refusal is about, in a sentence for the person who reads why the job failed.
func about(what string, err error) error {
	f, ok := fault.As(err)
	if !ok {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fault.New(f.Kind, f.Code, "%s: %s.", what, strings.TrimRight(f.Message, ".")).Wrap(err)
}
