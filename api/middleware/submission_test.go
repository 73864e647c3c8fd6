package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/middleware"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func newSubmissions(t *testing.T) (*middleware.Submissions, *catalog.Catalog) {
	t.Helper()
	cat := catalogtest.New(t)
	return &middleware.Submissions{Store: cat, Logger: slog.New(slog.DiscardHandler)}, cat
}

func answerFor(jobID string) middleware.Answer {
	return middleware.Answer{Status: 200, ContentType: "application/json", Body: []byte(`{"job_id":"` + jobID + `"}`)}
}

func submissionOf(user, key, fingerprint string) middleware.Submission {
	return middleware.Submission{UserID: user, Key: key, Fingerprint: fingerprint, JobID: catalog.NewID()}
}

func TestOnceAmongMany(t *testing.T) {
	t.Parallel()
	s, _ := newSubmissions(t)
	var starts, replays atomic.Int32
	bodies := make([]string, 50)
	var requests sync.WaitGroup
	for i := range bodies {
		requests.Go(func() {
			answer, err := s.Once(t.Context(), submissionOf("u", "k", "f"), func(_ context.Context, jobID string) (middleware.Answer, error) {
				starts.Add(1)
				return answerFor(jobID), nil
			})
			if err != nil {
				t.Error(err)
				return
			}
			if answer.Replayed {
				replays.Add(1)
			}
			require.Equal(t, 200, answer.Status)
			require.Equal(t, "application/json", answer.ContentType)
			bodies[i] = string(answer.Body)
		})
	}
	requests.Wait()
	require.EqualValues(t, 1, starts.Load())
	require.EqualValues(t, 49, replays.Load())
	for _, body := range bodies {
		require.Equal(t, bodies[0], body)
	}
}

func TestOnceKeys(t *testing.T) {
	t.Parallel()
	s, _ := newSubmissions(t)
	starts := 0
	try := func(user, key, fingerprint string) (middleware.Answer, error) {
		return s.Once(t.Context(), submissionOf(user, key, fingerprint), func(_ context.Context, jobID string) (middleware.Answer, error) {
			starts++
			return answerFor(jobID), nil
		})
	}
	for i, sub := range [][2]string{{"u", "k"}, {"v", "k"}, {"u", "l"}, {"u", ""}, {"u", ""}} {
		answer, err := try(sub[0], sub[1], "f")
		require.NoError(t, err)
		require.False(t, answer.Replayed, "of another user, of another key, or without one")
		require.Equal(t, i+1, starts)
	}
	_, err := try("u", "k", "another request")
	require.Equal(t, middleware.CodeKeyReused, fault.CodeOf(err))
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	answer, err := try("u", "k", "f")
	require.NoError(t, err)
	require.True(t, answer.Replayed)
	require.Equal(t, 5, starts)
}

// A refusal is not remembered; an outcome that is not known is carried on with the same job.
func TestOnceAfterAnError(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  error
		same bool // the next request starts the same job
	}{
		{"refused", fault.New(fault.Conflict, "job.running", "A job runs."), false},
		{"invalid", fault.New(fault.Invalid, "x", "Bad."), false},
		{"away", fault.New(fault.Unavailable, "x", "Away."), true},
		{"unknown", errors.New("broken"), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, _ := newSubmissions(t)
			first := submissionOf("u", "k", "f")
			_, err := s.Once(t.Context(), first, func(context.Context, string) (middleware.Answer, error) {
				return middleware.Answer{}, tc.err
			})
			require.ErrorIs(t, err, tc.err)
			second := submissionOf("u", "k", "f")
			began := time.Now()
			answer, err := s.Once(t.Context(), second, func(_ context.Context, jobID string) (middleware.Answer, error) {
				return answerFor(jobID), nil
			})
			require.NoError(t, err)
			require.False(t, answer.Replayed)
			require.Less(t, time.Since(began), catalog.SubmissionLease/2, "without waiting for a lease")
			want := second.JobID
			if tc.same {
				want = first.JobID
			}
			require.Contains(t, string(answer.Body), want)
		})
	}
}

// A request that died with its process is carried through with its job id.
func TestOnceTakesOver(t *testing.T) {
	t.Parallel()
	s, cat := newSubmissions(t)
	dead := submissionOf("u", "k", "f")
	_, mine, err := cat.ClaimSubmission(t.Context(), dead.UserID, dead.Key, dead.Fingerprint, dead.JobID, time.Now().Add(-2*catalog.SubmissionLease))
	require.NoError(t, err)
	require.True(t, mine)
	for i := range 2 {
		answer, err := s.Once(t.Context(), submissionOf("u", "k", "f"), func(_ context.Context, jobID string) (middleware.Answer, error) {
			require.Equal(t, dead.JobID, jobID)
			return answerFor(jobID), nil
		})
		require.NoError(t, err)
		require.Equal(t, i == 1, answer.Replayed)
		require.Contains(t, string(answer.Body), dead.JobID)
	}
}

