# `make` alone prints what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
# The Dockerfile has it elsewhere, since the clone is mounted over that of the image.
VENV := $(or $(ORBWEAVER_VENV),.venv)
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEVELOP := $(VENV)/.develop
export PATH := $(abspath $(BIN)):$(PATH)
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
# Where this is set, as in many containers, every stage and every test would compile torch and the rest anew.
unexport PYTHONDONTWRITEBYTECODE
# A worker a core, hence a thread a worker.
PARALLEL := OMP_NUM_THREADS=1 pytest -n auto --maxprocesses 8 --dist worksteal

COMPILE := uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url

.PHONY: help setup develop repro test test-slow test-cluster mutants faults refusals bundle-proof export-proof advice-proof check format docs audit lock deps tables picture mlflow clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## what the pipeline needs into .venv, in the locked versions

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which with make PYTHON=/path/to/python3 setup")'
	@# A uv that is here already is used; else one is put into .venv. The system's Python stays as it is.
	@test -x $(BIN)/python || if command -v uv > /dev/null; then uv venv --quiet --seed --python $(PYTHON) $(VENV); \
	else $(PYTHON) -m venv $(VENV); fi
	@command -v uv > /dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo 'Installing the locked versions into $(VENV) ...'
	@uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements.lock
	@uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

develop: $(DEVELOP) ## what tests and checks need besides

$(DEVELOP): $(READY) requirements-dev.lock
	@echo 'Installing the tools of developers into $(VENV) ...'
	@uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements-dev.lock
	@touch $@

repro: setup ## set up, mend what a kill left, then run the whole pipeline: dvc repro
	@python -m pipeline.commands.mending
	dvc repro

test: develop ## the tests that take minutes
	$(PARALLEL)

test-slow: develop ## the tests that take longer, and those on real photographs
	$(PARALLEL) -m 'slow or real' --durations=25

test-cluster: develop ## studies on a SLURM of two nodes on this machine; needs root and Debian's packages of it
	@command -v slurmctld > /dev/null || test "$$(id -u)" != 0 || ! command -v apt-get > /dev/null || { apt-get update \
	  --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends slurm-wlm slurmd slurmctld munge; } || \
	  echo 'test-cluster: SLURM could not be installed'
	@# What it lacks is said in a line, and the tests are skipped.
	OMP_NUM_THREADS=1 pytest -m cluster -rs --durations=0 tests/end_to_end/test_cluster.py

faults: develop ## kill, stop and fill at N random moments a kind, all KINDS or some: make faults N=50 KINDS="flips study"
	OMP_NUM_THREADS=1 python tests/faults/run.py --times $(or $(N),10) $(KINDS)

refusals: develop ## print every setting, weights file and folder that tests have refused, with its line
	@OMP_NUM_THREADS=1 python tests/refusals.py

bundle-proof: develop ## are a bundle and its exports equal to evaluate, for every backbone? a table, minutes
	python tests/bundles/proof.py

mutants: develop ## plant known faults one at a time: the tests have to catch each
	python tests/mutants.py

export-proof: develop ## export every backbone, attention and head with random values, and compare
	@OMP_NUM_THREADS=1 python tests/bundles/export_proof.py

advice-proof: develop ## add the trainings that are missing to the table of advice-proof.md, for MINUTES, and judge the advice
	OMP_NUM_THREADS=1 python benchmarks/advice_trainings.py --minutes $(or $(MINUTES),240)
	python benchmarks/advice_regret.py

check: develop ## formatting, lint, types, import rules, Dockerfile
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	hadolint Dockerfile deploy/Dockerfile

format: develop ## put the code into shape
	ruff format .
	ruff check --fix .

docs: develop ## build the site of docs/: build/site/index.html
	zensical build --strict --clean

audit: develop ## look for known vulnerabilities in the lock files; asks a server
	@mkdir -p build
	@pip-audit --strict --require-hashes --disable-pip --progress-spinner off --requirement requirements.lock \
	  --requirement requirements-dev.lock --requirement deploy/requirements.lock > build/audit.txt 2>&1; code=$$?; \
	if grep -q '^Traceback' build/audit.txt; then \
	  echo "audit: nothing was checked, the vulnerability service cannot be reached: $$(tail -n 1 build/audit.txt)" >&2; \
	else cat build/audit.txt; fi; exit $$code

lock: setup ## choose the newest versions anew and write the lock files
	$(COMPILE) --upgrade pyproject.toml --output-file requirements.lock
	$(COMPILE) --upgrade --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) --upgrade --group server --constraint requirements.lock --output-file deploy/requirements.lock

deps: develop ## write the source dependencies of dvc.yaml's stages from what they import
	python tests/dependencies.py

tables: setup ## fill what follows from the code in the tables of README.md and docs/
	python docs/tables.py

picture: repro develop ## take README.md's picture of the report anew, with Chromium
	PYTHONPATH=tests python tests/reporting/picture.py

mlflow: setup ## bring MLflow up to date with the experiments, then open its pages
	orbweaver mlflow

clean: ## remove .venv and what tools leave behind, never data, models, metrics or MLflow's runs
	rm -rf $(VENV) dvc_plots build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
