# The words that people and CI use. `make` alone lists them.
# .venv is made by itself from the lock file and made anew when that changes.

PYTHON ?= python3
ARGS   ?=
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input
LOCK   := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
          --no-annotate --no-header --no-emit-index-url $(if $(UPGRADE),--upgrade)
READY  := .venv/.installed
JOBS    ?= 3
TRIES   ?= 3
LOAD    ?= 3
SEED    ?= 1
MINUTES ?= 60
ROWS    := .pytest_cache/faults.jsonl

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help up demo test check faults soak bench fmt lock clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The PID lets `up` stop by itself when make is killed.
up: $(READY) ## the main job: store, receiver, workers and console, until Ctrl-C (ARGS="--config FILE")
	@INNKEEPER_PARENT=$$PPID exec $(BIN)/innkeeper up $(ARGS)

demo: $(READY) ## the main job with three simulated marketplaces and a vendor app, live (ARGS="--seed 7")
	@$(BIN)/python scripts/demo.py $(ARGS)

test: $(READY) ## the whole test suite, JOBS=3 tests at a time (ARGS="tests/lifecycle -k removed")
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY) ## linters, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

faults: $(READY) ## every fault several times, and docs/reliability.md from it (TRIES=3 LOAD=3 SEED=1)
	@rm -f $(ROWS)
	TRIES=$(TRIES) LOAD=$(LOAD) SEED=$(SEED) FAULTS_ROWS=$(ROWS) \
	  $(BIN)/python -m pytest -q $(or $(ARGS),tests/faults)
	$(if $(ARGS),,TRIES=$(TRIES) LOAD=$(LOAD) $(BIN)/python -m tests.faults.reporting $(ROWS) > docs/reliability.md)

soak: $(READY) ## random kills of every process for MINUTES=60, and the books balanced at the end (SEED=1)
	MINUTES=$(MINUTES) SEED=$(SEED) $(BIN)/python -m pytest -q -s tests/faults/test_fault_16.py

bench: $(READY) ## verified deliveries a second through one receiver, beside what this machine can do
	$(BIN)/python -m bench.receiver

fmt: $(READY) ## order the imports and the layout of the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

lock: $(READY) ## requirements*.in -> requirements*.txt (UPGRADE=1: the newest of everything)
	$(LOCK) requirements.in --output-file requirements.txt
	$(LOCK) requirements-dev.in --output-file requirements-dev.txt

clean: ## remove .venv, caches and builds; the data folder stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A .venv of ours is emptied first, so that nothing dropped from the lock stays in it; one that was
# made by hand, or whose making was broken off, is completed.
.venv/.locked: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Innkeeper needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(if $(wildcard .venv/.locked),--clear) .venv
	$(PIP) install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

$(READY): .venv/.locked pyproject.toml
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
