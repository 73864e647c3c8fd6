// Package iam answers the part of the identity service that clients sign in with: POST /v3/auth/tokens.
package iam

import (
	"context"
	_ "embed"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/fault"
)

// maxBody is how many bytes a sign-in may have; a real one has some 300.
const maxBody = 64 << 10

//go:embed openapi.yaml
var document []byte

// Document gives the OpenAPI document of this contract, as YAML.
func Document() []byte { return slices.Clone(document) }

// Register mounts POST /v3/auth/tokens on r. The route needs no authentication.
func Register(r gin.IRouter, svc *auth.Service) {
	strict := NewStrictHandlerWithOptions(&server{auth: svc}, nil, StrictGinServerOptions{
		RequestErrorHandlerFunc:  func(c *gin.Context, err error) { WriteError(c, badRequest(err)) },
		HandlerErrorFunc:         WriteError,
		ResponseErrorHandlerFunc: WriteError,
	})
	RegisterHandlersWithOptions(r, strict, GinServerOptions{
		Middlewares: []MiddlewareFunc{MiddlewareFunc(middleware.LimitBody(maxBody, WriteError))},
		ErrorHandler: func(c *gin.Context, _ error, _ int) {
			WriteError(c, invalid("A query parameter is malformed."))
		},
	})
}

type server struct{ auth *auth.Service }

var _ StrictServerInterface = (*server)(nil)

// CreateToken answers POST /v3/auth/tokens.
func (s *server) CreateToken(ctx context.Context, request CreateTokenRequestObject) (CreateTokenResponseObject, error) {
	login, err := loginOf(request.Body)
	if err != nil {
		return nil, err
	}
	token, err := s.auth.IssueToken(middleware.Context(ctx), login)
	if err != nil {
		return nil, err
	}
	domain, err := domainScope(request.Body.Auth.Scope, token)
	if err != nil {
		return nil, err
	}
	return CreateToken201JSONResponse{
		Headers: created(token),
		Body:    TokenResponse{Token: render(token, domain)},
	}, nil
}

// loginOf checks the request and turns it into a login. Nothing the caller sent is quoted in an error: any of it could
// be a password in the wrong place.
func loginOf(request *TokenRequest) (auth.PasswordLogin, error) {
	identity := request.Auth.Identity
	if len(identity.Methods) != 1 || identity.Methods[0] != "password" {
		return auth.PasswordLogin{}, invalid(`auth.identity.methods must be ["password"].`)
	}
	user := identity.Password.User
	for _, field := range []struct{ name, value string }{
		{"name", user.Name}, {"password", user.Password}, {"domain.name", user.Domain.Name},
	} {
		if field.value == "" {
			return auth.PasswordLogin{}, invalid("auth.identity.password.user." + field.name + " is missing.")
		}
	}
	login := auth.PasswordLogin{Domain: user.Domain.Name, User: user.Name, Password: user.Password}
	if scope := request.Auth.Scope; scope != nil && scope.Project != nil {
		project := scope.Project
		login.ProjectID, login.ProjectName = text(project.ID), text(project.Name)
		if login.ProjectID == "" && login.ProjectName == "" {
			return auth.PasswordLogin{}, invalid("auth.scope.project has neither an id nor a name.")
		}
		if project.Domain != nil {
			login.ProjectDomain = text(project.Domain.Name)
		}
	}
	return login, nil
}

// domainScope gives the domain that the token was asked for, which can only be the user's own; nil without such a scope.
func domainScope(scope *Scope, token auth.Token) (*Named, error) {
	if scope == nil || scope.Domain == nil || scope.Project != nil {
		return nil, nil //nolint:nilnil // no scope is no error
	}
	id, name := text(scope.Domain.ID), text(scope.Domain.Name)
	if id == "" && name == "" {
		return nil, invalid("auth.scope.domain has neither an id nor a name.")
	}
	if id != "" && id != token.User.DomainID || name != "" && name != token.User.DomainName {
		return nil, fault.New(fault.Unauthenticated, "iam.foreign_domain", "The domain of the scope is not the user's.")
	}
	return &Named{ID: token.User.DomainID, Name: token.User.DomainName}, nil
}

func created(token auth.Token) CreateToken201ResponseHeaders {
	return CreateToken201ResponseHeaders{XSubjectToken: token.Value}
}

func render(token auth.Token, domain *Named) Token {
	user := token.User
	out := Token{
		Catalog:   []map[string]any{},
		Domain:    domain,
		ExpiresAt: token.ExpiresAt.UTC().Format(auth.TimeFormat),
		IssuedAt:  token.IssuedAt.UTC().Format(auth.TimeFormat),
		Methods:   []string{"password"},
		Roles:     []Named{},
		User:      TokenUser{ID: user.ID, Name: user.Name, Domain: Named{ID: user.DomainID, Name: user.DomainName}},
	}
	for _, role := range token.Roles {
		out.Roles = append(out.Roles, Named{ID: role, Name: role}) // roles are known by their names
	}
	if p := token.Project; p != nil {
		out.Project = &Project{ID: p.ID, Name: p.Name, Domain: Named{ID: p.DomainID, Name: p.DomainName}}
	}
	return out
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func invalid(message string) error {
	return fault.New(fault.Invalid, "iam.invalid_request", "%s", message)
}

// badRequest gives the refusal for a body that could not be read. The decoder's own text is not in it, as it quotes
// numbers that stand where a text should.
func badRequest(err error) error {
	if f, ok := fault.As(err); ok {
		return f
	}
	return invalid("The request body must be a JSON object as documented: " + http.MethodPost + " /v3/auth/tokens.")
}
