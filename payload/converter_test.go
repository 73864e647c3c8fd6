package payload_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"assetflow/fault"
	"assetflow/payload"
)

func TestConverters(t *testing.T) {
	t.Parallel()
	data, failures := payload.Converters(codec(t, "2026-11", november))

	p, err := data.ToPayload("hidden")
	require.NoError(t, err)
	require.Equal(t, payload.Encoding, string(p.Metadata[converter.MetadataEncoding]))
	require.Equal(t, `"hidden"`, data.ToString(p))
	var text string
	require.NoError(t, data.FromPayload(p, &text))
	require.Equal(t, "hidden", text)

	failed := failures.ErrorToFailure(temporal.NewApplicationErrorWithCause("hidden message", "Refused", errors.New("hidden cause"), "hidden detail"))
	message, err := proto.Marshal(failed)
	require.NoError(t, err)
	require.NotContains(t, string(message), "hidden")
	require.Contains(t, string(message), "Refused", "retry policies go by the type")
	var app *temporal.ApplicationError
	require.ErrorAs(t, failures.FailureToError(failed), &app)
	require.Equal(t, "hidden message", app.Message())
	require.NoError(t, app.Details(&text))
	require.Equal(t, "hidden detail", text)
	require.ErrorContains(t, errors.Unwrap(app), "hidden cause")
}

// Without a codec, and before encryption is switched on, everything is as the SDK has it.
func TestConvertersInClear(t *testing.T) {
	t.Parallel()
	own, ownFailures := payload.Converters(payload.NewCodec(ring(t, "2026-11", november), false))
	none, noFailures := payload.Converters(nil)
	want, err := converter.GetDefaultDataConverter().ToPayload("text")
	require.NoError(t, err)
	for _, c := range []converter.DataConverter{own, none} {
		got, err := c.ToPayload("text")
		require.NoError(t, err)
		require.True(t, proto.Equal(want, got))
	}
	for _, c := range []converter.FailureConverter{ownFailures, noFailures} {
		require.Equal(t, "message", c.ErrorToFailure(errors.New("message")).GetMessage())
	}
	// What others have encrypted already is read.
	_, encrypting := payload.Converters(codec(t, "2026-11", november))
	require.ErrorContains(t, ownFailures.FailureToError(encrypting.ErrorToFailure(errors.New("hidden message"))), "hidden message")
}

// A worker that lacks a key holds a workflow up, and fails it for nothing else than what no key can mend.
func TestAKeyThatAWorkflowLacks(t *testing.T) {
	t.Parallel()
	theirs, _ := payload.Converters(codec(t, "2026-11", november))
	ours, _ := payload.Converters(codec(t, "2026-05", may))
	p, err := theirs.ToPayloads("hidden")
	require.NoError(t, err)
	var text string
	aware := ours.(workflow.ContextAware)

	for _, outside := range []converter.DataConverter{ours, aware.WithContext(t.Context())} {
		require.Equal(t, payload.CodeUnknownKey, fault.CodeOf(outside.FromPayloads(p, &text)))
		require.Equal(t, payload.CodeUnknownKey, fault.CodeOf(outside.FromPayload(p.Payloads[0], &text)))
		require.Contains(t, outside.ToString(p.Payloads[0]), `the key "2026-11"`)
	}
	inside := aware.WithWorkflowContext(nil)
	require.Panics(t, func() { _ = inside.FromPayloads(p, &text) })
	require.Panics(t, func() { _ = inside.FromPayload(p.Payloads[0], &text) })

	p.Payloads[0].Metadata[payload.MetadataKeyID] = []byte("2026-05")
	require.Equal(t, payload.CodeNotAuthentic, fault.CodeOf(inside.FromPayloads(p, &text)))
	require.Empty(t, text)
}
