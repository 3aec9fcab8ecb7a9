# Two commands on a fresh machine: `make demo` runs the main job on real wheels, `make test` passes the tests.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(1 + (os.cpu_count() or 1))')  # they wait at times
unexport PYTHONDONTWRITEBYTECODE  # else each worker compiles all tests at each run

$(VENV)/ready: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("tf-tester needs Python 3.11 or newer; name one with PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: demo test lint unit real docs lock clean
demo: $(VENV)/ready  ## three real TensorFlow versions, the newest that the Pythons of this machine can run
	$(BIN)/tf-tester test examples/savedmodel_roundtrip.py --package tensorflow-cpu --versions minors --last 3

test: lint  ## everything that needs no network
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal -p no:inline_snapshot  # it does nothing in several processes

lint: $(VENV)/ready  ## ruff, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/ready  ## the quick tests
	$(BIN)/pytest --quiet --numprocesses auto tests/unit

real: $(VENV)/ready  ## the slower tests: on real wheels, and tables as a whole
	$(BIN)/pytest -m real
	$(BIN)/pytest -m browser
	$(BIN)/pytest -m whole --numprocesses $(WORKERS) --dist worksteal
	$(BIN)/pytest tests/property --hypothesis-profile whole --numprocesses $(WORKERS) --dist worksteal

docs: $(VENV)/ready  ## the pages that are made from the program itself
	$(BIN)/python docs/generate_settings.py
	$(BIN)/python docs/generate_record_schema.py

lock: $(VENV)/ready  ## pin the newest of everything that we depend on
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --extra dev \
	    --custom-compile-command "make lock" --no-annotate --upgrade pyproject.toml --output-file requirements.txt
	echo 'hatchling>=1.27' | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	    --custom-compile-command "make lock" --no-annotate --constraint requirements.txt pyproject.toml - \
	    --output-file requirements-run.txt  # what action.yml installs

clean:  ## forget the virtual environment and what tools remember
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
