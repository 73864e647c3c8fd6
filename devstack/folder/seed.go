package folder

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
)

// What the first start makes.
const (
	firstDomain   = "assetflow"
	firstUser     = "admin"
	firstProject  = "demo"
	firstInstance = "demo"
	// firstEnvironment is made in the project, for add-ons.
	firstEnvironment = "development"
)

// Seed makes the first user with its access key, project, environment and instance where they do not exist, and gives what
// credentials.json says about them.
//
// Each secret is on disk before, or right after, it is in the catalog: a start that is cut off anywhere is made good by
// the next one, and nobody is locked out. Where the files do not know the user's password, it gets a new one.
func Seed(ctx context.Context, dir string, cat *catalog.Catalog, people *auth.Service) (Credentials, error) {
	s := seeder{dir: dir, catalog: cat, auth: people, file: CredentialsFile}
	published, err := readJSON(dir, CredentialsFile, &s.credentials)
	if err != nil {
		return Credentials{}, err
	}
	if !published {
		s.file = firstStartFile
		if s.cutOff, err = readJSON(dir, firstStartFile, &s.credentials); err != nil {
			return Credentials{}, err
		}
	}
	for _, step := range []func(context.Context) error{s.user, s.project, s.environment, s.instance, s.accessKey} {
		if err := step(ctx); err != nil {
			return Credentials{}, err
		}
	}
	return s.credentials, nil
}

type seeder struct {
	dir         string
	catalog     *catalog.Catalog
	auth        *auth.Service
	credentials Credentials
	file        string // where the credentials are until they are published, or again
	cutOff      bool   // an earlier first start did not come to its end
	userID      string
	newUser     bool
}

// save writes what is known so far.
func (s *seeder) save() error { return writeJSON(s.dir, s.file, s.credentials) }

func (s *seeder) user(ctx context.Context) error {
	c := &s.credentials
	known := c.User != "" && c.Password != ""
	if !known {
		c.Domain, c.User, c.Password = firstDomain, firstUser, rand.Text()
		if err := s.save(); err != nil {
			return err
		}
	}
	user, err := s.catalog.UserByName(ctx, c.Domain, c.User)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		s.newUser = true
		user, err = s.auth.AddUser(ctx, c.Domain, c.User, c.Password)
	case err == nil && !known: // the files were removed
		err = s.auth.SetPassword(ctx, user.ID, c.Password)
	}
	s.userID = user.ID
	return err
}

func (s *seeder) project(ctx context.Context) error {
	project, err := s.catalog.Project(ctx, s.credentials.ProjectID)
	if fault.KindOf(err) == fault.NotFound {
		project, err = s.catalog.ProjectByName(ctx, s.credentials.Domain, firstProject)
	}
	if fault.KindOf(err) == fault.NotFound {
		project, err = s.catalog.CreateProject(ctx, s.credentials.Domain, firstProject)
	}
	if err != nil {
		return err
	}
	if s.credentials.ProjectID == project.ID && !s.newUser {
		return nil // whatever roles the user has there by now
	}
	s.credentials.ProjectID = project.ID
	return s.auth.GrantRole(ctx, s.userID, project.ID, string(auth.RoleAdmin))
}

// environment makes the first environment of a project that has none. One that was removed does not come back once the
// stack has been ready.
func (s *seeder) environment(ctx context.Context) error {
	if s.file == CredentialsFile {
		return nil
	}
	_, n, err := s.catalog.ListEnvironments(ctx, s.credentials.ProjectID, 1, 0)
	if err != nil || n > 0 {
		return err
	}
	_, err = s.catalog.CreateEnvironment(ctx, s.userID, catalog.Environment{
		ProjectID: s.credentials.ProjectID, Name: firstEnvironment, DeployMode: catalog.DeployContainer, VPCID: "local",
	})
	return err
}

func (s *seeder) instance(ctx context.Context) error {
	c := &s.credentials
	if _, err := s.catalog.Instance(ctx, c.ProjectID, c.InstanceID); fault.KindOf(err) != fault.NotFound {
		return err
	}
	instances, err := s.catalog.ListInstances(ctx, c.ProjectID)
	if err != nil {
		return err
	}
	named := func(i catalog.Instance) bool { return i.Name == firstInstance }
	if i := slices.IndexFunc(instances, named); i >= 0 {
		c.InstanceID = instances[i].ID
		return nil
	}
	instance, err := s.catalog.CreateInstance(ctx, c.ProjectID, firstInstance)
	c.InstanceID = instance.ID
	return err
}

func (s *seeder) accessKey(ctx context.Context) error {
	c := &s.credentials
	if c.AccessKey != "" {
		// A revoked key stays in the file: somebody wanted it so.
		if _, err := s.catalog.AccessKey(ctx, c.AccessKey); fault.KindOf(err) != fault.NotFound {
			return err
		}
	}
	if s.cutOff {
		if err := s.revokeLostKeys(ctx); err != nil {
			return err
		}
	}
	var err error
	if c.AccessKey, c.SecretKey, err = s.auth.AddAccessKey(ctx, s.userID); err != nil {
		return err
	}
	return s.save()
}

// revokeLostKeys revokes the key that a first start made and could not write down: nobody knows its secret.
func (s *seeder) revokeLostKeys(ctx context.Context) error {
	keys, err := s.catalog.ListAccessKeys(ctx, s.userID)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := s.auth.RevokeAccessKey(ctx, key.ID); err != nil {
			return fmt.Errorf("revoke key %s of an unfinished first start: %w", key.ID, err)
		}
	}
	return nil
}
