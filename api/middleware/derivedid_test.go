package middleware_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"assetflow/api/middleware"
)

func TestDerivedID(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	id := middleware.DerivedID(at, "a", "bc")
	require.Equal(t, id, middleware.DerivedID(at, "a", "bc"))
	for _, other := range []string{
		middleware.DerivedID(at.Add(time.Millisecond), "a", "bc"), middleware.DerivedID(at, "ab", "c"), middleware.DerivedID(at, "abc"),
		middleware.DerivedID(at, "a", "bc", ""),
	} {
		require.NotEqual(t, id, other)
	}
	parsed, err := uuid.Parse(id)
	require.NoError(t, err)
	require.Equal(t, id, parsed.String())
	require.EqualValues(t, 7, parsed.Version())
	require.Equal(t, uuid.RFC4122, parsed.Variant())
	require.Equal(t, at.Truncate(time.Millisecond), time.Unix(parsed.Time().UnixTime()).UTC())
	require.Less(t, id, middleware.DerivedID(at.Add(time.Millisecond), "x"), "they sort by time")
}
