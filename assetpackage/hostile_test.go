package assetpackage_test

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
)

// hostileManifests are as large as allowed and meant to cost as much as possible.
func hostileManifests() map[string]string {
	const room = 4<<20 - 1000
	fill := func(unit string) string {
		n := min(room/(len(unit)+1), 499_000)
		return strings.TrimSuffix(strings.Repeat(unit+",", n), ",")
	}
	var keys, descending, secrets strings.Builder
	for i := 0; keys.Len() < room && i < 300_000; i++ {
		fmt.Fprintf(&keys, `"%d":0,`, i)
		fmt.Fprintf(&descending, `"%06d":0,`, 300_000-i)
	}
	for i := range 64 {
		fmt.Fprintf(&secrets, `"token%d":"x",`, i)
	}
	trim := func(b *strings.Builder) string { return strings.TrimSuffix(b.String(), ",") }
	nested := strings.Repeat(`{"b":[`, 29) + fill("0") + strings.Repeat(`],"a":0}`, 29)
	return map[string]string{
		"assets that are objects":  packagetest.ManifestOf(fill("{}")),
		"assets that are numbers":  packagetest.ManifestOf(fill("0")),
		"unknown keys at the top":  `{"format":"` + assetpackage.Format + `","version":"1",` + trim(&keys) + `}`,
		"unknown keys of an asset": packagetest.ManifestOf(`{"name":"shop","definition":{},` + trim(&keys) + `}`),
		"files that are numbers":   packagetest.ManifestOf(`{"name":"shop","definition":{},"files":[` + fill("0") + `]}`),
		"files that are objects":   packagetest.ManifestOf(`{"name":"shop","definition":{},"files":[` + fill("{}") + `]}`),
		"settings":                 packagetest.ManifestOf(`{"name":"shop","definition":{},"data_sources":[{"name":"d","type":"T","settings":{` + trim(&keys) + `}}]}`),
		"data sources":             packagetest.ManifestOf(`{"name":"shop","definition":{},"data_sources":[` + fill("[]") + `]}`),
		"secrets":                  packagetest.ManifestOf(`{"name":"shop","definition":{},"data_sources":[` + fill(`{"name":"d","type":"T","settings":{`+trim(&secrets)+`}}`) + `]}`),
		"definition of objects":    packagetest.ManifestOf(`{"name":"shop","definition":{"a":[` + fill("{}") + `]}}`),
		"definition of keys":       packagetest.ManifestOf(`{"name":"shop","definition":{` + trim(&descending) + `}}`),
		"definition of nested":     packagetest.ManifestOf(`{"name":"shop","definition":` + nested + `}`),
		"one long name":            packagetest.ManifestOf(`{"name":"` + strings.Repeat("x/", room/2) + `","definition":{}}`),
		"one long key":             packagetest.ManifestOf(`{"name":"shop","definition":{},"` + strings.Repeat("x", room) + `":1}`),
		"one long number":          packagetest.ManifestOf(`{"name":"shop","definition":{"a":` + strings.Repeat("1", room) + `}}`),
		"a number of many zeros":   packagetest.ManifestOf(`{"name":"shop","definition":{},"files":[{"path":"a","size":1e300}]}`),
		"one long path":            packagetest.ManifestOf(`{"name":"shop","definition":{},"files":[{"path":"` + strings.Repeat("é/", room/3) + `","size":0,"sha256":""}]}`),
	}
}

// A manifest within the limits may cost a few times its size, not hundreds of times.
func TestHostileManifestsCostLittle(t *testing.T) {
	const most = 100 << 20
	for name, manifest := range hostileManifests() {
		data := packagetest.WithManifest(manifest).Bytes()
		runtime.GC()
		debug.FreeOSMemory()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		done := make(chan uint64)
		stop := make(chan struct{})
		go func() {
			var peak uint64
			var m runtime.MemStats
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					done <- peak
					return
				case <-tick.C:
					runtime.ReadMemStats(&m)
					peak = max(peak, m.HeapInuse)
				}
			}
		}()
		start := time.Now()
		_, err := assetpackage.Open(t.Context(), packagetest.Source(data), assetpackage.Limits{})
		took := time.Since(start)
		close(stop)
		peak := max(<-done, before.HeapInuse) - before.HeapInuse
		runtime.ReadMemStats(&after)
		t.Logf("%-26s %8d bytes: peak %4d MiB, in all %4d MiB, %v: %.100v", name, len(manifest), peak>>20, (after.TotalAlloc-before.TotalAlloc)>>20, took, err)
		require.Less(t, peak, uint64(most), name)
		if err != nil {
			problemsOf(t, err)
		}
	}
}
