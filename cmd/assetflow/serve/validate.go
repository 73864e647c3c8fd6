package serve

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"assetflow/addons"
	"assetflow/auth"
	"assetflow/config"
	"assetflow/fault"
	"assetflow/payload"
	"assetflow/replication"
	"assetflow/storage"
)

// Validate checks what the configuration itself cannot: texts that only those who work with them can read. It connects to
// nothing. Errors: Invalid, naming the setting.
func Validate(ctx context.Context, cfg config.Config) error {
	if cfg.MasterKey != "" {
		if _, err := masterKey(cfg); err != nil {
			return err
		}
	}
	if _, err := keyRing(cfg); err != nil {
		return err
	}
	if _, err := payloadCodec(cfg.Temporal); err != nil {
		return err
	}
	store, err := openStorage(ctx, cfg.S3, nil, nil)
	if err != nil {
		return err
	}
	if _, err = targets(cfg, store, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	_, err = encryption(cfg.Temporal.TLS)
	return err
}

// openStorage makes no request. A nil meter counts nothing, and nil traces trace nothing.
func openStorage(ctx context.Context, cfg config.S3, meter storage.Meter, traces trace.TracerProvider) (*storage.Store, error) {
	return storage.Open(ctx, storage.Config{
		Endpoint: cfg.Endpoint, Region: cfg.Region, Bucket: cfg.Bucket,
		AccessKey: string(cfg.AccessKey), SecretKey: string(cfg.SecretKey), PathStyle: cfg.PathStyle,
		PresignEndpoint: cfg.PresignEndpoint, Meter: meter, Traces: traces,
	})
}

func masterKey(cfg config.Config) (*auth.Keys, error) {
	keys, err := auth.ParseMasterKey(string(cfg.MasterKey))
	if err != nil {
		return nil, fault.New(fault.Invalid, "config.master_key", "master_key is not right: %s; want the output of `assetflow master-key`.", err)
	}
	return keys, nil
}

// keyRing gives nil where the region takes part in no copies.
func keyRing(cfg config.Config) (*replication.KeyRing, error) {
	if cfg.Replication.KeyRing == "" {
		return nil, nil //nolint:nilnil // no key ring is no error
	}
	ring, err := replication.ParseKeyRing(string(cfg.Replication.KeyRing))
	if err != nil {
		return nil, fault.New(fault.Invalid, "config.key_ring", "replication.key_ring is not right: %s.", err)
	}
	return ring, nil
}

// payloadCodec gives nil where Temporal keeps payloads in clear.
func payloadCodec(cfg config.Temporal) (*payload.Codec, error) {
	if cfg.PayloadKeys == "" {
		return nil, nil //nolint:nilnil // no keys are no error
	}
	keys, err := payload.ParseKeys(string(cfg.PayloadKeys))
	if err != nil {
		return nil, fault.New(fault.Invalid, "config.payload_keys", "temporal.payload_keys is not right: %s.", err)
	}
	return payload.NewCodec(keys, cfg.EncryptPayloads), nil
}

func targets(cfg config.Config, store *storage.Store, logger *slog.Logger) (*addons.Targets, error) {
	parsed, err := addons.ParseTargets(cfg.Addons.Targets, addons.Options{Client: store.Client(), Bucket: store.Bucket(), Logger: logger})
	if err != nil {
		return nil, fault.New(fault.Invalid, "config.targets", "addons.targets is not right: %s.", err)
	}
	return parsed, nil
}
