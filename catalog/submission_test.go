package catalog_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func TestASubmissionFromClaimToAnswer(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		began := time.Now().UTC().Truncate(time.Microsecond)
		claim := func(user, key, fingerprint, job string, after time.Duration) (catalog.Submission, bool) {
			s, mine, err := c.ClaimSubmission(ctx, user, key, fingerprint, job, began.Add(after))
			require.NoError(t, err)
			return s, mine
		}
		want := catalog.Submission{UserID: "u", Key: "k", Fingerprint: "f", JobID: "j1", ClaimedAt: began}
		s, mine := claim("u", "k", "f", "j1", 0)
		require.True(t, mine)
		require.Equal(t, want, s)
		s, mine = claim("u", "k", "f", "j2", time.Second)
		require.False(t, mine, "under way")
		require.Equal(t, want, s)
		_, mine = claim("v", "k", "f", "j3", 0)
		require.True(t, mine, "another user's key is another key")

		body := []byte("{\"a\": 1}\x00\xff")
		require.NoError(t, c.AnswerSubmission(ctx, "u", "k", 202, []byte("h"), body))
		require.NoError(t, c.AnswerSubmission(ctx, "u", "k", 500, nil, nil), "the first one stays")
		require.NoError(t, c.ReleaseSubmission(ctx, "u", "k"), "an answer is not released")
		requireFault(t, c.RenewSubmission(ctx, "u", "k", began), fault.NotFound, "catalog.submission_not_found")
		want.Answered, want.Status, want.Header, want.Body = true, 202, []byte("h"), body
		s, mine = claim("u", "k", "f", "j2", catalog.SubmissionLifetime)
		require.False(t, mine)
		require.Equal(t, want, s)
		s, mine = claim("u", "k", "another", "j2", 0)
		require.False(t, mine)
		require.Equal(t, "f", s.Fingerprint, "for the caller to refuse")

		s, mine = claim("u", "k", "another", "j4", catalog.SubmissionLifetime+time.Second)
		require.True(t, mine, "after a day the key is new")
		require.Equal(t, "j4", s.JobID)
		require.False(t, s.Answered)
		require.Nil(t, s.Body)
		s, mine = claim("u", "k", "another", "j5", catalog.SubmissionLifetime+time.Second)
		require.False(t, mine)
		require.False(t, s.Answered, "nothing of the old answer is left")
		require.Nil(t, s.Body)

		requireFault(t, c.AnswerSubmission(ctx, "u", "unknown", 200, nil, nil), fault.NotFound, "catalog.submission_not_found")
		_, _, err := c.ClaimSubmission(ctx, "u", "", "f", "j", began)
		requireFault(t, err, fault.Invalid, "catalog.bad_name")
	})
}

func TestAnAbandonedClaimIsTakenOver(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		began := time.Now()
		claim := func(fingerprint, job string, after time.Duration) (catalog.Submission, bool) {
			s, mine, err := c.ClaimSubmission(ctx, "u", "k", fingerprint, job, began.Add(after))
			require.NoError(t, err)
			return s, mine
		}
		_, mine := claim("f", "j1", 0)
		require.True(t, mine)
		require.NoError(t, c.RenewSubmission(ctx, "u", "k", began.Add(30*time.Second)))
		_, mine = claim("f", "j2", 80*time.Second)
		require.False(t, mine, "it was renewed")
		_, mine = claim("another", "j2", 100*time.Second)
		require.False(t, mine, "another request takes nothing over")
		s, mine := claim("f", "j2", 100*time.Second)
		require.True(t, mine)
		require.Equal(t, "j1", s.JobID, "the same job")
		_, mine = claim("f", "j3", 101*time.Second)
		require.False(t, mine, "the lease is the new holder's")

		// The first holder wakes up and is refused: the key stays with the job.
		require.NoError(t, c.ReleaseSubmission(ctx, "u", "k"))
		s, mine = claim("f", "j3", 102*time.Second)
		require.True(t, mine)
		require.Equal(t, "j1", s.JobID)
	})
}

func TestAReleasedKeyIsFree(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		for _, job := range []string{"j1", "j2"} {
			s, mine, err := c.ClaimSubmission(ctx, "u", "k", "f"+job, job, time.Now())
			require.NoError(t, err)
			require.True(t, mine)
			require.Equal(t, job, s.JobID)
			for range 2 {
				require.NoError(t, c.ReleaseSubmission(ctx, "u", "k"))
			}
		}
	})
}

func TestFiftyClaimsAtOnce(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		now := time.Now()
		// The key is new, then its claim was abandoned, then it is a day old.
		for round, at := range []time.Time{now, now.Add(2 * time.Minute), now.Add(25 * time.Hour)} {
			const callers = 50
			submissions, mine, errs := make([]catalog.Submission, callers), make([]bool, callers), make([]error, callers)
			var all sync.WaitGroup
			for i := range callers {
				all.Go(func() {
					submissions[i], mine[i], errs[i] = c.ClaimSubmission(ctx, "u", "k", "f", catalog.NewID(), at)
				})
			}
			all.Wait()
			owners := 0
			for i := range callers {
				require.NoError(t, errs[i])
				require.Equal(t, submissions[0].JobID, submissions[i].JobID, "round %d", round)
				if mine[i] {
					owners++
				}
			}
			require.Equal(t, 1, owners, "round %d", round)
		}
	})
}

func TestForgetSubmissions(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		now := time.Now()
		for i, key := range []string{"a", "b", "c"} {
			_, _, err := c.ClaimSubmission(ctx, "u", key, "f", "j", now.Add(time.Duration(i)*time.Hour))
			require.NoError(t, err)
		}
		n, err := c.ForgetSubmissions(ctx, now.Add(90*time.Minute), 1)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		n, err = c.ForgetSubmissions(ctx, now.Add(90*time.Minute), 10)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, mine, err := c.ClaimSubmission(ctx, "u", "c", "f", "j", now.Add(2*time.Hour))
		require.NoError(t, err)
		require.False(t, mine)
	})
}
