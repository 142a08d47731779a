# Everything here needs only GNU make and a Python >= 3.11 with its venv module; the rest is installed below $(VENV).
# Another interpreter:  make test PYTHON=python3.13 VENV=.venv-3.13        Some tests only:  make test ARGS="-k frame"

VENV ?= .venv
ARGS ?=
ifndef PYTHON
PYTHON := $(shell for each in python3.13 python3.12 python3.11 python3; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$each"; break; }; done)
endif

PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
CODE := $(wildcard chargepoint security firmware logs tests benchmarks docs)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test check bench matrix docs lock wheel clean
.DELETE_ON_ERROR:

help:
	@echo "make demo     run the simulated Central System and an agent through the use cases of the white paper"
	@echo "make test     run all tests"
	@echo "make check    format, lint and strict types"
	@echo "make bench    benchmarks beside their baselines"
	@echo "make matrix   requirement id -> tests -> source lines"
	@echo "make docs     write the generated pages of docs/ again"
	@echo "make lock     resolve the dependencies again and write both lock files"
	@echo "make wheel    build the wheel in dist/, for a board"
	@echo "make clean    remove what was built and the virtual environment"

demo: $(INSTALLED)
	$(VENV)/bin/chargepoint demo $(ARGS)

test: $(INSTALLED)
	$(PY) -m pytest $(ARGS)

check: $(INSTALLED)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy $(CODE)

bench: $(INSTALLED)
	$(PY) -m benchmarks $(ARGS)

matrix: $(INSTALLED)
	$(PY) -m tests.ledger.matrix $(ARGS)

docs: $(INSTALLED)
	$(PY) -m docs.bounds
	$(PY) -m docs.configuration_keys
	$(PY) -m docs.security_events
	$(PY) -m docs.state_machines

# The lock comes first and holds the build tool, so that the project itself is built without a network.
$(INSTALLED): pyproject.toml requirements.lock
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 was found. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is not a Python >= 3.11. Name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	$(PY) $(PIP_INSTALL) --require-hashes --requirement requirements.lock
	$(PY) $(PIP_INSTALL) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

# The resolver is no part of the lock: nobody needs it to build, test or run. New versions: make lock ARGS=--upgrade
RESOLVE := build/uv/bin/uv pip compile pyproject.toml --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header

lock:
	@test -x build/uv/bin/uv || { "$(PYTHON)" -m venv build/uv && build/uv/bin/python $(PIP_INSTALL) uv; }
	$(RESOLVE) --all-extras --output-file requirements.lock $(ARGS)
	$(RESOLVE) --extra rauc --extra transfers --constraints requirements.lock --output-file deploy/requirements.lock

wheel: $(INSTALLED)
	rm -rf build/lib build/bdist.* dist
	$(PY) -m build --wheel --no-isolation

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
