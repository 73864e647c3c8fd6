package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
	"assetflow/workflows"
)

// Codes of this package's faults.
const (
	CodeRunning  = "job.running"   // Conflict: a job of the same kind, or on the same add-on, runs; Details is its id
	CodeNotFound = "job.not_found" // NotFound: no such job in the project
	CodeEnded    = "job.ended"     // Conflict: the job has ended, there is nothing to cancel
	CodeNotReady = "job.unavailable"
	CodeNoLeave  = "job.no_leave" // Invalid: a job of this kind cannot be cancelled so that its changes stay
)

// startGrace is how long a job's row may stand without its workflow before the start counts as lost: longer than
// any start takes, retries included.
const startGrace = 2 * time.Minute

// Service starts jobs, tells their state and cancels them. It is safe for concurrent use, and many may run beside each other.
type Service struct {
	temporal  client.Client
	namespace string
	catalog   *catalog.Catalog
	storage   *storage.Store
	logger    *slog.Logger
	now       func() time.Time
	// data is what the Temporal client has been given.
	data converter.DataConverter
	// queueLength is how many jobs wait for one workflow id.
	queueLength int
	// runs remembers a run of each job. Asking for a run by its id costs the Temporal server no read of its database.
	runs memory[string, string]
	// lastSteps remembers the step of each run that was seen last.
	lastSteps memory[string, workflows.Step]
	// deadline and healthTimeout are those of deliveries.
	deadline, healthTimeout time.Duration
}

// Option changes a Service's settings.
type Option func(*Service)

// WithNamespace names the Temporal namespace that the client works in; "default" without it.
func WithNamespace(namespace string) Option { return func(s *Service) { s.namespace = namespace } }

// WithDataConverter names the converter that the Temporal client has been given; the SDK's own without it.
func WithDataConverter(data converter.DataConverter) Option {
	return func(s *Service) { s.data = data }
}

// NewService makes a service over a Temporal client, the catalog, and the store that holds staged packages.
func NewService(c client.Client, cat *catalog.Catalog, store *storage.Store, logger *slog.Logger, opts ...Option) *Service {
	s := &Service{
		temporal: c, namespace: client.DefaultNamespace, data: converter.GetDefaultDataConverter(), catalog: cat, storage: store,
		logger: logger, now: time.Now,
		queueLength: DefaultQueueLength, deadline: DefaultDeliveryDeadline, healthTimeout: DefaultHealthTimeout,
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// NewID makes the id of a new job: a UUIDv7 in canonical text, so ids sort by time.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// WorkflowID names what must not run twice: a kind of job of one user in one project. The user's id is opaque.
func WorkflowID(kind catalog.JobKind, projectID, userID string) string {
	return fmt.Sprintf("%s:%s:%s", kind, projectID, userID)
}

// running says which job is in the way of one of the kind.
func running(kind catalog.JobKind, jobID string) *fault.Error {
	message := "A job of this kind is running for this user; wait until it has ended, or cancel it."
	if kind == catalog.AddonDelivery {
		message = "A job is running on this add-on; wait until it has ended, or cancel it."
	}
	return fault.New(fault.Conflict, CodeRunning, "%s", message).WithDetails(jobID)
}

func notFound() *fault.Error {
	return fault.New(fault.NotFound, CodeNotFound, "The job does not exist.")
}

func unavailable(err error) *fault.Error {
	return fault.New(fault.Unavailable, CodeNotReady,
		"The job service cannot be reached at the moment; try again shortly.").Wrap(err)
}

// CheckFree reports whether a job of the kind could start now: nil, or a Conflict with the running job's id. It
// saves a caller a useless transfer; the start itself is what decides.
func (s *Service) CheckFree(ctx context.Context, kind catalog.JobKind, projectID, userID string) error {
	return s.checkFree(ctx, kind, WorkflowID(kind, projectID, userID))
}

func (s *Service) checkFree(ctx context.Context, kind catalog.JobKind, workflowID string) error {
	exec, err := s.describe(ctx, workflowID)
	if err != nil {
		return err
	}
	if exec.open() {
		return running(kind, exec.jobID())
	}
	return nil
}
