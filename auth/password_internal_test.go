package auth

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func TestPasswordPolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, user, password, want string }{
		{"twelve characters", "anna", "abcdefghijkl", ""},
		{"twelve characters that are not ASCII", "anna", "äöüäöüäöüäöü", ""},
		{"longest", "anna", strings.Repeat("x", 128), ""},
		{"eleven characters", "anna", "abcdefghijk", "at least 12"},
		{"eleven characters of more bytes", "anna", "äöüäöüäöüäö", "at least 12"},
		{"empty", "anna", "", "at least 12"},
		{"too long", "anna", strings.Repeat("x", 129), "at most 128"},
		{"user's name", "anna", "my-name-is-Anna", "user's name"},
		{"short user's name", "al", "the-alphabet", ""},
		{"not UTF-8", "anna", "abcdefghijkl\xff", "UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := checkPolicy(c.user, c.password)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, "auth.weak_password", fault.CodeOf(err))
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestHashFormat(t *testing.T) {
	t.Parallel()
	s := New(nil, nil)
	text, err := s.hashPassword(context.Background(), "correct horse battery")
	require.NoError(t, err)
	require.Regexp(t, `^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, text)
	again, err := s.hashPassword(context.Background(), "correct horse battery")
	require.NoError(t, err)
	require.NotEqual(t, text, again, "the salt is random")
	h, err := parseHash(text)
	require.NoError(t, err)
	require.Equal(t, text, h.String())
	require.Equal(t, h.key, h.derive("correct horse battery", 32))
	require.NotEqual(t, h.key, h.derive("correct horse batterz", 32))
}

// A hash by argon2's reference implementation, with other parameters than ours.
func TestHashOfAnotherImplementation(t *testing.T) {
	t.Parallel()
	h, err := parseHash("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	require.NoError(t, err)
	require.Equal(t, h.key, h.derive("password", len(h.key)))
}

func TestParseHashRefuses(t *testing.T) {
	t.Parallel()
	salt, key := "c29tZXNhbHQ", base64.RawStdEncoding.EncodeToString(make([]byte, 32))
	for name, text := range map[string]string{
		"empty":            "",
		"plain":            "password",
		"argon2i":          "$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + key,
		"old version":      "$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + key,
		"no version":       "$argon2id$m=19456,t=2,p=1$" + salt + "$" + key,
		"bad parameters":   "$argon2id$v=19$t=2,m=19456,p=1$" + salt + "$" + key,
		"no passes":        "$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + key,
		"no lanes":         "$argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + key,
		"too many passes":  "$argon2id$v=19$m=19456,t=101,p=1$" + salt + "$" + key,
		"2 GiB":            "$argon2id$v=19$m=2097152,t=2,p=1$" + salt + "$" + key,
		"salt not base64":  "$argon2id$v=19$m=19456,t=2,p=1$!$" + key,
		"salt too short":   "$argon2id$v=19$m=19456,t=2,p=1$c29t$" + key,
		"key not base64":   "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$!",
		"key empty":        "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$",
		"one part more":    "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + key + "$",
		"one part missing": "$argon2id$v=19$m=19456,t=2,p=1$" + salt,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parseHash(text)
			require.Error(t, err)
		})
	}
}

// Two passwords are hashed at a time and no more, and who does not exist waits in the same line: their time is that of a
// hash, not that of a look-up.
func TestHashingIsLimited(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	keys, err := ParseMasterKey(GenerateMasterKey())
	require.NoError(t, err)
	s := New(catalogtest.New(t), keys)
	_, err = s.AddUser(ctx, "acme", "anna", "correct horse battery")
	require.NoError(t, err)
	_, err = s.catalog.CreateUser(ctx, "acme", "robot", "") // cannot sign in with a password
	require.NoError(t, err)

	first, err := s.hashSlot(ctx)
	require.NoError(t, err)
	second, err := s.hashSlot(ctx)
	require.NoError(t, err)
	for _, user := range []string{"anna", "nobody", "robot"} {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err = s.IssueToken(short, PasswordLogin{Domain: "acme", User: user, Password: "correct horse battery"})
		require.Equal(t, "auth.busy", fault.CodeOf(err), user)
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := s.IssueToken(ctx, PasswordLogin{Domain: "acme", User: "anna", Password: "correct horse battery"})
		waiting <- err
	}()
	first()
	require.NoError(t, <-waiting)
	second()
	require.Empty(t, s.hashing, "every slot was given back")
	_, err = s.IssueToken(ctx, PasswordLogin{Domain: "acme", User: "robot", Password: ""})
	require.Equal(t, "auth.wrong_password", fault.CodeOf(err))
}

func TestRandomText(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^[A-Z2-7]{20}$`, randomText(accessKeyLength))
	require.Regexp(t, `^[A-Z2-7]{40}$`, randomText(secretKeyLength))
	require.NotEqual(t, randomText(20), randomText(20))
}
