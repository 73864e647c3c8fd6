package activities

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
