package auth_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
)

func TestTokenOfProject(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token := f.token(t, auth.PasswordLogin{ProjectID: f.shop.ID})
	require.Equal(t, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), token.IssuedAt)
	require.Equal(t, 24*time.Hour, token.ExpiresAt.Sub(token.IssuedAt))
	require.Equal(t, &f.shop, token.Project)
	require.Equal(t, []string{"Develop"}, token.Roles)
	require.Equal(t, f.anna.ID, token.User.ID)
	require.Empty(t, token.User.PasswordHash)

	p, err := f.withToken(token.Value)
	require.NoError(t, err)
	want := auth.Principal{
		UserID: f.anna.ID, UserName: "anna", DomainID: f.anna.DomainID, DomainName: "acme", ProjectID: f.shop.ID, Method: "token",
	}
	require.Equal(t, want, p)
	p, err = f.withToken("  " + token.Value + " ")
	require.NoError(t, err, "spaces around it")
	require.Equal(t, want, p)
}

func TestTokenScopes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := context.Background()
	foreign, err := f.cat.CreateProject(ctx, "initech", "shop")
	require.NoError(t, err)
	closed, err := f.cat.CreateProject(ctx, "acme", "closed")
	require.NoError(t, err)
	require.NoError(t, f.GrantRole(ctx, f.anna.ID, foreign.ID, "Submit"))
	require.NoError(t, f.GrantRole(ctx, f.anna.ID, foreign.ID, "Develop"))
	for _, c := range []struct {
		name    string
		login   auth.PasswordLogin
		project *catalog.Project
		roles   []string
	}{
		{"none", auth.PasswordLogin{}, nil, []string{"Develop", "Submit"}},
		{"id", auth.PasswordLogin{ProjectID: f.shop.ID}, &f.shop, []string{"Develop"}},
		{"name in the user's domain", auth.PasswordLogin{ProjectName: "shop"}, &f.shop, []string{"Develop"}},
		{"name in another domain", auth.PasswordLogin{ProjectName: "shop", ProjectDomain: "initech"}, &foreign, []string{"Develop", "Submit"}},
		{"id before name", auth.PasswordLogin{ProjectID: foreign.ID, ProjectName: "shop"}, &foreign, []string{"Develop", "Submit"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := f.token(t, c.login)
			require.Equal(t, c.project, token.Project)
			require.Equal(t, c.roles, token.Roles)
			p, err := f.withToken(token.Value)
			require.NoError(t, err)
			if c.project == nil {
				require.Empty(t, p.ProjectID)
			} else {
				require.Equal(t, c.project.ID, p.ProjectID)
			}
		})
	}
	for name, login := range map[string]auth.PasswordLogin{
		"unknown id":      {ProjectID: strings.Repeat("0", 32)},
		"malformed id":    {ProjectID: "x"},
		"unknown name":    {ProjectName: "no"},
		"unknown domain":  {ProjectName: "shop", ProjectDomain: "no"},
		"no role by id":   {ProjectID: closed.ID},
		"no role by name": {ProjectName: "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			login.Domain, login.User, login.Password = "acme", "anna", password
			_, err := f.IssueToken(ctx, login)
			requireFault(t, err, fault.Unauthenticated, "auth.no_project", "The project does not exist, or the user has no role in it.")
		})
	}
}

func TestIssueTokenRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := context.Background()
	eve, err := f.AddUser(ctx, "acme", "evelyn", password)
	require.NoError(t, err)
	f.disable(t, eve.ID)
	for name, login := range map[string]auth.PasswordLogin{
		"wrong password":   {Domain: "acme", User: "anna", Password: password + "!"},
		"empty password":   {Domain: "acme", User: "anna"},
		"endless password": {Domain: "acme", User: "anna", Password: strings.Repeat("x", 1<<20)},
		"unknown user":     {Domain: "acme", User: "nobody", Password: password},
		"unknown domain":   {Domain: "initech", User: "anna", Password: password},
		"another's domain": {Domain: "", User: "anna", Password: password},
		"disabled user":    {Domain: "acme", User: "evelyn", Password: password},
		"other case":       {Domain: "acme", User: "Anna", Password: password},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.IssueToken(ctx, login)
			f.note(err)
			requireFault(t, err, fault.Unauthenticated, "auth.wrong_password", "The username or password is wrong.")
		})
	}
}

