// Package openapi serves the OpenAPI documents of the contracts under /openapi.
package openapi

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// Document is the OpenAPI document of one contract.
type Document struct {
	Name  string // the contract's short name, which is also its file name: "roma" for /openapi/roma.yaml
	Title string // for people
	YAML  []byte
}

// Index is what GET /openapi answers.
type Index struct {
	Service   string  `json:"service"`
	Version   string  `json:"version,omitempty"`
	Region    string  `json:"region,omitempty"`
	Documents []Entry `json:"documents"` // by name
}

// Entry is one document of the index.
type Entry struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	URL   string `json:"url"` // path of the document on this server
}

// Register mounts GET /openapi, the index, and GET /openapi/<name>.yaml for every document. Both need no
// authentication: they say nothing that is not in the source.
func Register(r gin.IRouter, version, region string, documents ...Document) {
	index := Index{Service: "assetflow", Version: version, Region: region, Documents: []Entry{}}
	for _, d := range documents {
		path := "/openapi/" + d.Name + ".yaml"
		index.Documents = append(index.Documents, Entry{Name: d.Name, Title: d.Title, URL: path})
		r.GET(path, func(c *gin.Context) {
			c.Data(http.StatusOK, "application/yaml; charset=utf-8", d.YAML)
		})
	}
	slices.SortFunc(index.Documents, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	r.GET("/openapi", func(c *gin.Context) { c.JSON(http.StatusOK, index) })
}
