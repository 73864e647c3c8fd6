package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
)

// developmentCredentials is where the development stack leaves its credentials, relative to where it was started.
const developmentCredentials = ".assetflow/credentials.json" //nolint:gosec // a path, no secret

// developmentConnection gives the credentials that the development stack left in the working directory. They are used
// without being asked for, so they must lead to this machine: a folder from somewhere else must not send packages
// elsewhere.
func (a *app) developmentConnection() (connection, bool, error) {
	p, err := readCredentials(filepath.Join(a.dir, developmentCredentials))
	if errors.Is(err, fs.ErrNotExist) {
		return connection{}, false, nil
	}
	if err != nil {
		return connection{}, false, err
	}
	if !isLoopback(p.Endpoint) {
		a.note("%s is not used, because it does not lead to this machine; name it with --credentials.", developmentCredentials)
		return connection{}, false, nil
	}
	return connection{profile: p, source: developmentCredentials}, true, nil
}

func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// readCredentials reads a credentials.json.
func readCredentials(path string) (profile, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the user names it
	if err != nil {
		return profile{}, fmt.Errorf("read the credentials: %w", err)
	}
	var c struct {
		Endpoint   string `json:"endpoint"`
		ProjectID  string `json:"project_id"`
		InstanceID string `json:"instance_id"`
		Domain     string `json:"domain"`
		User       string `json:"user"`
		AccessKey  string `json:"access_key"`
		SecretKey  string `json:"secret_key"`
	}
	if err := json.Unmarshal(content, &c); err != nil {
		return profile{}, fmt.Errorf("read the credentials: %s: %w", path, err)
	}
	return profile{
		Endpoint: c.Endpoint, ProjectID: c.ProjectID, InstanceID: c.InstanceID, Domain: c.Domain, User: c.User,
		AccessKey: c.AccessKey, SecretKey: c.SecretKey,
	}, nil
}
