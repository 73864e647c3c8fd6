package prodstack

// DefaultTemporalSettings is Temporal's dynamic configuration, that of deploy/temporal-dynamic.yaml.
const DefaultTemporalSettings = "frontend.enableCancelWorkerPollsOnShutdown:\n  - value: true\n"

// ProgramsVariable names the folder of the programs for the tests that start a stack.
const ProgramsVariable = "ASSETFLOW_TEST_PROGRAMS"
