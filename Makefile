# make demo   draw faces, train a DCGAN on them for 3.5 minutes, write a report
# make test   everything that CI runs
# make lab    JupyterLab on the notebooks
# make assignments   students' copies of the notebooks, for nbgrader: assignments/release
#
# Each makes the virtual environment on its first use. Choose another Python (3.11 to 3.13) with
# PYTHON=python3.12, another place with VENV=…, and the CUDA or CPU packages with REQUIREMENTS=….

PYTHON ?= python3
VENV ?= .venv
REQUIREMENTS ?= $(shell if nvidia-smi -L >/dev/null 2>&1; then echo requirements.txt; else echo requirements-cpu.txt; fi)

BIN := $(VENV)/bin
READY := $(VENV)/.ready
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))

.PHONY: demo test lint pytest nbval lab notebooks assignments clean

demo: $(READY)
	$(BIN)/python -m anime_keras demo

test: lint pytest nbval

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

pytest: $(READY)
	$(BIN)/python -m pytest

nbval: $(READY)
	ANIME_KERAS_SCALE=smoke $(BIN)/python -m pytest -p no:cacheprovider --nbval-lax \
		--nbval-current-env --nbval-cell-timeout=300 -n 2 --dist loadscope $(NOTEBOOKS)

lab: $(READY)
	$(BIN)/jupyter lab notebooks

# Runs every notebook at laptop scale and keeps its outputs: do this before committing one.
notebooks: $(READY)
	$(BIN)/python -m anime_keras.notebooks $(NOTEBOOKS)
	ANIME_KERAS_SCALE=laptop $(BIN)/jupyter nbconvert --to notebook --execute --inplace $(NOTEBOOKS)

assignments: $(READY)
	$(BIN)/python -m anime_keras.assignments $(NOTEBOOKS) --out assignments

$(READY): requirements.txt requirements-cpu.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("anime_keras needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d. Try: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS) -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

clean:
	rm -rf $(VENV)
