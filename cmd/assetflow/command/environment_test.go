package command

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	stagePath       = "/v3/" + projectID + "/cas"
	environmentUUID = "0194f7a0-1111-7000-8000-000000001111"
	environmentPath = stagePath + "/environments/" + environmentUUID
)

func environmentJSON(id, name string) string {
	return `{"id":"` + id + `","name":"` + name + `","description":"What customers \u001b[2J see","project_id":"` + projectID + `","deploy_mode":"container",
		"vpc_id":"default","labels":[{"key":"team","value":"shop"},{"key":"team","value":"stock"}],"creator":"ada","create_time":1767351540000,"update_time":1767355140000}`
}

// environmentsNamed answers a list with environments of these names, page by page.
func environmentsNamed(names ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		limit, offset := 100, 0
		_, _ = fmt.Sscan(r.URL.Query().Get("limit"), &limit)
		_, _ = fmt.Sscan(r.URL.Query().Get("offset"), &offset)
		page := []string{}
		for i := offset; i < min(offset+limit, len(names)); i++ {
			id := environmentUUID
			if i > 0 {
				id = fmt.Sprintf("0194f7a0-1111-7000-8000-%012d", i)
			}
			page = append(page, environmentJSON(id, names[i]))
		}
		reply(200, fmt.Sprintf(`{"count":%d,"environments":[%s]}`, len(names), strings.Join(page, ",")))(w, r)
	}
}

// noting answers with a handler and notes the body of the request.
func noting(t *testing.T, body *string, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the body: %v", err)
		}
		*body = string(content)
		answer(w, r)
	}
}

func gone(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func stageRefusal(status int, code, message string) http.HandlerFunc {
	return reply(status, `{"error_code":"SVCSTG.`+code+`","error_msg":"`+message+`"}`)
}

func TestEnvironmentOutput(t *testing.T) {
	t.Parallel()
	endpoint := service(t, routes{
		"GET " + stagePath + "/environments":  environmentsNamed("production", "test", "staging"),
		"POST " + stagePath + "/environments": reply(200, environmentJSON(environmentUUID, "production")),
		"GET " + environmentPath:              reply(200, environmentJSON(environmentUUID, "production")),
		"PUT " + environmentPath:              reply(200, environmentJSON(environmentUUID, "staging")),
		"DELETE " + environmentPath:           gone,
	})
	for name, args := range map[string]string{
		"environment-list":      "environment list --limit 2",
		"environment-list-json": "environments list --all -o json",
		"environment-show":      "env show production",
		"environment-show-json": "env show -o json " + strings.ToUpper(environmentUUID),
		"environment-create":    "env create production --label team=shop",
		"environment-update":    "env update production --name staging",
		"environment-delete":    "env delete production",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signedIn(t, endpoint).exec(t.Context(), strings.Fields(args)...)
			require.Equal(t, ExitOK, r.code, r.stderr)
			golden(t, name, r.stdout+"--- stderr ---\n"+r.stderr)
		})
	}
	r := signedIn(t, endpoint).exec(t.Context(), "env", "create", "production", "-q")
	require.Equal(t, result{stdout: environmentUUID + "\n"}, r)
	require.Equal(t, result{}, signedIn(t, endpoint).exec(t.Context(), "env", "delete", "production", "-q"))
	r = signedIn(t, endpoint).exec(t.Context(), "env", "delete", "production", "-o", "json")
	require.JSONEq(t, `{"deleted":"`+environmentUUID+`"}`, r.stdout)
}

func TestWhatIsSaidOfEnvironments(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"create test": `{"name":"test","vpc_id":"default"}`,
		"create test --vpc-id v --label a=b=c --label a= --deploy-mode mixed --description d": `{"name":"test","vpc_id":"v","deploy_mode":"mixed","description":"d","labels":[{"key":"a","value":"b=c"},{"key":"a","value":""}]}`,
		"update " + environmentUUID + " --name x":                                             `{"name":"x"}`,
		"update " + environmentUUID + " --description=":                                       `{"description":""}`,
		"update " + environmentUUID + " --no-labels":                                          `{"labels":[]}`,
		"update " + environmentUUID + " --label a=b --name other":                             `{"name":"other","labels":[{"key":"a","value":"b"}]}`,
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			var body string
			answer := noting(t, &body, reply(200, environmentJSON(environmentUUID, "test")))
			endpoint := service(t, routes{"POST " + stagePath + "/environments": answer, "PUT " + environmentPath: answer})
			r := signedIn(t, endpoint).exec(t.Context(), append([]string{"environment"}, strings.Fields(args)...)...)
			require.Equal(t, ExitOK, r.code, r.stderr)
			require.JSONEq(t, want, body)
		})
	}
}

func TestEnvironmentsThatAreRefused(t *testing.T) {
	t.Parallel()
	many := make([]string, 250)
	for i := range many {
		many[i] = fmt.Sprintf("e%d", i)
	}
	endpoint := service(t, routes{
		"GET " + stagePath + "/environments":                                      environmentsNamed(many...),
		"POST " + stagePath + "/environments":                                     stageRefusal(400, "00100449", "The name is in use."),
		"GET " + environmentPath:                                                  stageRefusal(404, "00100411", "There is no such environment."),
		"DELETE " + environmentPath:                                               stageRefusal(400, "00100400", "The environment has add-ons: demo."),
		"GET " + stagePath + "/environments/0194f7a0-1111-7000-8000-000000000249": reply(200, environmentJSON(environmentUUID, "e249")),
	})
	for args, c := range map[string]struct {
		code int
		says string
	}{
		"create test":               {ExitConflict, "The name is in use. (SVCSTG.00100449"},
		"show e0":                   {ExitNotFound, "There is no such environment. (SVCSTG.00100411, HTTP 404, request r-1)\nSee what there is with `assetflow environment list`."},
		"show e249":                 {ExitOK, ""}, // on the third page
		"show none":                 {ExitNotFound, "the project has no environment of the name \"none\"\nSee what there is with `assetflow environment list`."},
		"update none --name x":      {ExitNotFound, "the project has no environment"},
		"update e0":                 {ExitUsage, "nothing is to be changed"},
		"update e0 --label a":       {ExitUsage, `--label "a": must be key=value`},
		"update e0 --label =a":      {ExitUsage, `--label "=a": must be key=value`},
		"create e --label a":        {ExitUsage, `--label "a": must be key=value`},
		"create e --deploy-mode vm": {ExitUsage, `--deploy-mode "vm": must be container or`},
		"delete e0":                 {ExitConflict, "The environment has add-ons: demo. (SVCSTG.00100400, HTTP 400, request r-1)\nSee its add-ons with `assetflow addon list`"},
		"delete none":               {ExitNotFound, "the project has no environment"},
		"list --limit 0":            {ExitUsage, "--limit 0"},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			r := signedIn(t, endpoint).exec(t.Context(), append([]string{"environment"}, strings.Fields(args)...)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
		})
	}
	r := signedIn(t, service(t, routes{"GET " + stagePath + "/environments": environmentsNamed()})).exec(t.Context(), "env", "list")
	require.Equal(t, result{stderr: "No environments. Make one with `assetflow environment create NAME`.\n"}, r)
}
