package automation

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"assetflow/auth"
	"assetflow/fault"
	"assetflow/telemetry"
)

// What later handlers find in the gin context.
const (
	sessionKey = "automation.session"
	projectKey = "automation.project"
)

// crossOrigin refuses what a page of another site has a browser send.
var crossOrigin = http.NewCrossOriginProtection()

// authenticate lets only callers pass that are known, but for the version, which is no secret.
func (s *server) authenticate(c *gin.Context) {
	ctx := c.Request.Context()
	if c.FullPath() == routeVersion && c.Request.Header.Get("Authorization") == "" && c.Request.Header.Get(auth.TokenHeader) == "" {
		return
	}
	p, session, err := s.Auth.AuthenticateAutomation(ctx, c.Request)
	if err != nil {
		WriteError(c, err)
		return
	}
	// A browser sends a name and password again by itself, whichever page asks for it; a token it does not.
	if err := crossOrigin.Check(c.Request); p.Method == auth.MethodBasic && err != nil {
		WriteError(c, fault.New(fault.Forbidden, codeCrossOrigin, "A page of another site must sign in with a token.").Wrap(err))
		return
	}
	c.Set(sessionKey, session)
	if err := s.refresh(c); err != nil {
		WriteError(c, err)
		return
	}
	c.Request = c.Request.WithContext(telemetry.WithUserID(auth.WithPrincipal(ctx, p), p.UserID))
}

// refresh puts a fresh token into the answer.
func (s *server) refresh(c *gin.Context) error {
	session, ok := c.MustGet(sessionKey).(auth.Session)
	if !ok {
		return errors.New("there is no session")
	}
	token, err := s.Auth.IssueHSSO(session)
	if err != nil {
		return err
	}
	c.Header("WWW-Authenticate", "HSSO "+token.Value)
	return nil
}

// authorize finds the project and lets only callers pass who may do this in it.
func (s *server) authorize(c *gin.Context) {
	if c.FullPath() == routeVersion {
		return
	}
	ctx := c.Request.Context()
	p, _ := auth.PrincipalFrom(ctx)
	if named := c.Request.Header.Values(auth.ProjectHeader); len(named) > 1 {
		WriteError(c, fault.New(fault.Invalid, codeParameter, "The header %s was sent more than once.", auth.ProjectHeader))
		return
	}
	project, err := s.Auth.ProjectOf(ctx, p, c.Request.Header.Get(auth.ProjectHeader))
	if err != nil {
		WriteError(c, err)
		return
	}
	// An operation without a permission is nobody's: the empty one is in no role.
	if err := s.Auth.Authorize(ctx, p, project, permissions[c.Request.Method+" "+c.FullPath()]); err != nil {
		WriteError(c, err)
		return
	}
	c.Set(projectKey, project)
}
