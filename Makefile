# `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
# Elsewhere in the container, where the mounted clone would hide the image's own .venv.
VENV := $(or $(ORBWEAVER_VENV),.venv)
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEVELOP := $(VENV)/.develop
export PATH := $(abspath $(BIN)):$(PATH)
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
# Many containers set this; every stage and test would then compile torch and other packages again.
unexport PYTHONDONTWRITEBYTECODE
# One worker per core, so one thread per worker.
PARALLEL := OMP_NUM_THREADS=1 pytest -n auto --maxprocesses 8 --dist worksteal

COMPILE := uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url

.PHONY: help setup develop repro test test-slow test-cluster mutants faults refusals bundle-proof export-proof advice-proof check format docs audit lock deps tables picture mlflow clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## install what the pipeline needs into .venv, in locked versions

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which with make PYTHON=/path/to/python3 setup")'
	@# An installed uv is used; otherwise one is installed into .venv. The system's Python is not changed.
	@test -x $(BIN)/python || if command -v uv > /dev/null; then uv venv --quiet --seed --python $(PYTHON) $(VENV); \
	else $(PYTHON) -m venv $(VENV); fi
	@command -v uv > /dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo 'Installing the locked versions into $(VENV) ...'
	@uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements.lock
	@uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

develop: $(DEVELOP) ## also install what tests and checks need

$(DEVELOP): $(READY) requirements-dev.lock
	@echo 'Installing the tools of developers into $(VENV) ...'
	@uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements-dev.lock
	@touch $@

repro: setup ## set up, repair what a killed run left, run the pipeline (dvc repro)
	@python -m pipeline.recovery.mending
	dvc repro

test: develop ## run the fast tests: minutes
	$(PARALLEL)

test-slow: develop ## run the slow tests, and those on real photographs (REAL_DATA)
	$(PARALLEL) -m 'slow or real' --durations=25

test-cluster: develop ## test studies on a SLURM cluster of two nodes on this machine; needs root and Debian
	@command -v slurmctld > /dev/null || test "$$(id -u)" != 0 || ! command -v apt-get > /dev/null || { apt-get update \
	  --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends slurm-wlm slurmd slurmctld munge; } || \
	  echo 'test-cluster: SLURM could not be installed'
	@# If something is missing, a line says so and the tests are skipped.
	OMP_NUM_THREADS=1 pytest -m cluster -rs --durations=0 tests/end_to_end/test_cluster.py

faults: develop ## inject N random faults of each kind: make faults N=50 KINDS="flips study"
	OMP_NUM_THREADS=1 python tests/faults/run.py --times $(or $(N),10) $(KINDS)

refusals: develop ## print the error line of every wrong setting, weights file and folder in the tests
	@OMP_NUM_THREADS=1 python tests/refusals.py

bundle-proof: develop ## compare bundles and exports with evaluate for every backbone: minutes
	python tests/bundles/proof.py

mutants: develop ## plant known faults in the code, one at a time; the tests must find each
	python tests/mutants.py

export-proof: develop ## export every backbone, attention and head with random weights, and compare
	@OMP_NUM_THREADS=1 python tests/bundles/export_proof.py

advice-proof: develop ## measure the advice for docs/advice-proof.md: trains for up to MINUTES
	OMP_NUM_THREADS=1 python benchmarks/advice_trainings.py --minutes $(or $(MINUTES),240)
	python benchmarks/advice_regret.py

check: develop ## check formatting, lint, types, import rules and Dockerfiles
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	hadolint Dockerfile deploy/Dockerfile

format: develop ## format the code and fix lint
	ruff format .
	ruff check --fix .

docs: develop ## build the documentation site: build/site/index.html
	zensical build --strict --clean

audit: develop ## check the locked packages for known vulnerabilities; asks a server
	@mkdir -p build
	@pip-audit --strict --require-hashes --disable-pip --progress-spinner off --requirement requirements.lock \
	  --requirement requirements-dev.lock --requirement deploy/requirements.lock > build/audit.txt 2>&1; code=$$?; \
	if grep -q '^Traceback' build/audit.txt; then \
	  echo "audit: nothing was checked, the vulnerability service cannot be reached: $$(tail -n 1 build/audit.txt)" >&2; \
	else cat build/audit.txt; fi; exit $$code

lock: setup ## update the lock files to the newest versions
	$(COMPILE) --upgrade pyproject.toml --output-file requirements.lock
	$(COMPILE) --upgrade --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) --upgrade --group server --constraint requirements.lock --output-file deploy/requirements.lock

deps: develop ## update the code dependencies of the stages in dvc.yaml
	python tests/dependencies.py

tables: setup ## update the generated tables of README.md and docs/
	python docs/tables.py

picture: repro develop ## retake README.md's picture of the report; needs Chromium
	PYTHONPATH=tests python tests/reporting/picture.py

mlflow: setup ## add all experiments to MLflow, then open its pages
	orbweaver mlflow

clean: ## remove .venv and caches; keeps data, models, metrics and MLflow's runs
	rm -rf $(VENV) dvc_plots build *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
