package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"assetflow/catalog"
	"assetflow/fault"
)

const (
	maxNameLength   = 64 // characters of a user's or domain's name
	accessKeyLength = 20
	secretKeyLength = 40
)

// AddUser makes a user, and its domain where it does not exist. The user is given back without its password hash.
// Errors: Invalid "auth.bad_name", Invalid "auth.weak_password", Conflict "catalog.user_exists".
func (s *Service) AddUser(ctx context.Context, domain, name, password string) (catalog.User, error) {
	if err := checkName("domain", domain); err != nil {
		return catalog.User{}, err
	}
	if err := checkName("user", name); err != nil {
		return catalog.User{}, err
	}
	if err := checkPolicy(name, password); err != nil {
		return catalog.User{}, err
	}
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return catalog.User{}, err
	}
	user, err := s.catalog.CreateUser(ctx, domain, name, hash)
	if err != nil {
		return catalog.User{}, fmt.Errorf("add user: %w", err)
	}
	user.PasswordHash = ""
	return user, nil
}

// SetPassword replaces a user's password and revokes all tokens issued so far. Access keys stay.
// Errors: Invalid "auth.weak_password", NotFound "catalog.user_not_found".
func (s *Service) SetPassword(ctx context.Context, userID, password string) error {
	user, err := s.catalog.User(ctx, userID)
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	if err := checkPolicy(user.Name, password); err != nil {
		return err
	}
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return err
	}
	if err := s.catalog.SetPassword(ctx, userID, hash); err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	return nil
}

// RevokeTokens revokes all tokens issued to the user so far. NotFound "catalog.user_not_found".
func (s *Service) RevokeTokens(ctx context.Context, userID string) error {
	if err := s.catalog.RaiseTokenGeneration(ctx, userID); err != nil {
		return fmt.Errorf("revoke tokens: %w", err)
	}
	return nil
}

// AddAccessKey makes an access key for the user: 20 upper-case letters and digits, with a secret key of 40. The secret
// key is given back this once and stored sealed. NotFound "catalog.user_not_found".
func (s *Service) AddAccessKey(ctx context.Context, userID string) (accessKey, secretKey string, err error) {
	accessKey = randomText(accessKeyLength)
	secretKey = randomText(secretKeyLength)
	err = s.catalog.CreateAccessKey(ctx, catalog.AccessKey{
		ID: accessKey, UserID: userID, SealedSecret: s.keys.sealSecret(accessKey, secretKey), CreatedAt: s.now().UTC(),
	})
	if err != nil {
		return "", "", fmt.Errorf("add access key: %w", err)
	}
	return accessKey, secretKey, nil
}

// RevokeAccessKey makes an access key useless for ever. NotFound "catalog.key_not_found".
func (s *Service) RevokeAccessKey(ctx context.Context, accessKey string) error {
	if err := s.catalog.RevokeAccessKey(ctx, accessKey); err != nil {
		return fmt.Errorf("revoke access key: %w", err)
	}
	return nil
}

// GrantRole gives a user a role in a project; again is no error.
// Errors: Invalid "auth.bad_role" for a role that does not exist, NotFound "catalog.user_not_found",
// "catalog.project_not_found".
func (s *Service) GrantRole(ctx context.Context, userID, projectID, role string) error {
	if !slices.Contains(Roles(), role) {
		return fault.New(fault.Invalid, "auth.bad_role", "There is no role %q. The roles are %s.", role, strings.Join(Roles(), ", "))
	}
	if err := s.catalog.GrantRole(ctx, catalog.RoleAssignment{UserID: userID, ProjectID: projectID, Role: role}); err != nil {
		return fmt.Errorf("grant role: %w", err)
	}
	return nil
}

// RevokeRole takes a role in a project from a user, from the next call on. NotFound "catalog.role_not_found".
func (s *Service) RevokeRole(ctx context.Context, userID, projectID, role string) error {
	if err := s.catalog.RevokeRole(ctx, catalog.RoleAssignment{UserID: userID, ProjectID: projectID, Role: role}); err != nil {
		return fmt.Errorf("revoke role: %w", err)
	}
	return nil
}

func checkName(what, name string) error {
	n := utf8.RuneCountInString(name)
	if n < 1 || n > maxNameLength || !utf8.ValidString(name) || strings.TrimSpace(name) != name ||
		strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return fault.New(fault.Invalid, "auth.bad_name",
			"The %s name must have 1 to %d printable characters and neither begin nor end with a space.", what, maxNameLength)
	}
	return nil
}

// randomText gives n random characters of A-Z and 2-7, 5 bits each.
func randomText(n int) string {
	text := ""
	for len(text) < n {
		text += rand.Text()
	}
	return text[:n]
}
