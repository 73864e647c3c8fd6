package payload

import (
	"context"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"assetflow/fault"
)

// Converters gives what a Temporal client turns values and errors into payloads with; the SDK's own where there is no
// codec. Where the codec encrypts, it does so with the texts of failures, too.
func Converters(codec *Codec) (converter.DataConverter, converter.FailureConverter) {
	if codec == nil {
		return converter.GetDefaultDataConverter(), temporal.GetDefaultFailureConverter()
	}
	data := dataConverter{converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), codec)}
	return data, temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter: data, EncodeCommonAttributes: codec.encrypts,
	})
}

// dataConverter differs inside of workflows: see workflowConverter.
type dataConverter struct{ converter.DataConverter }

var _ workflow.ContextAware = dataConverter{}

// WithContext implements [workflow.ContextAware]. Nothing differs outside of workflows.
func (d dataConverter) WithContext(context.Context) converter.DataConverter { return d }

// WithWorkflowContext implements [workflow.ContextAware].
func (d dataConverter) WithWorkflowContext(workflow.Context) converter.DataConverter {
	return workflowConverter(d)
}

// workflowConverter panics where the ring lacks a key. An error would fail the job for good, and it is only this worker
// that does not know the key (yet): after a panic the server tries the workflow task again, until a worker does.
type workflowConverter struct{ converter.DataConverter }

func (w workflowConverter) FromPayload(p *commonpb.Payload, into any) error {
	return heldUp(w.DataConverter.FromPayload(p, into))
}

func (w workflowConverter) FromPayloads(p *commonpb.Payloads, into ...any) error {
	return heldUp(w.DataConverter.FromPayloads(p, into...))
}

func heldUp(err error) error {
	if fault.CodeOf(err) == CodeUnknownKey {
		panic(err)
	}
	return err
}
