package prodstack

// DefaultTemporalSettings is Temporal's dynamic configuration: none, as in docker-compose.yml.
const DefaultTemporalSettings = "{}\n"

// ProgramsVariable names the folder of the programs for the tests that start a stack.
const ProgramsVariable = "ASSETFLOW_TEST_PROGRAMS"
