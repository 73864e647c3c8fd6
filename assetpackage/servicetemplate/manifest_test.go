package servicetemplate_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/servicetemplate"
)

const full = `{
  "keyName": "restart-service", "displayName": "Restart a service", "vendorID": "com.example", "vendorName": "Example Ltd.",
  "version": "01.02.03", "tags": " Linux, restart ,, Linux", "description": "Stops it.\nStarts it.", "releaseState": "debug",
  "supportedScheduleType": ["immediate", "schedule"], "usedServices": [], "usedTemplates": "a_b_01.00.00",
  "instanceID": 7, "createTime": "2014-08-18T16:53:50.000+0900", "modifyTime": null, "latest": true,
  "properties": [
    {"keyName": "host", "displayName": "Host", "type": "string", "required": true, "group": "Target", "mode": "in"},
    {"keyName": "wait", "type": "integer", "defaultValue": "30", "values": ["30", "60"]},
    {"keyName": "password", "type": "password"},
    {"keyName": "result", "type": "string", "mode": "out"}
  ],
  "steps": [
    {"keyName": "stop", "plugin": {"vendorID": "com.example", "keyName": "ssh", "version": "01.00.00"}, "inputs": {"host": "${host}", "command": "sudo stop; sleep ${wait}"}},
    {"keyName": "start", "displayName": "Start", "plugin": {"vendorID": "com.example", "keyName": "ssh", "version": "01.00.00"}, "after": ["stop"], "outputs": {"stdout": "result"}}
  ]
}`

