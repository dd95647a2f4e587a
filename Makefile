# Every target sets up what it needs: git, make and Python 3.11 or newer are enough.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3.14 python3,$(if $(shell command -v $(p) 2>/dev/null),$(p))))
VENV := .venv
UV := $(VENV)/bin/uv
READY := $(VENV)/.ready
RUN := $(VENV)/bin
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never

.PHONY: help test coverage faults run lint format types imports check sandbox bench wheel clean
help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(UV):
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "turso-rotate needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'

$(READY): pyproject.toml uv.lock | $(UV)
	$(UV) sync --locked --quiet --inexact
	@touch $@

test: $(READY) ## Run every test (SQLite, PostgreSQL, HTTP, Socket Mode, migrations, wheel)
	$(RUN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

# Those whose stories happen in processes of their own, killed at the end, would report less than they ran.
coverage: $(READY) ## Show which lines and branches the tests in one process leave out
	$(RUN)/python -m pytest --numprocesses auto --dist worksteal --cov --ignore tests/e2e --ignore tests/browser $(ARGS)

faults: $(READY) ## Run the fault suite alone: docs/faults.md, row by row
	$(RUN)/python -m pytest tests/e2e -m "fault or mistake" $(ARGS)

sandbox: $(READY) ## Try the bot in a browser, with no Slack and no Turso
	$(RUN)/turso-rotate sandbox $(ARGS)

run: $(READY) ## Migrate the database and serve Slack, with the settings of the environment or .env
	$(RUN)/turso-rotate serve --migrate

bench: $(READY) ## Measure speed, side by side with other programs (ARGS=--quick: four minutes, --long: over an hour)
	$(RUN)/python -m tests.bench $(ARGS)

lint: $(READY) ## Check formatting, lint, types and import contracts
	$(RUN)/ruff format --check
	$(RUN)/ruff check
	$(RUN)/mypy
	$(RUN)/lint-imports

format: $(READY) ## Format the code, mend what can be mended
	$(RUN)/ruff check --fix
	$(RUN)/ruff format

# Every file in them gets hatchling's one date, so that a checkout, a sdist and the image all make the same wheel.
wheel: $(READY) ## Build the sdist and the wheel into dist/, with what they need by its hash
	env -u SOURCE_DATE_EPOCH $(UV) build --quiet --no-build-isolation --python $(RUN)/python
	$(UV) export --quiet --locked --no-default-groups --no-emit-project --no-header --output-file dist/requirements.txt

clean: ## Remove the virtual environment and all caches
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
