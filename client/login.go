package client

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"time"
)

// Names of JSON objects in the request for a token.
type (
	object map[string]any
	named  struct {
		Name string `json:"name"`
	}
)

var projectID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Login exchanges a user's password for a token, valid 24 hours. project is a project's id (32 hex digits) or name;
// empty for a token without a project. The client itself keeps using what its Config says.
func (c *Client) Login(ctx context.Context, domain, user, password, project string) (token string, expires time.Time, err error) {
	auth := object{"identity": object{
		"methods":  []string{"password"},
		"password": object{"user": object{"name": user, "password": password, "domain": named{domain}}},
	}}
	switch {
	case projectID.MatchString(project):
		auth["scope"] = object{"project": object{"id": project}}
	case project != "":
		auth["scope"] = object{"project": named{project}}
	}
	var answer struct {
		Token struct {
			ExpiresAt time.Time `json:"expires_at"`
		} `json:"token"`
	}
	header, err := c.call(ctx, "sign in", call{
		method: http.MethodPost, path: path("v3", "auth", "tokens"), body: object{"auth": auth}, anonymous: true,
	}, &answer)
	if err != nil {
		return "", time.Time{}, err
	}
	token = header.Get("X-Subject-Token")
	if token == "" {
		return "", time.Time{}, errors.New("sign in: the answer carries no token")
	}
	return token, answer.Token.ExpiresAt, nil
}
