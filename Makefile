# Advantage Lab. `make lab` opens the dashboard, `make test` checks that all is well, `make help` lists the rest.

PYTHON ?= python3
PORT ?= 8501
JOBS ?= 2
SAMPLE ?= 60

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CODE = $(wildcard app.py lab simulators tests notebooks)
TYPED = $(wildcard app.py lab simulators)
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
# A file is one worker's job, so that each kernel is compiled where it is used.
PYTEST := $(BIN)/python -m pytest --durations 10
PARALLEL := -n $(JOBS) --dist loadfile

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help lab install install-dev quick test test-slow test-long test-browser check lint style types layers format bench mutants \
	notebooks constraints clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

lab: install ## open the dashboard on 127.0.0.1 (PORT=8501)
	$(BIN)/advlab app --port $(PORT)

notebooks: install ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab --ip 127.0.0.1 $(AS_ROOT) notebooks

install: $(VENV)/.installed ## create .venv and install the lab
	@true

install-dev: $(VENV)/.installed-dev ## the same with everything that the tests need
	@true

test: install-dev ## the quick tests
	$(PYTEST) $(PARALLEL) -m "not slow"

test-slow: test-long test-browser ## notebooks in a real kernel, every claim, faults, the browser

test-long: install-dev
	$(PYTEST) $(PARALLEL) -m "slow and not browser"

test-browser: install-dev
	$(PYTEST) $(PARALLEL) -m browser

check: lint quick ## style, types, layers, docstrings, quick tests: before each commit

# All quick tests but every page, claims, plugins and notebooks, which `make test` tries.
quick: install-dev
	$(PYTEST) $(PARALLEL) -m "not slow" --ignore tests/pages/test_pages.py --ignore tests/pages/test_papers.py \
		--ignore tests/pages/test_worlds.py --ignore tests/papers/test_claims.py --ignore tests/notebooks \
		--ignore tests/house/test_one_file_each.py --ignore tests/worlds/test_plugins.py

lint: style types layers ## style, types, layers, docstrings

style: install-dev
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

types: install-dev
	$(BIN)/mypy $(TYPED)

layers: install-dev
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/house/test_circles.py

format: install-dev ## put the code into the house style
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

bench: install-dev ## measure the speed on this machine
	$(BIN)/advlab bench

mutants: install-dev ## small changes of the sources that no quick test notices (SAMPLE=60 of each room; 0: all)
	$(BIN)/python -m tests.mutants --sample $(SAMPLE) --jobs $(JOBS)

constraints: install-dev ## write the installed versions into constraints.txt
	@{ sed '/^[^#]/,$$d' constraints.txt; $(PIP) freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//'; } > constraints.new
	@mv constraints.new constraints.txt

clean: ## remove what tests and tools left behind; runs/ and .venv stay
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find app.py lab simulators tests -name __pycache__ -prune -exec rm -rf {} +

# The stamps: an install is repeated only when these two files change, and leaves a stamp only when it went through.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(call install,torch$(comma)notebooks)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt
	@$(call install,torch$(comma)notebooks$(comma)dev)
	@touch $(VENV)/.installed $@

comma := ,
define install
rm -f $(VENV)/.installed $(VENV)/.installed-dev; \
set -e; \
new="import sys; sys.exit(sys.version_info < (3, 11))"; \
python=$(BIN)/python; test -x $$python || python="$(PYTHON)"; \
$$python -c "$$new" || { \
	echo "Advantage Lab needs Python 3.11 or newer, and '$$python' is: $$($$python --version 2>&1)."; \
	echo "Name another one, for example: make PYTHON=python3.12 (and remove $(VENV) if it is old)."; exit 1; }; \
$$python -m pip --version >/dev/null 2>&1 && test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
echo "Installing into $(VENV) (the first time takes a few minutes)."; \
$(PIP) install --constraint constraints.txt --editable ".[$(1)]"
endef
