# The same targets on a laptop and in CI.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup check test test-slow demo docs bench golden

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(READY)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/make_reference.py --check

test: setup
	$(BIN)/pytest -q -n 2 --dist loadfile

test-slow: setup
	$(BIN)/pytest -q -m slow

demo: setup
	$(BIN)/delineate demo

# The reference pages, from the code.
docs: setup
	$(BIN)/python docs/make_reference.py

# Accept changed results; look at the difference before committing it.
golden: setup
	DELINEATE_GOLDEN=write $(BIN)/pytest -q tests/journeys/test_golden.py

bench: setup
	$(BIN)/python benchmarks/run.py
