# Everything a person runs. `make help` lists it; every option is a variable of
# the same meaning as the test binary's flag.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Options, each empty or as documented under `make help`.
IMAGES  ?=
KEEP    ?=
CLUSTER ?=
CACHE   ?=
OUT     ?=
SETTLE  ?=
WATCH   ?=
OUTAGE  ?=
KEY     ?=
CONFIG  ?=
CHECK   ?=
PROFILE ?=
LEVEL   ?=
LABEL   ?=
REPEAT  ?=
PROMETHEUS ?=
ISTIO   ?=
SKIP    ?=
DRY_RUN ?=
FILE    ?= reports/out/latest/observations/conformance.json

MODULE  := github.com/seed-140c7b37/mtls-scrape-conformance
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BINARY  := bin/conformance
LDFLAGS := -X $(MODULE)/suites/run.Version=$(VERSION) -X $(MODULE)/suites/run.Commit=$(COMMIT)

OPTIONS := $(if $(IMAGES),-images=$(IMAGES)) $(if $(KEEP),-keep) $(if $(CLUSTER),-cluster=$(CLUSTER)) \
	$(if $(CACHE),-cache=$(CACHE)) $(if $(OUT),-out=$(OUT)) $(if $(SETTLE),-settle=$(SETTLE)) \
	$(if $(WATCH),-watch=$(WATCH)) $(if $(OUTAGE),-outage=$(OUTAGE)) $(if $(KEY),-key=$(KEY)) $(if $(CONFIG),-config=$(CONFIG)) \
	$(if $(CHECK),-check='$(CHECK)') $(if $(PROFILE),-profile=$(PROFILE)) $(if $(LEVEL),-level=$(LEVEL)) \
	$(if $(LABEL),-label='$(LABEL)') $(if $(REPEAT),-repeat=$(REPEAT)) $(if $(PROMETHEUS),-prometheus=$(PROMETHEUS)) \
	$(if $(ISTIO),-istio=$(ISTIO)) $(if $(SKIP),-skip='$(SKIP)') $(if $(DRY_RUN),-dry-run)

##@ The main job

.PHONY: e2e
e2e: build ## Make a cluster, set everything up, judge it, remove it
	@exec $(BINARY) -mode=e2e $(OPTIONS)

.PHONY: up
up: build ## Make a cluster with everything in it and leave it
	@exec $(BINARY) -mode=up $(OPTIONS)

.PHONY: check
check: build ## Judge the cluster that `make up` made, as it stands now
	@exec $(BINARY) -mode=check $(OPTIONS)

.PHONY: explain
explain: build ## Judge a kept observation again, without its cluster (FILE=)
	@exec $(BINARY) -mode=explain -observation=$(FILE) $(OPTIONS)

.PHONY: down
down: build ## Remove the cluster that `make up` made
	@exec $(BINARY) -mode=down $(OPTIONS)

.PHONY: clean
clean: build ## Remove every cluster that any run left
	@exec $(BINARY) -mode=clean $(OPTIONS)

##@ Images

.PHONY: images-list
images-list: ## Print the image catalogue
	@go run ./harness/image/cmd/images list

.PHONY: images
images: ## Build the node image from packages, ahead of a run
	@CACHE=$(CACHE) go run ./harness/image/cmd/images build

##@ Development

.PHONY: test
test: ## Run everything that needs no cluster
	go test ./...

.PHONY: race
race: ## The same under the race detector
	go test -race ./...

.PHONY: lint
lint: ## Check formatting and run the linters that are installed
	@scripts/lint

.PHONY: build
build: ## Build the test binary, bin/conformance
	@go test -c -ldflags '$(LDFLAGS)' -o $(BINARY) ./suites/conformance

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n%s\n' 'Options, as in `make e2e IMAGES=packages KEEP=1`'
	@printf '  %-10s %s\n' \
		IMAGES  'registry, packages or auto: where images come from (auto)' \
		PROMETHEUS 'version of Prometheus: v3.16.0, v3.12.0 or v3.5.0 (v3.16.0)' \
		ISTIO   'version of Istio: 1.31 or 1.30 (1.31)' \
		KEEP    'leave the cluster when the run ends' \
		CHECK   'run only the checks whose ID matches this regular expression' \
		PROFILE 'run only these profiles: setup,scrape,refusal,rotation,resilience; or all' \
		LEVEL   'run only these levels: core,extended,provisional' \
		LABEL   'run only checks with these labels (id, profile, level, disruptive), as in disruptive=false' \
		REPEAT  'judge the same cluster so many times, to see whether a good one ever fails' \
		SKIP    'do not run a check: id=reason' \
		DRY_RUN 'say what would run, and why the rest would not' \
		CLUSTER 'name of the cluster, beginning with mtls-scrape-' \
		SETTLE  'how long to wait for the first scrapes before judging (1m)' \
		WATCH   'how long to watch for certificate rotations (2m)' \
		OUTAGE  'how long to take the control plane away (6s)' \
		KEY     'file with the ed25519 key that signs the attestation' \
		OUT     'folder for reports (reports/out)' \
		CACHE   'folder for artefacts that outlive a run' \
		CONFIG  'configuration file with the same names (config.yaml, if there is one)'
	@printf '\n%s\n' 'Exit codes of bin/conformance: 0 conformant, 1 a check failed, 2 set-up failed, 3 leftovers,'
	@printf '%s\n' '4 interrupted, 5 usage, 6 inconclusive. make itself exits with 2 whenever one is not 0.'
