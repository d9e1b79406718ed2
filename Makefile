# What a developer does, one word each; `make` lists them. Each sets up $(VENV) by itself.
# Needs Python 3.11 or newer (with venv and pip) and GNU make; nothing else, and no active environment.

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PYTHONS := $(PYTHON) python3.13 python3.12 python3.11 python3 python
FIRST_EXAMPLE := examples/modules/task.yaml
CORE := $(VENV)/.core-installed
DEV := $(VENV)/.dev-installed
LOCAL := $(VENV)/.local-installed
MUTANTS := $(VENV)/.mutants-installed
MODEL := .venvs/models/SmolLM2-135M-Instruct.Q4_1.gguf
ARGS ?=

# Where Python may not keep its compiled modules, each of the many processes of the tests compiles all of them anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo check test test-all bench mutants changelog constraints clean

help:  ## list these commands
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | while IFS='	' read -r name about; do \
		printf '  make %-12s %s\n' "$$name" "$$about"; done

demo: $(CORE)  ## run the first example: no key, no model, no network
	$(BIN)/swarm run $(FIRST_EXAMPLE) --endpoint offline

check: $(DEV)  ## lint, format, types, layers, and the limits on size, density and wording
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_tail.py tests/test_density.py tests/test_english.py

test: $(DEV)  ## the tests that take at most five minutes; ARGS="-k graph" narrows them
	$(BIN)/python -m pytest -n auto -m "not slow and not real_model" $(ARGS)

test-all: $(LOCAL) $(MODEL)  ## every test, at most thirty minutes
	$(BIN)/python -m pytest -n auto $(ARGS)

bench: $(DEV)  ## every measurement in bench/, one after the other
	@set -e; for file in $(filter-out bench/mutants.py,$(wildcard bench/*.py)); do echo "== $$file"; $(BIN)/python "$$file"; done

mutants: $(MUTANTS)  ## change the core on purpose, 300 times, and count what the tests notice: at most 45 minutes
	$(BIN)/python bench/mutants.py $(ARGS)

changelog: $(DEV)  ## show the next release's changelog; VERSION=0.2.0 writes it and removes the fragments
	$(BIN)/towncrier build $(if $(VERSION),--yes --version $(VERSION),--draft --version next)

constraints: $(BIN)/python  ## write constraints.txt anew from the newest releases that pyproject.toml allows
	$(BIN)/python -m venv --clear .venvs/constraints
	.venvs/constraints/bin/python -m pip install -qq --upgrade pip setuptools
	.venvs/constraints/bin/python -m pip install -qq -e ".[all]" --group dev --group mutants
	(echo "# The versions that are tested, names and versions only; written by \`make constraints\`."; \
	 .venvs/constraints/bin/python -m pip list --format=freeze --exclude local-agent-swarm) > constraints.new
	mv constraints.new constraints.txt
	rm -r .venvs/constraints

clean:  ## remove what builds and tests left; the environment stays
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache .venvs
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# A name on PATH may be a shim that does not run, or a Python without venv: the first that really works is taken.
$(BIN)/python:
	@for python in $(PYTHONS); do \
		if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			echo "Setting up $(VENV) with $$("$$python" -V), once."; exec "$$python" -m venv --clear $(VENV); \
		fi; \
	done; \
	echo "No Python 3.11 or newer with venv and pip was found (tried: $(strip $(PYTHONS)))." >&2; \
	echo "Install one (on Debian and Ubuntu: python3 and python3-venv), or name it: make PYTHON=/path/to/python" >&2; \
	exit 1

# pip itself is pinned too: dependency groups need 25.1, and Python 3.11 may bring 23.
$(CORE): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -qq --upgrade -c constraints.txt pip
	$(PIP) install -qq -c constraints.txt --build-constraint constraints.txt -e .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -qq --upgrade -c constraints.txt pip
	$(PIP) install -qq -c constraints.txt --build-constraint constraints.txt -e ".[files,mcp,otel,sandbox,web]" --group dev
	@touch $(CORE) $@

$(MUTANTS): $(DEV)
	$(PIP) install -qq -c constraints.txt --group mutants
	@touch $@

# What serves a model file, and a small one, fetched once and checked by its hash.
$(LOCAL): $(DEV)
	$(PIP) install -qq -c constraints.txt --build-constraint constraints.txt -e ".[local]"
	@touch $@

$(MODEL): | $(LOCAL)
	$(BIN)/swarm models get smollm2 --to $(@D)
