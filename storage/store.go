package storage

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Config says where the bucket is and who calls.
type Config struct {
	Endpoint  string // URL of the S3 server; empty: AWS
	Region    string
	Bucket    string
	AccessKey string // empty: the SDK's usual credential chain
	SecretKey string
	PathStyle bool // bucket in the path instead of in the host name; most servers that are not AWS need it
}

// Store is one bucket.
type Store struct{}

// Open makes a store.
func Open(ctx context.Context, cfg Config) (*Store, error) { panic("not built yet") }

// EnsureBucket makes the bucket where it does not exist.
func (s *Store) EnsureBucket(ctx context.Context) error { panic("not built yet") }

// Ping checks that the bucket answers.
func (s *Store) Ping(ctx context.Context) error { panic("not built yet") }

// Client gives the S3 client.
func (s *Store) Client() *s3.Client { panic("not built yet") }

// Bucket gives the bucket's name.
func (s *Store) Bucket() string { panic("not built yet") }
