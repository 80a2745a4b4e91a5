# make help prints the targets.
.DEFAULT_GOAL := help
SPECS ?= examples/specs

##@ General

.PHONY: help
help: ## print this help
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Build

.PHONY: build
build: ## build the agent into bin/
	CGO_ENABLED=0 go build -o bin/volreconciler ./cmd/volreconciler

.PHONY: man
man: ## write the manual pages into bin/man
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || date +%s)} \
		go run -tags man ./cmd/volreconciler man bin/man

.PHONY: packages
packages: ## make a .deb and a .rpm in bin/ (GOARCH=arm64 for another architecture)
	@hack/packages.sh bin

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

##@ Try

.PHONY: demo
demo: ## show the agent at work in a throw-away guest (SPECS=dir; DEMO_ONCE=1 ends it by itself)
	@hack/install-deps.sh demo
	@go run ./test/demo -specs $(SPECS)

##@ Test

.PHONY: test
test: ## all tests: lint, unit tests, end to end on real kernels in guests
	@hack/install-deps.sh more
	hack/test.sh

.PHONY: test-fast
test-fast: ## the tests that need no guest
	go vet ./...
	go test -race $$(go list ./... | grep -vE '/test/(scenario|soak|dashboard)$$')
	go test -timeout 30m ./test/scenario ./test/soak

.PHONY: lint
lint: ## lint the code (builds the linter once) and the prose
	hack/golangci-lint.sh run ./...
	go run ./test/prose

.PHONY: prose
prose: ## check documents, comments, messages and commit subjects against the house style
	go run ./test/prose

.PHONY: test-guest
test-guest: ## the tests that need a guest
	@hack/install-deps.sh more
	hack/test-guest.sh

.PHONY: test-more
test-more: ## every spec on every kernel and user space, in an emulator (hours)
	@hack/install-deps.sh more
	hack/test-guest.sh more

.PHONY: soak
soak: ## an administrator at work beside the agent in a guest, at random (SOAK_MINUTES=30, SOAK_SEED=n)
	@hack/install-deps.sh test
	@VOLRECONCILER_GUEST=1 go test -count=1 -timeout 13h ./test/e2e -ginkgo.timeout=13h -ginkgo.label-filter=soak -ginkgo.no-color -v

.PHONY: crash
crash: ## kill the agent at every call it makes, also twice in a row, in all scenarios (an hour)
	@VOLRECONCILER_CRASH=long go test -count=1 -timeout 3h ./test/scenario -v -ginkgo.no-color | grep -E '^(crash points|--- FAIL|FAIL|  \[FAIL)'

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (default 10m) on FUZZCORES (default all)
	@hack/fuzz.sh $(FUZZTIME)

##@ Measure

.PHONY: bench
bench: ## measure copies beside dd and qemu-img, backups beside restic, and the agent in a guest beside a shell loop, LVM alone and lvs
	@hack/install-deps.sh test
	@go run ./test/bench/copy
	@go run ./test/bench/backup
	@VOLRECONCILER_GUEST=1 go test -count=1 -timeout 1h ./test/e2e -ginkgo.label-filter=bench -ginkgo.no-color -v | grep -E '^(guest|converge|create|restore|idle|made|metrics|add|drift|memory|import|backup|FAIL|---|  \[FAILED)'

.PHONY: bench-scale
bench-scale: ## measure how the agent grows from 100 to 100,000 volumes, each with an export (SCALE='-sizes 100,1000')
	@go run ./test/bench/scale $(SCALE)

##@ Release

.PHONY: changelog
changelog: ## move the fragments in changes/ into the changelog (VERSION=1.2.3)
	hack/changelog.sh $(VERSION)
