// Package addonstest is the conformance suite of the add-ons' targets: what must hold for every kind of them. It also
// makes the charts that tests deliver.
package addonstest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"assetflow/addons"
	"assetflow/fault"
)

// Subject is a target to test, with what the suite needs beside it.
type Subject struct {
	Target addons.Target

	// Holds tells what the target holds of a release made of [Chart], read past the Target: data.version of its ConfigMap,
	// and the annotation of the last restart at the pod template of its Deployment (whatever its text). Both are empty
	// where there is nothing, or where there was no restart.
	Holds func(t *testing.T, r addons.Release) (version, restart string)

	// Runs says that the target runs workloads, so that a release of a chart made with [NeverReady] does not become
	// healthy. A bucket only holds manifests.
	Runs bool

	// Within is how long a release may take to become healthy, or to go; 0 is a minute.
	Within time.Duration
}

// Run runs the suite. open gives a target that other tests may use at the same time: every test has environments of its own.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for name, test := range map[string]func(*testing.T, *suite){
		"Install":       testInstall,
		"Once":          testOnce,
		"Redeploy":      testRedeploy,
		"Refused":       testRefused,
		"Unhealthy":     testUnhealthy,
		"RollBack":      testRollBack,
		"RollBackFirst": testRollBackFirst,
		"Forgotten":     testForgotten,
		"Restart":       testRestart,
		"Remove":        testRemove,
		"Again":         testAgain,
		"Neighbours":    testNeighbours,
		"Nothing":       testNothing,
		"Cancelled":     testCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &suite{Subject: open(t), environment: uuid.NewString(), project: uuid.NewString()}
			if s.Within == 0 {
				s.Within = time.Minute
			}
			test(t, s)
		})
	}
}

// suite is a subject with an environment of one test.
type suite struct {
	Subject
	environment, project string
	deliveries           int
}

func (s *suite) release(name string) addons.Release {
	return addons.Release{Name: name, EnvironmentID: s.environment, ProjectID: s.project}
}

// delivery makes the next delivery of the test.
func (s *suite) delivery() addons.Delivery {
	s.deliveries++
	return addons.Delivery{
		ID: uuid.NewString(), At: time.Date(2026, 1, 1, 0, s.deliveries, 0, 0, time.UTC),
	}
}

// install applies a chart, waits until it is healthy and gives its revision.
func (s *suite) install(t *testing.T, r addons.Release, c addons.Chart) string {
	t.Helper()
	applied, err := s.Target.Apply(t.Context(), s.delivery(), r, c)
	require.NoError(t, err)
	require.NotEmpty(t, applied.Revision)
	s.healthy(t, r)
	s.holds(t, r, c.Version)
	return applied.Revision
}

// await looks again and again until it holds. Unlike Eventually, it does so where a test may fail.
func (s *suite) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), s.Within)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			require.FailNow(t, "does not come true: "+what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *suite) healthy(t *testing.T, r addons.Release) {
	t.Helper()
	var last addons.Health
	s.await(t, "the release becomes healthy", func() bool {
		var err error
		last, err = s.Target.Health(t.Context(), r)
		require.NoError(t, err)
		require.Empty(t, last.Failed)
		return last.Ready
	})
	require.NotEmpty(t, last.Workloads)
	for _, w := range last.Workloads {
		require.NotEmpty(t, w.Kind)
		require.NotEmpty(t, w.Name)
		require.Equal(t, w.Wanted, w.Ready, "%+v", w)
	}
}

func (s *suite) holds(t *testing.T, r addons.Release, version string) {
	t.Helper()
	got, _ := s.Holds(t, r)
	require.Equal(t, version, got)
}

// gone waits until nothing of the release is left.
func (s *suite) gone(t *testing.T, r addons.Release) {
	t.Helper()
	s.await(t, "everything goes", func() bool {
		remains, err := s.Target.Remains(t.Context(), r)
		require.NoError(t, err)
		return len(remains) == 0
	})
	s.holds(t, r, "")
	_, err := s.Target.Health(t.Context(), r)
	requireCode(t, addons.CodeNoRevision, fault.NotFound, err)
}

