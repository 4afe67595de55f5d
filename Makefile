# Every target creates the environment that it needs; a second run finds it up to date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= demo-out

.DEFAULT_GOAL := help
.PHONY: help install browser checker demo test check lint types imports models bench bench-full clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

install: $(STAMP) ## Create the virtual environment from the lock file

# --no-deps: the lock file is complete, and leaves out the second OpenCV, which needs libGL (docs/adr/0006).
$(STAMP): requirements.lock tests/webhooks/other-witness.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --ignore-requires-python -r tests/webhooks/other-witness.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

models: $(STAMP) ## Download and check the two default models and the sample photos (once)
	$(BIN)/volens models pull --quiet
	@$(BIN)/volens demo --photos $(VENV)/sample-photos > /dev/null

demo: models ## The main job in one minute, on real photos; leaves demo-out/
	$(BIN)/volens demo --out $(OUT)

# One process more than cores, because many tests wait for locks, timers and other processes; an idle one takes tests
# from the others (work stealing). Tests start many processes of the command line: without bytecode on disk each would
# compile all of the source (0.4 of 1.6 s).
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(shell expr $$(nproc) + 1) --dist worksteal

# Debian's browser, without which the tests of the pages fail. As another user than root, install it beforehand.
browser:
	@command -v chromium > /dev/null || { apt-get update && apt-get install --yes --no-install-recommends chromium; }

# Debian's model checker, and the compiler that it uses, for docs/models; likewise.
checker:
	@command -v spin > /dev/null && command -v gcc > /dev/null || \
		{ apt-get update && apt-get install --yes --no-install-recommends spin gcc libc6-dev; }

test: models browser checker ## Run every test
	$(PYTEST)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

check: lint types imports models browser checker ## The gate: ruff, mypy --strict, import-linter, tests with branch coverage
	$(PYTEST) --cov --cov-report=term:skip-covered

# The interpreter of the peers' environment (docs/performance.md). With ours, missing peers are left out and named.
PEERS ?= $(BIN)/python
PICTURES = @$(PEERS) -c "import matplotlib" 2>/dev/null && $(PEERS) -m benchmarks.matching.plots || echo "no pictures: matplotlib is not installed"

bench: models ## Measure identification and its peers; takes minutes
	$(PEERS) -m benchmarks.matching small
	$(PICTURES)
	$(PEERS) -m benchmarks.matching.figures

bench-full: models ## The same up to a million people; takes hours
	$(PEERS) -m benchmarks.matching full
	$(PICTURES)
	$(PEERS) -m benchmarks.matching.figures

clean: ## Remove the environment, caches and the demo's output
	rm -rf $(VENV) demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
