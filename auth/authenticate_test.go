package auth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/auth"
	"assetflow/auth/signature"
	"assetflow/catalog"
	"assetflow/fault"
)

const mismatchText = "verify aksk signature fail"

func TestSignature(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ak, sk := f.key(t)
	require.Regexp(t, `^[A-Z0-9]{20}$`, ak)
	require.Regexp(t, `^[A-Za-z0-9]{40}$`, sk)
	p, err := f.signed(ak, sk)
	require.NoError(t, err)
	require.Equal(t, auth.Principal{
		UserID: f.anna.ID, UserName: "anna", DomainID: f.anna.DomainID, DomainName: "acme", Method: "aksk",
	}, p)
	stored, err := f.cat.AccessKey(context.Background(), ak)
	require.NoError(t, err)
	require.NotContains(t, string(stored.SealedSecret), sk)
}

// The body is still there for the handler.
func TestSignatureLeavesBody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ak, sk := f.key(t)
	r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader("{}\n"))
	r.Header.Set("Content-Type", "application/json")
	require.NoError(t, signature.Sign(r, ak, sk, f.now()))
	_, err := f.Authenticate(context.Background(), r)
	require.NoError(t, err)
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, "{}\n", string(body))
}

func TestSignatureRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := context.Background()
	ak, sk := f.key(t)
	revokedAK, revokedSK := f.key(t)
	require.NoError(t, f.RevokeAccessKey(ctx, revokedAK))
	eve, err := f.AddUser(ctx, "acme", "evelyn", password)
	require.NoError(t, err)
	eveAK, eveSK, err := f.AddAccessKey(ctx, eve.ID)
	require.NoError(t, err)
	f.disable(t, eve.ID)
	token := f.token(t, auth.PasswordLogin{}).Value

	sign := func(ak, sk string, at time.Time) func(r *http.Request) {
		return func(r *http.Request) { require.NoError(t, signature.Sign(r, ak, sk, at)) }
	}
	for _, c := range []struct {
		name          string
		change        func(r *http.Request)
		code, message string
	}{
		{"wrong secret", sign(ak, sk+"x", f.now()), "auth.signature_mismatch", mismatchText},
		{"unknown key", sign("AKUNKNOWN", sk, f.now()), "auth.key_unknown", "ak not exist"},
		{"revoked key", sign(revokedAK, revokedSK, f.now()), "auth.key_unknown", "ak not exist"},
		{"disabled user", sign(eveAK, eveSK, f.now()), "auth.key_unknown", "ak not exist"},
		{"too old", sign(ak, sk, f.now().Add(-16*time.Minute)), "auth.signature_expired", "signature expired, signed at: 20260101T114400Z, server time: 20260101T120000Z"},
		{"too early", sign(ak, sk, f.now().Add(16*time.Minute)), "auth.signature_expired", "signature expired, signed at: 20260101T121600Z, server time: 20260101T120000Z"},
		{"malformed", func(r *http.Request) { r.Header.Set("Authorization", "SDK-HMAC-SHA256 Access="+ak) }, "auth.signature_mismatch", mismatchText},
		{"malformed beside a good token", func(r *http.Request) {
			r.Header.Set("X-Auth-Token", token)
			r.Header.Set("Authorization", "SDK-HMAC-SHA256")
		}, "auth.signature_mismatch", mismatchText},
		{"sent twice", func(r *http.Request) {
			sign(ak, sk, f.now())(r)
			r.Header.Add("Authorization", "Basic eDp5")
		}, "auth.signature_mismatch", mismatchText},
		{"another scheme", func(r *http.Request) { r.Header.Set("Authorization", "Basic c3lzdGVtOm1hbmFnZXI=") }, "auth.missing", "x-auth-token not found"},
		{"another vendor", func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a") }, "auth.missing", "x-auth-token not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/v2/p1/x", nil)
			c.change(r)
			_, err := f.Authenticate(ctx, r)
			f.note(err)
			requireFault(t, err, fault.Unauthenticated, c.code, c.message)
		})
	}
	t.Run("another scheme beside a good token", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodGet, "/v2/p1/x", nil)
		r.Header.Set("Authorization", "Bearer x")
		r.Header.Set("X-Auth-Token", token)
		_, err := f.Authenticate(ctx, r)
		require.NoError(t, err)
	})
}

