# Everything a person runs. `make help` lists it; every option is a variable of
# the same meaning as the test binary's flag.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Options, each empty or as documented under `make help`.
IMAGES  ?=
MIRROR  ?=
LOCK    ?=
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
KUBERNETES ?=
PROMETHEUS ?=
ISTIO   ?=
NEXT    ?=
NEXT_PROMETHEUS ?=
OPERATOR ?=
NEXT_OPERATOR ?=
SKIP    ?=
DRY_RUN ?=
FAULT   ?=
PARALLEL ?=
UPGRADE ?= in-place
FROM    ?= $(if $(OF_PROMETHEUS),v3.12,$(if $(OF_OPERATOR),v0.91,1.30))
TO      ?= $(if $(OF_PROMETHEUS),v3.16,$(if $(OF_OPERATOR),v0.92,1.31))
MISTAKE ?=
RECORD  ?=
MODE    ?= e2e
FILE    ?= reports/out/latest/observations/conformance.json
BEFORE  ?=
AFTER   ?=
ALLOW   ?=
DIR     ?=
PUBLIC_KEY ?=
FORMAT  ?=
CONTEXT ?=
CONTEXTS ?=
MESH_KUBECONFIG ?=
MESH_CONTEXT ?=
NAMESPACE ?=
PROM    ?=
PERMIT  ?=
HISTORY ?=
IN_CLUSTER ?=
IMAGE   ?=
REVISION ?=
REGISTRY ?=
POD_SECURITY ?=
ALLOW_DISRUPTION ?=
FOR     ?=
UNTIL   ?=

MODULE  := github.com/seed-140c7b37/mtls-scrape-conformance
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
BINARY  := bin/conformance
LDFLAGS := -X $(MODULE)/suites/run.Version=$(VERSION) -X $(MODULE)/suites/run.Commit=$(COMMIT)

OPTIONS := $(if $(IMAGES),-images=$(IMAGES)) $(if $(MIRROR),-mirror=$(MIRROR)) $(if $(LOCK),-lock=$(LOCK)) $(if $(KEEP),-keep) $(if $(CLUSTER),-cluster=$(CLUSTER)) \
	$(if $(CACHE),-cache=$(CACHE)) $(if $(OUT),-out=$(OUT)) $(if $(SETTLE),-settle=$(SETTLE)) \
	$(if $(WATCH),-watch=$(WATCH)) $(if $(OUTAGE),-outage=$(OUTAGE)) $(if $(KEY),-key=$(KEY)) $(if $(CONFIG),-config=$(CONFIG)) \
	$(if $(CHECK),-check='$(CHECK)') $(if $(PROFILE),-profile=$(PROFILE)) $(if $(LEVEL),-level=$(LEVEL)) \
	$(if $(LABEL),-label='$(LABEL)') $(if $(REPEAT),-repeat=$(REPEAT)) $(if $(KUBERNETES),-kubernetes=$(KUBERNETES)) $(if $(PROMETHEUS),-prometheus=$(PROMETHEUS)) \
	$(if $(ISTIO),-istio=$(ISTIO)) $(if $(NEXT),-next=$(NEXT)) \
	$(if $(NEXT_PROMETHEUS),-next-prometheus=$(NEXT_PROMETHEUS)) $(if $(OPERATOR),-operator=$(OPERATOR)) \
	$(if $(NEXT_OPERATOR),-next-operator=$(NEXT_OPERATOR)) $(if $(SKIP),-skip='$(SKIP)') $(if $(DRY_RUN),-dry-run)

# FROM and TO are versions of what is upgraded.
OF_PROMETHEUS = $(filter prometheus,$(UPGRADE))
OF_OPERATOR = $(filter operator,$(UPGRADE))
VERSIONS = $(if $(OF_PROMETHEUS),-prometheus=$(FROM) -next-prometheus=$(TO),$(if $(OF_OPERATOR),-operator=$(FROM) -next-operator=$(TO),-istio=$(FROM) -next=$(TO)))

