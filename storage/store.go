package storage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
	"go.opentelemetry.io/otel/trace"
)

const (
	// The region that S3 servers assume when none is named, and the one that must not be named in CreateBucket.
	defaultRegion = "us-east-1"

	// A server that sends nothing for so long is taken for dead. The completion of a large upload is silent while
	// the server puts the parts together, so this is long.
	silence = 5 * time.Minute

	// Connections kept open to the server: a burst of small writes must not open a connection for each.
	idleConnections = 64
)

// Config says where the bucket is and who calls.
type Config struct {
	Endpoint  string // URL of the S3 server; empty: AWS, or what the SDK's environment says
	Region    string // empty: the SDK's usual chain, and us-east-1 where an endpoint is named
	Bucket    string
	AccessKey string // empty together with SecretKey: the SDK's usual chain
	SecretKey string
	PathStyle bool // bucket in the path instead of in the host name; most servers that are not AWS need it

	// PresignEndpoint is the URL under which those who follow presigned URLs reach the server; empty: Endpoint.
	PresignEndpoint string

	Meter  Meter                // nil: nobody counts
	Traces trace.TracerProvider // makes the spans of what is asked of the server; nil: none
}

// Store is one bucket. It is safe for concurrent use.
type Store struct {
	client  *s3.Client
	bucket  string
	buffers *buffers
	writing func(*s3.Options) // options of requests that write objects
	presign *s3.PresignClient
	meter   Meter // may be nil
}

// Open makes a store. It reads the SDK's configuration where cfg leaves something out, and makes no request.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Bucket == "" {
		return nil, errors.New("open storage: no bucket is named")
	}
	if (cfg.AccessKey == "") != (cfg.SecretKey == "") {
		return nil, errors.New("open storage: access key and secret key go together")
	}
	httpClient := awshttp.NewBuildableClient().WithReadTimeout(silence).WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns = 0 // no bound across hosts: there is one
		t.MaxIdleConnsPerHost = idleConnections
	})
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(httpClient),
		config.WithLogger(logging.Nop{}), // the SDK would write to stderr
	}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.AccessKey != "" {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey, "")))
	}
	sdk, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("open storage: load the AWS configuration: %w", err)
	}
	if sdk.Region == "" {
		if cfg.Endpoint == "" {
			return nil, errors.New("open storage: no region is named")
		}
		sdk.Region = defaultRegion
	}
	store := New(s3.NewFromConfig(sdk, func(o *s3.Options) {
		o.UsePathStyle = cfg.PathStyle
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		if cfg.Traces != nil {
			o.APIOptions = append(o.APIOptions, tracing(cfg.Traces.Tracer("assetflow/storage"), cfg.Bucket))
		}
	}), cfg.Bucket)
	store.meter = cfg.Meter
	if cfg.PresignEndpoint != "" {
		store.presign = presigning(store.client, cfg.PresignEndpoint)
	}
	return store, nil
}

// New makes a store of a client the caller has set up.
func New(client *s3.Client, bucket string) *Store {
	return &Store{
		client: client, bucket: bucket, buffers: newBuffers(maxPartBuffers), writing: writing(client),
		presign: presigning(client, ""),
	}
}

// EnsureBucket makes the bucket where it does not exist. Several may call it at once.
func (s *Store) EnsureBucket(ctx context.Context) error {
	_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.bucket})
	if !isNotFound(err) {
		return failure(ctx, "look for bucket "+s.bucket, err)
	}
	input := &s3.CreateBucketInput{Bucket: &s.bucket}
	if region := s.client.Options().Region; region != defaultRegion {
		input.CreateBucketConfiguration = &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(region),
		}
	}
	_, err = s.client.CreateBucket(ctx, input)
	if hasCode(err, "BucketAlreadyOwnedByYou", "BucketAlreadyExists") {
		// Somebody was faster, or it is somebody else's: then it does not answer to us.
		return s.Ping(ctx)
	}
	return failure(ctx, "make bucket "+s.bucket, err)
}

// Ping checks that the bucket answers to our credentials.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.bucket})
	return failure(ctx, "look for bucket "+s.bucket, err)
}

// Client gives the S3 client, for what this package does not do.
func (s *Store) Client() *s3.Client { return s.client }

// Bucket gives the bucket's name.
func (s *Store) Bucket() string { return s.bucket }