func TestTokenExpires(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token := f.token(t, auth.PasswordLogin{})
	f.setTime(token.ExpiresAt.Add(-time.Millisecond))
	_, err := f.withToken(token.Value)
	require.NoError(t, err)
	f.setTime(token.ExpiresAt)
	_, err = f.withToken(token.Value)
	requireFault(t, err, fault.Unauthenticated, "auth.token_expired", "token expires, expires_at: 2026-01-02T12:00:00.000000Z")
}

func TestTokenRevoked(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, revoke := range map[string]func(t *testing.T, f *fixture){
		"new password": func(t *testing.T, f *fixture) {
			require.NoError(t, f.SetPassword(ctx, f.anna.ID, "another horse battery"))
			_, err := f.IssueToken(ctx, auth.PasswordLogin{Domain: "acme", User: "anna", Password: password})
			require.Equal(t, "auth.wrong_password", fault.CodeOf(err))
			_, err = f.IssueToken(ctx, auth.PasswordLogin{Domain: "acme", User: "anna", Password: "another horse battery"})
			require.NoError(t, err)
		},
		"tokens revoked": func(t *testing.T, f *fixture) { require.NoError(t, f.RevokeTokens(ctx, f.anna.ID)) },
		"user disabled":  func(t *testing.T, f *fixture) { f.disable(t, f.anna.ID) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			token := f.token(t, auth.PasswordLogin{})
			_, err := f.withToken(token.Value)
			require.NoError(t, err)
			revoke(t, f)
			_, err = f.withToken(token.Value)
			requireFault(t, err, fault.Unauthenticated, "auth.token_invalid", "decrypt token fail")
		})
	}
}

func TestTokenRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := f.token(t, auth.PasswordLogin{}).Value
	parts := strings.Split(good, ".")
	decode := func(s string) string {
		b, err := base64.RawURLEncoding.DecodeString(s)
		require.NoError(t, err)
		return string(b)
	}
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	require.Contains(t, decode(parts[1]), f.anna.ID)
	other, err := f.service(t, auth.GenerateMasterKey()).IssueToken(context.Background(),
		auth.PasswordLogin{Domain: "acme", User: "anna", Password: password})
	require.NoError(t, err)
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{
		"iss": "assetflow", "sub": f.anna.ID, "gen": f.anna.TokenGeneration, "exp": f.now().Add(time.Hour).Unix(),
	}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	for name, token := range map[string]string{
		"not a token":         "abc",
		"three empty parts":   "..",
		"cut":                 good[:len(good)-1],
		"longer":              good + "A",
		"without signature":   parts[0] + "." + parts[1] + ".",
		"another user":        parts[0] + "." + encode(strings.Replace(decode(parts[1]), f.anna.ID, strings.Repeat("0", 32), 1)) + "." + parts[2],
		"another algorithm":   encode(`{"alg":"none","typ":"JWT"}`) + "." + parts[1] + ".",
		"no algorithm":        unsigned,
		"HS384 in the header": encode(`{"alg":"HS384","typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"another master key":  other.Value,
		"padding":             good + "=",
		"of 4 KiB and more":   good + strings.Repeat("A", 4<<10),
		"not UTF-8":           "\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.withToken(token)
			requireFault(t, err, fault.Unauthenticated, "auth.token_invalid", "decrypt token fail")
			require.NotContains(t, err.Error(), parts[1][:20])
			if len(token) > 10 {
				require.NotContains(t, err.Error(), token[:10])
			}
		})
	}
	t.Run("sent twice", func(t *testing.T) {
		_, err := f.withToken(good, good)
		requireFault(t, err, fault.Unauthenticated, "auth.token_invalid", "decrypt token fail")
	})
	for name, tokens := range map[string][]string{"none": nil, "empty": {""}, "blank": {" "}} {
		t.Run(name, func(t *testing.T) {
			_, err := f.withToken(tokens...)
			requireFault(t, err, fault.Unauthenticated, "auth.missing", "x-auth-token not found")
		})
	}
}

// The catalog gone is not the caller's fault.
func TestTokenWithoutCatalog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token := f.token(t, auth.PasswordLogin{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := f.IssueToken(ctx, auth.PasswordLogin{Domain: "acme", User: "anna", Password: password})
	require.Error(t, err)
	require.NotEqual(t, fault.Unauthenticated, fault.KindOf(err))
	require.NotContains(t, fmt.Sprint(err), token.Value)
}