GUEST := $(if $(CONTEXT),-context='$(CONTEXT)') $(if $(CONTEXTS),-contexts='$(CONTEXTS)') $(if $(MESH_KUBECONFIG),-mesh-kubeconfig='$(MESH_KUBECONFIG)') $(if $(MESH_CONTEXT),-mesh-context='$(MESH_CONTEXT)') $(if $(NAMESPACE),-namespace='$(NAMESPACE)') \
	$(if $(PROM),-prom='$(PROM)') $(if $(PERMIT),-permit=$(PERMIT)) $(if $(HISTORY),-history=$(HISTORY))

# KUBECONFIG counts for `make clean` only if it is given to make: one that is exported, as
# that of `make up` is, must not turn what it cleans.
THERE := $(if $(CONTEXT),-context='$(CONTEXT)') $(if $(findstring command,$(origin KUBECONFIG)),-kubeconfig='$(KUBECONFIG)')
INSIDE := $(if $(IN_CLUSTER),-in-cluster) $(if $(IMAGE),-image='$(IMAGE)')
SANDBOX := $(if $(REVISION),-revision='$(REVISION)') $(if $(REGISTRY),-registry='$(REGISTRY)') \
	$(if $(POD_SECURITY),-pod-security=$(POD_SECURITY)) $(if $(ALLOW_DISRUPTION),-allow-disruption=$(ALLOW_DISRUPTION))

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
clean: build ## Remove every cluster that any run left, and its files; with CONTEXT= or KUBECONFIG=, what runs left in that cluster
	@exec $(BINARY) -mode=clean $(THERE) $(OPTIONS)

##@ A cluster that is not ours

.PHONY: certify
certify: build ## Judge a cluster, or several side by side, by reading alone (CONTEXT= or CONTEXTS=, PROM=), or by a Job in it (IN_CLUSTER=1 IMAGE=)
	@exec $(BINARY) -mode=attach $(GUEST) $(INSIDE) $(OPTIONS)

.PHONY: doctor
doctor: build ## Say what would make that worth little, and judge nothing (CONTEXT= PROM=)
	@exec $(BINARY) -mode=doctor $(GUEST) $(OPTIONS)

.PHONY: sandbox
sandbox: build ## Set everything up in one namespace of our own there, judge it, remove it (CONTEXT= REVISION= REGISTRY=)
	@exec $(BINARY) -mode=sandbox $(THERE) $(SANDBOX) $(OPTIONS)

.PHONY: watch
watch: ## Judge by reading alone what is scraped while another tool upgrades the mesh, until Ctrl-C (CONTEXT= PROM= UNTIL= FOR=)
	@go test -c -ldflags '$(LDFLAGS)' -o bin/upgrade ./suites/upgrade
	@exec bin/upgrade -mode=watch $(GUEST) $(if $(UNTIL),-until='$(UNTIL)') $(if $(FOR),-for=$(FOR)) $(OPTIONS)

##@ The suite itself

.PHONY: faults
faults: ## Make every mistake of the catalogue, and see that each is caught (MODE=check: on a kept cluster)
	@go test -c -ldflags '$(LDFLAGS)' -o bin/faults ./suites/faults
	@exec bin/faults -mode=$(MODE) $(OPTIONS) $(if $(FAULT),-check='$(FAULT)') $(if $(PARALLEL),-parallel=$(PARALLEL)) $(if $(RECORD),-record=$(RECORD))

.PHONY: upgrade
upgrade: ## Upgrade a mesh, Prometheus or the Operator step by step and back, and see that every scrape goes on (FROM= TO= UPGRADE=; MODE=check: on a kept cluster)
	@go test -c -ldflags '$(LDFLAGS)' -o bin/upgrade ./suites/upgrade
	@exec bin/upgrade -mode=$(MODE) $(OPTIONS) $(VERSIONS) -upgrade=$(UPGRADE) $(if $(MISTAKE),-mistake=$(MISTAKE))

.PHONY: foreign
foreign: build ## Attach to a cluster that the suite did not set up, whose API server says what was sent to it
	@go test -c -ldflags '$(LDFLAGS)' -o bin/foreign ./suites/foreign
	@exec bin/foreign -mode=$(MODE) -binary=$(BINARY) $(OPTIONS)

##@ Reports

