package auth_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/auth"
	"assetflow/auth/signature"
	"assetflow/catalog"
	"assetflow/fault"
)

const wrongText = "The username or password is wrong."

// automation authenticates a request that carries the Authorization headers given.
func (f *fixture) automation(authorizations ...string) (auth.Principal, auth.HSSOToken, error) {
	r := httptest.NewRequest(http.MethodGet, "/Automation/v1/objects/ServiceTemplates", nil)
	r.Header["Authorization"] = authorizations
	return f.automationRequest(r)
}

func (f *fixture) automationRequest(r *http.Request) (auth.Principal, auth.HSSOToken, error) {
	p, session, err := f.AuthenticateAutomation(context.Background(), r)
	f.note(err)
	if err != nil {
		return p, auth.HSSOToken{}, err
	}
	token, err := f.IssueHSSO(session)
	f.secrets = append(f.secrets, token.Value)
	return p, token, err
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestBasic(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	want := auth.Principal{UserID: f.anna.ID, UserName: "anna", DomainID: f.anna.DomainID, DomainName: "acme", Method: "basic"}
	for name, header := range map[string]string{
		"name": basic("anna", password), "domain and name": basic("acme/anna", password),
		"scheme in another case": "bASIC" + strings.TrimPrefix(basic("anna", password), "Basic"),
	} {
		p, token, err := f.automation(header)
		require.NoError(t, err, name)
		require.Equal(t, want, p, name)
		require.NotEmpty(t, token.Value)
		require.Equal(t, 1000*time.Second, token.ExpiresAt.Sub(f.now().Truncate(time.Second)))
	}
}

func TestBasicRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := context.Background()
	eve, err := f.AddUser(ctx, "acme", "evelyn", password)
	require.NoError(t, err)
	f.disable(t, eve.ID)
	for _, domain := range []string{"acme", "initech"} {
		_, err := f.AddUser(ctx, domain, "both", password)
		require.NoError(t, err)
	}
	for name, header := range map[string]string{
		"wrong password": basic("anna", "wrong"), "empty password": basic("anna", ""), "unknown user": basic("nobody", password),
		"no user": basic("", password), "unknown domain": basic("initech/anna", password), "disabled user": basic("evelyn", password),
		"in two domains": basic("both", password), "other case": basic("Anna", password), "no text": basic("an\x00na", password),
		"domain no text": basic("\xff/anna", password),
	} {
		_, _, err := f.automation(header)
		require.Error(t, err, name)
		requireFault(t, err, fault.Unauthenticated, "auth.wrong_password", wrongText)
	}
	_, _, err = f.automation(basic("initech/both", password))
	require.NoError(t, err)
	for name, headers := range map[string][]string{
		"no value": {"Basic"}, "not base64": {"Basic !"}, "no colon": {"Basic " + base64.StdEncoding.EncodeToString([]byte("anna"))},
		"twice": {basic("anna", password), basic("anna", password)}, "beside another": {"Bearer x", basic("anna", password)},
	} {
		_, _, err := f.automation(headers...)
		require.Equal(t, "auth.basic_malformed", fault.CodeOf(err), name)
		require.Equal(t, fault.Unauthenticated, fault.KindOf(err))
	}
	for name, headers := range map[string][]string{"none": nil, "another scheme": {"Bearer x"}} {
		_, _, err := f.automation(headers...)
		require.Equal(t, "auth.missing", fault.CodeOf(err), name)
	}
	// Everywhere else neither counts.
	r := httptest.NewRequest(http.MethodGet, "/v2/x", nil)
	r.Header.Set("Authorization", basic("anna", password))
	_, err = f.Authenticate(ctx, r)
	require.Equal(t, "auth.missing", fault.CodeOf(err))
}

