package prodstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Names in PostgreSQL.
const (
	superuser    = "postgres"
	catalogName  = "assetflow" // database and role
	temporalName = "temporal"  // role
)

// postgreSQL is a PostgreSQL server with a role for the catalog and one for Temporal.
type postgreSQL struct {
	*process
	addr     string
	password string // of all three roles
}

// postgresPrograms finds the folder of the newest PostgreSQL on the machine.
func postgresPrograms() (string, error) {
	if found, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(found), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errors.New("there is no PostgreSQL on this machine: install the package postgresql")
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

// postgresUser is who PostgreSQL runs as: it refuses root, and is nobody else otherwise.
func postgresUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nil is the answer
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root: %w", err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// startPostgreSQL makes the cluster where it is missing, and starts it.
func (s *Stack) startPostgreSQL(ctx context.Context) error {
	programs, err := postgresPrograms()
	if err != nil {
		return err
	}
	owner, err := postgresUser()
	if err != nil {
		return err
	}
	dir := filepath.Join(s.opts.DataDir, "postgresql")
	data := filepath.Join(dir, "data")
	s.postgres = &postgreSQL{addr: s.addrs.postgres, password: s.secrets.S3.SecretKey}
	c := command{path: filepath.Join(programs, "initdb"), dir: dir, user: owner, environ: []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}}
	if _, err := os.Stat(data); err != nil {
		if err := s.postgres.make(ctx, c, dir, s.logs); err != nil {
			return err
		}
	}
	host, port, err := net.SplitHostPort(s.postgres.addr)
	if err != nil {
		return err
	}
	c.name, c.path, c.stop = "postgresql", filepath.Join(programs, "postgres"), syscall.SIGINT // ends sessions
	c.args = []string{"-D", data, "-h", host, "-p", port, "-c", "unix_socket_directories=", "-c", "max_connections=300"}
	if s.opts.Volatile {
		c.args = append(c.args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	}
	if s.postgres.process, err = s.begin(c); err != nil {
		return err
	}
	var conn *pgx.Conn
	if err := s.postgres.await(ctx, func(ctx context.Context) error {
		var err error
		conn, err = pgx.Connect(ctx, s.postgres.url(superuser, superuser))
		return err
	}); err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	return s.postgres.prepare(ctx, conn)
}

// make makes the cluster. Its own user owns it and must get to it.
func (p *postgreSQL) make(ctx context.Context, c command, dir, logs string) error {
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return err
	}
	unfinished := filepath.Join(dir, "unfinished") // until it is whole
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(p.password), 0o600); err != nil {
		return err
	}
	if c.user != nil {
		if err := errors.Join(os.Chown(dir, int(c.user.Uid), int(c.user.Gid)), os.Chown(password, int(c.user.Uid), int(c.user.Gid))); err != nil {
			return err
		}
	}
	// The order of texts is a language's, as it is on most servers: nothing may rely on that of the bytes.
	c.name = "initdb"
	c.args = []string{"-D", unfinished, "-U", superuser, "--auth=scram-sha-256", "--pwfile=" + password,
		"--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync"}
	err := run(ctx, c, logs)
	if err != nil && c.user != nil {
		err = fmt.Errorf("%w\nPostgreSQL refuses root, and its own user must be able to reach %s", err, dir)
	}
	if err = errors.Join(err, os.Remove(password)); err != nil {
		return err
	}
	return os.Rename(unfinished, filepath.Join(dir, "data"))
}

// prepare makes the roles and the catalog's database.
func (p *postgreSQL) prepare(ctx context.Context, conn *pgx.Conn) error {
	exists := func(query string) (bool, error) {
		var there bool
		err := conn.QueryRow(ctx, "SELECT EXISTS ("+query+")").Scan(&there)
		return there, err
	}
	for _, s := range []struct{ missing, make string }{
		{"SELECT FROM pg_roles WHERE rolname = '" + temporalName + "'", "CREATE ROLE " + temporalName + " LOGIN CREATEDB PASSWORD '" + p.password + "'"},
		{"SELECT FROM pg_roles WHERE rolname = '" + catalogName + "'", "CREATE ROLE " + catalogName + " LOGIN PASSWORD '" + p.password + "'"},
		{"SELECT FROM pg_database WHERE datname = '" + catalogName + "'", "CREATE DATABASE " + catalogName + " OWNER " + catalogName},
	} {
		there, err := exists(s.missing)
		if err == nil && !there {
			_, err = conn.Exec(ctx, s.make)
		}
		if err != nil {
			return fmt.Errorf("prepare PostgreSQL: %w", err)
		}
	}
	return nil
}

// url leads a role to a database.
func (p *postgreSQL) url(role, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, p.password), Host: p.addr, Path: database, RawQuery: "sslmode=disable"}
	return u.String()
}

// postgresGrace is how long PostgreSQL may take to end its sessions and write what is in memory.
const postgresGrace = time.Minute
