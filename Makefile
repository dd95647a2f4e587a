# Every target sets up what it needs: git, make and Python 3.11 or newer are enough.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3.14 python3,$(if $(shell command -v $(p) 2>/dev/null),$(p))))
VENV := .venv
UV := $(VENV)/bin/uv
READY := $(VENV)/.ready
RUN := $(VENV)/bin
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never
# Without this, uv trusts only the certificates it ships, and fails behind a proxy that the system trusts.
UV_SYSTEM_CERTS ?= $(or $(UV_NATIVE_TLS),true)
export UV_SYSTEM_CERTS
# Without compiled modules, every process that the tests start would compile the bot and what it imports anew.
unexport PYTHONDONTWRITEBYTECODE
# The same for pip, which uses the system's store by itself only since 24.2. A configured file wins.
CERT = $(RUN)/python -m pip config list | grep -q '\.cert=' || \
	$(RUN)/python -c 'import ssl; print(ssl.get_default_verify_paths().cafile or "")'

.PHONY: help setup test coverage faults torture run lint format sandbox bench wheel clean
help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(UV):
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "turso-rotate needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	cert=$$($(CERT)); \
	$(RUN)/python -m pip install --quiet --disable-pip-version-check $${cert:+--cert "$$cert"} 'uv>=0.9'

$(READY): pyproject.toml uv.lock | $(UV)
	$(UV) sync --locked --quiet --inexact
	@touch $@

setup: $(READY) ## Prepare .venv; every other target does this by itself

test: $(READY) ## Run every test (SQLite, PostgreSQL, HTTP, Socket Mode, migrations, wheel)
	$(RUN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

# Without tests whose bot is a process of its own: it is killed at the end, and reports less than it ran.
coverage: $(READY) ## Show which lines and branches the tests in one process leave out
	$(RUN)/python -m pytest --numprocesses auto --dist worksteal --cov --ignore tests/e2e --ignore tests/browser $(ARGS)

faults: $(READY) ## Run the fault suite alone: docs/faults.md, row by row
	$(RUN)/python -m pytest tests/e2e -m "fault or mistake" $(ARGS)

torture: $(READY) ## Break everything under real replicas, and look for broken laws (ARGS="--seconds 600 --seed 7")
	$(RUN)/python -m tests.torture $(ARGS)

sandbox: $(READY) ## Try the bot in a browser, without Slack or Turso
	$(RUN)/turso-rotate sandbox $(ARGS)

run: $(READY) ## Migrate the database and serve Slack, with the settings in the environment or .env
	$(RUN)/turso-rotate serve --migrate

bench: $(READY) ## Measure speed, side by side with other programs (ARGS=--quick: four minutes, --long: over an hour)
	$(RUN)/python -m tests.bench $(ARGS)

lint: $(READY) ## Check formatting, lint, types and import contracts
	$(RUN)/ruff format --check
	$(RUN)/ruff check
	$(RUN)/mypy
	$(RUN)/lint-imports

format: $(READY) ## Format the code, and fix what ruff can fix
	$(RUN)/ruff check --fix
	$(RUN)/ruff format

# Every file in them gets hatchling's fixed date, so that a checkout, an sdist and the image build the same wheel.
wheel: $(READY) ## Build the sdist and the wheel into dist/, with the hashes of their dependencies
	env -u SOURCE_DATE_EPOCH $(UV) build --quiet --no-build-isolation --python $(RUN)/python
	$(UV) export --quiet --locked --no-default-groups --no-emit-project --no-header --output-file dist/requirements.txt

clean: ## Remove the virtual environment and all caches
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
