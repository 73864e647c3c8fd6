package auth

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"assetflow/catalog"
	"assetflow/fault"
)

// Service answers who is calling and what they may do. It keeps no state of its own but a limit on how many passwords
// are hashed at a time, and is safe for concurrent use.
type Service struct {
	catalog *catalog.Catalog
	keys    *Keys
	logger  *slog.Logger
	now     func() time.Time
	parser  *jwt.Parser
	hashing chan struct{}
}

// Option changes how a Service works.
type Option func(*Service)

// WithClock sets the clock by which tokens and signatures are judged; time.Now without it.
func WithClock(now func() time.Time) Option { return func(s *Service) { s.now = now } }

// WithLogger sets where noteworthy events (a wrong signature) are logged; slog.Default without it.
func WithLogger(logger *slog.Logger) Option { return func(s *Service) { s.logger = logger } }

// New makes the service on the catalog's users, keys, projects and roles.
func New(cat *catalog.Catalog, keys *Keys, opts ...Option) *Service {
	s := &Service{
		catalog: cat, keys: keys, logger: slog.Default(), now: time.Now,
		hashing: make(chan struct{}, parallelHash),
	}
	for _, opt := range opts {
		opt(s)
	}
	s.parser = jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(tokenIssuer),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return s.now() }),
	)
	return s
}

// Authorize checks that p may do perm in the project, by the roles that its user has there at this moment.
//
// Errors: Forbidden "auth.project_mismatch" for a token of another project, NotFound "auth.project_not_found" when there
// is no such project or the user has no role in it (the two are not told apart), Forbidden "auth.forbidden" when no role
// of the user carries perm.
func (s *Service) Authorize(ctx context.Context, p Principal, projectID string, perm Permission) error {
	if p.ProjectID != "" && p.ProjectID != projectID {
		return fault.New(fault.Forbidden, "auth.project_mismatch", "The token was issued for another project.")
	}
	held, err := s.catalog.Roles(ctx, p.UserID, projectID)
	if err != nil {
		return fmt.Errorf("find the roles of user %s: %w", p.UserID, err)
	}
	if len(held) == 0 {
		return fault.New(fault.NotFound, "auth.project_not_found", "The project does not exist, or you have no role in it.")
	}
	if !Allows(held, perm) {
		return fault.New(fault.Forbidden, "auth.forbidden", "None of your roles in the project permits %s.", perm)
	}
	return nil
}
