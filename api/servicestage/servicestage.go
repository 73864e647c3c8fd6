// Package servicestage answers the add-on paths of ServiceStage v3.
package servicestage

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.0 -config oapi-codegen.yaml openapi.yaml