// Sealed with a master key that is no longer configured: our failure, not the caller's, and it does not count.
func TestSignatureWithAnotherMasterKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ak, sk := f.key(t)
	f.Service = f.service(t, auth.GenerateMasterKey())
	for range 10 {
		_, err := f.signed(ak, sk)
		require.Error(t, err)
		require.Equal(t, fault.Internal, fault.KindOf(err))
	}
	require.Zero(t, f.accessKey(t, ak).Failures)
}

func TestLockOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ak, sk := f.key(t)
	otherAK, otherSK := f.key(t)
	const locked = "AK access failed to reach the limit,forbidden: " +
		"the access key is locked until 2026-01-01T12:05:00.701000Z after more than 5 failures in a row"

	for range 5 {
		_, err := f.signed(ak, "wrong")
		requireFault(t, err, fault.Unauthenticated, "auth.signature_mismatch", mismatchText)
	}
	_, err := f.signed(ak, sk)
	require.NoError(t, err, "five failures are allowed")
	require.Zero(t, f.accessKey(t, ak).Failures, "a success forgets them")

	for range 6 {
		_, err := f.signed(ak, "wrong")
		requireFault(t, err, fault.Unauthenticated, "auth.signature_mismatch", mismatchText)
	}
	_, err = f.signed(ak, sk)
	requireFault(t, err, fault.Unauthenticated, "auth.key_locked", locked)
	f.advance(4 * time.Minute)
	_, err = f.signed(ak, "wrong")
	requireFault(t, err, fault.Unauthenticated, "auth.key_locked", locked)
	f.advance(time.Minute - time.Millisecond)
	_, err = f.signed(ak, sk)
	requireFault(t, err, fault.Unauthenticated, "auth.key_locked", locked)
	_, err = f.signed(otherAK, otherSK)
	require.NoError(t, err, "the user's other key works")
	_, err = f.withToken(f.token(t, auth.PasswordLogin{}).Value)
	require.NoError(t, err, "the user's tokens work")

	f.advance(time.Millisecond)
	_, err = f.signed(ak, sk)
	require.NoError(t, err, "the lock ends by itself")
	_, err = f.signed(ak, "wrong")
	require.Equal(t, "auth.signature_mismatch", fault.CodeOf(err))
	_, err = f.signed(ak, sk)
	require.NoError(t, err, "the count began anew")
}

// Only a signature of the wrong value counts.
func TestLockOutCountsGuessesOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ak, sk := f.key(t)
	for _, change := range []func(r *http.Request){
		func(r *http.Request) { require.NoError(t, signature.Sign(r, ak, sk, f.now().Add(-time.Hour))) },
		func(r *http.Request) { r.Header.Set("Authorization", "SDK-HMAC-SHA256 Access="+ak) },
		func(r *http.Request) { r.Header.Del("X-Sdk-Date") },
		func(r *http.Request) {
			r.Header.Set("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD")
			require.NoError(t, signature.Sign(r, ak, sk, f.now()))
		},
		func(r *http.Request) { r.Body = io.NopCloser(failingReader{}) },
	} {
		for range 7 {
			r := httptest.NewRequest(http.MethodPost, "/v2/p1/x", strings.NewReader("{}"))
			require.NoError(t, signature.Sign(r, ak, sk, f.now()))
			change(r)
			_, err := f.Authenticate(context.Background(), r)
			f.note(err)
			require.Error(t, err)
		}
	}
	require.Zero(t, f.accessKey(t, ak).Failures)
	_, err := f.signed(ak, sk)
	require.NoError(t, err)
}

