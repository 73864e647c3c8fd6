package auth

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"assetflow/catalog"
)

// Service answers who is calling and what they may do. It keeps no state of its own and is safe for concurrent use.
type Service struct{}

// Option changes how a Service works.
type Option func(*Service)

// WithClock sets the clock by which tokens and signatures are judged; time.Now without it.
func WithClock(now func() time.Time) Option { panic("not built yet") }

// WithLogger sets where noteworthy events (a key that gets locked) are logged; slog.Default without it.
func WithLogger(logger *slog.Logger) Option { panic("not built yet") }

// New makes the service on the catalog's users, keys, projects and roles.
func New(cat *catalog.Catalog, keys *Keys, opts ...Option) *Service { panic("not built yet") }

// Authenticate finds out who sends r, by its signature (Authorization: SDK-HMAC-SHA256) or else by its token
// (X-Auth-Token). It may replace r.Body: by a buffer, or by a reader that fails where the bytes differ from those signed.
func (s *Service) Authenticate(ctx context.Context, r *http.Request) (Principal, error) {
	panic("not built yet")
}

// Authorize checks that p may do perm in the project.
//
// Errors: NotFound "auth.project_not_found" when there is no such project or the user has no role in it (the two are
// not told apart), Forbidden "auth.project_mismatch" for a token of another project, Forbidden "auth.forbidden" when no
// role of the user carries perm.
func (s *Service) Authorize(ctx context.Context, p Principal, projectID string, perm Permission) error {
	panic("not built yet")
}

// PasswordLogin asks for a token. Domain, User and Password are required. ProjectID or ProjectName (a project of the
// user's domain) scope the token; without both it works in every project in which the user has a role.
type PasswordLogin struct {
	Domain, User, Password string
	ProjectID, ProjectName string
}

// Token is a token with what it says. Value is a secret.
type Token struct {
	Value               string
	IssuedAt, ExpiresAt time.Time
	User                catalog.User
	Project             *catalog.Project // nil for a token without project
	Roles               []string         // of the user in Project, or anywhere when Project is nil; sorted
}

// IssueToken checks a password and makes a token that is valid for 24 hours.
//
// Errors: Unauthenticated "auth.wrong_password" (unknown domain, unknown user, disabled user and wrong password are not
// told apart, nor by the time they take), Unauthenticated "auth.no_project" when the user has no role in the project.
func (s *Service) IssueToken(ctx context.Context, login PasswordLogin) (Token, error) {
	panic("not built yet")
}

// AddUser makes a user, and its domain where it does not exist.
// Errors: Invalid "auth.bad_name", Invalid "auth.weak_password", Conflict "catalog.user_exists".
func (s *Service) AddUser(ctx context.Context, domain, name, password string) (catalog.User, error) {
	panic("not built yet")
}

// SetPassword replaces a user's password and revokes all tokens issued so far. Access keys stay.
// Errors: Invalid "auth.weak_password", NotFound "catalog.user_not_found".
func (s *Service) SetPassword(ctx context.Context, userID, password string) error {
	panic("not built yet")
}

// RevokeTokens revokes all tokens issued to the user so far.
func (s *Service) RevokeTokens(ctx context.Context, userID string) error { panic("not built yet") }

// AddAccessKey makes an access key for the user. The secret key is given back this once and stored sealed.
func (s *Service) AddAccessKey(ctx context.Context, userID string) (accessKey, secretKey string, err error) {
	panic("not built yet")
}

// RevokeAccessKey makes an access key useless for ever. NotFound "catalog.key_not_found".
func (s *Service) RevokeAccessKey(ctx context.Context, accessKey string) error {
	panic("not built yet")
}

// GrantRole gives a user a role in a project. Invalid "auth.bad_role" for a role that does not exist.
func (s *Service) GrantRole(ctx context.Context, userID, projectID, role string) error {
	panic("not built yet")
}

// RevokeRole takes a role in a project from a user.
func (s *Service) RevokeRole(ctx context.Context, userID, projectID, role string) error {
	panic("not built yet")
}
