package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"assetflow/auth"
	"assetflow/client"
	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/fault"
	"assetflow/payload"
	"assetflow/worker"
)

// TestEncryptedPayloads runs a service whose Temporal server gets to see nothing, and shows it to who may see it.
func TestEncryptedPayloads(t *testing.T) {
	cfg := machines(t)
	prepared := open(t, cfg)
	require.NoError(t, prepared.Prepare(t.Context()))
	keys, err := auth.ParseMasterKey(string(cfg.MasterKey))
	require.NoError(t, err)
	people := auth.New(prepared.Catalog, keys)
	operator, err := people.AddUser(t.Context(), "default", "olga", "correct horse battery")
	require.NoError(t, err)
	cfg.Temporal.PayloadKeys = config.Secret(payload.GenerateKeys("2026-11"))
	cfg.Temporal.EncryptPayloads = true
	cfg.Temporal.PayloadReaders = []string{operator.ID}
	b := open(t, cfg)

	ctx, stop := context.WithCancel(t.Context())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	endpoint := "http://" + ln.Addr().String()
	ended := make(chan error, 2)
	go func() { ended <- b.API(ctx, ln, "test") }()
	go func() { ended <- open(t, cfg).Worker(ctx) }()
	defer func() {
		stop()
		require.NoError(t, <-ended)
		require.NoError(t, <-ended)
	}()

	c := caller(t, b, cfg, endpoint)
	pkg := samplePackage(t)
	id, err := c.Import(t.Context(), "hidden.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{Prefix: "hidden-"})
	require.NoError(t, err)
	job, err := c.WaitJob(t.Context(), id, nil)
	require.NoError(t, err)
	require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)

	// prepared has no keys: it gets what the server has.
	jobID, err := client.CanonicalJobID(id)
	require.NoError(t, err)
	row, err := b.Catalog.Job(t.Context(), jobID)
	require.NoError(t, err)
	events := prepared.Temporal.GetWorkflowHistory(t.Context(), row.WorkflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	history := &historypb.History{}
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		history.Events = append(history.Events, event)
	}
	kept, err := proto.Marshal(history)
	require.NoError(t, err)
	require.NotContains(t, string(kept), "hidden")
	var schedule *workflowservice.DescribeScheduleResponse
	require.Eventually(t, func() bool { // the worker makes it when it begins
		schedule, err = prepared.Temporal.WorkflowService().DescribeSchedule(t.Context(),
			&workflowservice.DescribeScheduleRequest{Namespace: cfg.Temporal.Namespace, ScheduleId: worker.ScheduleID})
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	summary := schedule.GetSchedule().GetAction().GetStartWorkflow().GetUserMetadata().GetSummary()
	require.Equal(t, payload.Encoding, string(summary.GetMetadata()["encoding"]))

	token, _, err := client.New(client.Config{Endpoint: endpoint}).Login(t.Context(), "default", "olga", "correct horse battery", "")
	require.NoError(t, err)
	shown := decode(t, endpoint, token, http.StatusOK, history.Events[0].GetUserMetadata().GetSummary(), summary)
	require.Equal(t, `"Import hidden.zip (AddNew)"`, string(shown[0].GetData()))
	require.Equal(t, `"Tidy up what jobs leave behind"`, string(shown[1].GetData()))
	token, _, err = client.New(client.Config{Endpoint: endpoint}).Login(t.Context(), "default", "ada "+t.Name(), "correct horse battery", "")
	require.NoError(t, err)
	decode(t, endpoint, token, http.StatusForbidden, summary)
}

// decode has payloads decrypted as the Temporal UI does.
func decode(t *testing.T, endpoint, token string, status int, payloads ...*commonpb.Payload) []*commonpb.Payload {
	t.Helper()
	body, err := protojson.Marshal(&commonpb.Payloads{Payloads: payloads})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/api/v1/codec/decode", bytes.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, status, resp.StatusCode)
	var answer json.RawMessage
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	if status != http.StatusOK {
		return nil
	}
	var decoded commonpb.Payloads
	require.NoError(t, protojson.Unmarshal(answer, &decoded))
	return decoded.GetPayloads()
}

func TestPayloadKeysThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"hidden": 1}`, strings.Replace(payload.GenerateKeys("hidden"), "=", "", 1)} {
		_, err := serve.Open(t.Context(), config.Config{Temporal: config.Temporal{PayloadKeys: config.Secret(text)}}, slog.New(slog.DiscardHandler))
		require.Equal(t, "config.payload_keys", fault.CodeOf(err))
		require.ErrorContains(t, err, "temporal.payload_keys is not right")
	}
}
