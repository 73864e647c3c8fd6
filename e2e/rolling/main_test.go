// Package rolling restarts the API and the workers one after the other while users import, export, download and delete
// through a proxy, and brings a new version of the workers into use: no request may fail, no connection break, and no job
// get stuck or do anything twice.
package rolling

import (
	"os"
	"testing"

	"assetflow/e2e/process"
)

func TestMain(m *testing.M) {
	process.Main()
	os.Exit(m.Run())
}