// A slash may part a domain from a name, or be part of one.
func TestBasicNamesWithSlashes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := context.Background()
	odd, err := f.AddUser(ctx, "initech", "a/b", password)
	require.NoError(t, err)
	for _, name := range []string{"a/b", "initech/a/b"} {
		p, _, err := f.automation(basic(name, password))
		require.NoError(t, err, name)
		require.Equal(t, odd.ID, p.UserID)
	}
	_, err = f.AddUser(ctx, "a", "b", password)
	require.NoError(t, err)
	_, _, err = f.automation(basic("a/b", password))
	require.Equal(t, "auth.wrong_password", fault.CodeOf(err), "two can be meant")
}

func TestHSSORotates(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, token, err := f.automation(basic("anna", password))
	require.NoError(t, err)
	seen := map[string]bool{token.Value: true}
	for range 5 {
		p, next, err := f.automation("HSSO " + token.Value)
		require.NoError(t, err)
		require.Equal(t, auth.Principal{UserID: f.anna.ID, UserName: "anna", DomainID: f.anna.DomainID, DomainName: "acme", Method: "hsso"}, p)
		require.False(t, seen[next.Value], "a fresh one, in the same second too")
		seen[next.Value] = true
		token = next
	}
	f.advance(999 * time.Second)
	_, later, err := f.automation("hsso  " + token.Value)
	require.NoError(t, err)
	f.setTime(token.ExpiresAt)
	_, _, err = f.automation("HSSO " + token.Value)
	require.Equal(t, "auth.token_expired", fault.CodeOf(err))
	require.NotContains(t, err.Error(), token.Value)
	_, _, err = f.automation("HSSO " + later.Value)
	require.NoError(t, err, "the next one goes on")
}

// One token after the other, a session comes to its end a day after it began.
func TestHSSOSessionEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	began := f.now().Truncate(time.Second)
	_, token, err := f.automation(basic("anna", password))
	require.NoError(t, err)
	for f.now().Before(began.Add(24*time.Hour - 900*time.Second)) {
		f.advance(900 * time.Second)
		_, token, err = f.automation("HSSO " + token.Value)
		require.NoError(t, err, f.now())
	}
	require.Equal(t, began.Add(24*time.Hour), token.ExpiresAt)
	f.setTime(token.ExpiresAt.Add(-time.Second))
	_, token, err = f.automation("HSSO " + token.Value)
	require.NoError(t, err)
	f.advance(time.Second)
	_, _, err = f.automation("HSSO " + token.Value)
	require.Equal(t, "auth.token_expired", fault.CodeOf(err))
}

func TestHSSORefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other, err := f.AddUser(context.Background(), "acme", "berta", password)
	require.NoError(t, err)
	_, token, err := f.automation(basic("anna", password))
	require.NoError(t, err)
	good := token.Value
	ordinary := f.token(t, auth.PasswordLogin{}).Value
	parts := strings.Split(good, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	require.Contains(t, string(payload), f.anna.ID)
	forge := func(old, changed string) string {
		return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), old, changed, 1))) + "." + parts[2]
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", basic("anna", password))
	elsewhere := f.service(t, auth.GenerateMasterKey())
	_, session, err := elsewhere.AuthenticateAutomation(context.Background(), r)
	require.NoError(t, err)
	foreign, err := elsewhere.IssueHSSO(session)
	require.NoError(t, err)
	for name, value := range map[string]string{
		"empty": "", "not a token": "abc", "cut": good[:len(good)-1], "longer": good + "A", "another user": forge(f.anna.ID, other.ID),
		"for longer": forge(`"exp":1`, `"exp":9`), "a token of the identity service": ordinary, "another master key": foreign.Value,
		"two": good + " " + good, "too long": good + strings.Repeat("A", 4<<10),
	} {
		require.NotEqual(t, good, value, name)
		_, _, err := f.automation("HSSO " + value)
		require.Equal(t, "auth.token_invalid", fault.CodeOf(err), name)
		require.NotContains(t, err.Error(), parts[1][:20])
	}
	_, _, err = f.automation("HSSO "+good, "HSSO "+good)
	require.Equal(t, "auth.basic_malformed", fault.CodeOf(err))
	_, err = f.withToken(good)
	require.Equal(t, "auth.token_invalid", fault.CodeOf(err), "it is no token of the identity service")
}

