package assetpackage_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
)

func TestCanonicalJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`  {"b" : 1 , "a":[ true,false , null ]} `:            `{"a":[true,false,null],"b":1}`,
		`{"z":{"b":1,"a":2},"a":{"d":[],"c":{}}}`:             `{"a":{"c":{},"d":[]},"z":{"a":2,"b":1}}`,
		`[1.50, -0, 1E+5, 12345678901234567890123]`:           `[1.50,-0,1E+5,12345678901234567890123]`,
		`"\u00e9\u0041\/\ud83d\ude00\u000a\u001f"`:            `"éA/😀\n\u001f"`,
		`{"\u0062":1,"a":2}`:                                  `{"a":2,"b":1}`,
		`"<>&` + "\u2028" + `"`:                               `"<>&` + "\u2028" + `"`,
		"\xef\xbb\xbf{}":                                      `{}`,
		`{"é":1,"z":2,"Z":3,"":4}`:                            `{"":4,"Z":3,"z":2,"é":1}`,
		`"a\\\"b"`:                                            `"a\\\"b"`,
		`{"b":[{"d":1,"c":2}],"a":{"f":{"h":1,"g":2},"e":3}}`: `{"a":{"e":3,"f":{"g":2,"h":1}},"b":[{"c":2,"d":1}]}`,
	} {
		got, flaws := assetpackage.CanonicalJSON([]byte(in))
		require.Empty(t, flaws, in)
		require.Equal(t, want, string(got))
	}
	for in, want := range map[string]string{
		`{"a":1,"b":{"a":1},"a":2}`:  "a: this key is there more than once",
		`{"a":[{"b":1,"\u0062":2}]}`: "a[0].b: this key is there more than once",
		`{"x y":{"a":1,"a":2}}`:      `["x y"].a: this key`,
		`["\udc00"]`:                 `[0]: a text contains half of a surrogate pair, \udc00`,
		`["\ud83d\u0041"]`:           `half of a surrogate pair, \ud83d`,
		`["\ud83d"]`:                 `half of a surrogate pair`,
		`["\\\u0000"]`:               `NUL`,
		`{"a\u0000":1}`:              `NUL`,
		`[1e400]`:                    "[0]: the number 1e400 is too large",
		`[-1e400]`:                   "the number -1e400 is too large",
		`[1,]`:                       "line 1, column 4",
		"[\n1\n2]":                   "line 3, column 1",
		`{"a":1} x`:                  "after top-level value",
		`"` + "\xff" + `"`:           "byte 0xFF at line 1, column 2",
		"\"é\n\xe9\"":                "line 2, column 1",
		strings.Repeat("[", 65) + strings.Repeat("]", 65): "65 levels deep",
		`[` + strings.Repeat("0,", 500_000) + `0]`:        "500002 values",
	} {
		_, flaws := assetpackage.CanonicalJSON([]byte(in))
		require.NotEmpty(t, flaws, in)
		require.Contains(t, strings.Join(flaws, " | "), want)
	}
}

func TestMeasureJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][2]int{
		`1`: {0, 1}, `{}`: {1, 1}, `[]`: {1, 1}, `[1]`: {1, 2}, `[[],{}]`: {2, 3}, `{"a":[1,2],"b":"x,]}[{"}`: {2, 5}, `["\"[,"]`: {1, 2}, "[\n]": {1, 1},
	} {
		depth, values := assetpackage.MeasureJSON([]byte(in))
		require.Equal(t, want, [2]int{depth, values}, in)
	}
}

func TestSchemaIsASchema(t *testing.T) {
	t.Parallel()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(assetpackage.Schema())))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("urn:x", doc))
	schema, err := c.Compile("urn:x")
	require.NoError(t, err)

	// What Open accepts, the published schema accepts.
	valid := packagetest.Spec{Applications: 3, Tasks: 2, FilesPerAsset: 1, FileBytes: 10}.Manifest()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(assetpackage.EncodeManifest(valid))))
	require.NoError(t, err)
	require.NoError(t, schema.Validate(v))

	// Schema hands out a copy.
	assetpackage.Schema()[0] = 'X'
	require.True(t, json.Valid(assetpackage.Schema()))
}

// Every definition of a plain value has the text that completes "it must be …".
func TestSchemaDescribesItsValues(t *testing.T) {
	t.Parallel()
	var schema struct {
		Defs map[string]struct {
			Description string         `json:"description"`
			Properties  map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(assetpackage.Schema(), &schema))
	require.NotEmpty(t, schema.Defs)
	for name, def := range schema.Defs {
		if def.Properties == nil {
			require.NotEmpty(t, def.Description, name)
			require.NotRegexp(t, regexp.MustCompile(`^[A-Z][a-z]|\.$`), def.Description, "it stands in the middle of a sentence")
		}
	}
}

func TestManifestMessages(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("0", 64)
	for in, want := range map[string][]string{
		`{"name":5,"definition":{}}`: {`applications[0].name: it is a number, but it must be 1 to 64 letters`},
		`5`:                          {`applications[0]: it is a number, but it must be an object.`},
		`{"name":"a","definition":{},"tasks":1,"app":2}`:                                              {`the key "app" is not known here`, `the key "tasks" is not known here`},
		`{"name":"a","definition":{},"files":{}}`:                                                     {`applications[0].files: it is an object, but it must be a list of files.`},
		`{"name":"a","definition":{},"files":[{"path":"b","sha256":"` + digest + `","size":1.5}]}`:    {`files[0].size: it is a number, but it must be the number of bytes`},
		`{"name":"a","definition":{},"files":[{"path":"b","sha256":"` + digest + `","size":1e3}]}`:    {`write 1e3 as plain digits`},
		`{"name":"a","definition":{},"files":[{"path":"b"}]}`:                                         {`files[0]: "sha256" is missing`, `files[0]: "size" is missing`},
		`{"name":"a","definition":{},"data_sources":[{"name":"d"}]}`:                                  {`data_sources[0]: "type" is missing`},
		`{"name":"a","definition":{},"data_sources":[{"name":"d","type":"x y"}]}`:                     {`data_sources[0].type: "x y" is not allowed`},
		`{"name":"a","definition":{},"data_sources":[{"name":"d","type":"T","settings":{"a b":1}}]}`:  {`data_sources[0].settings: the key "a b" is not allowed: it must be 1 to 64 letters`},
		`{"name":"a","definition":{},"data_sources":[{"name":"d","type":"T","settings":{"a":null}}]}`: {`settings.a: it is null, but it must be a text`},
		`{"name":"` + strings.Repeat("n", 300) + `","definition":{}}`:                                 {`(300 characters) is not allowed`},
		`{"name":"a","definition":{},"description":"x\u0007"}`:                                        {`description: "x\a" is not allowed: it must be text of at most 1024`},
	} {
		_, err := assetpackage.DecodeManifest([]byte(packagetest.ManifestOf(in)))
		problems := problemsOf(t, err)
		require.Len(t, problems, len(want), "%s: %v", in, problems)
		for i := range want {
			require.Contains(t, problems[i].Message, want[i])
		}
	}
}

func TestTaskRules(t *testing.T) {
	t.Parallel()
	of := func(tasks ...string) string {
		return fmt.Sprintf(`{"format":%q,"version":"1","tasks":[%s]}`, assetpackage.Format, strings.Join(tasks, ","))
	}
	m, err := assetpackage.DecodeManifest([]byte(of(`{"name":"t","definition":{},"applications":["not in the package","another"]}`)))
	require.NoError(t, err, "an application may be one of the instance")
	require.Equal(t, []string{"another", "not in the package"}, m.Tasks[0].Applications)

	for in, want := range map[string]string{
		of(`{"name":"t","definition":{},"applications":["a","a"]}`):        assetpackage.CodeDuplicateName,
		of(`{"name":"t","definition":{}}`, `{"name":"t","definition":{}}`): assetpackage.CodeDuplicateName,
		of(`{"name":"t","definition":{},"applications":["/"]}`):            assetpackage.CodeBadManifest,
	} {
		_, err := assetpackage.DecodeManifest([]byte(in))
		p := problemsOf(t, err)[0]
		require.Equal(t, want, p.Code)
		require.Equal(t, assetpackage.ResourceTask, p.ResourceType)
		require.Equal(t, "t", p.ResourceName)
	}

	same := `{"format":"` + assetpackage.Format + `","version":"1","applications":[{"name":"x","definition":{}}],"tasks":[{"name":"x","definition":{}}]}`
	_, err = assetpackage.DecodeManifest([]byte(same))
	require.NoError(t, err, "names are unique per kind")
}

func TestDataSourcesMayBeShared(t *testing.T) {
	t.Parallel()
	of := func(first, second string) string {
		return packagetest.ManifestOf(`{"name":"a","definition":{},"data_sources":[`+first+`]}`, `{"name":"b","definition":{},"data_sources":[`+second+`]}`)
	}
	_, err := assetpackage.DecodeManifest([]byte(of(`{"name":"d","type":"T","settings":{"a":1,"b":"x"}}`, `{"type":"T","settings":{"b":"x", "a":1},"name":"d"}`)))
	require.NoError(t, err)
	_, err = assetpackage.DecodeManifest([]byte(of(`{"name":"d","type":"T"}`, `{"name":"d","type":"T","settings":{}}`)))
	require.NoError(t, err)
	for _, second := range []string{`{"name":"d","type":"U"}`, `{"name":"d","type":"T","settings":{"a":1}}`, `{"name":"d","type":"T","description":"x"}`} {
		_, err = assetpackage.DecodeManifest([]byte(of(`{"name":"d","type":"T"}`, second)))
		require.Equal(t, assetpackage.CodeDataSourceConflict, problemsOf(t, err)[0].Code)
	}
}

// The example in the documentation is a valid manifest, and the documentation names every code, limit and key.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/asset-package.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(doc), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		_, err := assetpackage.DecodeManifest([]byte(block[1]))
		require.NoError(t, err)
	}
	for _, c := range packagetest.Bad() {
		require.Contains(t, string(doc), "`"+c.WantCode+"`")
	}
	for _, word := range slices.Concat(
		[]string{assetpackage.Format, "20,000", "4 MiB", "8 MiB", "20 GiB", "5 GiB", "200", "512 bytes", "500,000"},
		[]string{"`format`", "`version`", "`applications`", "`tasks`", "`id`", "`name`", "`description`", "`definition`", "`data_sources`", "`files`", "`settings`", "`path`", "`sha256`", "`size`", "`type`"},
	) {
		require.Contains(t, string(doc), word)
	}
}
