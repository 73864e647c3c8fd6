// Package payload encrypts what the Temporal server keeps of jobs: inputs, results, heartbeats, summaries, memos, and the
// texts and details of failures.
//
// # The form
//
// An encrypted payload is one of Temporal's with two entries of metadata,
//
//	encoding           "binary/encrypted"
//	encryption-key-id  the id of the key
//
// whose data is
//
//	1 (one byte) · nonce (12 bytes) · AES-256-GCM(payload)
//
// where payload is the whole one that was there before, metadata included, as a protobuf message. The associated data is
// the text "assetflow payload v1" and then each entry of the metadata, name and value, in the order of the names, each of
// these texts preceded by its length (32 bits, big-endian). So neither entry can be exchanged, and none be added.
//
// What a payload belongs to is not bound to it. The server copies payloads from one place to another (a heartbeat into the
// failure of a step, the input of a schedule into every run), and the Temporal UI and command line hand them over without
// saying where they come from. Who can write to the server's database can thus put a payload into the place of another, or
// a clear one into the place of an encrypted one; they can neither read nor make any.
//
// # Keys
//
// Keys come from a [keyring.Ring]. A nonce is 96 random bits. Among n payloads of one key, two have the same one with a
// probability of about n² / 2⁹⁷: at 2³² payloads, the most that NIST SP 800-38D allows, one in eight billion. A job makes
// some 30 payloads, so one key is good for more than a hundred million jobs.
package payload
