package chaos

import (
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"

	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/e2e/process"
	"assetflow/freeport"
)

// stack is the service as processes, and this process's own way to what they stand on.
type stack struct {
	*serve.Backends
	auth      *auth.Service
	project   catalog.Project
	instance  catalog.Instance
	endpoint  string
	specs     map[process.Role]process.Spec
	processes map[process.Role]*process.Process
	fail      context.CancelCauseFunc
}

func startStack(ctx context.Context, dir string, fail context.CancelCauseFunc) (_ *stack, err error) {
	s := &stack{specs: map[process.Role]process.Spec{}, processes: map[process.Role]*process.Process{}, fail: fail}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	keys := [2]string{"chaos", rand.Text()}
	addrs := map[process.Role]string{}
	for _, role := range []process.Role{process.Temporal, process.S3, process.API} {
		if addrs[role], err = freeport.Addr(ctx); err != nil {
			return nil, err
		}
	}
	s.endpoint = "http://" + addrs[process.API]
	environ := []string{
		"ASSETFLOW_DATABASE_URL=sqlite:" + filepath.Join(dir, "catalog.db"),
		"ASSETFLOW_S3_ENDPOINT=http://" + addrs[process.S3], "ASSETFLOW_S3_ACCESS_KEY=" + keys[0], "ASSETFLOW_S3_SECRET_KEY=" + keys[1],
		"ASSETFLOW_TEMPORAL_ADDRESS=" + addrs[process.Temporal], "ASSETFLOW_MASTER_KEY=" + auth.GenerateMasterKey(),
		// Sweeps run beside everything else. Nothing that is wanted lies about for so long without its job.
		"ASSETFLOW_SWEEP_EVERY=" + sweepEvery, "ASSETFLOW_SWEEP_GRACE=" + sweepGrace,
	}
	for _, role := range process.Roles {
		s.specs[role] = process.Spec{Role: role, Dir: dir, Addr: addrs[role], Keys: keys, Environ: environ}
	}
	for _, role := range process.Roles {
		if role == process.Worker { // the first that needs what the service stands on
			if err := s.prepare(ctx, environ); err != nil {
				return nil, err
			}
		}
		if err := s.start(ctx, role); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *stack) prepare(ctx context.Context, environ []string) error {
	cfg, err := config.Load(config.Source{Environ: environ}, config.NeedDatabase|config.NeedMasterKey)
	if err != nil {
		return err
	}
	if s.Backends, err = serve.Open(ctx, cfg, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if err := s.Prepare(ctx); err != nil {
		return err
	}
	keys, err := auth.ParseMasterKey(string(cfg.MasterKey))
	if err != nil {
		return err
	}
	s.auth = auth.New(s.Catalog, keys)
	if s.project, err = s.Catalog.CreateProject(ctx, "chaos", "chaos"); err != nil {
		return err
	}
	s.instance, err = s.Catalog.CreateInstance(ctx, s.project.ID, "main")
	return err
}

func (s *stack) start(ctx context.Context, role process.Role) error {
	p, err := process.Start(ctx, s.specs[role], s.fail)
	if err != nil {
		return err
	}
	s.processes[role] = p
	return nil
}

func (s *stack) kill(role process.Role) {
	if p := s.processes[role]; p != nil {
		p.Kill()
		delete(s.processes, role)
	}
}

func (s *stack) stop() {
	for _, role := range process.Roles {
		s.kill(role)
	}
	if s.Backends != nil {
		_ = s.Close()
	}
}
