# Every target builds .venv by itself; `make help` lists the targets.
#
#   make test PYTEST_ARGS="-n 2 -k reference"    arguments for pytest
#   make demo PYTHON=python3.12                  the Python that .venv is made from
#   make docs DOCS_ARGS="-D plot_gallery=0"      arguments for sphinx-build: here, run no lesson

PYTHON ?= python3
PYTEST_ARGS ?= -n 2 --dist loadfile
BENCH_ARGS ?=
DEMO_ARGS ?=
DOCS_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all lint format bench bench-costs docs wheel clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.stamp-run ## train, export, reload and use a network on real MNIST
	$(BIN)/python scripts/demo.py $(DEMO_ARGS)

test: $(VENV)/.stamp-dev ## run the tests, but for the slow ones
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m "not slow"

test-all: $(VENV)/.stamp-dev ## run the whole test suite, slow tests included
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.stamp-dev ## check style, types, the direction of imports and the scripts of the web pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/oxlint --deny-warnings modelzoo/web

format: $(VENV)/.stamp-dev ## mend what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.stamp-bench ## measure the trainer beside Keras fit, PyTorch, JAX and scikit-learn
	$(BIN)/python scripts/benchmark.py train $(BENCH_ARGS)

bench-costs: $(VENV)/.stamp-bench ## measure starting, loading, predicting and memory
	$(BIN)/python scripts/benchmark.py costs $(BENCH_ARGS)

# A lesson runs again where its own file has changed, and all of them where a pretrained model has.
docs: $(VENV)/.stamp-docs build/.stamp-lessons ## build the documentation, build/docs/index.html
	$(BIN)/sphinx-build -W --keep-going -d build/doctrees -b html $(DOCS_ARGS) docs build/docs

build/.stamp-lessons: $(wildcard saved_models/*/*/assets.extra/modelzoo.json)
	rm -rf docs/auto_figures docs/auto_lessons
	@mkdir -p build && touch $@

# setuptools packs whatever an earlier build left in build/lib, so that goes first.
wheel: $(VENV)/.stamp-dev ## build dist/keras_modelzoo-*.whl
	rm -rf build/lib build/bdist.* dist/keras_modelzoo-*.whl
	$(BIN)/python -m build --wheel

clean: ## remove what the other targets made, except .venv
	rm -rf build dist docs/auto_figures docs/auto_lessons docs/reference/generated *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	find modelzoo saved_models scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf $(VENV)

# Stamps say which extras are installed; a change of setup.cfg or pyproject.toml installs again.
$(VENV)/.stamp-run: setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing modelzoo into $(VENV) (a few minutes the first time) ..."
	$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.stamp-dev: setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing modelzoo[dev] into $(VENV) (a few minutes the first time) ..."
	$(PIP_INSTALL) -e '.[dev]'
	@touch $(VENV)/.stamp-run $@

$(VENV)/.stamp-bench: setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing modelzoo[dev,bench] into $(VENV) (a few minutes the first time) ..."
	$(PIP_INSTALL) -e '.[dev,bench]'
	@touch $(VENV)/.stamp-run $(VENV)/.stamp-dev $@

$(VENV)/.stamp-docs: setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing modelzoo[docs] into $(VENV) (a few minutes the first time) ..."
	$(PIP_INSTALL) -e '.[docs]'
	@touch $(VENV)/.stamp-run $@

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "No $(PYTHON) found. Install Python 3.10 or newer, or name one: make PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "$$($(PYTHON) -V) is too old: modelzoo needs 3.10 or newer. Name another: make PYTHON=python3.12." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || $(PYTHON) -m virtualenv $(VENV) || \
	  { rm -rf $(VENV); echo "Cannot create $(VENV): on Debian and Ubuntu 'apt install python3-venv' mends that." >&2; exit 1; }