func TestDecode(t *testing.T) {
	t.Parallel()
	m, err := servicetemplate.Decode([]byte(full))
	require.NoError(t, err)
	ssh := servicetemplate.Plugin{VendorID: "com.example", KeyName: "ssh", Version: "01.00.00"}
	require.Equal(t, servicetemplate.Manifest{
		KeyName: "restart-service", DisplayName: "Restart a service", VendorID: "com.example", VendorName: "Example Ltd.", Version: "01.02.03",
		Tags: []string{"Linux", "restart"}, Description: "Stops it.\nStarts it.", ReleaseState: "debug", SupportedScheduleType: "immediate,schedule",
		UsedTemplates: []string{"a_b_01.00.00"},
		Properties: []servicetemplate.Property{
			{KeyName: "host", DisplayName: "Host", Type: "string", Required: true, Group: "Target", Mode: "in"},
			{KeyName: "wait", Type: "integer", DefaultValue: "30", Values: []string{"30", "60"}},
			{KeyName: "password", Type: "password"},
			{KeyName: "result", Type: "string", Mode: "out"},
		},
		Steps: []servicetemplate.Step{
			{KeyName: "stop", Plugin: ssh, Inputs: map[string]string{"host": "${host}", "command": "sudo stop; sleep ${wait}"}},
			{KeyName: "start", DisplayName: "Start", Plugin: ssh, After: []string{"stop"}, Outputs: map[string]string{"stdout": "result"}},
		},
	}, m)
	require.Equal(t, "com.example_restart-service_01.02.03_d.st", m.FileName())
	require.Equal(t, "com.example_ssh_01.00.00", ssh.Folder())

	data, err := servicetemplate.Encode(m)
	require.NoError(t, err)
	require.Contains(t, string(data), `"tags":"Linux,restart"`)
	require.NotContains(t, string(data), "instanceID")
	again, err := servicetemplate.Decode(data)
	require.NoError(t, err)
	require.Equal(t, m, again)
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	with := func(member string) string { return strings.TrimSuffix(minimal, "}") + "," + member + "}" }
	property := func(members string) string { return with(`"properties":[{"keyName":"p",` + members + `}]`) }
	steps := func(list ...string) string {
		for i, s := range list {
			list[i] = fmt.Sprintf(`{"keyName":"s%d","plugin":{"vendorID":"v","keyName":"k","version":"01.00.00"}%s}`, i, s)
		}
		return with(`"properties":[{"keyName":"p","type":"string"}],"steps":[` + strings.Join(list, ",") + "]")
	}
	for _, c := range []struct{ manifest, code, message string }{
		{`[]`, "bad_template", "template.json: it is a list, but it must be an object"},
		{`{}`, "bad_template", `template.json: "keyName" is missing`},
		{"\xff", "bad_template", "template.json cannot be read: it is not valid UTF-8"},
		{`{"keyName":"a","keyName":"b","vendorID":"v","version":"01.00.00"}`, "bad_template", "template.json: keyName: this key is there more than once"},
		{strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), "bad_template", "nested 20 levels deep"},
		{strings.Replace(minimal, "SP", "S P", 1), "bad_template", `template.json: vendorID: "S P" is not allowed: it must be 1 to 64 letters`},
		{strings.Replace(minimal, "SP", "../SP", 1), "bad_template", "vendorID"},
		{strings.Replace(minimal, "SP", strings.Repeat("a", 65), 1), "bad_template", "vendorID"},
		{strings.Replace(minimal, "01.20.00", "001.20.00", 1), "bad_version", "three numbers of two digits"},
		{strings.Replace(minimal, "01.20.00", "٠١.20.00", 1), "bad_version", "three numbers of two digits"},
		{strings.Replace(minimal, `"01.20.00"`, "1", 1), "bad_version", "it is a number, but it must be three numbers"},
		{with(`"Tags":"a"`), "bad_template", `the key "Tags" is not known here`},
		{with(`"tags":1`), "bad_template", "tags: it is a number, but it must be one text with commas"},
		{with(`"tags":["a,b"]`), "bad_template", `tags[0]: "a,b" is not allowed`},
		{with(`"tags":"` + strings.Repeat("a", 129) + `"`), "bad_template", "is longer than 128 characters"},
		{with(`"tags":"` + strings.Repeat("a,", 40) + strings.Join(letters(65), ",") + `"`), "bad_template", "it has 66 items; at most 64 are allowed"},
		{with(`"supportedScheduleType":"` + strings.Join(letters(65), ",") + `"`), "bad_template", "it has 65 items"},
		{with(`"displayName":"a\nb"`), "bad_template", "displayName"},
		{with(`"displayName":"a\u202eb"`), "bad_template", `"a\u202eb" is not allowed`},
		{with(`"description":"\u0000"`), "bad_template", "NUL"},
		{with(`"releaseState":"beta"`), "bad_template", `"beta" is not allowed: it must be "debug" or "release"`},
		{with(`"instanceID":[1]`), "bad_template", "instanceID: it is a list"},
		{property(`"type":"secret"`), "bad_template", `properties[0].type: "secret" is not allowed`},
		{property(`"type":"string","pattern":"a"`), "bad_template", `properties[0]: the key "pattern" is not known`},
		{property(`"type":"string","defaultValue":5`), "bad_template", "properties[0].defaultValue: it is a number"},
		{property(`"type":"integer","defaultValue":"1.5"`), "bad_template", `properties[0].defaultValue: "1.5" is not allowed: it must be a whole number`},
		{property(`"type":"double","defaultValue":"Inf"`), "bad_template", "a number such as 1.5"},
		{property(`"type":"double","defaultValue":"0x1p-2"`), "bad_template", "a number such as 1.5"},
		{property(`"type":"boolean","defaultValue":"yes"`), "bad_template", "true or false"},
		{property(`"type":"date","defaultValue":"2026-02-30"`), "bad_template", "a date"},
		{property(`"type":"time","defaultValue":"25:00:00"`), "bad_template", "a time"},
		{property(`"type":"integer","values":["1","x"]`), "bad_template", `properties[0].values[1]: "x" is not allowed`},
		{property(`"type":"string","values":["a"],"defaultValue":"b"`), "bad_template", `"b" is none of the property's values`},
		{property(`"type":"string","values":[]`), "bad_template", "properties[0].values"},
		{property(`"type":"password","defaultValue":"hunter2"`), "secret_default", "a template carries no secrets"},
		{property(`"type":"password","values":["hunter2"]`), "secret_default", "a template carries no secrets"},
		{with(`"properties":[{"keyName":"p","type":"date"},{"keyName":"p","type":"date"}]`), "bad_template", `properties[1].keyName: there are two properties "p"`},
		{with(`"properties":[` + strings.Repeat(`{},`, 1000) + `{}]`), "bad_template", "properties: it must be a list of at most 1000 properties"},
		{with(`"steps":[{"keyName":"s"}]`), "bad_template", `steps[0]: "plugin" is missing`},
		{with(`"steps":[{"keyName":"s","plugin":{"vendorID":"v","keyName":"k","version":"1"}}]`), "bad_template", "steps[0].plugin.version"},
		{strings.ReplaceAll(steps("", ""), "s1", "s0"), "bad_template", `steps[1].keyName: there are two steps "s0"`},
		{steps(`,"after":["s9"]`), "bad_template", `steps[0].after[0]: there is no step "s9"`},
		{steps("", `,"after":["s0","s0"]`), "bad_template", `steps[1].after[1]: the step "s0" is named twice`},
		{steps(`,"after":["s0"]`), "bad_template", `the step "s0" waits for itself, through one step`},
		{steps(`,"after":["s2"]`, `,"after":["s0"]`, `,"after":["s1"]`, `,"after":["s0"]`), "bad_template", `the step "s0" waits for itself, through 4 steps`},
		{steps(`,"inputs":{"a":"x ${p} ${q}"}`), "bad_template", `steps[0].inputs.a: there is no property "q"`},
		{steps(`,"inputs":{"a b":"x"}`), "bad_template", "1 to 64 letters"},
		{steps(`,"outputs":{"a":"q"}`), "bad_template", `steps[0].outputs.a: there is no property "q"`},
	} {
		_, err := servicetemplate.Decode([]byte(c.manifest))
		found := problemsOf(t, err)
		require.Equal(t, c.code, found[0].Code, "%s: %v", c.manifest, err)
		require.Contains(t, found[0].Message, c.message, c.manifest)
		require.NotContains(t, found[0].Message, "hunter2", "a secret is not shown")
	}
}

