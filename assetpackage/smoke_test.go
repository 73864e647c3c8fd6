package assetpackage_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
)

func TestNewPackCheck(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, assetpackage.New(dir, "shop"))
	var b bytes.Buffer
	m, err := assetpackage.Pack(context.Background(), dir, &b)
	require.NoError(t, err)
	t.Log(m)
	s, err := assetpackage.Check(context.Background(), dir, assetpackage.Limits{})
	require.NoError(t, err)
	t.Log(s, b.Len())
}
