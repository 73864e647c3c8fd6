// Package iam answers the part of the identity service that clients sign in with: POST /v3/auth/tokens.
package iam

import (
	"log/slog"

	"github.com/gin-gonic/gin"

	"assetflow/auth"
)

// Document gives the OpenAPI document of this contract, as YAML.
func Document() []byte { panic("not built yet") }

// Register mounts POST /v3/auth/tokens on r. The route needs no authentication.
func Register(r gin.IRouter, svc *auth.Service, logger *slog.Logger) { panic("not built yet") }