func letters(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("t%d", i)
	}
	return out
}

// A template.json within the limits may cost some times its size, not hundreds of times: it is not parallel, because it
// measures.
func TestHostileManifestsCostLittle(t *testing.T) {
	const room = 1<<20 - 200
	fill := func(unit string) string {
		return strings.TrimSuffix(strings.Repeat(unit+",", min(room/(len(unit)+1), 95_000)), ",")
	}
	var keys strings.Builder
	for i := 0; keys.Len() < room-20 && i < 90_000; i++ {
		fmt.Fprintf(&keys, `,"%d":0`, i)
	}
	head := strings.TrimSuffix(minimal, "}")
	for name, manifest := range map[string]string{
		"unknown keys":      head + keys.String() + "}",
		"empty properties":  head + `,"properties":[` + fill("{}") + "]}",
		"wrong properties":  head + `,"properties":[` + strings.TrimSuffix(strings.Repeat(`{"keyName":"?","type":"?","mode":"?","x":1},`, 19_000), ",") + "]}",
		"equal properties":  head + `,"properties":[` + strings.TrimSuffix(strings.Repeat(`{"keyName":"p","type":"date"},`, 1000), ",") + "]}",
		"inputs":            head + `,"steps":[{"keyName":"s","plugin":{},"inputs":{` + keys.String()[1:] + "}}]}",
		"tags":              head + `,"tags":[` + fill(`""`) + "]}",
		"one text of tags":  head + `,"tags":"` + strings.Repeat(",", room) + `"}`,
		"references":        head + `,"steps":[{"keyName":"s","plugin":{"vendorID":"v","keyName":"k","version":"01.00.00"},"inputs":{"a":"` + strings.Repeat("${}", 340) + `"}}]}`,
		"steps after steps": head + `,"steps":[` + strings.TrimSuffix(strings.Repeat(`{"keyName":"s","plugin":{"vendorID":"v","keyName":"k","version":"01.00.00"},"after":[`+strings.TrimSuffix(strings.Repeat(`"s",`, 80), ",")+`]},`, 1000), ",") + "]}",
		"a long name":       head + `,"displayName":"` + strings.Repeat("x", room) + `"}`,
		"a long number":     head + `,"instanceID":` + strings.Repeat("1", room) + "}",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := servicetemplate.Decode([]byte(manifest))
		runtime.ReadMemStats(&after)
		allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%-18s %7d bytes: %3d MiB allocated: %.100v", name, len(manifest), allocated, err)
		if !raceDetector { // it throws away much of what is pooled
			require.Less(t, allocated, uint64(150), name)
		}
		if err != nil {
			problemsOf(t, err)
		}
	}
}

