package prodstack

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"text/template"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	"assetflow/freeport"
)

//go:embed temporal.yaml
var temporalText string

var temporalConfig = template.Must(template.New("temporal.yaml").Parse(temporalText))

// retention is how long the history of a job that has ended is kept, as deploy/temporal-namespace.sh has it.
const retention = 7 * 24 * time.Hour

// temporalService is a part of the Temporal server.
type temporalService struct{ Name, Port, Gossip string }

// startTemporal brings Temporal's databases up to date, starts the server on them, and makes the namespace.
func (s *Stack) startTemporal(ctx context.Context) error {
	host, port, err := net.SplitHostPort(s.postgres.addr)
	if err != nil {
		return err
	}
	for database, schema := range map[string]string{"temporal": "temporal", "temporal_visibility": "visibility"} {
		if err := s.temporalSchema(ctx, host, port, database, schema); err != nil {
			return err
		}
	}
	config, err := s.writeTemporalConfig(ctx)
	if err != nil {
		return err
	}
	p, err := s.begin(command{
		name: "temporal", path: s.program("temporal-server"), args: []string{"--config-file", config, "--allow-no-auth", "start"},
		dir: s.opts.DataDir, environ: []string{"PATH=/usr/bin:/bin"},
	})
	if err != nil {
		return err
	}
	s.temporal = p
	s.client, err = client.NewLazyClient(client.Options{HostPort: s.addrs.temporal, Logger: sdklog.NewStructuredLogger(s.quiet)})
	if err != nil {
		return err
	}
	return p.await(ctx, s.makeNamespace)
}

// temporalSchema does what deploy/temporal-schema.sh does for one database. To make what exists is an error of the tool.
func (s *Stack) temporalSchema(ctx context.Context, host, port, database, schema string) error {
	c := command{
		name: "temporal-schema", path: s.program("temporal-sql-tool"), dir: s.opts.DataDir, environ: []string{
			"PATH=/usr/bin:/bin", "SQL_PLUGIN=postgres12", "SQL_HOST=" + host, "SQL_PORT=" + port,
			"SQL_USER=" + temporalName, "SQL_PASSWORD=" + s.postgres.password,
		},
	}
	for _, args := range [][]string{
		{"--db", database, "create"},
		{"--db", database, "setup-schema", "-v", "0.0"},
		{"--db", database, "update-schema", "--schema-name", "postgresql/v12/" + schema},
	} {
		c.args = args
		if err := run(ctx, c, s.logs); err != nil && (args[2] == "update-schema" || ctx.Err() != nil) {
			return err
		}
	}
	return nil
}

func (s *Stack) writeTemporalConfig(ctx context.Context) (string, error) {
	dynamic := filepath.Join(s.opts.DataDir, "temporal-dynamic.yaml")
	if err := os.WriteFile(dynamic, []byte(s.opts.TemporalSettings), 0o600); err != nil {
		return "", err
	}
	services := []temporalService{{Name: "frontend"}, {Name: "history"}, {Name: "matching"}, {Name: "worker"}}
	for i := range services {
		for _, port := range []*string{&services[i].Port, &services[i].Gossip} {
			addr, err := freeport.Addr(ctx)
			if err != nil {
				return "", err
			}
			_, *port, _ = net.SplitHostPort(addr)
		}
	}
	_, services[0].Port, _ = net.SplitHostPort(s.addrs.temporal)
	var text bytes.Buffer
	if err := temporalConfig.Execute(&text, map[string]any{
		"Shards": s.opts.HistoryShards, "PostgreSQL": s.postgres.addr, "User": temporalName, "Password": s.postgres.password,
		"Services": services, "Frontend": s.addrs.temporal, "Dynamic": dynamic,
	}); err != nil {
		return "", err
	}
	path := filepath.Join(s.opts.DataDir, "temporal.yaml")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// makeNamespace makes the namespace where it is missing, and fails until every part of the server answers about it.
func (s *Stack) makeNamespace(ctx context.Context) error {
	_, err := s.client.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: client.DefaultNamespace, WorkflowExecutionRetentionPeriod: durationpb.New(retention),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return err
	}
	if _, err := s.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{}); err != nil {
		return fmt.Errorf("visibility: %w", err)
	}
	const nothing = "production-stack-ready"
	_, err = s.client.DescribeWorkflowExecution(ctx, nothing, "")
	var missing *serviceerror.NotFound
	if !errors.As(err, &missing) {
		return fmt.Errorf("history: %w", cmp.Or(err, errNotYet))
	}
	if _, err := s.client.DescribeTaskQueue(ctx, nothing, enumspb.TASK_QUEUE_TYPE_WORKFLOW); err != nil {
		return fmt.Errorf("matching: %w", err)
	}
	return nil
}
