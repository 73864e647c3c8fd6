// Package storage keeps objects in one S3 bucket.
//
// # Layout
//
//	staging/<project>/<job>/package       a package between its upload and the end of its job
//	archives/<project>/<job>/package.zip  a package an export has written, until it is taken or expires
//	uploads/<project>/<file>/content      a file that a client uploads over a presigned URL, until it is confirmed
//	manifests/<project>/<asset>/<id>      what a replication info points to, until it has expired
//	blobs/sha256/ab/cd/<digest>           a file of an asset, named by the SHA-256 of its bytes (64 lower-case hex digits)
//
// The bucket belongs to Assetflow alone: sweeps list and delete whatever lies under these prefixes. Others of Assetflow may
// keep small objects outside of them: see [Store.Get], [Store.Replace] and [Reserved].
//
// # Permissions
//
// On the bucket: s3:ListBucket, s3:ListBucketMultipartUploads, and s3:CreateBucket where EnsureBucket is to make it.
// On its objects: s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload, s3:ListMultipartUploadParts. The bucket is not versioned;
// in a versioned one, deleting hides objects and frees no room.
//
// # What a failure leaves
//
// An object becomes visible in one step (one PUT, or the completion of a multipart upload), so there is never half
// of one. A write that fails or is cancelled removes what it began, on a context of its own, before it returns; it
// waits a moment for requests in flight, because a server may carry out a part that arrives with the abort and keep
// it for ever. What remains possible is a multipart upload nobody knows: the process died, the clean-up failed too, or the
// answer to its creation was lost. [Store.ListUnfinishedUploads] and [Store.AbortUnfinishedUpload] are there for a
// sweep by age, and a lifecycle rule AbortIncompleteMultipartUpload is a second net.
//
// # Consistency
//
// S3, MinIO and versitygw read what was written before. A listing is made of pages and is no snapshot: an object
// written or deleted meanwhile may or may not be in it. Blobs are written by digest, so writing one twice, or at the
// same time, gives the same object; deleting one that somebody is about to refer to is for the caller to prevent.
// MinIO lists unfinished uploads for an exact key or for the whole bucket only, and this package asks for no more.
//
// # Presigned URLs
//
// Who holds one can do what it says until it expires, so it is a secret: no error of this package names one. One of an
// upload is signed together with Content-MD5 and Content-Length: the server itself refuses a PUT that names others
// (the signature does not fit), and a body that is not what they name. What it lets through is read and compared all the
// same before it becomes a blob. A URL ends with the credentials that signed it, where those are temporary.
//
// # Memory
//
// A write holds one buffer of 128 KiB or 1 MiB while its body fits, and then up to four of 8 MiB (one being filled,
// three on their way). Of the latter at most 6 exist in a store at a time, whatever the number of writers: 48 MiB.
// A writer that gets none waits, and its sender with it. One that never sends the rest of its body keeps its buffer,
// so the edge must cut off senders that stall.
//
// # Errors
//
// Failures of the server are faults: Unavailable "storage.unavailable" where trying again may help, Internal
// "storage.refused" where it will not (credentials, permissions, no bucket), NotFound "storage.not_found". Errors of
// a caller's reader and of its context come back wrapped, so that errors.Is finds them.
package storage
