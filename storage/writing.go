package storage

import (
	"context"
	"net"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// writing gives the options for requests that write objects to the client's server.
func writing(client *s3.Client) func(*s3.Options) {
	unsigned := overLoopback(value(client.Options().BaseEndpoint))
	return func(o *s3.Options) {
		o.Retryer = retry.AddWithErrorCodes(o.Retryer, vanishedFolder...)
		if unsigned {
			unsignedBody(o)
		}
	}
}

// vanishedFolder are the codes with which a write is refused that falls into the moment at which its last neighbour
// is deleted: versitygw and MinIO keep keys as folders, and remove the empty ones. The next try makes the folder
// again. versitygw's code never means what it says in our layout, where no key is the folder of another. MinIO's
// may, and then the refusal comes a few seconds later.
var vanishedFolder = []string{"ExistingObjectIsDirectory", "AccessDenied"}

// overLoopback tells whether the endpoint is plain http to this machine. A name other than localhost is not looked
// up: what it means can change.
func overLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" {
		return false
	}
	return u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
}

// unsignedBody leaves the body out of the signature.
//
// Over https the SDK does so itself, because TLS protects it, and sends a CRC-32 behind it. Over http it signs the
// SHA-256 of the body, which costs both sides a pass over every byte (on two cores, with the server in the same
// process, a fifth of the time an upload takes) and protects it from whoever stands in between. On the loopback
// interface nobody does. The CRC-32 is among the signed headers.
func unsignedBody(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("AssetflowUnsignedBody",
			func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
				middleware.FinalizeOutput, middleware.Metadata, error,
			) {
				return next.HandleFinalize(v4.SetPayloadHash(ctx, "UNSIGNED-PAYLOAD"), in)
			}), middleware.Before)
	})
}
