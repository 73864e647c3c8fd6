package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"assetflow/catalog"
	"assetflow/fault"
)

const (
	// TokenLifetime is how long a token works.
	TokenLifetime = 24 * time.Hour
	// TimeFormat is how the identity service writes times: UTC with microseconds.
	TimeFormat = "2006-01-02T15:04:05.000000Z"

	tokenIssuer   = "assetflow"
	maxTokenBytes = 4 << 10 // of an X-Auth-Token header; ours have some 300
)

// Token is a token with what it says. Value is a secret.
type Token struct {
	Value               string
	IssuedAt, ExpiresAt time.Time        // UTC, whole seconds
	User                catalog.User     // without its password hash
	Project             *catalog.Project // nil for a token without project
	Roles               []string         // of the user in Project, or anywhere when Project is nil; sorted
}

// String keeps the token out of what is printed.
func (t Token) String() string { return "[token of " + t.User.ID + "]" }

// GoString keeps the token out of what is printed with %#v.
func (t Token) GoString() string { return t.String() }

// LogValue keeps the token out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// claims is what a token carries. Names and roles are looked up at each call and therefore not in it.
type claims struct {
	jwt.RegisteredClaims
	ProjectID  string `json:"prj,omitempty"`
	Generation int64  `json:"gen"`
}

func (s *Service) signToken(user catalog.User, projectID string) (value string, issued, expires time.Time, err error) {
	issued = s.now().UTC().Truncate(time.Second) // a token's times are whole seconds; what is answered is what counts
	expires = issued.Add(TokenLifetime)
	value, err = jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    tokenIssuer,
			Subject:   user.ID,
			IssuedAt:  jwt.NewNumericDate(issued),
			ExpiresAt: jwt.NewNumericDate(expires),
		},
		ProjectID:  projectID,
		Generation: user.TokenGeneration,
	}).SignedString(s.keys.tokens)
	if err != nil {
		return "", issued, expires, fmt.Errorf("sign token: %w", err)
	}
	return value, issued, expires, nil
}

func tokenInvalid(cause error) error {
	return fault.New(fault.Unauthenticated, "auth.token_invalid", "decrypt token fail").Wrap(cause)
}

// readClaims checks a token's signature and times. Whether it was revoked is for the catalog to say. common is the part
// of into that all tokens have.
func readClaims(parser *jwt.Parser, key []byte, value string, into jwt.Claims, common *claims) error {
	if len(value) > maxTokenBytes {
		return tokenInvalid(fmt.Errorf("the token is longer than %d bytes", maxTokenBytes))
	}
	_, err := parser.ParseWithClaims(value, into, func(*jwt.Token) (any, error) { return key, nil })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrTokenExpired) && common.ExpiresAt != nil: // claims are judged only under a good signature
		return fault.New(fault.Unauthenticated, "auth.token_expired",
			"token expires, expires_at: %s", common.ExpiresAt.UTC().Format(TimeFormat))
	case errors.Is(err, jwt.ErrTokenMalformed):
		return tokenInvalid(errors.New("the token is malformed")) // the library's text quotes parts of it
	default:
		return tokenInvalid(errors.New("the token's signature or claims are not ours"))
	}
}

func (s *Service) authenticateToken(ctx context.Context, value string) (Principal, claims, catalog.User, error) {
	var c claims
	if err := readClaims(s.parser, s.keys.tokens, value, &c, &c); err != nil {
		return Principal{}, c, catalog.User{}, err
	}
	user, err := s.userOf(ctx, c)
	if err != nil {
		return Principal{}, c, user, err
	}
	return principalOf(user, c.ProjectID, MethodToken), c, user, nil
}

// userOf finds the user of a token that was not revoked.
func (s *Service) userOf(ctx context.Context, c claims) (catalog.User, error) {
	user, err := s.catalog.User(ctx, c.Subject)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return user, tokenInvalid(errors.New("the token's user does not exist"))
	case err != nil:
		return user, fmt.Errorf("find the token's user: %w", err)
	case user.DisabledAt != nil:
		return user, tokenInvalid(errors.New("the token's user is disabled"))
	case user.TokenGeneration != c.Generation:
		return user, tokenInvalid(errors.New("the token was revoked"))
	}
	return user, nil
}

// PasswordLogin asks for a token. Domain, User and Password are required. ProjectID, or ProjectName with the name of its
// domain (the user's own where ProjectDomain is empty), scope the token; without both it works in every project in which
// the user has a role.
type PasswordLogin struct {
	Domain, User, Password                string
	ProjectID, ProjectName, ProjectDomain string
}

// String keeps the password out of what is printed.
func (l PasswordLogin) String() string { return "[login of " + l.Domain + "/" + l.User + "]" }

// GoString keeps the password out of what is printed with %#v.
func (l PasswordLogin) GoString() string { return l.String() }

// LogValue keeps the password out of logs.
func (l PasswordLogin) LogValue() slog.Value { return slog.StringValue(l.String()) }

// IssueToken checks a password and makes a token that is valid for 24 hours.
//
// Errors: Unauthenticated "auth.wrong_password" (unknown domain, unknown user, disabled or locked user and wrong password
// are not told apart, nor by the time they take), Unauthenticated "auth.no_project" when the user has no role in the project, or
// it does not exist; Unavailable "auth.busy" when ctx ends while other passwords are being checked.
func (s *Service) IssueToken(ctx context.Context, login PasswordLogin) (Token, error) {
	user, err := s.checkPassword(ctx, func(ctx context.Context) (catalog.User, error) {
		return s.catalog.UserByName(ctx, login.Domain, login.User)
	}, login.Password)
	if err != nil {
		return Token{}, err
	}
	project, roles, err := s.scope(ctx, user, login)
	if err != nil {
		return Token{}, err
	}
	projectID := ""
	if project != nil {
		projectID = project.ID
	}
	value, issued, expires, err := s.signToken(user, projectID)
	if err != nil {
		return Token{}, err
	}
	user.PasswordHash = ""
	return Token{Value: value, IssuedAt: issued, ExpiresAt: expires, User: user, Project: project, Roles: roles}, nil
}

// scope finds the project that a token is asked for, and the user's roles in it.
func (s *Service) scope(ctx context.Context, user catalog.User, login PasswordLogin) (*catalog.Project, []string, error) {
	if login.ProjectID == "" && login.ProjectName == "" {
		all, err := s.catalog.ListRoles(ctx, user.ID)
		if err != nil {
			return nil, nil, fmt.Errorf("list the user's roles: %w", err)
		}
		names := []string{}
		for _, a := range all {
			names = append(names, a.Role)
		}
		slices.Sort(names)
		return nil, slices.Compact(names), nil
	}
	noProject := fault.New(fault.Unauthenticated, "auth.no_project", "The project does not exist, or the user has no role in it.")
	project, err := s.findProject(ctx, user, login)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil, noProject
	}
	if err != nil {
		return nil, nil, fmt.Errorf("find the token's project: %w", err)
	}
	roles, err := s.catalog.Roles(ctx, user.ID, project.ID)
	if err != nil {
		return nil, nil, fmt.Errorf("list the user's roles: %w", err)
	}
	if len(roles) == 0 {
		return nil, nil, noProject
	}
	return &project, roles, nil
}

func (s *Service) findProject(ctx context.Context, user catalog.User, login PasswordLogin) (catalog.Project, error) {
	if login.ProjectID != "" {
		return s.catalog.Project(ctx, login.ProjectID)
	}
	domain := login.ProjectDomain
	if domain == "" {
		domain = user.DomainName
	}
	return s.catalog.ProjectByName(ctx, domain, login.ProjectName)
}
