package auth

import "context"

// The ways a principal can have signed in: the values of Principal.Method.
const (
	MethodToken     = "token" // header X-Auth-Token
	MethodSignature = "aksk"  // Authorization: SDK-HMAC-SHA256
	MethodBasic     = "basic" // Authorization: Basic
	MethodHSSO      = "hsso"  // Authorization: HSSO
)

// Principal is the user on whose behalf a request is made. It holds no secret and may be logged.
type Principal struct {
	UserID, UserName     string
	DomainID, DomainName string
	ProjectID            string // the project the token is scoped to; empty for any project in which the user has a role
	Method               string // one of the Method constants
}

type principalKey struct{}

// WithPrincipal returns a context that carries p.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom gives the principal that WithPrincipal put into ctx; false where there is none.
func PrincipalFrom(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}
