package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/telemetry"
)

// The password policy: length, and nothing that makes people write passwords down. A password is at least 12 and at
// most 128 characters long and does not contain the user's name (where that has 4 characters or more).
const (
	minForbiddenName  = 4
	MinPasswordLength = 12  // characters
	MaxPasswordLength = 128 // characters
)

// Parameters of argon2id (RFC 9106): 19 MiB, 2 passes, 1 lane. They stand in each hash, so they can be raised here
// without making existing passwords invalid.
const (
	argonMemory  = 19 << 10 // KiB
	argonPasses  = 2
	argonLanes   = 1
	argonSalt    = 16 // bytes
	argonKey     = 32 // bytes
	parallelHash = 2  // hashes at a time in one service: 38 MiB at most
)

var passwordEncoding = base64.RawStdEncoding.Strict()

func checkPolicy(userName, password string) error {
	weak := func(why string, args ...any) error {
		return fault.New(fault.Invalid, "auth.weak_password", "The password "+why+".", args...)
	}
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return weak("is not valid UTF-8")
	case n < MinPasswordLength:
		return weak("must have at least %d characters", MinPasswordLength)
	case n > MaxPasswordLength:
		return weak("must have at most %d characters", MaxPasswordLength)
	case utf8.RuneCountInString(userName) >= minForbiddenName && strings.Contains(strings.ToLower(password), strings.ToLower(userName)):
		return weak("must not contain the user's name")
	}
	return nil
}

// hashSlot waits until a password may be hashed; the returned function gives the slot back.
func (s *Service) hashSlot(ctx context.Context) (func(), error) {
	select {
	case s.hashing <- struct{}{}:
		return func() { <-s.hashing }, nil
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "auth.busy", "Too many passwords are being checked at the moment. Try again.").Wrap(ctx.Err())
	}
}

// hashPassword gives the PHC string that the catalog keeps.
func (s *Service) hashPassword(ctx context.Context, password string) (string, error) {
	release, err := s.hashSlot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // never fails
	h := argonHash{memory: argonMemory, passes: argonPasses, lanes: argonLanes, salt: salt}
	h.key = h.derive(password, argonKey)
	return h.String(), nil
}

// Lock-out of passwords. Tokens and access keys that are there go on working.
const (
	MaxPasswordFailures = 5               // wrong passwords in a row that a user survives
	PasswordLockTime    = 5 * time.Minute // for which no password of the user works after one more
)

// checkPassword checks the password of the user that find gives. Who does not exist takes as long as who mistypes, and so
// does who is locked out. What goes on here goes on for a few callers at a time, so that many guesses at once are counted
// like those that come one after the other.
func (s *Service) checkPassword(ctx context.Context, find func(context.Context) (catalog.User, error), password string) (catalog.User, error) {
	release, err := s.hashSlot(ctx)
	if err != nil {
		return catalog.User{}, err
	}
	counting := false
	defer func() {
		if !counting {
			release()
		}
	}()
	user, err := find(ctx)
	known := err == nil && user.DisabledAt == nil && user.PasswordHash != ""
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return catalog.User{}, fmt.Errorf("find the user: %w", err)
	}
	stored := decoyHash
	if known {
		if stored, err = parseHash(user.PasswordHash); err != nil {
			return catalog.User{}, fmt.Errorf("read the password hash of user %s: %w", user.ID, err)
		}
	}
	if utf8.RuneCountInString(password) > MaxPasswordLength {
		password = "" // never a password; hash something of ordinary length all the same
	}
	same := subtle.ConstantTimeCompare(stored.derive(password, len(stored.key)), stored.key) == 1
	wrong := fault.New(fault.Unauthenticated, "auth.wrong_password", "The username or password is wrong.")
	if !known {
		return catalog.User{}, wrong
	}
	locked := user.PasswordLockedUntil != nil && s.now().Before(*user.PasswordLockedUntil)
	switch {
	case locked:
		s.logger.WarnContext(ctx, "a password was sent for a user who is locked out", "user_id", user.ID, "until", *user.PasswordLockedUntil)
		return catalog.User{}, wrong
	case !same:
		counting = true
		go s.countWrongPassword(context.WithoutCancel(ctx), user, release)
		return catalog.User{}, wrong
	case user.PasswordFailures > 0:
		if err := s.catalog.ResetPasswordFailures(ctx, user.ID); err != nil {
			return catalog.User{}, fmt.Errorf("reset the failures of a password: %w", err)
		}
	}
	return user, nil
}

// countWrongPassword counts while the caller has its answer already: by the time of a write, who exists could be told from
// who does not. The place among those that are checked is given back only then.
func (s *Service) countWrongPassword(ctx context.Context, user catalog.User, release func()) {
	defer release()
	s.logger.WarnContext(ctx, "a password was wrong", "user_id", user.ID, "failures_before", user.PasswordFailures)
	locked, err := s.catalog.RecordPasswordFailure(ctx, user.ID, s.now(), MaxPasswordFailures, PasswordLockTime)
	if err != nil {
		s.logger.ErrorContext(ctx, "a wrong password was not counted", "user_id", user.ID, "error", err)
	}
	if locked {
		s.metrics.LockedOut(telemetry.LockedPassword)
	}
}

// argonHash is a hash with all that is needed to make it again.
type argonHash struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

// decoyHash is what the password of a user who does not exist is compared with.
var decoyHash = argonHash{
	memory: argonMemory, passes: argonPasses, lanes: argonLanes,
	salt: make([]byte, argonSalt), key: make([]byte, argonKey),
}

func (h argonHash) derive(password string, size int) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(size)) //nolint:gosec // at most 64, see parseHash
}

// String gives the PHC string format: $argon2id$v=19$m=…,t=…,p=…$salt$key.
func (h argonHash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes,
		passwordEncoding.EncodeToString(h.salt), passwordEncoding.EncodeToString(h.key))
}

// parseHash reads the PHC string format. Its limits keep a row that somebody tampered with from exhausting the process.
func parseHash(text string) (argonHash, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return argonHash{}, errors.New("it is not an argon2id hash of a known version")
	}
	var h argonHash
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); err != nil {
		return argonHash{}, errors.New("its parameters cannot be read")
	}
	if h.memory > 1<<20 || h.passes < 1 || h.passes > 100 || h.lanes < 1 {
		return argonHash{}, errors.New("its parameters are out of bounds")
	}
	var err error
	if h.salt, err = passwordEncoding.DecodeString(parts[4]); err != nil {
		return argonHash{}, errors.New("its salt is not base64")
	}
	if h.key, err = passwordEncoding.DecodeString(parts[5]); err != nil {
		return argonHash{}, errors.New("its key is not base64")
	}
	if len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 {
		return argonHash{}, errors.New("its salt or key has a strange length")
	}
	return h, nil
}
