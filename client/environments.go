package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// DeployModes are the values of Environment.DeployMode.
var DeployModes = []string{"container", "virtualmachine", "mixed"}

// Environment is where add-ons run, as the ServiceStage contract shows it.
type Environment struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Description string  `json:"description"`
	ProjectID   string  `json:"project_id"`
	DeployMode  string  `json:"deploy_mode"`
	VPCID       string  `json:"vpc_id"`
	Labels      []Label `json:"labels"`
	Creator     string  `json:"creator"`
	CreateTime  int64   `json:"create_time"` // milliseconds since 1970; see Created
	UpdateTime  int64   `json:"update_time"` // see Updated
}

// Label is a label of an environment. Several may have the same key.
type Label struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Created gives CreateTime; zero where there is none.
func (e Environment) Created() time.Time { return stageTime(e.CreateTime) }

// Updated gives UpdateTime; zero where there is none.
func (e Environment) Updated() time.Time { return stageTime(e.UpdateTime) }

func stageTime(milliseconds int64) time.Time {
	if milliseconds == 0 {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}

// NewEnvironment is what a new environment is made of.
type NewEnvironment struct {
	Name        string  `json:"name"` // unique in the project
	VPCID       string  `json:"vpc_id"`
	DeployMode  string  `json:"deploy_mode,omitempty"` // one of DeployModes; empty leaves the service's default
	Description string  `json:"description,omitempty"`
	Labels      []Label `json:"labels,omitempty"`
}

// EnvironmentChange is what becomes of an environment. What is nil stays as it is.
type EnvironmentChange struct {
	Name        *string  `json:"name,omitempty"`
	Description *string  `json:"description,omitempty"`
	Labels      *[]Label `json:"labels,omitempty"` // all of them
}

// EnvironmentPage is one page of environments.
type EnvironmentPage struct {
	Count        int           `json:"count"` // on all pages
	Environments []Environment `json:"environments"`
}

// CreateEnvironment makes an environment. A name that is taken is refused with the code CodeEnvironmentExists.
func (c *Client) CreateEnvironment(ctx context.Context, e NewEnvironment) (Environment, error) {
	var made Environment
	err := c.post(ctx, "create the environment", c.stagePath("environments"), e, &made)
	return made, err
}

// ListEnvironments lists environments of the project by creation. limit is 1 to 100, or 0 for the service's default.
func (c *Client) ListEnvironments(ctx context.Context, limit, offset int) (EnvironmentPage, error) {
	query := url.Values{}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	if offset > 0 {
		query.Set("offset", strconv.Itoa(offset))
	}
	var page EnvironmentPage
	err := c.get(ctx, "list environments", c.stagePath("environments"), query, &page)
	return page, err
}

// Environment asks for one environment. One that is not there is refused with the code CodeNoEnvironment.
func (c *Client) Environment(ctx context.Context, id string) (Environment, error) {
	var e Environment
	err := c.get(ctx, "ask for environment "+id, c.stagePath("environments", id), nil, &e)
	return e, err
}

// UpdateEnvironment changes an environment, and gives it as it is then.
func (c *Client) UpdateEnvironment(ctx context.Context, id string, change EnvironmentChange) (Environment, error) {
	var e Environment
	_, err := c.call(ctx, "change environment "+id,
		call{method: http.MethodPut, path: c.stagePath("environments", id), body: change}, &e)
	return e, err
}

// DeleteEnvironment removes an environment, which must have no add-ons.
func (c *Client) DeleteEnvironment(ctx context.Context, id string) error {
	_, err := c.call(ctx, "delete environment "+id,
		call{method: http.MethodDelete, path: c.stagePath("environments", id)}, nil)
	return err
}

func (c *Client) stagePath(rest ...string) string {
	return path(append([]string{"v3", c.cfg.ProjectID, "cas"}, rest...)...)
}
