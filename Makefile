# Every task a person runs. `make` alone lists them. What they install goes into the user's cache
# (scripts/README.md) and is kept; nothing needs to be set up first but rustup, Python 3 and Node.

.DEFAULT_GOAL = help
# -k style options are for make's own targets; each task here is one script or one command.
.PHONY: help demo test lint bench soak capi capi-wasm targets doctor clean

help: ## list the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo 'More: scripts/README.md (one suite: scripts/test NAME; cargo for another target: scripts/cargo-for)'

demo: ## one program, natively and in WebAssembly, on live input; the traces side by side
	@scripts/demo
	@scripts/demo-net

test: ## every test on every target that this machine can run (or some: SUITES='native windows')
	@python3 scripts/test $(SUITES)

lint: ## format, clippy and documentation, on each backend and target, warnings being errors
	@scripts/lint

bench: ## the benchmarks, against the raw calls and the peers (or some: PARTS='native emulated wasm')
	@scripts/bench $(PARTS)

soak: ## the differential tests and the fuzzer of the C interface at length (scripts/soak says how long)
	@scripts/soak

capi: ## the C library and its headers, in target/capi (BACKEND=poll: in target/capi-poll)
	@scripts/capi native $(BACKEND)

capi-wasm: ## the same for WebAssembly, in target/capi-wasm
	@scripts/capi wasm

targets: ## type-check and lint every supported target; link for those that have a linker here
	@scripts/targets

doctor: ## what is installed here, what is missing, and what would be used
	@scripts/doctor

clean: ## remove what was built; the cache outside the folder stays
	cargo clean