// The page lists every code with its identifier, and every identifier.
func TestEveryMessageIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/service-template.md")
	require.NoError(t, err)
	rows := make(map[string]string) // by code
	listed := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `(KNAE9[0-9]{4}-E)` \\|[^|]*\\|([^|]*)\\|$").FindAllStringSubmatch(string(page), -1) {
		listed[row[1]] = true
		for _, code := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[2], -1) {
			rows[code[1]] = row[1]
		}
	}
	require.Equal(t, servicetemplate.MessageIDs(), rows)
	for _, id := range []string{servicetemplate.MessageReleaseDiffers, servicetemplate.MessageImportRunning, servicetemplate.MessageFailed} {
		require.True(t, listed[id], id)
	}
	require.Equal(t, servicetemplate.MessageFailed, servicetemplate.MessageID("anything else"))
}

func TestSchema(t *testing.T) {
	t.Parallel()
	var doc struct {
		ID string `json:"$id"`
	}
	require.NoError(t, json.Unmarshal(servicetemplate.Schema(), &doc))
	require.Equal(t, "urn:assetflow:service-template:v1", doc.ID)
	first := servicetemplate.Schema()
	first[0] = 'x'
	require.NotEqual(t, first, servicetemplate.Schema(), "callers get a copy")
}

func FuzzTemplateJSON(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(full))
	f.Add([]byte(`{"keyName":"a","vendorID":"v","version":"01.00.00","properties":[{"keyName":"p","type":"double","defaultValue":"1e5"}],"steps":[{"keyName":"s","after":["s"],"plugin":{"vendorID":"v","keyName":"k","version":"01.00.00"},"inputs":{"a":"${p}${}"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := servicetemplate.Decode(data)
		if err != nil {
			for _, p := range problemsOf(t, err) {
				require.Contains(t, []string{servicetemplate.CodeBadTemplate, servicetemplate.CodeBadVersion, servicetemplate.CodeSecretDefault}, p.Code)
				require.NotRegexp(t, "[\\x00-\\x1f\u202e]", p.Message)
			}
			return
		}
		require.Regexp(t, `^[0-9A-Za-z._-]+_\d\d\.\d\d\.\d\d(_d)?\.st$`, m.FileName())
		encoded, err := servicetemplate.Encode(m)
		require.NoError(t, err)
		again, err := servicetemplate.Decode(encoded)
		require.NoError(t, err)
		twice, err := servicetemplate.Encode(again)
		require.NoError(t, err)
		require.Equal(t, string(encoded), string(twice))
	})
}

// FuzzOpen feeds uploads: whatever they are, the reader must not panic and must blame the upload, not the source.
func FuzzOpen(f *testing.F) {
	f.Add(st(minimal))
	f.Add(st(full, entry("plugins/a", "x")))
	f.Add(bundleOf(entry("a.st", string(st(minimal))), entry("b.st", string(numbered("1")))))
	limits := assetpackage.Limits{MaxEntries: 50, MaxManifestBytes: 64 << 10, MaxTotalBytes: 1 << 20, MaxEntryBytes: 1 << 20, MaxDirectoryBytes: 64 << 10}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := servicetemplate.Open(t.Context(), "x.zip", assetpackage.MemorySource(data), limits, nil)
		if err != nil {
			problemsOf(t, err)
			return
		}
		for _, template := range b.Templates() {
			require.Equal(t, template.SHA256, digest(bytesOf(t, template)))
		}
	})
}