func requireCode(t *testing.T, code string, kind fault.Kind, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, fault.CodeOf(err), "%v", err)
	require.Equal(t, kind, fault.KindOf(err), "%v", err)
}

func testInstall(t *testing.T, s *suite) {
	r, chart := s.release("web"), Chart(t, "web", "1.0.0")
	plan, err := s.Target.Plan(t.Context(), r, chart)
	require.NoError(t, err)
	require.Contains(t, plan.Objects, addons.Object{Kind: "ConfigMap", Name: "web", Namespace: r.Namespace()})
	require.Contains(t, plan.Objects, addons.Object{Kind: "Deployment", Name: "web", Namespace: r.Namespace()})
	s.holds(t, r, "") // a plan changes nothing

	s.install(t, r, chart)
	_, err = s.Target.Plan(t.Context(), r, Chart(t, "web", "1.1.0"))
	require.NoError(t, err)
	s.holds(t, r, "1.0.0")
}

// A delivery has its effect once, however often it is made.
func testOnce(t *testing.T, s *suite) {
	r, chart, d := s.release("web"), Chart(t, "web", "1.0.0"), s.delivery()
	first, err := s.Target.Apply(t.Context(), d, r, chart)
	require.NoError(t, err)
	for range 2 {
		again, err := s.Target.Apply(t.Context(), d, r, chart)
		require.NoError(t, err)
		require.Equal(t, first.Revision, again.Revision)
	}
	s.healthy(t, r)

	other, err := s.Target.Apply(t.Context(), s.delivery(), r, chart)
	require.NoError(t, err)
	require.NotEqual(t, first.Revision, other.Revision, "another delivery is another revision, with the same chart, too")
}

func testRedeploy(t *testing.T, s *suite) {
	r := s.release("web")
	one := s.install(t, r, Chart(t, "web", "1.0.0"))
	two := s.install(t, r, Chart(t, "web", "1.1.0"))
	require.NotEqual(t, one, two)
}

// What a target refuses, it refuses as a plan, and applying it changes nothing.
func testRefused(t *testing.T, s *suite) {
	good := s.release("good")
	s.install(t, good, Chart(t, "good", "1.0.0"))
	for name, option := range map[string]Option{"not rendering": NotRendering(), "refused": Refused()} {
		chart := Chart(t, "good", "1.1.0", option)
		_, err := s.Target.Plan(t.Context(), good, chart)
		requireCode(t, addons.CodeRefused, fault.Invalid, err)
		_, err = s.Target.Apply(t.Context(), s.delivery(), good, chart)
		requireCode(t, addons.CodeRefused, fault.Invalid, err)
		got, _ := s.Holds(t, good)
		require.Equal(t, "1.0.0", got, name)
	}
}

func testUnhealthy(t *testing.T, s *suite) {
	if !s.Runs {
		t.Skip("the target does not run workloads")
	}
	r := s.release("web")
	one := s.install(t, r, Chart(t, "web", "1.0.0"))
	d := s.delivery()
	_, err := s.Target.Apply(t.Context(), d, r, Chart(t, "web", "1.1.0", NeverReady()))
	require.NoError(t, err, "Apply does not wait")
	s.await(t, "the target knows that it will not become healthy", func() bool {
		health, err := s.Target.Health(t.Context(), r)
		require.NoError(t, err)
		require.False(t, health.Ready)
		return health.Failed != ""
	})

	_, err = s.Target.RollBack(t.Context(), d, r, one)
	require.NoError(t, err)
	s.healthy(t, r)
	s.holds(t, r, "1.0.0")
}

