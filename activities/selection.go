package activities

import "fmt"

// SelectionJob is what every step of a job over chosen assets of an instance is told: a deletion, an export.
type SelectionJob struct {
	JobID      string `json:"job_id"`
	ProjectID  string `json:"project_id"`
	InstanceID string `json:"instance_id"`
	UserID     string `json:"user_id"`
	// Applications and Tasks are the ids of the chosen assets, at most 100 together.
	Applications []string `json:"applications,omitempty"`
	Tasks        []string `json:"tasks,omitempty"`
	// ArchiveKey is the object that an export writes.
	ArchiveKey string `json:"archive_key,omitempty"`
}

// Subject is what a person calls the selection.
func (j SelectionJob) Subject() string {
	return count(len(j.Applications), "application") + ", " + count(len(j.Tasks), "task")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
