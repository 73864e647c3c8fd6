package catalog

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"assetflow/fault"
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

type submissionRow struct {
	bun.BaseModel `bun:"table:submissions,alias:su"`

	UserID      string `bun:"user_id,pk"`
	Key         string `bun:"key,pk"`
	Fingerprint string `bun:"fingerprint"`
	JobID       string `bun:"job_id"`
	Answered    bool   `bun:"answered"`
	Status      int    `bun:"status"`
	Header      []byte `bun:"header"`
	Body        []byte `bun:"body"`
	Takeovers   int    `bun:"takeovers"` // how often an abandoned claim went to somebody else
	ClaimedAt   stamp  `bun:"claimed_at"`
	RenewedAt   stamp  `bun:"renewed_at"`
}

func (r submissionRow) submission() Submission {
	return Submission{
		UserID: r.UserID, Key: r.Key, Fingerprint: r.Fingerprint, JobID: r.JobID, Answered: r.Answered, Status: r.Status,
		Header: r.Header, Body: r.Body, ClaimedAt: r.ClaimedAt.at,
	}
}

func noSubmission() error {
	return fault.New(fault.NotFound, "catalog.submission_not_found", "nobody has claimed this key")
}

// ClaimSubmission says whose business a request with an idempotency key is. Of many at once, one is told mine: it starts
// the job of s.JobID, which is the given one or, where a claim without an answer has outlived SubmissionLease, the one
// that claim was made with, so that the job is started once. Everybody else gets the submission as it stands: answered,
// still under way, or of another fingerprint, which takes nothing over. A submission is forgotten SubmissionLifetime
// after its claim. Invalid "catalog.bad_name" for a key that is no text of 1 to 1024 bytes.
func (c *Catalog) ClaimSubmission(ctx context.Context, userID, key, fingerprint, jobID string, now time.Time) (s Submission, mine bool, err error) {
	if err := checkNames(key); err != nil {
		return Submission{}, false, err
	}
	claim := submissionRow{UserID: userID, Key: key, Fingerprint: fingerprint, JobID: jobID, ClaimedAt: stampOf(now), RenewedAt: stampOf(now)}
	err = c.write(ctx, "claim the submission", func(tx bun.Tx) error {
		for {
			n, err := changed(tx.NewInsert().Model(&claim).On("CONFLICT DO NOTHING").Exec(ctx))
			if err != nil {
				return err
			}
			if n > 0 {
				s, mine = claim.submission(), true
				return nil
			}
			// A statement of its own sees what the one that was there first has committed.
			var found []submissionRow
			if err := tx.NewSelect().Model(&found).Where("su.user_id = ?", userID).Where("su.key = ?", key).Apply(c.lock("su")).Scan(ctx); err != nil {
				return err
			}
			if len(found) == 0 {
				continue // given up between the two
			}
			s, mine, err = takeOver(ctx, tx, found[0], claim)
			return err
		}
	})
	return s, mine, err
}

// takeOver decides what becomes of a claim that meets a submission, and carries it out.
func takeOver(ctx context.Context, tx bun.Tx, found, claim submissionRow) (Submission, bool, error) {
	now := claim.ClaimedAt.at
	switch {
	case found.ClaimedAt.at.Before(now.Add(-SubmissionLifetime)):
		found = claim
	case !found.Answered && found.Fingerprint == claim.Fingerprint && found.RenewedAt.at.Before(now.Add(-SubmissionLease)):
		found.RenewedAt = claim.RenewedAt
		found.Takeovers++
	default:
		return found.submission(), false, nil
	}
	_, err := tx.NewUpdate().Model(&found).WherePK().Exec(ctx)
	return found.submission(), err == nil, err
}

// RenewSubmission makes the lease of a claim without an answer start anew. NotFound "catalog.submission_not_found" when
// there is none.
func (c *Catalog) RenewSubmission(ctx context.Context, userID, key string, now time.Time) error {
	return failed(ctx, "renew the submission", changeOne(ctx, c.writer.NewUpdate().Model((*submissionRow)(nil)).
		Set("renewed_at = ?", stampOf(now)).Where("user_id = ?", userID).Where("key = ?", key).Where("NOT answered"), noSubmission()))
}

// AnswerSubmission keeps the answer for all later requests of the key. The first answer stays: again is no error and
// has no effect. NotFound "catalog.submission_not_found".
func (c *Catalog) AnswerSubmission(ctx context.Context, userID, key string, status int, header, body []byte) error {
	// The answer that is there is written again, so that one statement tells whether there is a submission at all.
	return failed(ctx, "answer the submission", changeOne(ctx, c.writer.NewUpdate().Model((*submissionRow)(nil)).
		Set("status = CASE WHEN answered THEN status ELSE ? END", status).
		Set("header = CASE WHEN answered THEN header ELSE ? END", header).
		Set("body = CASE WHEN answered THEN body ELSE ? END", body).
		Set("answered = TRUE").Where("user_id = ?", userID).Where("key = ?", key), noSubmission()))
}

// ReleaseSubmission gives up a claim without an answer, because the request was refused and may be made again. A claim
// that was taken over keeps its job id and can be taken over again at once: its first holder, who may release it late,
// must not free the key under the hands of the next. Without such a claim nothing happens.
func (c *Catalog) ReleaseSubmission(ctx context.Context, userID, key string) error {
	return c.write(ctx, "release the submission", func(tx bun.Tx) error {
		n, err := changed(tx.NewDelete().Model((*submissionRow)(nil)).
			Where("user_id = ?", userID).Where("key = ?", key).Where("NOT answered").Where("takeovers = 0").Exec(ctx))
		if err != nil || n > 0 {
			return err
		}
		_, err = tx.NewUpdate().Model((*submissionRow)(nil)).Set("renewed_at = ?", stampOf(time.Unix(0, 0))).
			Where("user_id = ?", userID).Where("key = ?", key).Where("NOT answered").Exec(ctx)
		return err
	})
}

// ForgetSubmissions removes submissions claimed before the given time, at most limit, and says how many.
func (c *Catalog) ForgetSubmissions(ctx context.Context, claimedBefore time.Time, limit int) (int, error) {
	old := c.writer.NewSelect().Model((*submissionRow)(nil)).Column("user_id", "key").Where("su.claimed_at < ?", stampOf(claimedBefore)).
		Order("su.claimed_at").Limit(limit)
	n, err := changed(c.writer.NewDelete().Model((*submissionRow)(nil)).Where("(user_id, key) IN (?)", old).Exec(ctx))
	return int(n), failed(ctx, "forget submissions", err)
}
