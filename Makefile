# Everything from a bare clone: Python 3.11 to 3.13, git and make. `make` alone lists the targets.

STUDY ?= examples/sms/study.toml
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	>/dev/null 2>&1 && echo "$$p" && break; done)

PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet install
# Names of the artifacts in a study; the encoder's is never written there.
NEEDED := import pathlib, re, sys; from proofset.config import Study; \
	study = Study.read(pathlib.Path(sys.argv[1])).model_dump_json(); \
	print(*sorted({'static-embeddings', *re.findall(r'artifact:([\w.-]+)', study)}))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: demo test test-all check bench fetch clean help

demo: fetch  ## Run a study from raw rows to its page (STUDY=examples/sms/study.toml)
	@$(PY) -m proofset run "$(STUDY)"

fetch: .venv/.core  ## Download the pinned weights and data that STUDY needs, and check their SHA-256
	@names=$$($(PY) -c "$(NEEDED)" "$(STUDY)") && $(PY) -m proofset fetch $$names

test: .venv/.dev  ## Run the tests that need neither downloads nor an accelerator
	@$(PY) -m pytest

test-all: .venv/.dev  ## Run the slow tests too; they fetch what they need
	@$(PY) -m pytest -m "not gpu"

check: .venv/.dev  ## Lint, formatting, types, import contracts and house rules
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports
	@$(PY) -m pytest -q tests/test_house.py

bench: .venv/.core  ## Measure speed and memory on this machine; prints JSON
	@$(PY) -m benchmarks.firstlight --quick --json

clean:  ## Remove the environment and caches; runs and fetched artifacts stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	@find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

# Stamps, so that a second call installs nothing. `pip install -e '.[dev]'`, not `--group`: Python 3.11 brings pip 23.
.venv/.core: pyproject.toml | .venv/bin/python
	@echo "installing proofset into .venv"
	@$(PIP) -e .
	@touch $@

.venv/.dev: pyproject.toml | .venv/bin/python
	@echo "installing proofset and its tools into .venv"
	@$(PIP) -e '.[dev]'
	@touch .venv/.core $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "proofset needs Python 3.11, 3.12 or 3.13 with venv; none found." \
		"Name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv
