package main

import (
	"io"
	"strings"
	"text/template"
	"time"

	"assetflow/devstack"
)

// The password and keys are not printed: they would end up in logs and scroll-back. What is printed reads them from the
// file.
var announcement = template.Must(template.New("").Parse(`
Assetflow is ready ({{.Took}}).

  API          {{.Endpoint}}   (documents: /openapi, state: /readyz)
  Temporal UI  {{.TemporalUI}}
  Temporal     {{.TemporalAddr}}
  S3           {{.S3Endpoint}}
  Data         {{.Folder}}
  Credentials  {{.File}}   (user {{.User}}, domain {{.Domain}})

Import the sample package, in a second terminal:

  {{.Command}} import examples/shop.zip --wait --credentials {{.File}}

or with curl:

  field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" {{.File}}; }
  token=$(curl -si {{.Endpoint}}/v3/auth/tokens -H 'Content-Type: application/json' -d '{"auth":{"identity":{"methods":["password"],
    "password":{"user":{"name":"'"$(field user)"'","password":"'"$(field password)"'","domain":{"name":"'"$(field domain)"'"}}}},
    "scope":{"project":{"id":"{{.ProjectID}}"}}}}' | tr -d '\r' | sed -n 's/^X-Subject-Token: //Ip')
  assets={{.Endpoint}}/v2/{{.ProjectID}}/instances/{{.InstanceID}}/assets
  job=$(curl -s "$assets/import?type=Merge" -H "X-Auth-Token: $token" \
    -F 'ImportAssetRequestBody=@examples/shop.zip;type=application/octet-stream' | sed -n 's/.*"job_id": *"\([^"]*\)".*/\1/p')
  curl -s "$assets/jobs/$job" -H "X-Auth-Token: $token"

Ctrl-C stops it.

`))

// announce prints where everything is and how to use it.
func announce(out io.Writer, at location, stack *devstack.Stack, took time.Duration) error {
	c := stack.Credentials()
	var text strings.Builder
	err := announcement.Execute(&text, map[string]any{
		"Took": took.Round(100 * time.Millisecond), "Endpoint": c.Endpoint, "TemporalUI": c.TemporalUI,
		"TemporalAddr": stack.TemporalAddr(), "S3Endpoint": c.S3Endpoint, "Folder": at.folder, "File": shellWord(at.credentials),
		"User": c.User, "Domain": c.Domain, "ProjectID": c.ProjectID, "InstanceID": c.InstanceID, "Command": at.command,
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, text.String())
	return err
}

// shellWord quotes a word for a POSIX shell where it needs it.
func shellWord(word string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._-", c)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
