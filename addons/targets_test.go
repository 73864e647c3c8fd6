package addons_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"assetflow/addons"
	"assetflow/fault"
)

var targetOptions = addons.Options{Client: s3.New(s3.Options{}), Bucket: "assetflow"}

func TestParseTargets(t *testing.T) {
	t.Parallel()
	opts := targetOptions
	for name, text := range map[string]string{
		"JSON": `[{"id":"b","kind":"bucket","prefix":"gitops/"},{"id":"a","kind":"bucket","prefix":"a/b.c/","bucket":"other","projects":["p1","p2"]}]`,
		"YAML": "- id: b\n  kind: bucket\n  prefix: gitops/\n- {id: a, kind: bucket, bucket: other, prefix: a/, projects: [p1, p2]}\n",
	} {
		targets, err := addons.ParseTargets(text, opts)
		require.NoError(t, err, name)
		require.Equal(t, []addons.Info{{ID: "a", Kind: addons.Bucket}, {ID: "b", Kind: addons.Bucket}}, targets.List("p2"))
		require.Equal(t, []addons.Info{{ID: "b", Kind: addons.Bucket}}, targets.List("p3"))
		target, err := targets.For("p1", "a")
		require.NoError(t, err)
		require.Equal(t, addons.Bucket, target.Kind())
		for project, id := range map[string]string{"p3": "a", "p1": "c", "p2": ""} {
			_, err := targets.For(project, id)
			requireFault(t, addons.CodeNoTarget, fault.NotFound, err)
		}
	}
	for _, text := range []string{"", "[]", "# none\n"} {
		targets, err := addons.ParseTargets(text, opts)
		require.NoError(t, err)
		require.Empty(t, targets.List("p1"))
	}
	_, err := addons.ParseTargets(`[{"id":"a","kind":"bucket","bucket":"whole"},{"id":"b","kind":"bucket","prefix":"gitops/"}]`, opts)
	require.NoError(t, err, "a bucket of its own needs no prefix")
}

func TestParseTargetsRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		says []string
	}{
		"not YAML":        {"[", []string{"list in JSON or YAML"}},
		"not a list":      {`{"id":"a"}`, []string{"list in JSON or YAML"}},
		"a key twice":     {`[{"id":"a","id":"b","kind":"bucket","prefix":"a/"}]`, []string{"already defined"}},
		"more":            {"[]\n---\n[]\n", []string{"something follows"}},
		"no id":           {`[{"kind":"bucket","prefix":"a/"}]`, []string{"target 1: id is \"\"", "64 letters"}},
		"bad id":          {`[{"id":"-a","kind":"bucket","prefix":"a/"}]`, []string{"target 1: id is \"-a\""}},
		"a number":        {`[{"id":1,"kind":"bucket","prefix":"a/"}]`, []string{"id is 1", "a text"}},
		"id twice":        {`[{"id":"a","kind":"bucket","prefix":"a/"},{"id":"a","kind":"bucket","prefix":"b/"}]`, []string{"target 2 (a): id", "another target"}},
		"no kind":         {`[{"id":"a","prefix":"a/"}]`, []string{"target 1 (a): kind is \"\"", `"bucket" or "cluster"`}},
		"unknown kind":    {`[{"id":"a","kind":"argo"}]`, []string{`kind is "argo"`, `"bucket" or "cluster"`}},
		"unknown key":     {`[{"id":"a","kind":"bucket","prefix":"a/","prefx":"b/"}]`, []string{`target 1 (a): there is no key "prefx"`, "prefix, bucket"}},
		"of another kind": {`[{"id":"a","kind":"bucket","prefix":"a/","kubeconfig":"x"}]`, []string{`no key "kubeconfig"`}},
		"no slash":        {`[{"id":"a","kind":"bucket","prefix":"a"}]`, []string{`prefix is "a"`, "slash"}},
		"parent":          {`[{"id":"a","kind":"bucket","prefix":"a/../b/"}]`, []string{"prefix is"}},
		"absolute":        {`[{"id":"a","kind":"bucket","prefix":"/a/"}]`, []string{"prefix is"}},
		"everything":      {`[{"id":"a","kind":"bucket"}]`, []string{`prefix is ""`, "does not use itself"}},
		"our blobs":       {`[{"id":"a","kind":"bucket","prefix":"blobs/x/"}]`, []string{"does not use itself"}},
		"our blobs, too":  {`[{"id":"a","kind":"bucket","bucket":"assetflow","prefix":"blobs/"}]`, []string{"does not use itself"}},
		"one in another":  {`[{"id":"a","kind":"bucket","prefix":"x/"},{"id":"b","kind":"bucket","bucket":"assetflow","prefix":"x/y/"}]`, []string{"target 2 (b): prefix", "every other target"}},
		"bucket":          {`[{"id":"a","kind":"bucket","bucket":"A_b","prefix":"x/"}]`, []string{`bucket is "A_b"`, "name of a bucket"}},
		"projects":        {`[{"id":"a","kind":"bucket","prefix":"x/","projects":"p"}]`, []string{`projects is "p"`, "list of project ids"}},
		"empty project":   {`[{"id":"a","kind":"bucket","prefix":"x/","projects":[""]}]`, []string{"list of project ids"}},
		"null projects":   {`[{"id":"a","kind":"bucket","prefix":"x/","projects":null}]`, []string{"list of project ids"}},
		"no kubeconfig":   {`[{"id":"a","kind":"cluster"}]`, []string{`kubeconfig is ""`, "path"}},
		"kubeconfig":      {`[{"id":"a","kind":"cluster","kubeconfig":"/does/not/exist"}]`, []string{"target 1 (a)", "kubeconfig"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := addons.ParseTargets(test.text, targetOptions)
			requireFault(t, addons.CodeBadTargets, fault.Invalid, err)
			e, _ := fault.As(err)
			for _, says := range test.says {
				require.Contains(t, e.Message, says)
			}
		})
	}
}
