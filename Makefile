# Every target brings its own set-up and does nothing that is already done.
# `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test lint soak bench fuzz mutants audit

# How long `make fuzz` gives each target.
FUZZ_SECONDS ?= 60

help: ## Lists these targets.
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: ## Builds the gateway and starts it before its built-in upstream; needs no key.
	@.ci/setup-build
	cargo run --locked --profile quick -- serve --demo --config conf/spafe.toml

test: ## Runs every test: unit, integration, real SDKs, a real browser.
	@.ci/setup-test
	cargo nextest run --locked
	cargo nextest run --locked --lib --features shuttle -E 'test(interleavings)'
	cargo test --locked --doc --quiet

# Optimised, for what it measures; without link-time optimisation, since it compares
# only what it measured itself.
soak: ## Runs what takes minutes or an hour, and draws it: target/soak/index.html.
	@.ci/setup-build
	@command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest
	cargo nextest run --locked --cargo-profile quick --profile soak --test soak

lint: ## Checks the format and every lint, warnings denied.
	@.ci/setup-build
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --test soak -- -D warnings
	cargo clippy --locked --lib --profile test --features shuttle -- -D warnings

bench: ## Times the data path, then the whole process beside nginx and HAProxy.
	@.ci/setup-build
	@benches/setup.sh
	cargo bench --locked --bench data_path
	cargo bench --locked --bench limits
	cargo bench --locked --bench cache
	cargo bench --locked --bench shared
	cargo bench --locked --bench compare

audit: ## Checks licences, sources and known holes of every crate; writes target/audit/spafe.cdx.json.
	@.ci/audit

fuzz: ## Fuzzes each target of fuzz/ for FUZZ_SECONDS.
	@.ci/setup-fuzz
	@.ci/fuzz $(FUZZ_SECONDS)

mutants: ## Changes what decides, a place at a time, and lists what no test notices: target/mutants. Takes hours.
	@.ci/setup-build
	@.ci/mutants
