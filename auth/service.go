package auth

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/telemetry"
)

// Service answers who is calling and what they may do. It keeps no state of its own but a limit on how many passwords
// are hashed at a time, and is safe for concurrent use.
type Service struct {
	catalog    *catalog.Catalog
	keys       *Keys
	logger     *slog.Logger
	now        func() time.Time
	parser     *jwt.Parser
	hssoParser *jwt.Parser
	hashing    chan struct{}
	metrics    *telemetry.Metrics // nil: nothing is counted
}

// Option changes how a Service works.
type Option func(*Service)

// WithClock sets the clock by which tokens and signatures are judged; time.Now without it.
func WithClock(now func() time.Time) Option { return func(s *Service) { s.now = now } }

// WithLogger sets where noteworthy events (a wrong signature) are logged; slog.Default without it.
func WithLogger(logger *slog.Logger) Option { return func(s *Service) { s.logger = logger } }

// WithMetrics has lock-outs counted.
func WithMetrics(m *telemetry.Metrics) Option { return func(s *Service) { s.metrics = m } }

// New makes the service on the catalog's users, keys, projects and roles.
func New(cat *catalog.Catalog, keys *Keys, opts ...Option) *Service {
	s := &Service{
		catalog: cat, keys: keys, logger: slog.Default(), now: time.Now,
		hashing: make(chan struct{}, parallelHash),
	}
	for _, opt := range opts {
		opt(s)
	}
	rules := []jwt.ParserOption{
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(tokenIssuer),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(func() time.Time { return s.now() }),
	}
	s.parser = jwt.NewParser(rules...)
	s.hssoParser = jwt.NewParser(slices.Concat(rules, []jwt.ParserOption{jwt.WithAudience(hssoAudience)})...)
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

// ProjectOf tells the project of a call whose path names none: the one that the call names otherwise, where it does;
// else the one of p's token; else the only one in which p's user has a role. What p may do there is for Authorize to say.
//
// Errors: Forbidden "auth.project_unnamed" when the user has a role in several projects or in none.
func (s *Service) ProjectOf(ctx context.Context, p Principal, named string) (string, error) {
	if named != "" {
		return named, nil
	}
	if p.ProjectID != "" {
		return p.ProjectID, nil
	}
	all, err := s.catalog.ListRoles(ctx, p.UserID)
	if err != nil {
		return "", fmt.Errorf("list the roles of user %s: %w", p.UserID, err)
	}
	if len(all) == 0 {
		return "", fault.New(fault.Forbidden, "auth.project_unnamed", "You have no role in any project.")
	}
	for _, a := range all {
		if a.ProjectID != all[0].ProjectID {
			return "", fault.New(fault.Forbidden, "auth.project_unnamed",
				"You have roles in several projects: say which one with the header %s.", ProjectHeader)
		}
	}
	return all[0].ProjectID, nil
}