// Who hangs up while another request is under way gets nothing; who hangs up while its own is carried out has started it.
func TestOnceHangUp(t *testing.T) {
	t.Parallel()
	s, cat := newSubmissions(t)
	sub := submissionOf("u", "k", "f")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Once(ctx, sub, func(ctx context.Context, jobID string) (middleware.Answer, error) {
		waiting, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer stop()
		_, err := s.Once(waiting, submissionOf("u", "k", "f"), func(context.Context, string) (middleware.Answer, error) {
			panic("started twice")
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		cancel()
		require.NoError(t, ctx.Err())
		return answerFor(jobID), nil
	})
	require.NoError(t, err)
	row, mine, err := cat.ClaimSubmission(t.Context(), "u", "k", "f", catalog.NewID(), time.Now())
	require.NoError(t, err)
	require.False(t, mine)
	require.True(t, row.Answered)
	require.Equal(t, string(answerFor(sub.JobID).Body), string(row.Body))
}

// The first request takes longer than anybody waits for.
func TestOncePending(t *testing.T) {
	t.Parallel()
	s, _ := newSubmissions(t)
	s.MaxWait = 200 * time.Millisecond
	_, err := s.Once(t.Context(), submissionOf("u", "k", "f"), func(ctx context.Context, jobID string) (middleware.Answer, error) {
		_, err := s.Once(ctx, submissionOf("u", "k", "f"), func(context.Context, string) (middleware.Answer, error) {
			panic("started twice")
		})
		refusal, _ := fault.As(err)
		require.Equal(t, fault.Conflict, refusal.Kind)
		require.Equal(t, middleware.CodePending, refusal.Code)
		seconds, err := strconv.Atoi(refusal.Details)
		require.NoError(t, err)
		require.True(t, seconds >= 1 && seconds <= 60, "%d", seconds)
		return answerFor(jobID), nil
	})
	require.NoError(t, err)
}

func TestCheckSubmission(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		header, code string
		values       []string
	}{
		{"Idempotency-Key", "", nil}, {"Idempotency-Key", "", []string{"!"}}, {"Idempotency-Key", "", []string{strings.Repeat("~", 255)}},
		{"Idempotency-Key", middleware.CodeKey, []string{""}}, {"Idempotency-Key", middleware.CodeKey, []string{"a", "a"}},
		{"Idempotency-Key", middleware.CodeKey, []string{strings.Repeat("k", 256)}}, {"Idempotency-Key", middleware.CodeKey, []string{"é"}},
		{"Idempotency-Key", middleware.CodeKey, []string{"a b"}}, {"Idempotency-Key", middleware.CodeKey, []string{"a\x7f"}},
		{"Assetflow-On-Conflict", "", []string{"queue"}}, {"Assetflow-On-Conflict", "", []string{"replace"}},
		{"Assetflow-On-Conflict", middleware.CodeOnConflict, []string{""}}, {"Assetflow-On-Conflict", middleware.CodeOnConflict, []string{"Queue"}},
		{"Assetflow-On-Conflict", middleware.CodeOnConflict, []string{"queue", "queue"}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		r.Header[tc.header] = tc.values
		require.Equal(t, tc.code, fault.CodeOf(middleware.CheckSubmission(r)), "%s: %q", tc.header, tc.values)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, r := range []struct {
		method, url string
		content     []string
	}{
		{"POST", "/a", nil}, {"PUT", "/a", nil}, {"POST", "/b", nil}, {"POST", "/a?x=1", nil}, {"POST", "/a%2Fb", nil},
		{"POST", "/a", []string{"b"}}, {"POST", "/a", []string{"bc"}}, {"POST", "/a", []string{"b", "c"}},
	} {
		got := middleware.Fingerprint(httptest.NewRequestWithContext(t.Context(), r.method, r.url, http.NoBody), r.content...)
		require.Len(t, got, 64)
		name := fmt.Sprint(r)
		require.Empty(t, seen[got], name)
		seen[got] = name
		again := httptest.NewRequestWithContext(t.Context(), r.method, r.url, strings.NewReader("x"))
		again.Header.Set("X-Request-Id", "other")
		require.Equal(t, got, middleware.Fingerprint(again, r.content...))
	}
}
