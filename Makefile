# Every target installs what it needs and is missing; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
ENGINE := scripts/engine with

.PHONY: help
help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: setup ## run a pod with three plugins, step by step, on a Docker engine
	@$(ENGINE) scripts/demo

.PHONY: examples
examples: setup ## run the Swarm examples on a separate engine (scripts/examples describes other ways)
	@scripts/examples

.PHONY: test
test: setup ## run the unit, integration and end-to-end tests
	@$(ENGINE) scripts/test

.PHONY: fuzz
fuzz: setup ## bend documents, overlays and plugins at random, 100 times as often as the tests do
	OUTRIGGER_FUZZ_CASES=$${OUTRIGGER_FUZZ_CASES:-30000} OUTRIGGER_FUZZ_SEED=$${OUTRIGGER_FUZZ_SEED:-$$(date +%s)} cargo test --locked --all-features --test it fuzz::

.PHONY: test-engines
test-engines: setup ## run the end-to-end tests on every engine that this machine can start
	@$(ENGINE) scripts/test-engines all

.PHONY: image
image: setup ## build outrigger:latest and outrigger:<version>
	@$(ENGINE) scripts/image

.PHONY: bench
bench: setup ## measure memory, start, stop and log throughput, compared with plain containers
	@$(ENGINE) scripts/bench

.PHONY: faults
faults: setup ## inject faults (killed controllers, restarted engines, misbehaving components), and count the failures
	@$(ENGINE) scripts/faults
	@$(ENGINE) scripts/faults agreement

.PHONY: lint
lint: fmt clippy doc deny ## check formatting, lints, docs and dependencies

.PHONY: fmt
fmt: setup
	cargo fmt --check
	cargo fmt --check --manifest-path plugins/Cargo.toml --all

.PHONY: clippy
clippy: setup
	cargo clippy --locked --all-targets --all-features -- --deny warnings
	cargo clippy --locked --manifest-path plugins/Cargo.toml --target-dir target/plugins --workspace --all-targets -- --deny warnings

.PHONY: doc
doc: setup
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --no-deps --all-features
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --no-deps --manifest-path plugins/Cargo.toml --target-dir target/plugins --workspace

.PHONY: deny
deny: setup
	@scripts/deny

.PHONY: setup
setup:
	@scripts/setup

.PHONY: clean
clean: ## remove build results; first stop the engine that scripts/engine started
	@if [ "$$(id -u)" = 0 ]; then scripts/engines stop all; fi
	@scripts/engine stop
	rm -rf target plugins/target
