package auth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/auth"
	"assetflow/fault"
)

// tool signs in as a tool of others does, with the headers in pairs.
func (f *fixture) tool(t *testing.T, headers ...string) (auth.Principal, error) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return f.AuthenticateTool(t.Context(), r)
}

func TestAuthenticateTool(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token := f.token(t, auth.PasswordLogin{}).Value
	scoped := f.token(t, auth.PasswordLogin{ProjectID: f.shop.ID}).Value
	for name, tc := range map[string]struct {
		headers         []string
		method, project string
	}{
		"bearer":          {[]string{"Authorization", "Bearer " + token}, auth.MethodToken, ""},
		"in small":        {[]string{"Authorization", "bearer  " + token}, auth.MethodToken, ""},
		"of a project":    {[]string{"Authorization", "Bearer " + scoped}, auth.MethodToken, f.shop.ID},
		"basic":           {[]string{"Authorization", basic("acme/anna", password)}, auth.MethodBasic, ""},
		"the token alone": {[]string{"X-Auth-Token", token}, auth.MethodToken, ""},
	} {
		p, err := f.tool(t, tc.headers...)
		require.NoError(t, err, name)
		require.Equal(t, f.anna.ID, p.UserID, name)
		require.Equal(t, tc.method, p.Method, name)
		require.Equal(t, tc.project, p.ProjectID, name)
	}
	_, session, err := f.automation(basic("anna", password))
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		headers []string
		code    string
	}{
		"nothing":           {nil, "auth.missing"},
		"no token":          {[]string{"Authorization", "Bearer"}, "auth.token_invalid"},
		"another's token":   {[]string{"Authorization", "Bearer eyJhbGciOiJub25lIn0.e30."}, "auth.token_invalid"},
		"an HSSO token":     {[]string{"Authorization", "Bearer " + session.Value}, "auth.token_invalid"},
		"HSSO":              {[]string{"Authorization", "HSSO " + session.Value}, "auth.missing"},
		"wrong password":    {[]string{"Authorization", basic("anna", "wrong")}, "auth.wrong_password"},
		"no base64":         {[]string{"Authorization", "Basic !"}, "auth.basic_malformed"},
		"two":               {[]string{"Authorization", "Bearer " + token, "Authorization", basic("anna", password)}, "auth.basic_malformed"},
		"two of a token":    {[]string{"X-Auth-Token", token, "X-Auth-Token", token}, "auth.token_invalid"},
		"a bad one besides": {[]string{"Authorization", "Bearer x", "X-Auth-Token", token}, "auth.token_invalid"},
	} {
		_, err := f.tool(t, tc.headers...)
		require.Equal(t, tc.code, fault.CodeOf(err), name)
		require.Equal(t, fault.Unauthenticated, fault.KindOf(err), name)
	}
	// A guess with Basic counts like any other: one was made above.
	for i := range auth.MaxPasswordFailures {
		f.waitForFailures(t, f.anna.ID, i+1)
		_, err := f.tool(t, "Authorization", basic("anna", "wrong"))
		require.Error(t, err)
	}
	f.waitForFailures(t, f.anna.ID, auth.MaxPasswordFailures+1)
	_, err = f.tool(t, "Authorization", basic("anna", password))
	require.Equal(t, "auth.wrong_password", fault.CodeOf(err), "locked out")
}
