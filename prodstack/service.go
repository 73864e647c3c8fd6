package prodstack

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	enumspb "go.temporal.io/api/enums/v1"

	"assetflow/auth"
	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/devstack/folder"
	"assetflow/workflows"
)

const (
	region = "region-a"
	bucket = "assetflow"
)

// Environ are the settings of the service, as variables of the environment: they make the program assetflow one of the
// stack's.
func (s *Stack) Environ() []string {
	return append([]string{
		"ASSETFLOW_DATABASE_URL=" + s.postgres.url(catalogName, catalogName),
		"ASSETFLOW_S3_ENDPOINT=http://" + s.addrs.s3, "ASSETFLOW_S3_REGION=" + region, "ASSETFLOW_S3_BUCKET=" + bucket,
		"ASSETFLOW_S3_PATH_STYLE=true",
		"ASSETFLOW_S3_ACCESS_KEY=" + s.secrets.S3.AccessKey, "ASSETFLOW_S3_SECRET_KEY=" + s.secrets.S3.SecretKey,
		"ASSETFLOW_TEMPORAL_ADDRESS=" + s.addrs.temporal,
		"ASSETFLOW_MASTER_KEY=" + strings.TrimSpace(s.secrets.MasterKey),
		"ASSETFLOW_REPLICATION_KEY_RING=" + strings.TrimSpace(s.secrets.KeyRing),
		"ASSETFLOW_ADDONS_TARGETS=" + targets,
		"ASSETFLOW_LOG_FORMAT=json", "ASSETFLOW_LOG_LEVEL=warn",
	}, s.opts.Settings...)
}

// targets are those of deploy/targets.yaml.
const targets = `[{"id": "gitops", "kind": "bucket", "prefix": "gitops/"}]`

// prepareService prepares the backends with the program's own command, and makes the first user.
func (s *Stack) prepareService(ctx context.Context) error {
	c := s.serviceCommand("migrate", []string{s.program("assetflow"), "migrate"})
	if err := run(ctx, c, s.logs); err != nil {
		return err
	}
	cfg, err := config.Load(config.Source{Environ: s.Environ()}, config.NeedDatabase|config.NeedMasterKey)
	if err != nil {
		return err
	}
	if s.backends, err = serve.Open(ctx, cfg, s.quiet); err != nil {
		return err
	}
	keys, err := auth.ParseMasterKey(string(cfg.MasterKey))
	if err != nil {
		return err
	}
	s.auth = auth.New(s.backends.Catalog, keys, auth.WithLogger(s.quiet))
	if s.credentials, err = folder.Seed(ctx, s.opts.DataDir, s.backends.Catalog, s.auth); err != nil {
		return fmt.Errorf("make the first user and project: %w", err)
	}
	s.credentials.Endpoint, s.credentials.S3Endpoint, s.credentials.TemporalUI = "http://"+s.addrs.http, "http://"+s.addrs.s3, ""
	return s.credentials.Publish(s.opts.DataDir)
}

func (s *Stack) serviceCommand(name string, args []string, more ...string) command {
	return command{
		name: name, path: args[0], args: args[1:], dir: s.opts.DataDir,
		environ: append(append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.opts.DataDir, "TMPDIR=" + os.TempDir()}, s.Environ()...), more...),
	}
}

// Scale starts APIs and workers, or stops some, until there are so many, and returns when they work.
func (s *Stack) Scale(ctx context.Context, apis, workers int) error {
	s.scaling.Lock()
	defer s.scaling.Unlock()
	if apis < len(s.apis) {
		s.proxy.to(s.apiAddrs[:apis])
	}
	var err error
	if s.apis, err = s.resize(s.apis, apis, s.startAPI); err != nil {
		return err
	}
	if s.workers, err = s.resize(s.workers, workers, s.startWorker); err != nil {
		return err
	}
	for i, p := range s.apis {
		if err := p.await(ctx, answers("http://"+s.apiAddrs[i]+"/readyz")); err != nil {
			return err
		}
	}
	s.proxy.to(s.apiAddrs[:apis])
	for _, p := range s.workers {
		if err := p.await(ctx, s.polls(p)); err != nil {
			return err
		}
	}
	return nil
}

// resize starts what is missing of n processes, and ends what is too many.
func (s *Stack) resize(running []*process, n int, start func(i int) (*process, error)) ([]*process, error) {
	for len(running) < n {
		p, err := start(len(running))
		if err != nil {
			return running, err
		}
		running = append(running, p)
	}
	endAll(running[n:])
	return running[:n], nil
}

func (s *Stack) startAPI(i int) (*process, error) {
	return s.begin(s.serviceCommand(fmt.Sprintf("api-%d", i+1), []string{s.program("assetflow"), "api"}, "ASSETFLOW_HTTP_ADDR="+s.apiAddrs[i]))
}

func (s *Stack) startWorker(i int) (*process, error) {
	args := s.opts.Worker
	if len(args) == 0 {
		args = []string{s.program("assetflow"), "worker"}
	}
	return s.begin(s.serviceCommand(fmt.Sprintf("worker-%d", i+1), args, s.opts.WorkerEnviron...))
}

// polls tells whether a worker has asked Temporal for tasks.
func (s *Stack) polls(p *process) func(context.Context) error {
	return func(ctx context.Context) error {
		queue, err := s.backends.Temporal.DescribeTaskQueue(ctx, workflows.DataQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
		if err != nil {
			return err
		}
		for _, poller := range queue.GetPollers() {
			if strings.HasPrefix(poller.GetIdentity(), fmt.Sprintf("%d@", p.cmd.Process.Pid)) {
				return nil
			}
		}
		return fmt.Errorf("%w: it does not poll", errNotYet)
	}
}

func endAll(processes []*process) {
	var all sync.WaitGroup
	for _, p := range processes {
		all.Go(func() { p.end(grace) })
	}
	all.Wait()
}
