package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// defaultProfile is the profile that login stores, and that is used, where none is named.
const defaultProfile = "default"

// profile is what login stores.
type profile struct {
	Endpoint   string    `json:"endpoint"`
	ProjectID  string    `json:"project_id,omitempty"`
	InstanceID string    `json:"instance_id,omitempty"`
	Domain     string    `json:"domain,omitempty"`
	User       string    `json:"user,omitempty"`
	Token      string    `json:"token,omitempty"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"` // of the token
	AccessKey  string    `json:"access_key,omitempty"`
	SecretKey  string    `json:"secret_key,omitempty"`
}

// profiles is the file that they are stored in.
type profiles struct {
	Profiles map[string]profile `json:"profiles"`
}

func (a *app) profilesPath() (string, error) {
	dir, err := a.configDir()
	if err != nil {
		return "", &hintError{err: fmt.Errorf("find the folder for profiles: %w", err), hint: "Set HOME or XDG_CONFIG_HOME."}
	}
	return filepath.Join(dir, "assetflow", "profiles.json"), nil
}

// loadProfiles reads the stored profiles; a file that does not exist holds none.
func (a *app) loadProfiles() (profiles, string, error) {
	path, err := a.profilesPath()
	if err != nil {
		return profiles{}, "", err
	}
	content, err := os.ReadFile(path) //nolint:gosec // our own file in the user's configuration folder
	if errors.Is(err, fs.ErrNotExist) {
		return profiles{Profiles: map[string]profile{}}, path, nil
	}
	if err != nil {
		return profiles{}, path, fmt.Errorf("read the profiles: %w", err)
	}
	var p profiles
	if err := json.Unmarshal(content, &p); err != nil {
		return profiles{}, path, fmt.Errorf("read the profiles: %s: %w", path, err)
	}
	if p.Profiles == nil {
		p.Profiles = map[string]profile{}
	}
	return p, path, nil
}

// saveProfiles writes the profiles for nobody but the user to read, whole or not at all.
func saveProfiles(path string, p profiles) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("store the profile: %w", err)
	}
	content, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("store the profile: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".profiles-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("store the profile: %w", err)
	}
	_, err = f.Write(append(content, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("store the profile: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
