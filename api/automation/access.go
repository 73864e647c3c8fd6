package automation

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/fault"
	"assetflow/telemetry"
)

const headerAuthenticate = "WWW-Authenticate"

// challenge is what an answer to a caller who is not known carries.
const challenge = `Basic realm="Assetflow", charset="UTF-8"`

// announce puts into every answer what the contract has there. No page of another server gets at an answer to a browser's
// own credentials by it: a browser does not take "*" for a permission to do so.
func announce(c *gin.Context) {
	header := c.Writer.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, PUT, HEAD, OPTIONS")
	header.Set("Access-Control-Allow-Credentials", "true")
	header.Set("Access-Control-Expose-Headers", headerAuthenticate)
	header.Set("Cache-Control", "no-cache")
	header.Set("X-Content-Type-Options", "nosniff")
}

// preflight answers a browser that asks what a page may send.
func preflight(c *gin.Context) {
	c.Header("Access-Control-Allow-Headers", strings.Join([]string{
		"Accept", "Authorization", "Content-Type", auth.ProjectHeader, auth.TokenHeader,
		middleware.HeaderIdempotencyKey, middleware.HeaderOnConflict, middleware.HeaderRequestID,
	}, ", "))
	c.Header("Access-Control-Max-Age", "600")
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
}

// The keys of what authenticate and authorize find out, in the gin.Context.
const (
	keySession = "automation.session"
	keyProject = "automation.project"
)

// authenticate lets only callers pass that are known, and gives them a token to go on with. The version is no secret: who
// does not sign in is told it as well.
func (s *server) authenticate(c *gin.Context) {
	if c.FullPath() == routeVersion && c.GetHeader("Authorization") == "" && c.GetHeader(auth.TokenHeader) == "" {
		return
	}
	ctx := c.Request.Context()
	p, session, err := s.Auth.AuthenticateAutomation(ctx, c.Request)
	if err != nil {
		WriteError(c, err)
		return
	}
	c.Set(keySession, session)
	c.Request = c.Request.WithContext(telemetry.WithUserID(auth.WithPrincipal(ctx, p), p.UserID))
	if err := s.issueToken(c); err != nil {
		WriteError(c, err)
	}
}

// issueToken puts a token that lasts from now on into the answer's header. A refusal takes it back.
func (s *server) issueToken(c *gin.Context) error {
	session, _ := c.MustGet(keySession).(auth.Session)
	token, err := s.Auth.IssueHSSO(session)
	if err != nil {
		return err
	}
	c.Header(headerAuthenticate, "HSSO "+token.Value)
	return nil
}

// hssoOf gives the header of a success. ctx is the one that generated code hands on.
func hssoOf(ctx context.Context) string {
	return ctx.(*gin.Context).Writer.Header().Get(headerAuthenticate)
}

// checkOrigin refuses what a page of another server makes a browser do. A browser that was given a password sends it with
// every request to this server, whosesoever page makes it; nobody's browser does so with a token or a signature.
func (s *server) checkOrigin(c *gin.Context) {
	if p, _ := auth.PrincipalFrom(c.Request.Context()); p.Method != auth.MethodBasic {
		return
	}
	if err := s.sameOrigin.Check(c.Request); err != nil {
		WriteError(c, fault.New(fault.Forbidden, codeOrigin,
			"A page of another server may not do this with a password. It can go on with the token of the header WWW-Authenticate.").Wrap(err))
	}
}

// authorize lets only callers pass who may do this in the project.
func (s *server) authorize(c *gin.Context) {
	if c.FullPath() == routeVersion {
		return
	}
	if len(c.Request.Header.Values(auth.ProjectHeader)) > 1 {
		WriteError(c, fault.New(fault.Forbidden, codeProject, "The header %s was sent more than once.", auth.ProjectHeader))
		return
	}
	ctx := c.Request.Context()
	p, _ := auth.PrincipalFrom(ctx)
	project, err := s.Auth.ProjectOf(ctx, p, c.GetHeader(auth.ProjectHeader))
	if err == nil {
		// An operation without a permission is nobody's: the empty one is in no role.
		err = s.Auth.Authorize(ctx, p, project, permissions[c.Request.Method+" "+c.FullPath()])
	}
	if err != nil {
		WriteError(c, err)
		return
	}
	c.Set(keyProject, project)
}

// projectOf gives the project that authorize has found. ctx is the one that generated code hands on.
func projectOf(ctx context.Context) string { return ctx.(*gin.Context).GetString(keyProject) }

// callerOf gives who is calling. ctx is the one that generated code hands on.
func callerOf(ctx context.Context) auth.Principal {
	p, _ := auth.PrincipalFrom(middleware.Context(ctx))
	return p
}

// checkQuery refuses a query that would lose parameters on its way through the generated code: one with a bare
// semicolon, say, which would list everything where a filter was meant.
func (s *server) checkQuery(c *gin.Context) {
	if _, err := url.ParseQuery(c.Request.URL.RawQuery); err != nil {
		WriteError(c, fault.New(fault.Invalid, codeParameter, "The query is not properly encoded.").Wrap(err))
	}
}

// baseURL is where the caller reached this service.
func baseURL(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" { // a proxy says so; else it deceives itself alone
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: r.Host}).String()
}
