package auth

import (
	"context"
	"net/http"
	"strings"
)

const schemeBearer = "Bearer"

// AuthenticateTool finds out who sends r from a tool of others, such as the Temporal UI and command line: by
// Authorization: Bearer with a token, or Basic as AuthenticateAutomation reads it, or else as Authenticate does.
//
// Errors, all Unauthenticated: "auth.wrong_password" as with IssueToken; "auth.basic_malformed"; and those of Authenticate.
// Unavailable "auth.busy" as with IssueToken.
func (s *Service) AuthenticateTool(ctx context.Context, r *http.Request) (Principal, error) {
	authorizations := r.Header.Values("Authorization")
	for _, a := range authorizations {
		scheme, value, _ := strings.Cut(strings.TrimSpace(a), " ")
		basic, bearer := strings.EqualFold(scheme, schemeBasic), strings.EqualFold(scheme, schemeBearer)
		switch {
		case (basic || bearer) && len(authorizations) > 1:
			return Principal{}, basicMalformed("header Authorization was sent more than once")
		case basic:
			p, _, err := s.authenticateBasic(ctx, r)
			return p, err
		case bearer:
			p, _, _, err := s.authenticateToken(ctx, strings.TrimSpace(value))
			return p, err
		}
	}
	return s.Authenticate(ctx, r)
}
