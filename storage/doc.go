// Package storage keeps objects in one S3 bucket: staged packages, and blobs named by their digest.
package storage
