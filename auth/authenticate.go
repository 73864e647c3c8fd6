package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"assetflow/auth/signature"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/telemetry"
)

// Headers that callers sign in with.
const (
	TokenHeader   = "X-Auth-Token" //nolint:gosec // a header's name
	SubjectHeader = "X-Subject-Token"
	ProjectHeader = "X-Project-Id" // names the project where the path does not
)

// Lock-out of access keys.
const (
	MaxKeyFailures = 5               // wrong signatures in a row that an access key survives
	KeyLockTime    = 5 * time.Minute // for which it is locked after one more
)

// Authenticate finds out who sends r, by its signature (Authorization: SDK-HMAC-SHA256) or else by its token
// (X-Auth-Token). It may replace r.Body: by a buffer, or by a reader that gives an error in the place of io.EOF where the
// bytes differ from those signed, so a body counts only when it was read to its end.
//
// Errors, all Unauthenticated and with the contract's text as message: "auth.missing"; "auth.token_invalid" (also for a
// revoked token and a disabled user), "auth.token_expired"; "auth.key_unknown" (also for a revoked key and a disabled
// user), "auth.signature_mismatch", "auth.signature_expired", "auth.key_locked". Besides those TooLarge
// "auth.body_too_large" and Invalid "auth.body_unreadable" from reading a body that must be hashed.
func (s *Service) Authenticate(ctx context.Context, r *http.Request) (Principal, error) {
	p, _, _, err := s.authenticate(ctx, r)
	return p, err
}

// authenticate is Authenticate that gives also the token's claims, none of a signature, and the user.
func (s *Service) authenticate(ctx context.Context, r *http.Request) (Principal, claims, catalog.User, error) {
	refuse := func(err error) (Principal, claims, catalog.User, error) {
		return Principal{}, claims{}, catalog.User{}, err
	}
	authorizations := r.Header.Values("Authorization")
	for _, a := range authorizations {
		if signature.Matches(a) {
			if len(authorizations) > 1 {
				return refuse(signatureMismatch(errors.New("header Authorization was sent more than once")))
			}
			p, user, err := s.authenticateSignature(ctx, r, a)
			return p, claims{}, user, err
		}
	}
	switch tokens := r.Header.Values(TokenHeader); {
	case len(tokens) == 1 && strings.TrimSpace(tokens[0]) != "":
		return s.authenticateToken(ctx, strings.TrimSpace(tokens[0]))
	case len(tokens) > 1:
		return refuse(tokenInvalid(errors.New("header X-Auth-Token was sent more than once")))
	}
	return refuse(fault.New(fault.Unauthenticated, "auth.missing", "x-auth-token not found"))
}

func (s *Service) authenticateSignature(ctx context.Context, r *http.Request, header string) (Principal, catalog.User, error) {
	refuse := func(err error) (Principal, catalog.User, error) { return Principal{}, catalog.User{}, err }
	a, err := signature.Parse(header)
	if err != nil {
		return refuse(err)
	}
	now := s.now()
	if err := signature.CheckDate(r, now); err != nil { // before the catalog is asked anything
		return refuse(err)
	}
	key, user, err := s.findKey(ctx, a.AccessKey)
	if err != nil {
		return refuse(err)
	}
	if key.LockedUntil != nil && now.Before(*key.LockedUntil) {
		return refuse(fault.New(fault.Unauthenticated, "auth.key_locked",
			"AK access failed to reach the limit,forbidden: the access key is locked until %s after more than %d failures in a row",
			key.LockedUntil.UTC().Format(TimeFormat), MaxKeyFailures))
	}
	secret, err := s.keys.openSecret(key.ID, key.SealedSecret)
	if err != nil {
		return refuse(fmt.Errorf("open the secret of access key of user %s: %w", user.ID, err))
	}
	if err := signature.Verify(r, a, secret, now); err != nil {
		return refuse(s.countFailure(ctx, key, now, err))
	}
	if key.Failures > 0 {
		if err := s.catalog.ResetKeyFailures(ctx, key.ID); err != nil {
			return refuse(fmt.Errorf("reset the failures of an access key: %w", err))
		}
	}
	return principalOf(user, "", MethodSignature), user, nil
}

// findKey gives a key that is neither revoked nor of a disabled user.
func (s *Service) findKey(ctx context.Context, accessKey string) (catalog.AccessKey, catalog.User, error) {
	unknown := func(why string) error {
		return fault.New(fault.Unauthenticated, "auth.key_unknown", "ak not exist").Wrap(errors.New(why))
	}
	key, err := s.catalog.AccessKey(ctx, accessKey)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return key, catalog.User{}, unknown("there is no such access key")
	case err != nil:
		return key, catalog.User{}, fmt.Errorf("find access key: %w", err)
	case key.RevokedAt != nil:
		return key, catalog.User{}, unknown("the access key was revoked")
	}
	user, err := s.catalog.User(ctx, key.UserID)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return key, user, unknown("the access key's user does not exist")
	case err != nil:
		return key, user, fmt.Errorf("find the access key's user: %w", err)
	case user.DisabledAt != nil:
		return key, user, unknown("the access key's user is disabled")
	}
	return key, user, nil
}

// countFailure counts a signature of the wrong value, which is what guessing at a secret key looks like, and no other
// refusal. It gives back the refusal, or why it could not be counted: a guess that does not count is not answered.
func (s *Service) countFailure(ctx context.Context, key catalog.AccessKey, now time.Time, refusal error) error {
	if !errors.Is(refusal, signature.ErrDiffers) {
		return refusal
	}
	s.logger.WarnContext(ctx, "a request signature was wrong", "user_id", key.UserID, "failures_before", key.Failures)
	// The count must not be lost because the caller hangs up.
	locked, err := s.catalog.RecordKeyFailure(context.WithoutCancel(ctx), key.ID, now, MaxKeyFailures, KeyLockTime)
	if err != nil {
		return fmt.Errorf("count the failure of an access key: %w", err)
	}
	if locked {
		s.metrics.LockedOut(telemetry.LockedKey)
	}
	return refusal
}

func signatureMismatch(cause error) error {
	return fault.New(fault.Unauthenticated, "auth.signature_mismatch", "verify aksk signature fail").Wrap(cause)
}

func principalOf(user catalog.User, projectID, method string) Principal {
	return Principal{
		UserID: user.ID, UserName: user.Name, DomainID: user.DomainID, DomainName: user.DomainName,
		ProjectID: projectID, Method: method,
	}
}