func TestHSSORevoked(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, revoke := range map[string]func(t *testing.T, f *fixture){
		"new password": func(t *testing.T, f *fixture) {
			require.NoError(t, f.SetPassword(ctx, f.anna.ID, "another horse battery"))
		},
		"tokens revoked": func(t *testing.T, f *fixture) { require.NoError(t, f.RevokeTokens(ctx, f.anna.ID)) },
		"user disabled":  func(t *testing.T, f *fixture) { f.disable(t, f.anna.ID) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			_, token, err := f.automation(basic("anna", password))
			require.NoError(t, err)
			revoke(t, f)
			_, _, err = f.automation("HSSO " + token.Value)
			requireFault(t, err, fault.Unauthenticated, "auth.token_invalid", "decrypt token fail")
		})
	}
}

// Who comes with a token or a signature gets an HSSO token that is worth no more than that.
func TestHSSOAfterTheOtherMethods(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	scoped := f.token(t, auth.PasswordLogin{ProjectID: f.shop.ID})
	f.setTime(scoped.ExpiresAt.Add(-10 * time.Second))
	r := httptest.NewRequest(http.MethodGet, "/Automation/v1/x", nil)
	r.Header.Set("X-Auth-Token", scoped.Value)
	p, token, err := f.automationRequest(r)
	require.NoError(t, err)
	require.Equal(t, f.shop.ID, p.ProjectID)
	require.Equal(t, scoped.ExpiresAt, token.ExpiresAt, "it does not outlive the token's day")
	p, _, err = f.automation("HSSO " + token.Value)
	require.NoError(t, err)
	require.Equal(t, f.shop.ID, p.ProjectID, "nor leave its project")

	ak, sk := f.key(t)
	r = httptest.NewRequest(http.MethodGet, "/Automation/v1/x", nil)
	require.NoError(t, signature.Sign(r, ak, sk, f.now()))
	p, token, err = f.automationRequest(r)
	require.NoError(t, err)
	require.Equal(t, "aksk", p.Method)
	_, _, err = f.automation("HSSO " + token.Value)
	require.NoError(t, err)
}

func TestHSSOTokenIsNotPrinted(t *testing.T) {
	t.Parallel()
	token := auth.HSSOToken{Value: "secret"}
	require.NotContains(t, token.String()+token.GoString()+token.LogValue().String(), "secret")
}

// waitForFailures waits until so many wrong passwords are counted: that happens behind the answer.
func (f *fixture) waitForFailures(t *testing.T, userID string, n int) catalog.User {
	t.Helper()
	var user catalog.User
	require.Eventually(t, func() bool {
		var err error
		user, err = f.cat.User(context.Background(), userID)
		require.NoError(t, err)
		return user.PasswordFailures >= n
	}, time.Minute, 2*time.Millisecond)
	require.Equal(t, n, user.PasswordFailures)
	return user
}

func TestPasswordLockOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	login := auth.PasswordLogin{Domain: "acme", User: "anna", Password: password}
	_, session, err := f.automation(basic("anna", password))
	require.NoError(t, err)
	guess := func(n int) {
		t.Helper()
		_, _, err := f.automation(basic("anna", "wrong"))
		requireFault(t, err, fault.Unauthenticated, "auth.wrong_password", wrongText)
		f.waitForFailures(t, f.anna.ID, n)
	}
	for i := range auth.MaxPasswordFailures {
		guess(i + 1)
	}
	_, _, err = f.automation(basic("anna", password))
	require.NoError(t, err, "five are survived")
	require.Zero(t, f.waitForFailures(t, f.anna.ID, 0).PasswordFailures)

	for i := range auth.MaxPasswordFailures + 1 {
		guess(i + 1)
	}
	refused := func() {
		t.Helper()
		_, _, err := f.automation(basic("anna", password))
		requireFault(t, err, fault.Unauthenticated, "auth.wrong_password", wrongText)
		_, err = f.IssueToken(context.Background(), login)
		requireFault(t, err, fault.Unauthenticated, "auth.wrong_password", wrongText)
	}
	refused()
	_, _, err = f.automation("HSSO " + session.Value)
	require.NoError(t, err, "whoever is in stays in")
	f.advance(auth.PasswordLockTime - time.Second)
	refused()
	require.Equal(t, auth.MaxPasswordFailures+1, f.waitForFailures(t, f.anna.ID, auth.MaxPasswordFailures+1).PasswordFailures, "what is sent while locked does not count")
	f.advance(time.Second)
	_, err = f.IssueToken(context.Background(), login)
	require.NoError(t, err)
	require.Zero(t, f.waitForFailures(t, f.anna.ID, 0).PasswordFailures)
}

