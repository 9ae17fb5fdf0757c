# Every target brings its own set-up and does nothing that is already done.
# `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test lint soak bench fuzz

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
	cargo test --locked --doc --quiet

lint: ## Checks the format and every lint, warnings denied.
	@.ci/setup-build
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --test soak -- -D warnings

soak: ## Runs what takes minutes: full deadlines, thousands of connections and reloads.
	@.ci/setup-test
	cargo nextest run --locked --test soak --success-output final

bench: ## Times the data path, then the whole process beside nginx and HAProxy.
	@.ci/setup-build
	@benches/setup.sh
	cargo bench --locked --bench data_path
	cargo bench --locked --bench compare

# The fuzzer's instrumentation is unstable; this spares a second toolchain.
fuzz: ## Fuzzes each target of fuzz/ for FUZZ_SECONDS.
	@.ci/setup-fuzz
	export RUSTC_BOOTSTRAP=1; for target in $$(cargo fuzz list); do \
	    cargo fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024; \
	done
