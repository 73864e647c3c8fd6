package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/config"
	"assetflow/fault"
)

const (
	// defaultDomain is the domain of users and projects where none is named.
	defaultDomain = "assetflow"

	adminHelp = `Works on the database directly, with the settings of the service: --database-url or ASSETFLOW_DATABASE_URL, or a
configuration file.`
)

// admin is a command that works on the database: its flags, and what it opens.
type admin struct {
	*app
	settingsFlags *settingsFlags
	needs         config.Need
}

// adminCommand adds the flags of a command that works on the database.
func (a *app) adminCommand(cmd *cobra.Command, needs config.Need, run func(ctx context.Context, d *desk, args []string) error) *cobra.Command {
	adm := &admin{app: a, needs: needs | config.NeedDatabase}
	adm.settingsFlags = addSettings(cmd, func(cmd *cobra.Command) { config.AddFlagsFor(cmd.Flags(), adm.needs) })
	cmd.Long += "\n\n" + adminHelp
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return adm.run(cmd.Context(), args, run) }
	return cmd
}

// withDomain adds the flag --domain to a command made by adminCommand.
func withDomain(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("domain", defaultDomain, "`name` of the domain of users and projects")
	return cmd
}

// desk is what an administrator's command works with.
type desk struct {
	*app
	catalog *catalog.Catalog
	auth    *auth.Service
	domain  string
}

func (adm *admin) run(ctx context.Context, args []string, run func(context.Context, *desk, []string) error) (err error) {
	cfg, err := adm.settings(adm.settingsFlags, adm.needs)
	if err != nil {
		return err
	}
	var keys *auth.Keys
	if adm.needs&config.NeedMasterKey != 0 {
		if keys, err = auth.ParseMasterKey(string(cfg.MasterKey)); err != nil {
			return usagef("master_key is not right: %v; want the output of `assetflow master-key`", err)
		}
	}
	logger, err := adm.logger(cfg)
	if err != nil {
		return err
	}
	cat, err := catalog.Open(ctx, string(cfg.Database.URL), logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cat.Close()) }()
	if err := cat.Ping(ctx); err != nil {
		return err
	}
	d := &desk{app: adm.app, catalog: cat, auth: auth.New(cat, keys, auth.WithLogger(logger))}
	if f := adm.settingsFlags.cmd.Flags().Lookup("domain"); f != nil {
		d.domain = f.Value.String()
	}
	return run(ctx, d, args)
}

// openCatalog opens the database that is configured.
func (a *app) openCatalog(ctx context.Context, f *settingsFlags, needs config.Need) (*catalog.Catalog, error) {
	cfg, err := a.settings(f, needs)
	if err != nil {
		return nil, err
	}
	logger, err := a.logger(cfg)
	if err != nil {
		return nil, err
	}
	return catalog.Open(ctx, string(cfg.Database.URL), logger)
}

var hexID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// user finds a user by id, or by name in the domain.
func (d *desk) user(ctx context.Context, ref string) (catalog.User, error) {
	if hexID.MatchString(ref) {
		if u, err := d.catalog.User(ctx, ref); fault.KindOf(err) != fault.NotFound {
			return u, err
		}
	}
	u, err := d.catalog.UserByName(ctx, d.domain, ref)
	return u, missing(err, "there is no user %q in the domain %q", ref, d.domain)
}

// project finds a project by id, or by name in the domain.
func (d *desk) project(ctx context.Context, ref string) (catalog.Project, error) {
	if hexID.MatchString(ref) {
		if p, err := d.catalog.Project(ctx, ref); fault.KindOf(err) != fault.NotFound {
			return p, err
		}
	}
	p, err := d.catalog.ProjectByName(ctx, d.domain, ref)
	return p, missing(err, "there is no project %q in the domain %q", ref, d.domain)
}

// missing says what it is that was not found.
func missing(err error, format string, args ...any) error {
	if fault.KindOf(err) != fault.NotFound {
		return err
	}
	return &hintError{err: fmt.Errorf(format, args...), code: ExitNotFound}
}
