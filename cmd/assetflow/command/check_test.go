package command

import (
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/cmd/assetflow/serve"
)

func TestWhatACheckSays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		report serve.ContentReport
		want   string
	}{
		"whole": {serve.ContentReport{Blobs: 2, Archives: 1, Bytes: 5 << 20}, "Everything is there: 2 blobs and 1 archive, 5.0 MiB.\n"},
		"more":  {serve.ContentReport{Unknown: 1}, "Everything is there: 0 blobs and 0 archives, 0 B.\n1 more blob that nothing needs: the sweep takes them in time.\n"},
		"pieces": {serve.ContentReport{Blobs: 2, Bytes: 5, Findings: []serve.ContentFinding{
			{Key: "blobs/a", What: serve.ContentMissing, Used: true}, {Key: "blobs/b", What: serve.ContentDamaged, Mended: true},
		}}, "missing  blobs/a  used\ndamaged  blobs/b  mended\n2 findings of 2 blobs and 0 archives, 5 B.\n"},
	} {
		var s sheet
		contentSheet(&s, tc.report)
		require.Equal(t, tc.want, s.text.String(), name)
	}
}

func TestCheckAndSweepWithoutWhatTheyAsk(t *testing.T) {
	t.Parallel()
	r := newApp(t).exec(t.Context(), "check", "--log-level", "error")
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "database.url is not set")
	a := administered(t)
	a.environ = append(a.environ, "ASSETFLOW_S3_ACCESS_KEY=ak", "ASSETFLOW_S3_SECRET_KEY=sk", "AWS_MAX_ATTEMPTS=1")
	r = a.exec(t.Context(), "check", "--log-level", "error", "--s3-endpoint", "http://"+nobody)
	require.Equal(t, ExitUnreachable, r.code, r.stderr)
	require.Contains(t, r.stderr, "the object store does not answer")
	r = newApp(t).exec(t.Context(), "sweep", "status", "--temporal-address", nobody)
	require.Equal(t, ExitUnreachable, r.code, r.stderr)
	require.Contains(t, r.stderr, "Temporal does not answer.")
}
