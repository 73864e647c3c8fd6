package api_test

import (
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"assetflow/api"
	"assetflow/api/automation"
	"assetflow/api/codec"
	"assetflow/api/iam"
	"assetflow/api/metastudio"
	"assetflow/api/native"
	"assetflow/api/roma"
	"assetflow/api/servicestage"
	"assetflow/auth"
	"assetflow/catalog/catalogtest"
	"assetflow/jobs"
	"assetflow/payload"
	"assetflow/storage"
)

// documented is a row of a table of operations in docs/contracts.md.
type documented struct{ operation, state, permission string }

var (
	prefixLine   = regexp.MustCompile("^Prefix `([^`]+)`")
	operationRow = regexp.MustCompile("^\\| ([^|]+) \\| (GET|HEAD|POST|PUT|PATCH|DELETE) \\| `([^`]+)` \\| ([^|]+) \\| ([^|]+) \\| [^|]*\\|$")
	roleRow      = regexp.MustCompile(`^\| (Admin|Develop|Modify|Submit) \| ([^|]+) \|$`)
	parameter    = regexp.MustCompile(`:(\w+)`)
)

// contractsPage reads docs/contracts.md: its operations by method and path, and what it says of roles.
func contractsPage(t *testing.T) (map[string]documented, map[string]string) {
	t.Helper()
	page, err := os.ReadFile("../docs/contracts.md")
	require.NoError(t, err)
	operations, roles, prefix := map[string]documented{}, map[string]string{}, ""
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "## ") {
			prefix = ""
		}
		if m := prefixLine.FindStringSubmatch(line); m != nil {
			prefix = m[1]
		}
		if m := roleRow.FindStringSubmatch(line); m != nil {
			roles[m[1]] = m[2]
		}
		if m := operationRow.FindStringSubmatch(line); m != nil {
			key := m[2] + " " + prefix + m[3]
			require.NotContains(t, operations, key, "it stands there twice")
			operations[key] = documented{m[1], m[4], m[5]}
		}
	}
	return operations, roles
}

// TestContractsPage keeps the tables of docs/contracts.md true: what works is what the server answers, and what the OpenAPI
// documents describe; and permissions and roles are those of the code.
func TestContractsPage(t *testing.T) {
	t.Parallel()
	operations, roles := contractsPage(t)
	works := []string{}
	permissions := map[string]bool{}
	for key, row := range operations {
		switch row.state {
		case "works":
			works = append(works, key)
		case "not yet":
			require.Equal(t, "–", row.permission, key)
			continue
		default:
			require.Fail(t, "an operation works, or not yet", "%s: %q", key, row.state)
		}
		switch row.permission {
		case "everybody", "signed in", "payload reader":
		default:
			permissions[row.permission] = true
		}
	}
	require.ElementsMatch(t, served(t), works, "what the server answers (A) and what docs/contracts.md says that works (B)")
	require.ElementsMatch(t, described(t), works, "what the OpenAPI documents describe (A) and what docs/contracts.md says that works (B)")

	require.Len(t, roles, len(auth.Roles()))
	for role, text := range roles {
		for permission := range permissions {
			listed := strings.Contains(text, permission)
			want := auth.Allows([]string{role}, auth.Permission(permission))
			if strings.HasPrefix(text, "everything") {
				listed = !listed
			}
			require.Equal(t, want, listed, "%s of %s", permission, role)
		}
	}
}

// served are the operations that the server has handlers for, but for what is no contract's.
func served(t *testing.T) []string {
	t.Helper()
	ring, err := payload.ParseKeys(payload.GenerateKeys("test"))
	require.NoError(t, err)
	cat := catalogtest.New(t)
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	var all []string
	for _, route := range api.Routes(api.Options{
		Auth: auth.New(cat, keys), Jobs: jobs.NewService(nil, cat, nil, logger), Catalog: cat, Storage: &storage.Store{}, Logger: logger,
		Payloads: codec.Payloads{Codec: payload.NewCodec(ring, true)},
	}) {
		if route.Path == "/healthz" || route.Path == "/readyz" || strings.HasPrefix(route.Path, "/openapi") || route.Method == http.MethodOptions {
			continue
		}
		all = append(all, route.Method+" "+parameter.ReplaceAllString(route.Path, "{$1}"))
	}
	return all
}

// described are the operations of the OpenAPI documents.
func described(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, document := range [][]byte{
		automation.Document(), codec.Document(), iam.Document(), metastudio.Document(), native.Document(), roma.Document(), servicestage.Document(),
	} {
		doc, err := openapi3.NewLoader().LoadFromData(document)
		require.NoError(t, err)
		for path, item := range doc.Paths.Map() {
			for method := range item.Operations() {
				if method != http.MethodOptions {
					all = append(all, method+" "+path)
				}
			}
		}
	}
	return all
}
