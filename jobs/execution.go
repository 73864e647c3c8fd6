package jobs

import (
	"context"
	"errors"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"assetflow/catalog"
	"assetflow/workflows"
)

// execution is the latest run of a workflow id, as the Temporal server's own record has it (not its eventually
// consistent visibility). The zero value is a workflow id that never ran, or whose runs are past retention.
type execution struct {
	desc *workflowservice.DescribeWorkflowExecutionResponse
}

// describe gives the latest run of a workflow id.
func (s *Service) describe(ctx context.Context, workflowID string) (execution, error) {
	return s.describeRun(ctx, workflowID, "")
}

// describeJob gives a job's run where one is remembered and says enough: an open run is always the latest, and one
// that has closed by itself stays closed. A terminated run may have been followed by another of the same job (a reset
// terminates), so then, and where none is remembered, it is the latest run of the workflow id, whosesoever.
func (s *Service) describeJob(ctx context.Context, row catalog.Job) (execution, error) {
	if runID, ok := s.runs.get(row.ID); ok {
		exec, err := s.describeRun(ctx, row.WorkflowID, runID)
		if err != nil || exec.isOf(row.ID) && (exec.open() || exec.closedByItself()) {
			return exec, err
		}
	}
	exec, err := s.describe(ctx, row.WorkflowID)
	if err == nil && exec.isOf(row.ID) && exec.open() {
		s.runs.put(row.ID, exec.runID())
	}
	return exec, err
}

func (s *Service) describeRun(ctx context.Context, workflowID, runID string) (execution, error) {
	desc, err := s.temporal.DescribeWorkflowExecution(ctx, workflowID, runID)
	if err != nil {
		var gone *serviceerror.NotFound
		if errors.As(err, &gone) {
			return execution{}, nil
		}
		return execution{}, unavailable(err)
	}
	return execution{desc: desc}, nil
}

func (e execution) open() bool {
	return e.desc != nil && e.status() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
}

func (e execution) closedByItself() bool {
	switch e.status() {
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, enumspb.WORKFLOW_EXECUTION_STATUS_FAILED,
		enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return true
	default:
		return false
	}
}

func (e execution) status() enumspb.WorkflowExecutionStatus {
	return e.desc.GetWorkflowExecutionInfo().GetStatus()
}

func (e execution) runID() string {
	return e.desc.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}

// jobID is the job this run belongs to. It is read from the search attribute, which is never encrypted.
func (e execution) jobID() string {
	payload := e.desc.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields()[workflows.SearchJob.GetName()]
	if payload == nil {
		return ""
	}
	var id string
	if err := converter.GetDefaultDataConverter().FromPayload(payload, &id); err != nil {
		return ""
	}
	return id
}

// isOf reports whether the run is the job's.
func (e execution) isOf(jobID string) bool { return e.desc != nil && e.jobID() == jobID }

// decodePayloads reads what a step or workflow has written, encrypted or not.
func (s *Service) decodePayloads(p *commonpb.Payloads, into any) error {
	return s.data.FromPayloads(p, into)
}
