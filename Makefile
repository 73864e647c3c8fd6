# Every target with a "##" comment shows in `make help`, the default.
.DEFAULT_GOAL := help
SHELL := /bin/bash

GOLANGCI_VERSION      := v2.15.0
WORKFLOWCHECK_VERSION := v0.6.0
GOBIN := $(shell go env GOPATH)/bin

# The embedded servers are large: their first compile takes minutes. `go build -v` names each package as it is
# done, so nobody wonders whether anything happens; a warm build prints next to nothing.
COMPILE = echo "Compiling (the first time takes 5 to 8 minutes on two cores: the embedded servers are large) …" >&2; go build -v

.PHONY: help
help: ## show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-20s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## compile the binaries into bin/
	@$(COMPILE) -o bin/ ./cmd/...

.PHONY: dev
dev: build ## start the whole stack on this machine (data in .assetflow/)
	@exec bin/assetflow-dev $(ARGS)

.PHONY: demo-regions
demo-regions: build ## copy a digital asset between two regions on this machine
	@exec bin/demo-regions $(ARGS)

# The version that the API server gives as its own: charts ask for one.
KUBERNETES_VERSION = $(shell awk '$$1 == "k8s.io/kubernetes" {print $$2; exit}' addons/controlplane/go.mod)
CONTROL_PLANE_FLAGS = -s -w -X k8s.io/component-base/version.gitVersion=$(KUBERNETES_VERSION)

# It goes by its module's files: a build that has nothing to do would still take seconds.
bin/control-plane/.built: addons/controlplane/go.mod addons/controlplane/go.sum
	@echo "Compiling the Kubernetes control plane (4 minutes on two cores, once) …" >&2
	@mkdir -p $(@D)
	cd addons/controlplane && go build -trimpath -ldflags "$(CONTROL_PLANE_FLAGS)" -o ../../$(@D)/ tool
	@touch $@

.PHONY: control-plane
control-plane: bin/control-plane/.built ## build the Kubernetes control plane for the cluster tests

# The tests of kills come first: they wait most of the time, while the others keep the processor busy. So one package more
# than there are processors is tested at a time.
PACKAGES = ./e2e/faults ./...
AT_ONCE = -p $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: test
test: $(if $(shell command -v etcd),control-plane) ## run all tests
	@$(COMPILE) ./...
	go test $(AT_ONCE) -timeout 30m $(ARGS) $(PACKAGES)

# The servers of production are built from the versions in go.mod and prodstack/minio/go.mod. Most of the Temporal server
# is compiled for the embedded one already.
bin/production/temporal-server bin/production/temporal-sql-tool &: go.mod go.sum
	@mkdir -p $(@D)
	go build -ldflags "-s -w" -o bin/production/temporal-server go.temporal.io/server/cmd/server
	go build -ldflags "-s -w" -o bin/production/temporal-sql-tool go.temporal.io/server/cmd/tools/sql
	@touch bin/production/temporal-server bin/production/temporal-sql-tool

bin/production/minio: prodstack/minio/go.mod prodstack/minio/go.sum
	@echo "Compiling MinIO (3 minutes on two cores, once) …" >&2
	@mkdir -p $(@D)
	cd prodstack/minio && go build -ldflags "-s -w" -o ../../$@ github.com/minio/minio
	@touch $@

.PHONY: production-programs
production-programs: bin/production/temporal-server bin/production/minio ## build what the production stack consists of
	go build -o bin/production/ ./cmd/assetflow
	go build -o bin/ ./cmd/assetflow-production

.PHONY: production
production: production-programs ## start the production stack on this machine, as processes
	@exec bin/assetflow-production $(ARGS)

