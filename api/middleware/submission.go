package middleware

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"assetflow/catalog"
	"assetflow/fault"
)

// The headers of idempotent submission.
const (
	HeaderIdempotencyKey = "Idempotency-Key"
	HeaderReplayed       = "Idempotency-Replayed" // "true" on an answer that was given before
	HeaderJobID          = "X-Job-Id"             // the job that an answer without a body is about
)

// maxKey is the longest key in bytes.
const maxKey = 255

// How a request waits for the answer to an earlier one with its key.
const (
	firstPoll = 50 * time.Millisecond
	lastPoll  = 200 * time.Millisecond
	maxWait   = 30 * time.Second
)

// keepTime bounds what is written down about a request after its job has started, or was refused.
const keepTime = 10 * time.Second

// HeaderOnConflict says what becomes of a job that cannot start at once because one of its kind runs: "queue" or
// "replace".
const HeaderOnConflict = "Assetflow-On-Conflict"

// CheckSubmission refuses malformed headers of a request that starts a job, before anything of the body is read:
// Invalid CodeKey, CodeOnConflict.
func CheckSubmission(r *http.Request) error {
	if keys := r.Header.Values(HeaderIdempotencyKey); len(keys) > 1 || len(keys) == 1 && !saneKey(keys[0]) {
		return fault.New(fault.Invalid, CodeKey, "The header %s must be given once, with 1 to %d visible ASCII characters.",
			HeaderIdempotencyKey, maxKey)
	}
	if choices := r.Header.Values(HeaderOnConflict); len(choices) > 1 || len(choices) == 1 && choices[0] != "queue" && choices[0] != "replace" {
		return fault.New(fault.Invalid, CodeOnConflict, "The header %s must be given once, as queue or replace.", HeaderOnConflict)
	}
	return nil
}

func saneKey(key string) bool {
	if key == "" || len(key) > maxKey {
		return false
	}
	for i := range len(key) {
		if key[i] < '!' || key[i] > '~' {
			return false
		}
	}
	return true
}

