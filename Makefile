# The verbs of accountd; each builds the environment that it needs.
#
#   make demo      see it work, on a simulated exchange
#   make test      run all tests        make style types docs   the other guards
#   make bench     measure it           make clients            official clients against the simulation
#   make browser   the dashboard in a real Chromium, which must be installed
#   make wheel     build a wheel        make clean              remove what was built

VENV := .venv
CLIENTS := .venv-clients
BROWSER := .venv-browser
BIN := $(VENV)/bin

# A version manager may have a name on PATH that does not start: ask each candidate for its version.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV ?= $(shell command -v uv 2>/dev/null)

ifneq ($(UV),)
create = $(UV) venv --quiet --clear $(if $(PYTHON),--python $(PYTHON),--python 3.12) $(1)
install = $(UV) pip install --quiet --python $(1)/bin/python $(2)
else
create = $(if $(PYTHON),,$(error accountd needs Python 3.11 or newer, or uv))$(PYTHON) -m venv --clear $(1) && \
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
install = $(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2)
endif

.PHONY: demo test style types docs bench clients browser wheel clean
.DELETE_ON_ERROR:

$(VENV)/.stamp: pyproject.toml
	@echo "building $(VENV)"
	@$(call create,$(VENV))
	@$(call install,$(VENV),-e . --group test --group lint)
	@touch $@

$(CLIENTS)/.stamp: pyproject.toml
	@echo "building $(CLIENTS)"
	@$(call create,$(CLIENTS))
	@$(call install,$(CLIENTS),-e . --group clients)
	@touch $@

$(BROWSER)/.stamp: pyproject.toml
	@echo "building $(BROWSER)"
	@$(call create,$(BROWSER))
	@$(call install,$(BROWSER),-e . --group browser)
	@touch $@

demo: $(VENV)/.stamp
	@$(BIN)/accountd demo $(ARGS)

test: $(VENV)/.stamp
	$(BIN)/python -m pytest -q -n 3 --dist worksteal $(ARGS)

style: $(VENV)/.stamp
	$(BIN)/ruff check .

types: $(VENV)/.stamp
	$(BIN)/mypy

docs: $(VENV)/.stamp
	$(BIN)/python -m pytest -q tests/test_docs.py tests/test_architecture.py

bench: $(VENV)/.stamp
	$(BIN)/python -m benchmarks $(ARGS)

clients: $(CLIENTS)/.stamp
	$(CLIENTS)/bin/python -m pytest -q -c pyproject.toml --rootdir . -o norecursedirs= -o filterwarnings= tests/clients

browser: $(BROWSER)/.stamp
	$(BROWSER)/bin/python -m pytest -q -c pyproject.toml --rootdir . -o norecursedirs=build tests/browser $(ARGS)

wheel: $(VENV)/.stamp
	@$(call install,$(VENV),build)
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) $(CLIENTS) $(BROWSER) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