func testRollBack(t *testing.T, s *suite) {
	r := s.release("web")
	one := s.install(t, r, Chart(t, "web", "1.0.0"))
	d := s.delivery()
	_, err := s.Target.Apply(t.Context(), d, r, Chart(t, "web", "1.1.0"))
	require.NoError(t, err)

	back, err := s.Target.RollBack(t.Context(), d, r, one)
	require.NoError(t, err)
	require.NotEmpty(t, back.Revision)
	again, err := s.Target.RollBack(t.Context(), d, r, one)
	require.NoError(t, err)
	require.Equal(t, back.Revision, again.Revision, "a delivery rolls back once")
	s.healthy(t, r)
	s.holds(t, r, "1.0.0")

	// What the roll-back gave is a revision as any other.
	d = s.delivery()
	_, err = s.Target.Apply(t.Context(), d, r, Chart(t, "web", "1.2.0"))
	require.NoError(t, err)
	_, err = s.Target.RollBack(t.Context(), d, r, back.Revision)
	require.NoError(t, err)
	s.healthy(t, r)
	s.holds(t, r, "1.0.0")
}

// Where a first install fails, there is nothing to go back to.
func testRollBackFirst(t *testing.T, s *suite) {
	r, d := s.release("web"), s.delivery()
	_, err := s.Target.Apply(t.Context(), d, r, Chart(t, "web", "1.0.0"))
	require.NoError(t, err)
	for range 2 {
		back, err := s.Target.RollBack(t.Context(), d, r, "")
		require.NoError(t, err)
		require.Empty(t, back.Revision)
	}
	s.gone(t, r)

	// A delivery that has not come to applying anything is rolled back as well.
	other := s.release("other")
	_, err = s.Target.RollBack(t.Context(), s.delivery(), other, "")
	require.NoError(t, err)
	s.gone(t, other)

	s.install(t, r, Chart(t, "web", "1.0.1"))
}

func testForgotten(t *testing.T, s *suite) {
	r := s.release("web")
	_, err := s.Target.RollBack(t.Context(), s.delivery(), r, "1")
	requireCode(t, addons.CodeNoRevision, fault.NotFound, err)

	s.install(t, r, Chart(t, "web", "1.0.0"))
	for _, revision := range []string{"4711", "-1", "../1", "no revision", "999999999999999999999999999"} {
		_, err := s.Target.RollBack(t.Context(), s.delivery(), r, revision)
		requireCode(t, addons.CodeNoRevision, fault.NotFound, err)
	}
	s.healthy(t, r)
	s.holds(t, r, "1.0.0")
}

func testRestart(t *testing.T, s *suite) {
	r, chart := s.release("web"), Chart(t, "web", "1.0.0")
	_, err := s.Target.Restart(t.Context(), s.delivery(), r, chart)
	requireCode(t, addons.CodeNoRevision, fault.NotFound, err)

	s.install(t, r, chart)
	version, before := s.Holds(t, r)
	require.Equal(t, "1.0.0", version)
	require.Empty(t, before)

	d := s.delivery()
	first, err := s.Target.Restart(t.Context(), d, r, chart)
	require.NoError(t, err)
	require.NotEmpty(t, first.Revision)
	version, restart := s.Holds(t, r)
	require.Equal(t, "1.0.0", version)
	require.NotEmpty(t, restart)

	again, err := s.Target.Restart(t.Context(), d, r, chart)
	require.NoError(t, err)
	require.Equal(t, first.Revision, again.Revision)
	_, same := s.Holds(t, r)
	require.Equal(t, restart, same, "a delivery restarts once")
	s.healthy(t, r)

	_, err = s.Target.Restart(t.Context(), s.delivery(), r, chart)
	require.NoError(t, err)
	_, next := s.Holds(t, r)
	require.NotEqual(t, restart, next)
	s.healthy(t, r)
}

func testRemove(t *testing.T, s *suite) {
	r, chart := s.release("web"), Chart(t, "web", "1.0.0")
	one := s.install(t, r, chart)
	remains, err := s.Target.Remains(t.Context(), r)
	require.NoError(t, err)
	require.NotEmpty(t, remains, "it is all there before it is removed")

	d := s.delivery()
	for range 2 {
		removed, err := s.Target.Remove(t.Context(), d, r)
		require.NoError(t, err)
		require.Empty(t, removed.Revision)
	}
	s.gone(t, r)
	removed, err := s.Target.Remove(t.Context(), s.delivery(), r)
	require.NoError(t, err, "what is gone is removed by another delivery, too")
	require.Empty(t, removed.Revision)

	_, err = s.Target.RollBack(t.Context(), s.delivery(), r, one)
	requireCode(t, addons.CodeNoRevision, fault.NotFound, err)
	_, err = s.Target.Restart(t.Context(), s.delivery(), r, chart)
	requireCode(t, addons.CodeNoRevision, fault.NotFound, err)
}

// What was removed is installed again.
func testAgain(t *testing.T, s *suite) {
	r, chart := s.release("web"), Chart(t, "web", "1.0.0")
	for range 2 {
		s.install(t, r, chart)
		_, err := s.Target.Remove(t.Context(), s.delivery(), r)
		require.NoError(t, err)
		s.gone(t, r)
	}
}

// Releases of one environment, and of one name in two environments, do not meet.
func testNeighbours(t *testing.T, s *suite) {
	web, api := s.release("web"), s.release("web-api")
	other := web
	other.EnvironmentID = uuid.NewString()
	s.install(t, web, Chart(t, "web", "1.0.0"))
	s.install(t, api, Chart(t, "web-api", "2.0.0"))
	s.install(t, other, Chart(t, "web", "3.0.0"))
	s.holds(t, web, "1.0.0")

	_, err := s.Target.Restart(t.Context(), s.delivery(), api, Chart(t, "web-api", "2.0.0"))
	require.NoError(t, err)
	for _, r := range []addons.Release{web, other} {
		_, restart := s.Holds(t, r)
		require.Empty(t, restart)
	}

	_, err = s.Target.Remove(t.Context(), s.delivery(), web)
	require.NoError(t, err)
	s.gone(t, web)
	s.holds(t, api, "2.0.0")
	s.holds(t, other, "3.0.0")
	s.healthy(t, api)
	s.healthy(t, other)
}

// Of what was never there nothing is known.
func testNothing(t *testing.T, s *suite) {
	r := s.release("web")
	_, err := s.Target.Health(t.Context(), r)
	requireCode(t, addons.CodeNoRevision, fault.NotFound, err)
	removed, err := s.Target.Remove(t.Context(), s.delivery(), r)
	require.NoError(t, err)
	require.Empty(t, removed.Revision)
	s.gone(t, r)
}

// A context that has ended ends every call with its error, and nothing has changed.
func testCancelled(t *testing.T, s *suite) {
	r, chart := s.release("web"), Chart(t, "web", "1.0.0")
	one := s.install(t, r, chart)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"plan":     func() error { _, err := s.Target.Plan(ctx, r, Chart(t, "web", "1.1.0")); return err },
		"apply":    func() error { _, err := s.Target.Apply(ctx, s.delivery(), r, Chart(t, "web", "1.1.0")); return err },
		"restart":  func() error { _, err := s.Target.Restart(ctx, s.delivery(), r, chart); return err },
		"health":   func() error { _, err := s.Target.Health(ctx, r); return err },
		"rollback": func() error { _, err := s.Target.RollBack(ctx, s.delivery(), r, one); return err },
		"remove":   func() error { _, err := s.Target.Remove(ctx, s.delivery(), r); return err },
		"remains":  func() error { _, err := s.Target.Remains(ctx, r); return err },
	} {
		require.ErrorIs(t, call(), context.Canceled, name)
	}
	s.healthy(t, r)
	version, restart := s.Holds(t, r)
	require.Equal(t, "1.0.0", version)
	require.Empty(t, restart)
}
