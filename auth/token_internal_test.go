package auth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

// What is signed with our key but is not a token of ours.
func TestTokenMustBeOurs(t *testing.T) {
	t.Parallel()
	keys, err := ParseMasterKey(GenerateMasterKey())
	require.NoError(t, err)
	s := New(catalogtest.New(t), keys)
	user, err := s.AddUser(context.Background(), "acme", "anna", "correct horse battery")
	require.NoError(t, err)
	sign := func(method jwt.SigningMethod, change func(jwt.MapClaims)) string {
		c := jwt.MapClaims{"iss": tokenIssuer, "sub": user.ID, "gen": user.TokenGeneration, "exp": time.Now().Add(time.Hour).Unix()}
		change(c)
		token, err := jwt.NewWithClaims(method, c).SignedString(keys.tokens)
		require.NoError(t, err)
		return token
	}
	unchanged := func(jwt.MapClaims) {}
	authenticate := func(token string) error {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set(TokenHeader, token)
		_, err := s.Authenticate(context.Background(), r)
		return err
	}
	good := sign(jwt.SigningMethodHS256, unchanged)
	require.NoError(t, authenticate(good))

	// The last character of 32 bytes in base64 has two bits that say nothing: there is one spelling only.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1])
	for name, token := range map[string]string{
		"another algorithm": sign(jwt.SigningMethodHS384, unchanged),
		"another issuer":    sign(jwt.SigningMethodHS256, func(c jwt.MapClaims) { c["iss"] = "other" }),
		"no issuer":         sign(jwt.SigningMethodHS256, func(c jwt.MapClaims) { delete(c, "iss") }),
		"no end":            sign(jwt.SigningMethodHS256, func(c jwt.MapClaims) { delete(c, "exp") }),
		"no user":           sign(jwt.SigningMethodHS256, func(c jwt.MapClaims) { delete(c, "sub") }),
		"unknown user":      sign(jwt.SigningMethodHS256, func(c jwt.MapClaims) { c["sub"] = strings.Repeat("0", 32) }),
		"older generation":  sign(jwt.SigningMethodHS256, func(c jwt.MapClaims) { c["gen"] = user.TokenGeneration - 1 }),
		"later generation":  sign(jwt.SigningMethodHS256, func(c jwt.MapClaims) { c["gen"] = user.TokenGeneration + 1 }),
		"another spelling":  good[:len(good)-1] + string(alphabet[last^1]),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, "auth.token_invalid", fault.CodeOf(authenticate(token)))
		})
	}
}
