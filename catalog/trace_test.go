package catalog_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
)

// Statements stand in spans, with none of their values: not even a name, which a test can tell from what is in the code.
func TestStatementsAreTraced(t *testing.T) {
	t.Parallel()
	catalogtest.EachURL(t, func(t *testing.T, url string) {
		ended := tracetest.NewSpanRecorder()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended))
		c, err := catalog.Open(t.Context(), url, nil, catalog.WithTraces(provider))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		require.NoError(t, c.Migrate(t.Context()))
		require.NoError(t, c.Ping(t.Context()))
		require.Empty(t, ended.Ended(), "what nobody traces makes no span")

		const marker = "0xHIDDEN"
		ctx, parent := provider.Tracer("test").Start(t.Context(), "parent")
		user, err := c.CreateUser(ctx, marker+"-domain", marker+"-name", marker+"-hash")
		require.NoError(t, err)
		require.NoError(t, c.SetPassword(ctx, user.ID, marker+"-other"))
		key := catalog.AccessKey{ID: marker + "-key", UserID: user.ID, SealedSecret: []byte(marker + "-sealed"), CreatedAt: time.Now()}
		require.NoError(t, c.CreateAccessKey(ctx, key))
		require.Error(t, c.CreateAccessKey(ctx, key), "twice")
		project, err := c.CreateProject(ctx, marker+"-domain", marker+"-project")
		require.NoError(t, err)
		instance, err := c.CreateInstance(ctx, project.ID, marker+"-instance")
		require.NoError(t, err)
		_, _, err = c.ClaimSubmission(ctx, user.ID, marker+"-key", marker+"-print", catalog.NewID(), time.Now())
		require.NoError(t, err)
		_, _, err = c.ListAssets(ctx, catalog.AssetFilter{ProjectID: project.ID, InstanceID: instance.ID, NameContains: marker})
		require.NoError(t, err)
		_, _, err = c.ListServiceTemplates(ctx, catalog.TemplateFilter{ProjectID: project.ID, Q: marker, VendorID: marker, Tags: []string{marker}})
		require.NoError(t, err)
		scene := catalogtest.Scene{Catalog: c, User: user, Project: project, Instance: instance}
		imp := scene.Fill(t, pack(marker, 4, 40))
		_, err = c.CommitImport(ctx, imp)
		require.NoError(t, err)

		names := map[string]bool{}
		var failed []string
		for _, span := range ended.Ended() {
			require.Equal(t, parent.SpanContext().SpanID(), span.Parent().SpanID(), span.Name())
			require.Empty(t, span.Events())
			require.Empty(t, span.Status().Description)
			names[span.Name()] = true
			set := attribute.NewSet(span.Attributes()...)
			text, _ := set.Value("db.query.text")
			require.NotEmpty(t, text.AsString(), span.Name())
			require.LessOrEqual(t, len(text.AsString()), 2<<10)
			if span.Status().Code == codes.Error {
				sort, _ := set.Value("error.type")
				failed = append(failed, sort.AsString())
			}
			for _, a := range span.Attributes() {
				for _, hidden := range []string{marker, user.ID, project.ID, instance.ID, imp.JobID, "files/"} {
					require.NotContains(t, strings.ToLower(a.Value.String()), strings.ToLower(hidden), span.Name())
				}
			}
		}
		for _, name := range []string{"BEGIN", "COMMIT", "INSERT users", "UPDATE users", "INSERT access_keys", "SELECT assets"} {
			require.True(t, names[name], "%s of %v", name, names)
		}
		require.Len(t, failed, 1, "the key that is there already")
		require.Contains(t, []string{"1555", "2067", "23505"}, failed[0])

		ended.Reset()
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		_, err = c.User(cancelled, user.ID)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, ended.Ended(), 1)
		set := attribute.NewSet(ended.Ended()[0].Attributes()...)
		sort, _ := set.Value("error.type")
		require.Equal(t, "cancelled", sort.AsString())
	})
}