.PHONY: compare
compare: build ## Say what is worse in one report than in another (BEFORE= AFTER= ALLOW=)
	@exec $(BINARY) -mode=compare -before='$(BEFORE)' -after='$(AFTER)' $(if $(ALLOW),-allow='$(ALLOW)') $(if $(FORMAT),-format=$(FORMAT)) $(OPTIONS)

.PHONY: verify
verify: build ## Verify a report by its observations and its signature (DIR= PUBLIC_KEY=)
	@exec $(BINARY) -mode=verify $(if $(DIR),-dir='$(DIR)') $(if $(PUBLIC_KEY),-public-key='$(PUBLIC_KEY)') $(if $(FORMAT),-format=$(FORMAT)) $(OPTIONS)

##@ Images

.PHONY: images-list
images-list: ## Print the image catalogue
	@go run ./harness/image/cmd/images list

.PHONY: images
images: ## Build the node image from packages, ahead of a run
	@CACHE=$(CACHE) go run ./harness/image/cmd/images build

.PHONY: suite-image
suite-image: ## Build the suite's own image, dist/suite-image.tar, without a container engine (IMAGE= names it)
	@mkdir -p dist
	@VERSION='$(VERSION)' COMMIT='$(COMMIT)' go run ./harness/image/cmd/images suite dist/suite-image.tar $(if $(IMAGE),'$(IMAGE)')

##@ Development

.PHONY: test
test: ## Run everything that needs no cluster
	go test ./...

.PHONY: bench
bench: ## Look at ten thousand targets on a simulated cluster: seconds and peak memory
	@go test ./suites/conformance -run '^$$' -bench '^BenchmarkAttach$$' -benchtime 1x

.PHONY: race
race: ## The same under the race detector
	go test -race ./...

.PHONY: lint
lint: ## Check formatting and run the linters that are installed
	@scripts/lint

.PHONY: build
build: ## Build the test binary, bin/conformance
	@go test -c -ldflags '$(LDFLAGS)' -o $(BINARY) ./suites/conformance

