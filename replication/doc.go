// Package replication holds what two regions say to each other about a digital asset that is copied: the sealed
// replication info, which a caller carries from one to the other, and the manifest, which lists the asset's files.
//
// # The replication info
//
// It is JSON that the caller sees but cannot read: beside the asset's id and its expiry stands asset_info, which is
//
//	base64(iv) ":" base64(AES-128-GCM(payload))
//
// in the standard alphabet with padding, and only in the one way to write it. The associated data is
//
//	"assetflow replication info v1" · algorithm · key id · asset id · expire time
//
// each text preceded by its length (32 bits, big-endian), the time as 64 bits, big-endian. None of them can therefore be
// exchanged: a body in which one was changed opens as little as one sealed with another key, and nobody can tell the two
// apart. The plaintext is the length of the payload's JSON (32 bits, big-endian), the JSON, and zeros up to a multiple of
// 4 KiB, so that its length says nothing of the number of files and next to nothing of anything else.
//
// # Keys
//
// Keys come from a [KeyRing], which all regions that copy from one another share. A nonce is 96 random bits, so one key
// is good for some 2³² seals before two of them are likely to meet; rotate long before.
//
// # The manifest
//
// It is NDJSON: a header, then a line for each file with its digests, size and presigned URL. The payload names its
// SHA-256 and size, so a manifest is as trustworthy as the payload once it was read to its end.
package replication
