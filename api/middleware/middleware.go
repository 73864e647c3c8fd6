// Package middleware is what all contracts of the API share on the way in and out: request ids, access logs, panic
// recovery, limits on headers, bodies and slow clients, and finding out who is calling.
//
// A refusal is always written in the form of the contract whose path was asked for: see Forms.
package middleware

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"assetflow/fault"
)

// Codes of the faults that the API itself makes, for contracts to turn into their own.
const (
	CodeNoRoute          = "api.no_route"           // NotFound: no operation has this path
	CodeMethodNotAllowed = "api.method_not_allowed" // Invalid: the path is there, for other methods; header Allow is set
	CodeHeadersTooLarge  = "api.headers_too_large"  // TooLarge
	CodeBodyTooLarge     = "api.body_too_large"     // TooLarge
	CodeBodyStalled      = "api.body_stalled"       // Invalid: the client stopped sending
	CodeStopping         = "api.stopping"           // Unavailable: the server ends before the request's body has come
	CodePanic            = "api.panic"              // Internal
	CodeParameter        = "api.parameter"          // Invalid: of the path or the query
	CodeBody             = "api.body"               // Invalid: not a JSON object of the right form, or not read to its end
	CodeKey              = "api.idempotency_key"    // Invalid: the key is malformed
	CodeOnConflict       = "api.on_conflict"        // Invalid: an unknown way to deal with a running job
	CodeKeyReused        = "api.key_reused"         // Invalid: the key was used for another request
	CodePending          = "api.pending"            // Conflict: the first request of the key has no answer yet; Details is when to try again, in seconds
)

// ErrorForm answers a request with an error in a contract's own form and ends its handling.
type ErrorForm func(c *gin.Context, err error)

// Forms finds the contract that a path belongs to.
type Forms struct {
	prefixes []prefix
	fallback prefix
}

type prefix struct {
	contract, path string
	form           ErrorForm
}

// NewForms makes a Forms that answers paths under no known prefix with fallback, the form of the named contract.
func NewForms(contract string, fallback ErrorForm) *Forms {
	return &Forms{fallback: prefix{contract: contract, form: fallback}}
}

// Add says that paths under prefix, such as "/v2/", belong to the contract and are answered with form. A "*" in prefix
// stands for one segment. The first prefix that matches counts.
func (f *Forms) Add(contract, path string, form ErrorForm) *Forms {
	f.prefixes = append(f.prefixes, prefix{contract: contract, path: path, form: form})
	return f
}

// Write answers the request in the form of the contract its path belongs to.
func (f *Forms) Write(c *gin.Context, err error) { f.of(c.Request).form(c, err) }

// Contract names the contract that the request's path belongs to.
func (f *Forms) Contract(r *http.Request) string { return f.of(r).contract }

func (f *Forms) of(r *http.Request) prefix {
	for _, p := range f.prefixes {
		if isUnder(r.URL.EscapedPath(), p.path) { // which is what routes are matched on
			return p
		}
	}
	return f.fallback
}

// isUnder reports whether the path begins with the prefix.
func isUnder(path, prefix string) bool {
	for {
		plain, after, wild := strings.Cut(prefix, "*")
		rest, ok := strings.CutPrefix(path, plain)
		if !ok || !wild {
			return ok
		}
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return false
		}
		path, prefix = rest[slash:], after
	}
}

// NoRoute answers a path that no operation has.
func (f *Forms) NoRoute(c *gin.Context) {
	f.Write(c, fault.New(fault.NotFound, CodeNoRoute, "There is nothing at this path."))
}

// NoMethod answers a method that a path does not have. Gin has set the header Allow.
func (f *Forms) NoMethod(c *gin.Context) {
	f.Write(c, fault.New(fault.Invalid, CodeMethodNotAllowed, "The path does not take this method."))
}

// UnescapeParams decodes the path's parameters once. Routes are matched on the escaped path, so that an encoded slash
// does not end a parameter; gin's own decoding would take "+" for a space.
func UnescapeParams(c *gin.Context) {
	for i := range c.Params {
		if value, err := url.PathUnescape(c.Params[i].Value); err == nil {
			c.Params[i].Value = value
		}
	}
}

// Context gives the request's own context where ctx is a gin.Context, as generated handlers hand it on. A
// gin.Context is reused after the request; the request's context may be kept by what outlives the handler.
func Context(ctx context.Context) context.Context {
	if c, ok := ctx.(*gin.Context); ok {
		return c.Request.Context()
	}
	return ctx
}
