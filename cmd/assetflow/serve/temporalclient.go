package serve

import (
	"log/slog"

	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"

	"assetflow/config"
	"assetflow/fault"
)

// TemporalClient makes a client that is for looking and for administration: it reads no payloads and logs nothing. It
// connects with its first call. Errors: Invalid for certificates that cannot be used.
func TemporalClient(cfg config.Temporal) (client.Client, error) {
	options, err := connect(cfg, client.Options{Logger: tlog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return nil, err
	}
	c, err := client.NewLazyClient(options)
	if err != nil {
		return nil, fault.New(fault.Internal, "temporal.client", "No client for Temporal can be made.").Wrap(err)
	}
	return c, nil
}

// withTemporal lends such a client.
func withTemporal(cfg config.Temporal, do func(client.Client) error) error {
	c, err := TemporalClient(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	return do(c)
}
