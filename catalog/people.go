package catalog

import "time"

// Domain is what users and projects belong to: a customer or a company.
type Domain struct {
	ID   string // 32 lower-case hex digits
	Name string // unique
}

// User is a person or a program that can sign in.
type User struct {
	ID              string // 32 lower-case hex digits
	DomainID        string
	DomainName      string
	Name            string // unique in its domain
	PasswordHash    string // encoded argon2id; empty: signing in with a password is not possible
	TokenGeneration int64  // a token carries the generation it was made in; raising it revokes every older token
	CreatedAt       time.Time
	DisabledAt      *time.Time // nil while the user may sign in

	PasswordFailures    int        // wrong passwords in a row
	PasswordLockedUntil *time.Time // nil or past: not locked
}

// AccessKey is the pair a client signs requests with. The secret is sealed by its caller; the catalog never sees it.
type AccessKey struct {
	ID           string // the access key itself, as it stands in a request
	UserID       string
	SealedSecret []byte
	CreatedAt    time.Time
	RevokedAt    *time.Time // nil while the key is valid
	Failures     int        // wrong signatures in a row
	LockedUntil  *time.Time // nil or past: not locked
}

// Project is what a path's project_id names.
type Project struct {
	ID         string // 32 lower-case hex digits
	DomainID   string
	DomainName string
	Name       string // unique in its domain
	CreatedAt  time.Time
}

// Instance is an integration platform inside a project: the place that assets are in.
type Instance struct {
	ID        string // UUID
	ProjectID string
	Name      string // unique in its project
	CreatedAt time.Time
}

// RoleAssignment gives a user a role in a project. Which roles there are is for package auth to say.
type RoleAssignment struct {
	UserID    string
	ProjectID string
	Role      string
}
