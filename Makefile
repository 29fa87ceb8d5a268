# Everything is one command: what it needs is installed into .venv the first time, and only then.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check bench clean
# Two targets must not install into the same environment at the same time.
.NOTPARALLEL:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# $(call ready,EXTRAS,STAMPS): install the package with EXTRAS, unless one of STAMPS tells that it is there.
# A stamp holds the folder, the Python and the files that the installation was made from, so a checkout that
# was moved or copied, a new Python and a new constraint each lead to a new installation.
define ready
	@set -eu; \
	if ! $(PY) -c 'import pip, importlib.metadata as m; m.version("pip")' 2>/dev/null; then \
	    $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	        echo "isthmus needs Python 3.11 or newer as '$(PYTHON)'; name another one: make PYTHON=/path/to/python3.11"; \
	        exit 1; }; \
	    $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	        echo "'$(PYTHON) -m venv' does not work here. On Debian and Ubuntu: apt install python3-venv"; \
	        exit 1; }; \
	    echo "Making $(VENV)"; \
	    $(PYTHON) -m venv $$($(PY) -c '' 2>/dev/null || echo --clear) $(VENV); \
	fi; \
	wanted() { pwd; $(PY) -V; cat pyproject.toml constraints.txt; }; \
	for stamp in $(2); do \
	    if wanted | cmp -s - $(VENV)/installed-$$stamp; then exit 0; fi; \
	done; \
	echo "Installing isthmus$(1) into $(VENV): a minute or two the first time"; \
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt -e ".$(1)"; \
	wanted > $(VENV)/installed-$(firstword $(2))
endef

demo: ## fit, judge and use an autoencoder on handwritten digits (a minute)
	$(call ready,,core test dev)
	$(VENV)/bin/isthmus demo

test: ## the default tests (under ten minutes on two cores)
	$(call ready,[test],test dev)
	$(PY) -m pytest -n 2 --dist worksteal -m "not slow"

test-all: ## the default tests and the slow ones
	$(call ready,[test],test dev)
	$(PY) -m pytest -n 2 --dist worksteal

check: ## style, types, import contracts and the examples in the documentation
	$(call ready,[dev],dev)
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command as lint; lint()'
	$(PY) -m pytest -q -n 2 --dist worksteal tests/test_docs.py

# Real data are never part of the repository; a folder of them beside it is used where there is one.
bench: ## every benchmark in turn; they print ratios (real data: set ISTHMUS_DATA)
	$(call ready,[test],test dev)
	@if [ -z "$${ISTHMUS_DATA:-}" ] && [ -d ../shared/data ]; then ISTHMUS_DATA=$$(cd ../shared/data && pwd); fi; \
	export ISTHMUS_DATA; failed=""; \
	for script in benchmarks/bench_*.py; do \
	    if [ ! -e "$$script" ]; then echo "there are no benchmarks yet"; exit 0; fi; \
	    echo; echo "== $$script"; \
	    if [ -z "$${ISTHMUS_DATA:-}" ] && grep -q ISTHMUS_DATA "$$script"; then \
	        echo "skipped: it reads real data from the folder that ISTHMUS_DATA names, and that is not set"; \
	    else \
	        $(PY) "$$script" || failed="$$failed $$script"; \
	    fi; \
	done; \
	if [ -n "$$failed" ]; then echo; echo "failed:$$failed"; exit 1; fi

clean: ## remove .venv, caches and what `make demo` wrote
	rm -rf $(VENV) build dist isthmus.egg-info isthmus-demo
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find isthmus tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
