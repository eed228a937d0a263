# make demo   create .venv, install, run a small version of the study on the built-in data
# make test   install all three backends, run ruff and mypy, build the site, then the tests on each
# make docs   build the documentation site in build/site; a broken link fails
# make release-check   build the packages, check them, and try the wheel on each Python of PYTHONS
# Everything goes into .venv in this folder; `make clean` removes it.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# A test file stays in one process, which then compiles its models once; tests/conftest.py says
# which files start first. A process that dies is not replaced: its test is reported, where
# pytest-xdist would wait forever.
PYTEST = $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder \
	--max-worker-restart=0

# Interpreters on which `make release-check` installs the wheel; those not found are skipped.
PYTHONS ?= python3.11 python3.12 python3.13

.PHONY: demo test lint docs format release-check clean

demo: $(VENV)/installed-demo
	$(BIN)/kerasdl reproduce --quick

test: lint docs
	KERAS_BACKEND=tensorflow $(PYTEST)
	KERAS_BACKEND=jax $(PYTEST) -m backend
	KERAS_BACKEND=torch $(PYTEST) -m backend

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-test
	$(BIN)/python docs/stage.py
	$(BIN)/zensical build --clean --strict

release-check: $(VENV)/installed-test
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	PYTHONS='$(PYTHONS)' .ci/try-wheel dist/*.whl

format: $(VENV)/installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'kerasdl needs Python 3.11 or later: make PYTHON=python3.12 ...'; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed-demo: $(BIN)/python setup.cfg constraints.txt
	$(PIP) -e '.[tensorflow]'
	@touch $@

$(VENV)/installed-test: $(BIN)/python setup.cfg constraints.txt
	$(PIP) -e '.[tensorflow,jax,torch,tfds,keras-cv,dev]'
	@touch $@ $(VENV)/installed-demo

clean:
	rm -rf $(VENV) build dist
