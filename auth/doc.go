// Package auth says who is calling and what they may do.
//
// A caller proves who they are with a token (header X-Auth-Token, made by POST /v3/auth/tokens from a password) or
// with a request signature (Authorization: SDK-HMAC-SHA256, see package signature); on the paths of the automation
// contract also with a name and password (Authorization: Basic) or an HSSO token from the call before, and from tools of
// others with a token as Authorization: Bearer or with Basic. All end in a Principal.
// What a principal may do in a project is decided by the roles its user has there and by one table, permissions.go.
//
// Everything is checked against the catalog at each call: a disabled user, a revoked key, a changed password, a
// revoked role take effect with the next request.
package auth
