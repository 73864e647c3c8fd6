package prodstack

// DefaultTemporalSettings is Temporal's dynamic configuration, that of deploy/temporal-dynamic.yaml.
const DefaultTemporalSettings = "frontend.enableCancelWorkerPollsOnShutdown:\n  - value: true\n"

// TestTemporalSettings has Temporal find out within seconds that a version of the workers is drained, as the embedded
// server does, and not within minutes.
const TestTemporalSettings = DefaultTemporalSettings +
	"matching.wv.VersionDrainageStatusVisibilityGracePeriod:\n  - value: 2s\n" +
	"matching.wv.VersionDrainageStatusRefreshInterval:\n  - value: 2s\n"

// ProgramsVariable names the folder of the programs for the tests that start a stack.
const ProgramsVariable = "ASSETFLOW_TEST_PROGRAMS"
