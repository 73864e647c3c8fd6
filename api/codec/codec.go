// Package codec answers Temporal's protocol for remote payload codecs, by which the Temporal UI and command line show what
// is encrypted. openapi.yaml describes it.
package codec

import (
	"context"
	_ "embed"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"assetflow/api/middleware"
	"assetflow/api/native"
	"assetflow/auth"
	"assetflow/fault"
	"assetflow/telemetry"
)

//go:embed openapi.yaml
var document []byte

// Document gives the OpenAPI document of this contract, as YAML.
func Document() []byte { return document }

// Codes of this package's faults.
const (
	codeBody      = "codec.body"       // Invalid: the body is no list of payloads
	codeNotReader = "codec.not_reader" // Forbidden: the caller is not among those who may read payloads
)

// Bounds on a request.
const (
	maxBodyBytes = 8 << 20 // a message of the Temporal server has 4 MiB at most, which base64 makes a third longer
	maxPayloads  = 10_000
)

// Auth is what this contract needs of *auth.Service.
type Auth interface {
	AuthenticateTool(ctx context.Context, r *http.Request) (auth.Principal, error)
}

// Codec is what this contract needs of *payload.Codec.
type Codec interface {
	Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error)
	Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error)
}

// Payloads is whose payloads are shown to whom.
type Payloads struct {
	Codec   Codec    // nil: nothing is encrypted, and the paths do not exist
	Readers []string // ids of the users who may read payloads; a payload does not say which project it is of
	Origins []string // of the Temporal UI, scheme://host[:port] in lower case; pages from elsewhere get no answer
}

// Options are what the handlers work with. All are required.
type Options struct {
	Auth     Auth
	Payloads Payloads
	Logger   *slog.Logger
}

type server struct{ Options }

// The paths. The Temporal UI and command line are given the first and add the rest.
const (
	pathBase   = "/api/v1/codec"
	pathDecode = pathBase + "/decode"
	pathEncode = pathBase + "/encode"
)

// Register mounts the paths of this contract on r.
func Register(r gin.IRouter, opts Options) {
	s := &server{opts}
	group := r.Group("", s.allowOrigin)
	for _, path := range []string{pathBase, pathDecode, pathEncode} {
		group.OPTIONS(path, preflight)
	}
	readers := group.Group("", middleware.LimitBody(maxBodyBytes, native.WriteError), s.authenticate)
	readers.GET(pathBase, s.signedIn)
	readers.POST(pathDecode, s.decode)
	readers.POST(pathEncode, s.encode)
}

// authenticate lets only those pass who may read payloads. A browser that opens one of the paths asks for name and password.
func (s *server) authenticate(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	p, err := s.Auth.AuthenticateTool(c.Request.Context(), c.Request)
	if err != nil {
		if fault.KindOf(err) == fault.Unauthenticated {
			c.Header("WWW-Authenticate", `Basic realm="Assetflow payloads", charset="UTF-8"`)
		}
		native.WriteError(c, err)
		return
	}
	ctx := telemetry.WithUserID(auth.WithPrincipal(c.Request.Context(), p), p.UserID)
	c.Request = c.Request.WithContext(ctx)
	// What is shown is of every project, so that a token of one project is none for this.
	if p.ProjectID != "" || !slices.Contains(s.Payloads.Readers, p.UserID) {
		native.WriteError(c, fault.New(fault.Forbidden, codeNotReader,
			"You may not read the payloads of all projects: the operator says who may (temporal.payload_readers), and a token for one project does not do."))
	}
}

// signedIn says who is calling: what a person opens in a browser to sign in before the Temporal UI asks.
func (s *server) signedIn(c *gin.Context) {
	p, _ := auth.PrincipalFrom(c.Request.Context())
	c.JSON(http.StatusOK, gin.H{"user_id": p.UserID, "user_name": p.UserName, "domain_name": p.DomainName})
}

func (s *server) decode(c *gin.Context) {
	s.convert(c, s.Payloads.Codec.Decode, "payloads were decrypted")
}

func (s *server) encode(c *gin.Context) {
	s.convert(c, s.Payloads.Codec.Encode, "payloads were encrypted")
}

func (s *server) convert(c *gin.Context, convert func([]*commonpb.Payload) ([]*commonpb.Payload, error), event string) {
	payloads, err := read(c.Request)
	if err == nil {
		payloads, err = convert(payloads)
	}
	if err != nil {
		native.WriteError(c, err)
		return
	}
	answer, err := protojson.Marshal(&commonpb.Payloads{Payloads: payloads})
	if err != nil {
		native.WriteError(c, fault.New(fault.Internal, "codec.answer", "The payloads cannot be written.")) // the cause may quote them
		return
	}
	s.Logger.InfoContext(c.Request.Context(), event, "payloads", len(payloads))
	c.Data(http.StatusOK, "application/json", answer)
}

// read reads the payloads of a request. Only a body that says it is JSON counts: no page can send one without asking first.
func read(r *http.Request) ([]*commonpb.Payload, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, fault.New(fault.Invalid, codeBody, "The Content-Type must be application/json.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, known := fault.As(err); known {
			return nil, err
		}
		return nil, fault.New(fault.Invalid, codeBody, "The body cannot be read.").Wrap(err)
	}
	var payloads commonpb.Payloads
	if protojson.Unmarshal(body, &payloads) != nil { // its errors quote the body
		return nil, fault.New(fault.Invalid, codeBody, `The body must be JSON of the form {"payloads": […]}.`)
	}
	if len(payloads.GetPayloads()) > maxPayloads {
		return nil, fault.New(fault.TooLarge, codeBody, "The body has more than %d payloads.", maxPayloads)
	}
	return payloads.GetPayloads(), nil
}
