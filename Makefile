# Every target sets up what it needs; a fresh machine needs Python 3.11+ and make only.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# without bytecode every start compiles the whole source again (some seconds)
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run test test-unit test-faults soak bench bench-quality test-compose up down contracts docs lint format lock clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.run ## Create the virtual environment with the locked packages

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Bandung needs Python 3.11 or newer; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.created requirements.lock pyproject.toml
	@echo "Installing the locked packages ..."
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-build.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q services shared
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

run: $(VENV)/.run ## Start the whole system with the demo; Ctrl-C ends it
	@exec $(BIN)/bandung up

test: $(VENV)/.dev ## Run all tests on real PostgreSQL and Kafka
	$(PYTEST) -n 2 --dist loadfile

test-faults: $(VENV)/.dev ## Every fault, also the long ones; prints the table of faults (some 20 minutes)
	$(PYTEST) tests/faults -n 2 --dist loadfile -m "not compose"

soak: $(VENV)/.dev ## Half an hour of load with a fault every 20 s; writes tests/faults/RESULTS.md
	$(BIN)/python -m tests.faults.soak --minutes 30 --seed 1

test-unit: $(VENV)/.dev ## Run the pure tests only (seconds)
	$(PYTEST) tests/unit

bench: $(VENV)/.dev ## Speed of rankings, rounds and starts against others, in one run (minutes)
	$(BIN)/python -m tests.bench.ranking
	$(BIN)/python -m tests.bench.taking
	$(BIN)/python -m tests.bench.handling
	$(BIN)/python -m tests.bench.rounds
	$(BIN)/python -m tests.bench.starting

bench-quality: $(VENV)/.dev ## How well the engine ranks: nDCG, slices, what each criterion brings
	$(BIN)/python -m tests.bench.quality

test-compose: $(VENV)/.dev ## Build the containers, start them, play the story, kill every part (needs Docker)
	@# a killed broker's JVM has taken most of a minute to boot beside other work: nobody's promised time
	BANDUNG_TEST_PATIENCE_SECONDS=180 $(PYTEST) tests/compose -m compose -p no:randomly -s

up: ## Build and start everything in containers; prints addresses and the first sign-in
	@$(PYTHON) deploy/stack.py up

down: ## Stop the containers; VOLUMES=1 removes the data too
	@$(PYTHON) deploy/stack.py down $(if $(VOLUMES),--volumes)

lint: $(VENV)/.dev ## ruff, mypy, import rules, size of functions, contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy deploy/stack.py deploy/probe.py deploy/examples/partner
	$(BIN)/lint-imports
	$(BIN)/python -m tests.support.sizes
	$(BIN)/bandung contracts check
	$(BIN)/bandung docs check

contracts: $(VENV)/.dev ## Write shared/contracts after a change of an event or a route
	$(BIN)/bandung contracts write

docs: $(VENV)/.dev ## Fill in the parts of the guides that are made from the code
	$(BIN)/bandung docs write

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lock: ## Refresh the lock files to the newest versions (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q --upgrade --extra local pyproject.toml -o requirements.lock
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q -c requirements.lock pyproject.toml -o requirements-service.lock
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q --extra local --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q --group pyproject.toml:build -o requirements-build.lock

clean: ## Remove the virtual environment and the local state
	rm -rf $(VENV) .bandung .mypy_cache .ruff_cache .pytest_cache
