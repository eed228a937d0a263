# make demo   create .venv, install, run a small version of the study on the built-in data
# make test   install all three backends, run ruff and mypy, then the tests on each
# Everything goes into .venv in this folder; `make clean` removes it.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# A test file stays in one process, which then compiles its models once.
PYTEST = $(BIN)/python -m pytest -n auto --dist loadfile

.PHONY: demo test lint format clean

demo: $(VENV)/installed-demo
	$(BIN)/kerasdl reproduce --quick

test: lint
	KERAS_BACKEND=tensorflow $(PYTEST)
	KERAS_BACKEND=jax $(PYTEST) -m backend
	KERAS_BACKEND=torch $(PYTEST) -m backend

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

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
	rm -rf $(VENV)
