# `make run` transcribes the example recordings, `make test` says whether everything is good.
# Both need Python 3.11 or newer and nothing else: they make their own environment in .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python

# A process per core; one that has nothing left to do takes tests from another.
PARALLEL ?= --numprocesses auto --maxprocesses 8 --dist worksteal

# Options of the benchmarks, as in `make bench-quick BENCH='--json figures.json'`.
BENCH ?=

.DEFAULT_GOAL := help
.PHONY: help run test lint types unit quick faults bench-quick format wheel clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: $(VENV)/.installed-run  ## transcribe the example recordings
	$(PY) examples/transcribe/app.py

test: lint types unit  ## everything: format, lint, types, tests

lint: $(VENV)/.installed-dev  ## ruff: rules and format
	$(PY) -m ruff check
	$(PY) -m ruff format --check

types: $(VENV)/.installed-dev  ## mypy and pyright, both strict
	$(PY) -m mypy
	$(PY) -m pyright --pythonpath $(PY)

unit: $(VENV)/.installed-dev  ## pytest, all of it
	$(PY) -m pytest $(PARALLEL)

quick: $(VENV)/.installed-dev  ## pytest without the slow tests
	$(PY) -m pytest $(PARALLEL) -m 'not slow and not faults'

bench-quick: $(VENV)/.installed-dev  ## calls against the floor and ProcessPoolExecutor, in 2 minutes
	$(PY) -m tests.bench $(BENCH)

faults: $(VENV)/.installed-dev  ## the fault and endurance tests of the local runner
	$(PY) -m pytest -m faults

format: $(VENV)/.installed-dev  ## put the code into shape
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

wheel: $(VENV)/.installed-dev  ## build dist/*.whl and dist/*.tar.gz
	$(PY) -m build --no-isolation

clean:  ## remove the environment and everything that was built
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps say that the extras are installed as pyproject.toml wants them. A half-made
# environment has no working pip, and is made anew.
$(VENV)/.installed-run: EXTRAS := transcribe
$(VENV)/.installed-dev: EXTRAS := dev,transcribe
$(VENV)/.installed-run $(VENV)/.installed-dev: pyproject.toml
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing fchains and what it needs into $(VENV), which takes a minute or so"
	$(PY) -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[$(EXTRAS)]'
	@touch $@
