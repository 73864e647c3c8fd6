package addons

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Helm records how a call ended whose context has: such a request must not be sent.
func TestNoRequestAfterTheCall(t *testing.T) {
	t.Parallel()
	call, cancel := context.WithCancel(t.Context())
	bind := bound(call)
	cancel()
	for range 100 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://cluster.invalid", nil)
		require.NoError(t, err)
		_, err = bind.roundTrip(transport(func(req *http.Request) (*http.Response, error) {
			if err := req.Context().Err(); err != nil {
				return nil, err
			}
			return &http.Response{Body: http.NoBody, Header: http.Header{}}, nil
		}), req)
		require.ErrorIs(t, err, context.Canceled)
	}
}
