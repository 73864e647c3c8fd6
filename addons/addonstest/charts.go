package addonstest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/addons"
)

// NeverReadyImage is the image of a workload that never becomes ready: what plays the kubelet in a test looks for it.
const NeverReadyImage = "registry.invalid/never-ready:1"

const (
	chartYAML = "apiVersion: v2\nname: %s\nversion: %s\nappVersion: \"1.0\"\ndescription: A chart of a test.\n"

	// The ConfigMap tells which version of the chart a target holds.
	configMap = `apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  version: {{ .Chart.Version | quote }}
`
	deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
spec:
  replicas: {{ .Values.replicas }}
  progressDeadlineSeconds: {{ .Values.progressDeadline }}
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      containers:
      - name: main
        image: {{ .Values.image }}
`
	// The deadline is one that no cluster misses that is only slow.
	values     = "replicas: 1\nimage: registry.k8s.io/pause:3.10\nprogressDeadline: 600\n"
	neverReady = "replicas: 1\nimage: " + NeverReadyImage + "\nprogressDeadline: "
)

// Option changes the files of a chart.
type Option func(files map[string]string)

// File adds a file to the chart, or puts it in the place of another. Its name begins under the chart's folder, such as
// "templates/service.yaml".
func File(name, content string) Option {
	return func(files map[string]string) { files[name] = content }
}

// NeverReady makes the chart's Deployment one that never becomes ready, and says so after three seconds.
func NeverReady() Option {
	return File("values.yaml", neverReady+"3\n")
}

// NotReady makes the chart's Deployment one that does not become ready, and may yet as far as the cluster knows.
func NotReady() Option {
	return File("values.yaml", neverReady+"600\n")
}

// NotRendering makes a chart whose templates fail.
func NotRendering() Option {
	return File("templates/broken.yaml", `{{ fail "this chart does not render" }}`)
}

// Refused makes a chart that renders, but to an object that no target takes: its name is none.
func Refused() Option {
	return File("templates/refused.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: Not_A_Name\n")
}

// WithHook gives the chart a Job that is a hook of the event, such as "pre-install" or "test".
func WithHook(event string) Option {
	return File("templates/hook.yaml", fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-hook
  annotations:
    helm.sh/hook: %s
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: registry.k8s.io/pause:3.10
`, event))
}

// Chart makes a chart of a ConfigMap and a Deployment, both named as the release. The same arguments give the same bytes.
func Chart(t testing.TB, name, version string, opts ...Option) addons.Chart {
	t.Helper()
	files := map[string]string{
		"Chart.yaml":                fmt.Sprintf(chartYAML, name, version),
		"values.yaml":               values,
		"templates/configmap.yaml":  configMap,
		"templates/deployment.yaml": deployment,
	}
	for _, o := range opts {
		o(files)
	}
	archive := Archive(t, name, files)
	sum := sha256.Sum256(archive)
	return addons.Chart{Name: name, Version: version, SHA256: hex.EncodeToString(sum[:]), Archive: archive}
}

// Archive packs files into a gzipped tar, under the folder. The same arguments give the same bytes.
func Archive(t testing.TB, folder string, files map[string]string) []byte {
	t.Helper()
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	tw := tar.NewWriter(gz)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, tw.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: folder + "/" + name, Size: int64(len(files[name])), Mode: 0o644,
			ModTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		}))
		_, err := tw.Write([]byte(files[name]))
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	require.NoError(t, gz.Close())
	return packed.Bytes()
}