// Fingerprint tells requests with one key apart: by method, path, query and what stands for the body's content.
func Fingerprint(r *http.Request, content ...string) string {
	hash := sha256.New()
	for _, part := range append([]string{r.Method, r.URL.EscapedPath(), r.URL.RawQuery}, content...) {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // or parts could run into each other
		hash.Write([]byte(part))
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// SubmissionStore is what idempotent submission needs of *catalog.Catalog.
type SubmissionStore interface {
	ClaimSubmission(ctx context.Context, userID, key, fingerprint, jobID string, now time.Time) (s catalog.Submission, mine bool, err error)
	RenewSubmission(ctx context.Context, userID, key string, now time.Time) error
	AnswerSubmission(ctx context.Context, userID, key string, status int, header, body []byte) error
	ReleaseSubmission(ctx context.Context, userID, key string) error
}

// Submissions carry out requests that start a job, each key once.
type Submissions struct {
	Store   SubmissionStore
	Logger  *slog.Logger
	MaxWait time.Duration // for the answer to an earlier request; 30 s where 0
}

// Submission is a request that starts a job.
type Submission struct {
	UserID      string
	Key         string // empty: the request is carried out, whatever was before
	Fingerprint string
	JobID       string // of the job that it would start; nobody else's
}

// Answer is a whole answer, as it can be kept.
type Answer struct {
	Status      int
	ContentType string // empty for an answer without a body
	Body        []byte
	JobID       string // header X-Job-Id; empty where a contract has none
	Replayed    bool   // it was given before, to another request of the same key
}

// WriteTo sends the answer.
func (a Answer) WriteTo(w http.ResponseWriter) error {
	if a.ContentType != "" {
		w.Header().Set("Content-Type", a.ContentType)
	}
	if a.JobID != "" {
		w.Header().Set(HeaderJobID, a.JobID)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	if a.Replayed {
		w.Header().Set(HeaderReplayed, "true")
	}
	w.WriteHeader(a.Status)
	_, err := w.Write(a.Body)
	return err
}

// Once has start start the job, unless a request of the same key has done so within the last 24 hours: then it gives
// that one's answer, for which it waits up to MaxWait. start is told the id of the job to start. It is the submission's own,
// or that of an earlier request whose process died between its claim and its answer: start then carries that one through.
// start is not cut short when ctx ends.
//
// Invalid CodeKeyReused for another request under the key; Conflict CodePending, with the seconds after which trying
// again makes sense as its details, where the answer does not come. An error of start is given back and not remembered.
// The key is free again after it, except where the outcome is not known (Unavailable, Internal): then the next request of
// the key carries on with the same job id, so that no second job starts.
func (s *Submissions) Once(ctx context.Context, sub Submission, start func(ctx context.Context, jobID string) (Answer, error)) (Answer, error) {
	if sub.Key == "" {
		return start(ctx, sub.JobID)
	}
	deadline, pause := time.Now().Add(cmp.Or(s.MaxWait, maxWait)), firstPoll
	waiting, stop := UntilLast(ctx)
	defer stop()
	for {
		row, mine, err := s.Store.ClaimSubmission(ctx, sub.UserID, sub.Key, sub.Fingerprint, sub.JobID, time.Now())
		switch {
		case err != nil:
			return Answer{}, err
		case row.Fingerprint != sub.Fingerprint:
			return Answer{}, fault.New(fault.Invalid, CodeKeyReused,
				"The %s was used for another request; use a new one for each request.", HeaderIdempotencyKey)
		case mine:
			return s.carryOut(ctx, sub, row.JobID, start)
		case row.Answered:
			return answerOf(row)
		case time.Now().After(deadline):
			return Answer{}, pending(row)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			pause = min(lastPoll, pause*3/2)
		case <-waiting.Done():
			timer.Stop()
			if ctx.Err() == nil { // the server stops: another one waits on
				return Answer{}, pending(row)
			}
			return Answer{}, ctx.Err()
		}
	}
}

// pending says when the claim that stands in the way will have run out at the latest.
func pending(row catalog.Submission) error {
	left := time.Until(row.ClaimedAt.Add(catalog.SubmissionLease))
	seconds := max(1, min(int(left/time.Second)+1, int(catalog.SubmissionLease/time.Second)))
	return fault.New(fault.Conflict, CodePending, "The first request with this %s is still being carried out; try again shortly.",
		HeaderIdempotencyKey).WithDetails(strconv.Itoa(seconds))
}

// carryOut starts the job of a claim that is ours, and keeps the answer.
func (s *Submissions) carryOut(ctx context.Context, sub Submission, jobID string, start func(context.Context, string) (Answer, error)) (Answer, error) {
	// The claim is ours until its outcome is written down, whether or not the caller still listens.
	ctx = context.WithoutCancel(ctx)
	answer, err := s.renewing(ctx, sub, func() (Answer, error) { return start(ctx, jobID) })

	ctx, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	var kept error
	switch kind := fault.KindOf(err); {
	case err == nil:
		var header []byte
		if header, kept = json.Marshal(storedHeader{ContentType: answer.ContentType, JobID: answer.JobID}); kept == nil {
			kept = s.Store.AnswerSubmission(ctx, sub.UserID, sub.Key, answer.Status, header, answer.Body)
		}
	case kind == fault.Unavailable || kind == fault.Internal:
		// The job may run all the same. The claim is given up with its job id: the next request takes both over.
		kept = s.Store.RenewSubmission(ctx, sub.UserID, sub.Key, time.Now().Add(-2*catalog.SubmissionLease))
	default:
		kept = s.Store.ReleaseSubmission(ctx, sub.UserID, sub.Key)
	}
	if kept != nil {
		// The claim runs out by itself, and whoever takes it over starts the same job.
		s.Logger.WarnContext(ctx, "the outcome of a request with an idempotency key is not written down", "job_id", jobID, "error", kept)
	}
	return answer, err
}

// renewing keeps the claim alive while do runs.
func (s *Submissions) renewing(ctx context.Context, sub Submission, do func() (Answer, error)) (Answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	var renewal sync.WaitGroup
	renewal.Go(func() {
		ticker := time.NewTicker(catalog.SubmissionLease / 4)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if err := s.Store.RenewSubmission(ctx, sub.UserID, sub.Key, time.Now()); err != nil && ctx.Err() == nil {
					s.Logger.WarnContext(ctx, "the claim of a request is not renewed", "error", err)
				}
			}
		}
	})
	defer renewal.Wait()
	defer cancel()
	return do()
}

// storedHeader is what is kept of an answer's header.
type storedHeader struct {
	ContentType string `json:"content_type"`
	JobID       string `json:"job_id,omitempty"`
}

func answerOf(row catalog.Submission) (Answer, error) {
	var header storedHeader
	if err := json.Unmarshal(row.Header, &header); err != nil {
		return Answer{}, fault.New(fault.Internal, "api.stored_answer", "A stored answer cannot be read.").Wrap(err)
	}
	return Answer{Status: row.Status, ContentType: header.ContentType, JobID: header.JobID, Body: row.Body, Replayed: true}, nil
}
