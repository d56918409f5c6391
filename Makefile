# make demo   draw faces, train a DCGAN on them for 3.5 minutes, write a report
# make test   everything that CI runs
# make test-faults   a hundred kills while a run saves and trains; takes about fifteen minutes
# make test-backends   every model on TensorFlow, JAX and PyTorch, which it installs; takes about fifteen minutes
# make lab    JupyterLab on the notebooks
# make test-versions   the tests with the oldest packages on Python 3.11 and the newest on 3.13; takes long
# make assignments   students' copies of the notebooks, for nbgrader: assignments/release
# make docs   the site with notebooks, API and the paper's table: site/index.html, also without a network
#
# Each makes the virtual environment on its first use. Choose another Python (3.11 to 3.13) with
# PYTHON=python3.12, another place with VENV=…, and the CUDA or CPU packages with REQUIREMENTS=….
# test-backends takes a CPU build of PyTorch, for which it asks PyTorch's own index beside PyPI; where
# that cannot be reached, TORCH=torch==2.13.0 (say) takes what PyPI has.

PYTHON ?= python3
VENV ?= .venv
REQUIREMENTS ?= $(shell if nvidia-smi -L >/dev/null 2>&1; then echo requirements.txt; else echo requirements-cpu.txt; fi)

BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS ?= .venv-docs
BACKENDS ?= .venv-backends
TORCH ?= "torch>=2.6,<3" --extra-index-url https://download.pytorch.org/whl/cpu
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))

.PHONY: demo test lint pytest nbval test-faults test-backends test-versions lab notebooks assignments docs clean

demo: $(READY)
	$(BIN)/python -m anime_keras demo

test: lint pytest nbval

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Two at a time; with more than one thread each, BLAS would wait for itself (notebook 05: 3 times as long).
pytest: $(READY)
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

nbval: $(READY)
	OPENBLAS_NUM_THREADS=1 ANIME_KERAS_SCALE=smoke $(BIN)/python -m pytest -p no:cacheprovider --nbval-lax \
		--nbval-current-env --nbval-cell-timeout=300 -n 2 --dist loadscope $(NOTEBOOKS)

test-faults: $(READY)
	ANIME_KERAS_KILLS=100 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -s tests/faults

test-backends: $(BACKENDS)/.ready
	ANIME_KERAS_ALL_BACKENDS=1 $(BACKENDS)/bin/python -m pytest -s tests/test_backends.py

$(BACKENDS)/.ready: $(READY)
	$(PYTHON) -m venv $(BACKENDS)
	$(BACKENDS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-cpu.txt -c constraints.txt
	$(BACKENDS)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH) -c constraints.txt
	$(BACKENDS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

test-versions:
	python3.11 tests/versions.py oldest $(TESTS)
	python3.13 tests/versions.py newest $(TESTS)

lab: $(READY)
	$(BIN)/jupyter lab notebooks

# Runs every notebook at laptop scale and keeps its outputs: do this before committing one.
notebooks: $(READY)
	$(BIN)/python -m anime_keras.notebooks $(NOTEBOOKS)
	ANIME_KERAS_SCALE=laptop $(BIN)/jupyter nbconvert --to notebook --execute --inplace $(NOTEBOOKS)

assignments: $(READY)
	$(BIN)/python -m anime_keras.assignments $(NOTEBOOKS) --out assignments

docs: $(DOCS)/.ready
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

$(DOCS)/.ready: docs/requirements.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	@touch $@

$(READY): requirements.txt requirements-cpu.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("anime_keras needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d. Try: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS) -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

clean:
	rm -rf $(VENV) $(DOCS) $(BACKENDS) site
