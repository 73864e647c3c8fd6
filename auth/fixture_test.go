package auth_test

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"assetflow/auth"
	"assetflow/auth/signature"
	"assetflow/catalog"
	"assetflow/fault"
)

const password = "correct horse battery"

// fixture is a service on a real catalog with user anna of domain acme, who is Develop in project shop. All that is
// logged and all errors that were noted are looked through for secrets when the test ends.
type fixture struct {
	*auth.Service
	cat     *catalog.Catalog
	path    string // of the database
	clock   atomic.Int64
	anna    catalog.User
	shop    catalog.Project
	log     lockedBuffer
	secrets []string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	ctx := context.Background()
	f := &fixture{path: filepath.Join(t.TempDir(), "catalog.db"), secrets: []string{password}}
	f.setTime(time.Date(2026, 1, 1, 12, 0, 0, 701e6, time.UTC))
	var err error
	f.cat, err = catalog.Open(ctx, "sqlite:"+f.path, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.cat.Close()) })
	require.NoError(t, f.cat.Migrate(ctx))
	f.Service = f.service(t, auth.GenerateMasterKey())
	f.anna, err = f.AddUser(ctx, "acme", "anna", password)
	require.NoError(t, err)
	f.shop, err = f.cat.CreateProject(ctx, "acme", "shop")
	require.NoError(t, err)
	require.NoError(t, f.GrantRole(ctx, f.anna.ID, f.shop.ID, "Develop"))
	t.Cleanup(func() {
		for _, secret := range f.secrets {
			require.NotContains(t, f.log.String(), secret, "a secret stands in a log or an error")
		}
	})
	return f
}

// service makes another service on the same catalog.
func (f *fixture) service(t *testing.T, masterKey string) *auth.Service {
	t.Helper()
	f.secrets = append(f.secrets, masterKey)
	keys, err := auth.ParseMasterKey(masterKey)
	require.NoError(t, err)
	return auth.New(f.cat, keys, auth.WithClock(f.now), auth.WithLogger(slog.New(slog.NewTextHandler(&f.log, nil))))
}

func (f *fixture) now() time.Time          { return time.Unix(0, f.clock.Load()).UTC() }
func (f *fixture) setTime(now time.Time)   { f.clock.Store(now.UnixNano()) }
func (f *fixture) advance(d time.Duration) { f.clock.Add(int64(d)) }

func (f *fixture) token(t *testing.T, login auth.PasswordLogin) auth.Token {
	t.Helper()
	login.Domain, login.User, login.Password = "acme", "anna", password
	token, err := f.IssueToken(context.Background(), login)
	require.NoError(t, err)
	f.secrets = append(f.secrets, token.Value)
	return token
}

func (f *fixture) key(t *testing.T) (ak, sk string) {
	t.Helper()
	ak, sk, err := f.AddAccessKey(context.Background(), f.anna.ID)
	require.NoError(t, err)
	f.secrets = append(f.secrets, sk)
	return ak, sk
}

// withToken authenticates a request that carries the tokens given.
func (f *fixture) withToken(tokens ...string) (auth.Principal, error) {
	r := httptest.NewRequest(http.MethodGet, "/v2/p1/x", nil)
	r.Header["X-Auth-Token"] = tokens
	p, err := f.Authenticate(context.Background(), r)
	f.note(err)
	return p, err
}

// signed authenticates a request signed with an access key at the fixture's time.
func (f *fixture) signed(ak, sk string) (auth.Principal, error) {
	r := httptest.NewRequest(http.MethodPost, "/v2/p1/x?a=b", strings.NewReader("{}\n"))
	r.Header.Set("Content-Type", "application/json")
	if err := signature.Sign(r, ak, sk, f.now()); err != nil {
		return auth.Principal{}, err
	}
	p, err := f.Authenticate(context.Background(), r)
	f.note(err)
	return p, err
}

// disable disables a user behind the catalog's back.
func (f *fixture) disable(t *testing.T, userID string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+f.path+"?_pragma=busy_timeout(5000)")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	result, err := db.Exec("UPDATE users SET disabled_at = created_at WHERE id = ?", userID)
	require.NoError(t, err)
	n, err := result.RowsAffected()
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

func (f *fixture) note(err error) {
	if err != nil {
		_, _ = f.log.Write([]byte(err.Error() + "\n"))
	}
}

// requireFault checks kind, code and the message that a caller gets.
func requireFault(t *testing.T, err error, kind fault.Kind, code, message string) {
	t.Helper()
	f, ok := fault.As(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, []any{kind, code, message}, []any{f.Kind, f.Code, f.Message}, "%v", err)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