// A new password ends a lock: that is what an administrator does for whoever cannot wait.
func TestPasswordLockEndsWithANewPassword(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range auth.MaxPasswordFailures + 1 {
		_, _, err := f.automation(basic("anna", "wrong"))
		require.Error(t, err)
		f.waitForFailures(t, f.anna.ID, i+1)
	}
	require.NoError(t, f.SetPassword(context.Background(), f.anna.ID, "another horse battery"))
	_, _, err := f.automation(basic("anna", "another horse battery"))
	require.NoError(t, err)
}

// Guesses at once are no way around the lock: those beyond the limit are not compared, but for the few under way.
func TestPasswordsGuessedAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var all sync.WaitGroup
	for range 24 {
		all.Go(func() {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", basic("anna", "wrong"))
			_, _, err := f.AuthenticateAutomation(context.Background(), r)
			if fault.CodeOf(err) != "auth.wrong_password" {
				t.Errorf("unexpected: %v", err)
			}
		})
	}
	all.Wait()
	var user catalog.User
	require.Eventually(t, func() bool {
		var err error
		user, err = f.cat.User(context.Background(), f.anna.ID)
		require.NoError(t, err)
		return user.PasswordFailures > auth.MaxPasswordFailures
	}, time.Minute, 2*time.Millisecond)
	require.LessOrEqual(t, user.PasswordFailures, auth.MaxPasswordFailures+2, "two are checked at a time")
	require.NotNil(t, user.PasswordLockedUntil)
}

func TestProjectOf(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := context.Background()
	anna := auth.Principal{UserID: f.anna.ID}
	project, err := f.ProjectOf(ctx, anna, "")
	require.NoError(t, err)
	require.Equal(t, f.shop.ID, project, "the only one")
	require.NoError(t, f.GrantRole(ctx, f.anna.ID, f.shop.ID, "Submit"))
	project, err = f.ProjectOf(ctx, anna, "")
	require.NoError(t, err)
	require.Equal(t, f.shop.ID, project, "two roles in one project")
	project, err = f.ProjectOf(ctx, anna, "named")
	require.NoError(t, err)
	require.Equal(t, "named", project)

	second, err := f.cat.CreateProject(ctx, "acme", "second")
	require.NoError(t, err)
	require.NoError(t, f.GrantRole(ctx, f.anna.ID, second.ID, "Admin"))
	_, err = f.ProjectOf(ctx, anna, "")
	requireFault(t, err, fault.Forbidden, "auth.project_unnamed", "You have roles in several projects: say which one with the header X-Project-Id.")
	project, err = f.ProjectOf(ctx, auth.Principal{UserID: f.anna.ID, ProjectID: second.ID}, "")
	require.NoError(t, err)
	require.Equal(t, second.ID, project, "the token's")
	nobody, err := f.AddUser(ctx, "acme", "nobody", password)
	require.NoError(t, err)
	_, err = f.ProjectOf(ctx, auth.Principal{UserID: nobody.ID}, "")
	requireFault(t, err, fault.Forbidden, "auth.project_unnamed", "You have no role in any project.")
}
