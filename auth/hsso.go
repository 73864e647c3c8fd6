package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"assetflow/catalog"
	"assetflow/fault"
)

const (
	// HSSOLifetime is how long an HSSO token works.
	HSSOLifetime = 1000 * time.Second
	// SessionLifetime is how long after its sign-in a caller may go on with one HSSO token after the other.
	SessionLifetime = 24 * time.Hour

	schemeBasic  = "Basic"
	schemeHSSO   = "HSSO"
	hssoAudience = "hsso" // no other token has one
)

// HSSOToken is what a caller goes on with after a call that succeeded. Value is a secret.
type HSSOToken struct {
	Value     string
	ExpiresAt time.Time // UTC, whole seconds
}

// String keeps the token out of what is printed.
func (t HSSOToken) String() string { return "[HSSO token]" }

// GoString keeps the token out of what is printed with %#v.
func (t HSSOToken) GoString() string { return t.String() }

// LogValue keeps the token out of logs.
func (t HSSOToken) LogValue() slog.Value { return slog.StringValue(t.String()) }

// hssoClaims is what an HSSO token carries besides what every token does.
type hssoClaims struct {
	claims
	SignedIn *jwt.NumericDate `json:"auth_time"` // when the session began
}

// Session is a caller who has signed in. IssueHSSO gives them a token to go on with.
type Session struct {
	user      catalog.User
	projectID string    // that the session is confined to; empty: none
	began     time.Time // when the caller signed in with something other than an HSSO token
}

// String keeps the user's password hash out of what is printed.
func (s Session) String() string { return "[session of " + s.user.ID + "]" }

// GoString keeps the user's password hash out of what is printed with %#v.
func (s Session) GoString() string { return s.String() }

// AuthenticateAutomation finds out who sends r, by Authorization: Basic or HSSO, or else as Authenticate does. The user of
// Basic is "domain/name", or the name alone where no other domain has a user of that name; a name with a colon cannot be
// sent.
//
// Errors, all Unauthenticated: "auth.wrong_password" as with IssueToken; "auth.token_invalid", "auth.token_expired";
// "auth.basic_malformed", "auth.missing"; and those of Authenticate. Unavailable "auth.busy" as with IssueToken.
func (s *Service) AuthenticateAutomation(ctx context.Context, r *http.Request) (Principal, Session, error) {
	authorizations := r.Header.Values("Authorization")
	for _, a := range authorizations {
		scheme, value, _ := strings.Cut(strings.TrimSpace(a), " ")
		basic, hsso := strings.EqualFold(scheme, schemeBasic), strings.EqualFold(scheme, schemeHSSO)
		switch {
		case (basic || hsso) && len(authorizations) > 1:
			return Principal{}, Session{}, basicMalformed("header Authorization was sent more than once")
		case basic:
			return s.authenticateBasic(ctx, r)
		case hsso:
			return s.authenticateHSSO(ctx, strings.TrimSpace(value))
		}
	}
	p, c, user, err := s.authenticate(ctx, r)
	if err != nil {
		return Principal{}, Session{}, err
	}
	began := s.now()
	if c.IssuedAt != nil { // a token does not begin its user's session anew
		began = c.IssuedAt.Time
	}
	return p, Session{user, p.ProjectID, began}, nil
}

func basicMalformed(why string) error {
	return fault.New(fault.Unauthenticated, "auth.basic_malformed", "The Authorization header is malformed.").Wrap(errors.New(why))
}

func (s *Service) authenticateBasic(ctx context.Context, r *http.Request) (Principal, Session, error) {
	name, password, ok := r.BasicAuth()
	if !ok {
		return Principal{}, Session{}, basicMalformed("it is not base64 of a name, a colon and a password")
	}
	user, err := s.checkPassword(ctx, func(ctx context.Context) (catalog.User, error) { return s.findNamed(ctx, name) }, password)
	if err != nil {
		return Principal{}, Session{}, err
	}
	return principalOf(user, "", MethodBasic), Session{user, "", s.now()}, nil
}

// findNamed finds the one user that a name sent with Basic can mean. NotFound where there is none, or more than one.
func (s *Service) findNamed(ctx context.Context, name string) (catalog.User, error) {
	found, err := s.catalog.UsersNamed(ctx, name)
	if err != nil {
		return catalog.User{}, err
	}
	if domain, rest, ok := strings.Cut(name, "/"); ok {
		user, err := s.catalog.UserByName(ctx, domain, rest)
		switch {
		case err == nil:
			found = append(found, user)
		case fault.KindOf(err) != fault.NotFound:
			return catalog.User{}, err
		}
	}
	if len(found) != 1 {
		return catalog.User{}, fault.New(fault.NotFound, "auth.no_such_user", "%d users can be meant", len(found))
	}
	return found[0], nil
}

func (s *Service) authenticateHSSO(ctx context.Context, value string) (Principal, Session, error) {
	var c hssoClaims
	if err := readClaims(s.hssoParser, s.keys.hsso, value, &c, &c.claims); err != nil {
		return Principal{}, Session{}, err
	}
	if c.SignedIn == nil {
		return Principal{}, Session{}, tokenInvalid(errors.New("the token does not say when its session began"))
	}
	user, err := s.userOf(ctx, c.claims)
	if err != nil {
		return Principal{}, Session{}, err
	}
	return principalOf(user, c.ProjectID, MethodHSSO), Session{user, c.ProjectID, c.SignedIn.Time}, nil
}

// IssueHSSO makes a fresh token of the same user and no wider project. It lives for HSSOLifetime, but not longer than the
// session.
func (s *Service) IssueHSSO(session Session) (HSSOToken, error) {
	issued := s.now().UTC().Truncate(time.Second)
	began := session.began.UTC().Truncate(time.Second)
	expires := issued.Add(HSSOLifetime)
	if end := began.Add(SessionLifetime); end.Before(expires) {
		expires = end
	}
	value, err := jwt.NewWithClaims(jwt.SigningMethodHS256, hssoClaims{
		claims: claims{
			RegisteredClaims: jwt.RegisteredClaims{
				ID:        rand.Text(), // so that two of one second differ
				Issuer:    tokenIssuer,
				Audience:  jwt.ClaimStrings{hssoAudience},
				Subject:   session.user.ID,
				IssuedAt:  jwt.NewNumericDate(issued),
				ExpiresAt: jwt.NewNumericDate(expires),
			},
			ProjectID: session.projectID, Generation: session.user.TokenGeneration,
		},
		SignedIn: jwt.NewNumericDate(began),
	}).SignedString(s.keys.hsso)
	if err != nil {
		return HSSOToken{}, fmt.Errorf("sign HSSO token: %w", err)
	}
	return HSSOToken{Value: value, ExpiresAt: expires}, nil
}
