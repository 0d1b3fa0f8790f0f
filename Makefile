# Every target works on a bare Debian 12 with Go; what it lacks is installed when
# you are root, else you are told what to install.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PATH := $(PATH):/usr/local/go/bin

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GOLANGCI_VERSION := 2.15.0
GOLANGCI := .tools/golangci-lint

export TRICIRCLE_TESTBED_DIR ?= /var/tmp/tricircle-testbed
export TRICIRCLE_DEMO_DIR ?= /var/tmp/tricircle-demo

.PHONY: help
help: ## print this
	@echo 'Tricircle: several OpenStack clouds as one region'
	@echo
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)$$/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: build
build: ## compile bin/tricircle
	CGO_ENABLED=0 go build -ldflags '-X main.version=$(VERSION)' -o bin/tricircle ./cmd/tricircle

.PHONY: check
check: $(GOLANGCI)-$(GOLANGCI_VERSION) ## format, vet, lint, layout, module file, generated files
	@echo '== gofmt'
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs -r gofmt -l); \
	  [ -z "$$unformatted" ] || { echo "not formatted, run gofmt -w:"; echo "$$unformatted"; exit 1; }
	@echo '== go vet'
	@go vet -tags e2e ./...
	@echo '== golangci-lint'
	@$(GOLANGCI)-$(GOLANGCI_VERSION) run
	@echo '== layout'
	@go test -count 1 ./internal
	@echo '== go mod tidy'
	@go mod tidy -diff
	@echo '== generated files'
	@before=$$(git diff | sha256sum); go generate ./...; \
	  [ "$$before" = "$$(git diff | sha256sum)" ] || { echo 'stale generated files: commit what make generate made'; exit 1; }

# A linter of another version finds other things, so the version is part of the name.
$(GOLANGCI)-$(GOLANGCI_VERSION):
	@echo '== install golangci-lint $(GOLANGCI_VERSION)'
	@GOBIN=$(CURDIR)/.tools go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$(GOLANGCI_VERSION)
	@mv $(GOLANGCI) $@

.PHONY: test
test: ## all tests that need no cloud, with the race detector, on SQLite and PostgreSQL
	@.ci/need compiler postgresql
	go test -race $(RACE_BUT_SQLITE) -timeout 10m ./...

# SQLite's own code is C put into Go: the race detector finds nothing in it, and
# makes it so slow that tests would take five times as long. (Without
# instrumentation for more than that one package it reports races that are none.)
RACE_BUT_SQLITE := '-gcflags=modernc.org/...=-d=checkptr=0' '-gcflags=modernc.org/sqlite/lib=-race=false -d=checkptr=0'

.PHONY: e2e
e2e: build ## end-to-end tests on real OpenStack clouds (root; starts the testbed anew, from nothing)
	@.ci/need root tempest
	testbed/down --wipe
	testbed/up
	TRICIRCLE_CONTRACT_CLOUDS=$(TRICIRCLE_TESTBED_DIR)/clouds.yaml go test -count 1 -timeout 15m ./internal/pod/podtest/contract/...
	go test -tags e2e -count 1 ./internal/policy
	go test -tags e2e -count 1 -timeout 40m -v ./test/e2e

.PHONY: e2e-dataplane
e2e-dataplane: build ## packets through three clouds, and with faults (root; starts the testbed anew, with three)
	@.ci/need root
	testbed/down
	testbed/up --pods 3
	go test -tags e2e -count 1 -timeout 60m -v -run '^TestDataplane' ./test/e2e -pods 1,2,3

.PHONY: e2e-storage
e2e-storage: build ## images and volumes: copies between clouds, and faults on the way (root; starts the testbed)
	@.ci/need root
	testbed/up
	go test -tags e2e -count 1 -timeout 60m -v -run '^Test((Client|Differ)?(Image|Volume)|RepliesLost)' ./test/e2e -storage

.PHONY: tempest
tempest: ## all of Tempest's tests against a region of their own; makes docs/conformance.md
	@.ci/need root tempest
	testbed/up
	go test -tags e2e -count 1 -timeout 100m -v -run '^TestTempest$$' ./test/e2e -tempest compute.txt,network.txt,neutron.txt,volume.txt,image.txt \
	  -tempest-out $(TRICIRCLE_TESTBED_DIR)/tempest -tempest-page $(CURDIR)/docs/conformance.md

.PHONY: bench
bench: ## benchmarks
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: demo
demo: ## two real clouds as one region, step by step (root; CLOUDS=simulated needs nothing)
	@test/demo/demo up

.PHONY: demo-down
demo-down: ## remove all that the demo made
	@test/demo/demo down

.PHONY: generate
generate: ## make generated files anew
	go generate ./...

.PHONY: coverage-api
coverage-api: ## make docs/coverage.md anew: which operation of the APIs is answered how
	go generate ./internal/gateway/coverage

.PHONY: clean
clean: ## remove what was built
	rm -rf bin .tools
