# make run and make test do all the set-up; make help lists the rest.

GO      ?= go
BIN     := bin/mlpipeline
LDFLAGS := -s -w
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PLATFORMS   := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
SOURCES     := $(shell find cmd internal pkg -name '*.go' -o -name '*.py' -o -name '*.css' -o -name '*.js' -o -path '*/_project/*' -type f) go.mod go.sum

.PHONY: run build install test test-real faults fuzz lint bench bench-scale cross clean help

run: build ## build mlpipeline, test the sample project and run it for real; a second time nothing is left to do
	$(BIN) -C examples/sample-project -u
	$(BIN) -C examples/sample-project -r -u

build: $(BIN) ## build bin/mlpipeline

$(BIN): $(SOURCES)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/mlpipeline

install: ## put mlpipeline where go install puts programs
	CGO_ENABLED=0 $(GO) install -trimpath -ldflags '$(LDFLAGS)' ./cmd/mlpipeline

test: ## all tests that need Go, a C compiler (for the race detector) and python3
	@command -v python3 >/dev/null || { echo 'make test: python3 is missing: models in Python are tested too' >&2; exit 1; }
	$(GO) test -race $$($(GO) list ./... | grep -v /test/faults)
	$(GO) test ./test/faults # by itself: it leaves processes behind for a moment, which mlpipeline doctor looks for

test-real: ## tests against real third-party programs; installs their Debian packages
	./test/real/install
	$(GO) test -count=1 -tags real ./test/real/...

faults: fuzz ## what a night must survive, all of it (docs/reliability.md)
	$(GO) test -count=1 -v -timeout 60m ./test/faults -full

# By their number: a time that ends in the middle of an input is reported as a failure.
FUZZTIME ?= 10000x
fuzz: ## each parser with FUZZTIME=10000x inputs, or e.g. 5m of them
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do \
	  sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' $$file | while read -r target; do \
	    out=$$($(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1000x $$(dirname $$file) 2>&1) || { echo "$$out"; exit 1; }; \
	    echo "$$target: $$(echo "$$out" | grep -o 'execs: [0-9]*' | tail -1)"; \
	  done || exit 1; \
	done

lint: ## gofmt, vet, staticcheck, tidy
	@out=$$(gofmt -l .); if [ -n "$$out" ]; then echo "gofmt -w these:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

bench: ## the figures of docs/performance.md, measured side by side and written there; under ten minutes
	$(GO) run ./test/bench

bench-scale: ## one run of 100,000 versions and one of 10,000,000 points, written there as well
	$(GO) run ./test/bench -scale 100000

cross: ## build for every platform, into dist/
	@for p in $(PLATFORMS); do \
	  echo "dist/mlpipeline-$${p%/*}-$${p#*/}"; \
	  CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o dist/mlpipeline-$${p%/*}-$${p#*/} ./cmd/mlpipeline || exit 1; \
	done

clean: ## remove what make has built
	rm -rf bin dist

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)
