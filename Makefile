# Everything here needs only Go and make. Targets that use more (a compiler for
# the race detector, git for the version) do without where it is absent.

PORT ?= 8080
DATA ?= data

GO      ?= go
VERSION := $(shell cat VERSION 2>/dev/null || git describe --tags --always --dirty 2>/dev/null || echo 0.0.0-dev)
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
# The time of every file in a release.
EPOCH   := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null))
LDFLAGS := -s -w -X sallyport/internal/buildinfo.version=$(VERSION) -X sallyport/internal/buildinfo.commit=$(COMMIT)
# The version comes from above, so Go need not ask git, which refuses in a
# clone that belongs to another user.
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

# The race detector needs a C compiler; Go says whether it has found one.
RACE := $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)
EXE  := $(shell $(GO) env GOEXE)

SOURCE := $(wildcard agent relay proto internal scripts)

.DEFAULT_GOAL := build
.PHONY: run test build bench lint package e2e machine vault fuzz cross clean help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## Relay, agent and a sample application on this machine; PORT=8080 DATA=data
	@$(BUILD) -o bin/dev/ ./scripts/devrun ./scripts/sampleapp
	@exec bin/dev/devrun$(EXE) --port '$(PORT)' --data '$(DATA)' --bin bin

build: ## bin/sallyport-relay and bin/sallyport-agent
	@$(BUILD) -o bin/sallyport-relay$(EXE) ./relay
	@$(BUILD) -o bin/sallyport-agent$(EXE) ./agent

test: ## Every test that this machine allows; with CI=true, every test
	@$(if $(RACE),,echo 'no C compiler found: testing without the race detector')
	$(GO) test $(RACE) -timeout 15m ./...
	$(if $(RACE),$(GO) test ./internal/rawio,@:) # which does nothing under the race detector

e2e: ## The end-to-end tests only, with the binaries as built
	$(GO) test -count=1 -v -timeout 15m ./scripts/e2e/...

machine: ## The Debian that the tests of the service boot; once, as root, with debootstrap
	@scripts/e2e/systemd/tree.sh

vault: ## HashiCorp Vault's own code for the end-to-end tests, bin/dev/vaultserver; it fetches 300 modules
	@$(GO) build -C scripts/e2e/vaultserver -trimpath -buildvcs=false -ldflags '-s -w' -o ../../../bin/dev/vaultserver$(EXE) .

bench: build ## Direct, ssh -R and Sallyport side by side; BENCH_ARGS=--quick is a smoke run
	@$(BUILD) -o bin/dev/ ./scripts/bench
	@bin/dev/bench$(EXE) --bin bin --json bin/bench.json --svg bin/bench.svg $(BENCH_ARGS)

fuzz: ## Each fuzz target for FUZZTIME (10s)
	@$(GO) run ./scripts/fuzz -fuzztime $(or $(FUZZTIME),10s)

# With the flags of a build, so that what one has compiled serves the other.
lint: export CGO_ENABLED = 0
lint: export GOFLAGS = -trimpath
lint: ## gofmt, go vet for three systems, staticcheck
	@unformatted=$$(gofmt -l $(SOURCE)); test -z "$$unformatted" || { echo "not formatted (gofmt -w):"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	GOOS=windows GOARCH=amd64 $(GO) vet ./...
	GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	$(GO) tool staticcheck ./...

cross: ## Shows that both binaries build for other systems, and keeps nothing
	@$(GO) run ./scripts/package --check --systems windows/amd64,darwin/arm64,linux/arm64

package: ## Archives, deb, rpm, MSI, images, downloads for a relay, sums and SBOM, in dist/
	@$(GO) run ./scripts/package --version '$(VERSION)' --commit '$(COMMIT)' --epoch '$(EPOCH)' --out dist

clean: ## Remove what was built; ./data stays
	rm -rf bin dist