.PHONY: dist
dist: ## Build the test binaries for every system, with checksums, into dist
	@mkdir -p dist
	@for system in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do \
		CGO_ENABLED=0 GOFLAGS="$$GOFLAGS -trimpath" GOOS=$${system%/*} GOARCH=$${system#*/} $(MAKE) --no-print-directory build BINARY=dist/conformance-$${system/\//-} || exit; \
		CGO_ENABLED=0 GOFLAGS="$$GOFLAGS -trimpath" GOOS=$${system%/*} GOARCH=$${system#*/} go test -c -ldflags '$(LDFLAGS)' -o dist/upgrade-$${system/\//-} ./suites/upgrade || exit; \
	done
	@cd dist && sha256sum conformance-* upgrade-* | tee SHA256SUMS

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n%s\n' 'Options, as in `make e2e IMAGES=packages KEEP=1`'
	@printf '  %-10s %s\n' \
		IMAGES  'registry, packages or auto: where images come from (auto)' \
		MIRROR  'registry to pull every image through: host:port, or https://host:port' \
		LOCK    'file with the digests of images in registry mode (harness/image/images.lock.json)' \
		KUBERNETES 'minor of Kubernetes: 1.37 or 1.36 (1.37); its release depends on IMAGES' \
		PROMETHEUS 'version of Prometheus: v3.16.0, v3.12.0 or v3.5.0 (v3.16.0)' \
		ISTIO   'version of Istio: 1.31 or 1.30 (1.31)' \
		NEXT    'version of Istio to have at hand for `make upgrade MODE=check`; of doctor and watch: that the mesh is to be upgraded to' \
		NEXT_PROMETHEUS 'version of Prometheus to have at hand for `make upgrade MODE=check UPGRADE=prometheus`' \
		OPERATOR 'version of the Prometheus Operator: v0.92.0 or v0.91.0 (v0.92.0)' \
		NEXT_OPERATOR 'version of the Operator to have at hand for `make upgrade MODE=check UPGRADE=operator`' \
		KEEP    'leave the cluster when the run ends' \
		FAULT   'try only the faults whose ID matches this regular expression' \
		PARALLEL 'how many faults to try at a time (8)' \
		RECORD  'folder for recordings of what was observed of faults' \
		FROM    'version of what is upgraded, Istio, Prometheus or the Operator, to upgrade from (1.30, v3.12 or v0.91)' \
		TO      'version to upgrade to (1.31, v3.16 or v0.92)' \
		UPGRADE 'how to upgrade the mesh: in-place, canary or both; or prometheus or operator, to upgrade that (in-place)' \
		MISTAKE 'what to do wrong in an upgrade on purpose: no-injection, other-root, permissive, trust-domain or webhook-down' \
		MODE    'of faults and upgrade: e2e makes a cluster, check uses one that stands (e2e)' \
		CHECK   'run only the checks whose ID matches this regular expression' \
		PROFILE 'run only these profiles: setup,scrape,refusal,rotation,resilience; or all' \
		LEVEL   'run only these levels: core,extended,provisional' \
		LABEL   'run only checks with these labels (id, profile, level, disruptive), as in disruptive=false' \
		REPEAT  'judge the same cluster so many times, to see whether a good one ever fails' \
		SKIP    'do not run a check: id=reason' \
		DRY_RUN 'say what would run, and why the rest would not' \
		CLUSTER 'name of the cluster, beginning with mtls-scrape-' \
		SETTLE  'how long to wait before judging: for the first scrapes; of certify, for what is just being rolled out (1m)' \
		WATCH   'how long to watch for certificate rotations (2m)' \
		OUTAGE  'how long to take the control plane away (3s)' \
		KEY     'file with the ed25519 key that signs the attestation' \
		OUT     'folder for reports (reports/out)' \
		BEFORE  'report to compare with: a report.json or the directory of a run' \
		AFTER   'report to compare' \
		ALLOW   'file that lists which checks may be worse, why and until when' \
		DIR     'directory of the run to verify (latest, in OUT)' \
		PUBLIC_KEY 'file with the ed25519 key that verifies the signature' \
		FORMAT  'how a comparison or a verification is shown: text or json (text)' \
		CONTEXT 'certify, watch, sandbox, clean: context of the kubeconfig (its current one)' \
		CONTEXTS 'certify: contexts of several clusters, as in a,b=namespace/prometheus, with one page about all' \
		KUBECONFIG 'certify, watch, sandbox, clean: kubeconfig of the cluster (as kubectl finds it)' \
		MESH_KUBECONFIG "certify: kubeconfig of the mesh's own API, if its control plane is elsewhere (none)" \
		MESH_CONTEXT 'certify: context of that kubeconfig (its current one)' \
		NAMESPACE 'certify and watch: namespace of the Prometheus object (any)' \
		PROM    'certify and watch: the Prometheus object, name or namespace/name (the only one)' \
		PERMIT  'certify and watch: what is permitted beyond reading: exec,portforward' \
		HISTORY 'certify: how far to look back in what Prometheus has stored (25h)' \
		IN_CLUSTER 'certify: have a Job in the cluster judge it, and bring its report here' \
		IMAGE   'certify: the image of the suite for that Job, as nodes pull it; suite-image: its name' \
		REVISION 'sandbox: revision or tag of the mesh that injects sidecars (the only one)' \
		REGISTRY 'sandbox: where nodes pull every image from: host:port/path (as upstream has them)' \
		POD_SECURITY 'sandbox: restricted, to enforce that level on the namespace' \
		ALLOW_DISRUPTION 'sandbox: control-plane-outage,root-rotated,operator-restart: of what others use as well' \
		UNTIL   'watch: file that ends it when it appears' \
		FOR     'watch: how long (until Ctrl-C, or the file of UNTIL)' \
		CACHE   'folder for artefacts that outlive a run' \
		CONFIG  'configuration file with the same names (config.yaml, if there is one)'
	@printf '\n%s\n' 'Exit codes of bin/conformance: 0 conformant, 1 a check failed, 2 set-up failed, 3 leftovers,'
	@printf '%s\n' '4 interrupted, 5 usage, 6 inconclusive. make itself exits with 2 whenever one is not 0.'
