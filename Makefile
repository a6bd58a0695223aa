# Needs Python >= 3.11, git and make; everything else is installed into $(VENV).
#
#   make demo   install the package, print and plot the spectrum of azobenzene
#   make test   install everything, run the tests
#   make lint   install everything, check style and types
#   make audit  are versions as pinned, is one known to be vulnerable
#   make docs   install everything, build the documentation site into site/

PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PINS := requirements/constraints.txt
# One thread a process: the tests run in two processes.
WORKERS ?= 2
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1

COMPARE := $(addprefix --compare ,$(wildcard examples/azobenzene.reference.json))

.PHONY: help demo install install-dev test test-slow notebooks server-load lint audit docs pictures format clean
.DEFAULT_GOAL := help

help:
	@sed -n '3,7s/^#   //p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "esml needs Python 3.11 or newer; set PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamps keep an environment until the project's requirements change.
$(VENV)/.installed: pyproject.toml $(PINS) | $(BIN)/python
	$(PIP) install --quiet -c $(PINS) setuptools
	$(PIP) install --quiet -c $(PINS) --no-build-isolation -e ".[plot]"
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(PINS) | $(BIN)/python
	$(PIP) install --quiet -c $(PINS) setuptools
	$(PIP) install --quiet -c $(PINS) --no-build-isolation -e ".[all,dev,docs]"
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

demo: install
	$(BIN)/esml spectrum examples/azobenzene.xyz --plot azobenzene.png $(COMPARE)

test: install-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-slow: install-dev
	$(BIN)/python -m pytest -n $(WORKERS) -m slow

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The notebooks of examples/notebooks run from top to bottom.
notebooks: install-dev
	$(BIN)/python -m pytest -n $(WORKERS) -m slow tests/test_notebooks.py

# 50 clients ask the server at once; it is killed in the middle of a list, and started again.
server-load: install-dev
	$(BIN)/python -m pytest -m slow tests/serve

# pip-audit has a folder of its own, beside the pinned versions; without a network that part is skipped.
audit: install-dev
	@$(PIP) install --quiet --retries 1 --timeout 10 --target $(VENV)/audit --upgrade pip-audit \
	  2>/dev/null || echo "pip-audit cannot be installed here"
	$(BIN)/python -m scripts.robustness.audit --tools $(VENV)/audit

docs: install-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Half an hour; with NAMES="tutorials notebooks" some of them only.
pictures: install-dev
	$(BIN)/python -m scripts.pictures.redraw $(if $(NAMES),--only $(NAMES))

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build site dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
