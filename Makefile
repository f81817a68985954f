# The ways to build and try Candor. Needs Rust (the version of rust-version in Cargo.toml), Node and a C compiler.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: build run screen check test soak mutants bench lint install-clients clean-checks

CARGO ?= cargo
VENV := checks/.venv
SCREEN_SOURCES := $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print 2>/dev/null)

# The release binary, screen embedded: target/release/candor
build: web/dist/index.html
	$(CARGO) build --release --locked -p candor

# Built as the tests build it, dependencies optimised where it counts: ready in minutes on a fresh machine, where a
# release build takes half an hour.
run: web/dist/index.html
	$(CARGO) build --locked -p candor
	$${CARGO_TARGET_DIR:-target}/debug/candor serve

# The screen's files, which the binary embeds.
screen: web/dist/index.html
web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund
web/dist/index.html: web/node_modules/.package-lock.json $(SCREEN_SOURCES)
	cd web && npm run build

# The quick loop.
check: lint
	$(CARGO) test --locked --workspace --exclude candor
	cd web && [ ! -d node_modules ] || npm run check

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# Everything but the long runs, with what they need installed.
test: web/dist/index.html
	CARGO="$(CARGO)" bash checks/run

# The long runs.
soak: web/dist/index.html
	CARGO="$(CARGO)" CANDOR_SOAK=1 bash checks/run

# Breaks the code behind each clause of the published policies, and looks whether its check notices;
# `make mutants MUTANTS="--only LF-01"` for a part of them.
mutants:
	CARGO="$(CARGO)" python3 checks/mutate $(MUTANTS)

# Figures beside the peers, `make bench BENCH="queries --rows 1000000"` for a part of them.
bench: web/dist/index.html
	$(CARGO) build --release --locked -p candor -p candor-bench -p candor-logs -p candor-scrub --bins --example ingest_speed --example scrub_speed
	python3 bench/run.py $(BENCH)
