# Two commands: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo install test clean

demo: $(INSTALLED)  ## install everything and run Algorithm 1 whole on images the project makes itself
	$(BIN)/psol run --config jobs/demo.yaml

install: $(INSTALLED)  ## make .venv with the pinned dependencies

$(INSTALLED): setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"found Python {v[0]}.{v[1]}, expected 3.11 or newer; try: make PYTHON=python3.12 $(or $(MAKECMDGOALS),install)")'
	@echo "Installing into $(VENV): about 6 GB with the GPU builds of torch and DALI ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$$(sed -n 's/^uv==//p' constraints.txt)
	@# Compiled once here: where Python may not write bytecode, every process would compile torch anew, for seconds.
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[demo,test]'
	@touch $@

test: $(INSTALLED)  ## lint, types, layers and every test; at the end what was skipped and why, and how long all took
	@date +%s > $(VENV)/.test_started
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@# In two processes, because tests of Ray wait for it most of the time; with bytecode, which its workers share.
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadgroup
	@took=$$(( $$(date +%s) - $$(cat $(VENV)/.test_started) )); echo "make test took $$(( took / 60 )) min $$(( took % 60 )) s"

clean:
	rm -rf $(VENV) runs