// A caller that hangs up does not save its guess.
func TestLockOutCountsHangUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ak, _ := f.key(t)
	ctx, cancel := context.WithCancel(context.Background())
	r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader("{}"))
	require.NoError(t, signature.Sign(r, ak, "wrong", f.now()))
	r.Body = io.NopCloser(hangUp{r.Body, cancel})
	_, err := f.Authenticate(ctx, r)
	require.Equal(t, "auth.signature_mismatch", fault.CodeOf(err))
	require.Error(t, ctx.Err())
	require.Equal(t, 1, f.accessKey(t, ak).Failures)
}

// Guesses that come at once are counted one by one.
func TestLockOutConcurrent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ak, sk := f.key(t)
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			_, err := f.signed(ak, "wrong")
			if err == nil {
				t.Error("a wrong signature passed")
			}
		})
	}
	group.Wait()
	require.Equal(t, 6, f.accessKey(t, ak).Failures)
	_, err := f.signed(ak, sk)
	require.Equal(t, "auth.key_locked", fault.CodeOf(err))
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := context.Background()
	closed, err := f.cat.CreateProject(ctx, "acme", "closed")
	require.NoError(t, err)
	ak, sk := f.key(t)
	anywhere, err := f.signed(ak, sk)
	require.NoError(t, err)
	scoped, err := f.withToken(f.token(t, auth.PasswordLogin{ProjectID: f.shop.ID}).Value)
	require.NoError(t, err)

	for _, p := range []auth.Principal{anywhere, scoped} {
		require.NoError(t, f.Authorize(ctx, p, f.shop.ID, auth.AssetsImport))
	}
	const unknown = "The project does not exist, or you have no role in it."
	requireFault(t, f.Authorize(ctx, anywhere, closed.ID, auth.AssetsRead), fault.NotFound, "auth.project_not_found", unknown)
	requireFault(t, f.Authorize(ctx, anywhere, "no", auth.AssetsRead), fault.NotFound, "auth.project_not_found", unknown)
	requireFault(t, f.Authorize(ctx, anywhere, "", auth.AssetsRead), fault.NotFound, "auth.project_not_found", unknown)
	requireFault(t, f.Authorize(ctx, scoped, closed.ID, auth.AssetsRead), fault.Forbidden, "auth.project_mismatch",
		"The token was issued for another project.")
	requireFault(t, f.Authorize(ctx, auth.Principal{}, f.shop.ID, auth.AssetsRead), fault.NotFound, "auth.project_not_found", unknown)

	// A role that changes counts from the next call on, for tokens issued before as well.
	require.NoError(t, f.GrantRole(ctx, f.anna.ID, f.shop.ID, "Submit"))
	require.NoError(t, f.RevokeRole(ctx, f.anna.ID, f.shop.ID, "Develop"))
	requireFault(t, f.Authorize(ctx, scoped, f.shop.ID, auth.AssetsImport), fault.Forbidden, "auth.forbidden",
		"None of your roles in the project permits assets:import.")
	require.NoError(t, f.Authorize(ctx, scoped, f.shop.ID, auth.AssetsRead))
	require.NoError(t, f.RevokeRole(ctx, f.anna.ID, f.shop.ID, "Submit"))
	requireFault(t, f.Authorize(ctx, scoped, f.shop.ID, auth.AssetsRead), fault.NotFound, "auth.project_not_found", unknown)
}

func TestPrincipalInContext(t *testing.T) {
	t.Parallel()
	_, ok := auth.PrincipalFrom(context.Background())
	require.False(t, ok)
	want := auth.Principal{UserID: "u"}
	got, ok := auth.PrincipalFrom(auth.WithPrincipal(context.Background(), want))
	require.True(t, ok)
	require.Equal(t, want, got)
}

func (f *fixture) accessKey(t *testing.T, ak string) catalog.AccessKey {
	t.Helper()
	key, err := f.cat.AccessKey(context.Background(), ak)
	require.NoError(t, err)
	return key
}

// hangUp ends the context of a request when its body is read.
type hangUp struct {
	io.Reader
	cancel context.CancelFunc
}

func (h hangUp) Read(p []byte) (int, error) {
	h.cancel()
	return h.Reader.Read(p)
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }
