package folder

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"assetflow/auth"
	"assetflow/replication"
)

// Files in the data folder.
const (
	CredentialsFile = "credentials.json"
	MasterKeyFile   = "master.key"
	// firstStartFile holds the credentials from before they are used until credentials.json is complete.
	firstStartFile = "first-start.json"
	s3RootFile     = "s3-root.json"
	keyRingFile    = "key-ring.json"
)

// Credentials is what a person, a script or a test needs to use the stack; the keys are those of credentials.json.
type Credentials struct {
	Endpoint   string `json:"endpoint"`    // base URL of the API
	TemporalUI string `json:"temporal_ui"` // URL; empty without the UI
	S3Endpoint string `json:"s3_endpoint"` // base URL of the S3 server
	ProjectID  string `json:"project_id"`
	InstanceID string `json:"instance_id"`
	Domain     string `json:"domain"`
	User       string `json:"user"`
	Password   string `json:"password"`
	AccessKey  string `json:"access_key"`
	SecretKey  string `json:"secret_key"`
}

// Secrets are the keys that the stack makes for itself.
type Secrets struct {
	MasterKey string
	S3        KeyPair
	KeyRing   string
}

// KeyPair lets in to the S3 server.
type KeyPair struct {
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// LoadSecrets reads the keys, and makes those that do not exist. catalogName is what the folder has in it once there is a
// catalog: then there must be a master key.
func LoadSecrets(dir, catalogName string) (Secrets, error) {
	var s Secrets
	text, err := os.ReadFile(filepath.Join(dir, MasterKeyFile)) //nolint:gosec // G304: the person names the folder
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(dir, catalogName)); err == nil {
			return Secrets{}, fmt.Errorf("%s is missing from %s: without it no stored secret key can be read; "+
				"put it back, or remove the whole folder to begin anew", MasterKeyFile, dir)
		}
		s.MasterKey = auth.GenerateMasterKey()
		if err := writeFile(dir, MasterKeyFile, []byte(s.MasterKey+"\n")); err != nil {
			return Secrets{}, err
		}
	case err != nil:
		return Secrets{}, fmt.Errorf("read the master key: %w", err)
	default:
		s.MasterKey = string(text)
	}
	found, err := readJSON(dir, s3RootFile, &s.S3)
	if err == nil && !found {
		s.S3 = KeyPair{AccessKey: rand.Text(), SecretKey: rand.Text() + rand.Text()}
		err = writeJSON(dir, s3RootFile, s.S3)
	}
	if err != nil {
		return Secrets{}, err
	}
	s.KeyRing, err = loadKeyRing(dir)
	return s, err
}

// loadKeyRing reads the replication key ring, and makes one when it does not exist. Nothing that lasts is sealed with it.
func loadKeyRing(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, keyRingFile)) //nolint:gosec // G304: the person names the folder
	if errors.Is(err, fs.ErrNotExist) {
		ring := replication.GenerateKeyRing("dev")
		return ring, writeFile(dir, keyRingFile, []byte(ring+"\n"))
	}
	if err != nil {
		return "", fmt.Errorf("read the key ring: %w", err)
	}
	return string(text), nil
}

// Publish writes credentials.json when it says something else. From then on the file is complete, and the one of the
// first start is not needed any more.
func (c Credentials) Publish(dir string) error {
	var old Credentials
	found, err := readJSON(dir, CredentialsFile, &old)
	if err != nil {
		return err
	}
	if !found || old != c {
		if err := writeJSON(dir, CredentialsFile, c); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(dir, firstStartFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("tidy up after the first start: %w", err)
	}
	return nil
}

// ReadCredentials reads what the stack in the folder, which runs or ran, has published.
func ReadCredentials(dir string) (Credentials, error) {
	var c Credentials
	found, err := readJSON(dir, CredentialsFile, &c)
	if err == nil && !found {
		err = fmt.Errorf("no %s in %s: does the stack run?", CredentialsFile, dir)
	}
	return c, err
}

func readJSON(dir, name string, into any) (found bool, err error) {
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path) //nolint:gosec // G304: the person names the folder
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("read %s: %w (mend the file or remove it)", path, err)
	}
	return true, nil
}

func writeJSON(dir, name string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return writeFile(dir, name, append(text, '\n'))
}

// writeFile writes a file that only its owner can read. After a crash the file has its old content or the new one, and
// once writeFile has returned it has the new one.
func writeFile(dir, name string, content []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	file, err := os.CreateTemp(dir, "."+name+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // it has its final name when all went well
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	folder, err := os.Open(dir) //nolint:gosec // G304: the person names the folder
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close()) // the new name
}
