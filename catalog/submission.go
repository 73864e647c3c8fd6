package catalog

import (
	"context"
	"time"
)

const (
	// SubmissionLifetime is how long an answer is kept for requests with the same key.
	SubmissionLifetime = 24 * time.Hour
	// SubmissionLease is how long a claim without an answer holds unless it is renewed.
	SubmissionLease = time.Minute
)

// Submission is a request that carried an idempotency key, and the answer it was given.
type Submission struct {
	UserID      string
	Key         string
	Fingerprint string // SHA-256 of what makes a request the same one; a caller refuses another one under the same key
	JobID       string // the job that whoever holds the claim starts
	Answered    bool
	Status      int    // of the answer
	Header      []byte // of the answer, as its caller encodes it
	Body        []byte // of the answer
	ClaimedAt   time.Time
}

// ClaimSubmission says whose business a request with an idempotency key is. Of many at once, one is told mine: it starts
// the job of s.JobID, which is the given one or, where a claim without an answer has outlived SubmissionLease, the one
// that claim was made with, so that the job is started once. Everybody else gets the submission as it stands: answered, still under
// way, or of another fingerprint, which takes nothing over. A submission is forgotten SubmissionLifetime after its
// claim. Invalid "catalog.bad_name" for a key that is no text of 1 to 1024 bytes.
func (c *Catalog) ClaimSubmission(ctx context.Context, userID, key, fingerprint, jobID string, now time.Time) (s Submission, mine bool, err error) {
	panic("not built yet")
}

// RenewSubmission makes the lease of a claim without an answer start anew. NotFound "catalog.submission_not_found" when
// there is none.
func (c *Catalog) RenewSubmission(ctx context.Context, userID, key string, now time.Time) error {
	panic("not built yet")
}

// AnswerSubmission keeps the answer for all later requests of the key. The first answer stays: again is no error and
// has no effect. NotFound "catalog.submission_not_found".
func (c *Catalog) AnswerSubmission(ctx context.Context, userID, key string, status int, header, body []byte) error {
	panic("not built yet")
}

// ReleaseSubmission gives up a claim without an answer, because the request was refused and may be made again. A claim
// that was taken over keeps its job id and can be taken over again at once. Without such a claim nothing happens.
func (c *Catalog) ReleaseSubmission(ctx context.Context, userID, key string) error {
	panic("not built yet")
}

// ForgetSubmissions removes submissions claimed before the given time, at most limit, and says how many.
func (c *Catalog) ForgetSubmissions(ctx context.Context, claimedBefore time.Time, limit int) (int, error) {
	panic("not built yet")
}