.PHONY: test-production
test-production: production-programs ## run the integration and end-to-end tests on the servers of production
	bin/assetflow-production -- $(MAKE) --no-print-directory test-servers
	ASSETFLOW_TEST_PROGRAMS=$(CURDIR)/bin/production go test -count=1 -timeout 20m $(ARGS) ./prodstack ./cmd/assetflow-production ./e2e
	ASSETFLOW_TEST_PROGRAMS=$(CURDIR)/bin/production go test -count=1 -timeout 20m $(ARGS) -run Production ./e2e/backup

# What talks to one of the servers by itself, without what `make test` has tested on embedded ones.
.PHONY: test-servers
test-servers:
	go test -count=1 -timeout 20m $(ARGS) -run '^Test.*$$/^postgres$$' ./catalog/...
	go test -count=1 -timeout 20m $(ARGS) -run Postgre ./e2e/backup
	go test -count=1 -timeout 20m $(ARGS) -run MinIO ./storage
	go test -count=1 -timeout 20m $(ARGS) -run 'Bucket|AtEveryRequest|LateDeliverer|Readers|Revisions' ./addons
	go test -count=1 -timeout 20m -short $(ARGS) ./activities ./replication ./jobs ./worker ./cmd/assetflow/serve
	go test -count=1 -timeout 20m $(ARGS) ./api/automation ./api/metastudio ./api/native ./api/roma

# SQLite is C that was translated to Go. It keeps its memory where the race detector does not look, and would take most of
# the time of these tests.
UNWATCHED = -gcflags='modernc.org/sqlite/lib=-race=false' -gcflags='modernc.org/libc=-race=false'

.PHONY: race
race: $(if $(shell command -v etcd),control-plane) ## run all tests under the race detector
	go test -race $(UNWATCHED) $(AT_ONCE) -timeout 40m $(ARGS) $(PACKAGES)

.PHONY: replay
replay: ## replay every recorded workflow history against today's workflows
	go test -count=1 -run Replay ./workflows/...

.PHONY: record
record: ## record the workflow histories again (read the diff before you commit it)
	go test -count=1 ./workflows/recording -record

.PHONY: fuzz
fuzz: ## fuzz what parses foreign bytes, a minute each
	go test -run '^$$' -fuzz FuzzOpen -fuzztime 60s ./assetpackage
	go test -run '^$$' -fuzz FuzzManifest -fuzztime 60s ./assetpackage
	go test -run '^$$' -fuzz FuzzOpen -fuzztime 60s ./assetpackage/servicetemplate
	go test -run '^$$' -fuzz FuzzTemplateJSON -fuzztime 60s ./assetpackage/servicetemplate
	go test -run '^$$' -fuzz FuzzReadChart -fuzztime 60s ./addons
	go test -run '^$$' -fuzz FuzzRender -fuzztime 60s ./addons
	go test -run '^$$' -fuzz FuzzParse -fuzztime 60s ./auth/signature
	go test -run '^$$' -fuzz FuzzVerify -fuzztime 60s ./auth/signature
	go test -run '^$$' -fuzz FuzzParse -fuzztime 60s ./hql
	go test -run '^$$' -fuzz FuzzDecode -fuzztime 60s ./payload

.PHONY: bench
bench: ## print the figures of docs/benchmarks.md (about 15 minutes)
	go run ./bench $(ARGS)

.PHONY: generate
generate: ## generate the server types from the OpenAPI documents
	go generate ./...

.PHONY: tools
tools: ## install the linters at their pinned versions
	@$(GOBIN)/golangci-lint version 2>/dev/null | grep -q "version $(GOLANGCI_VERSION:v%=%) " || \
		go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@test -x $(GOBIN)/workflowcheck || \
		go install go.temporal.io/sdk/contrib/tools/workflowcheck@$(WORKFLOWCHECK_VERSION)

.PHONY: lint
lint: tools ## vet, golangci-lint, workflowcheck, tidy and generated files
	go vet ./...
	$(GOBIN)/golangci-lint run ./...
	$(GOBIN)/workflowcheck ./workflows/...
	go mod verify
	go mod tidy -diff

.PHONY: ci
ci: ## what the continuous integration runs
	.ci/run
