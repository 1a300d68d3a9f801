# Everything runs in .venv, which is made on first use and needs only Python >= 3.11, make and a package registry.
PYTHON ?= python3
BIN := .venv/bin
TORCH ?= torch==2.13.0

.PHONY: demo test lint tables clean

demo: .venv/.run
	$(BIN)/pfgm demo --out demo

test: .venv/.dev lint
	$(BIN)/python -m pytest -q

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

tables: .venv/.dev
	$(BIN)/python -m benchmarks.tables

# torch first and by version: packages that ask for torch would otherwise bring the build for CUDA.
.venv/.torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed; set PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	touch $@

.venv/.run: .venv/.torch pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[data,molecules,antibodies]"
	touch $@

.venv/.dev: .venv/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[data,molecules,antibodies,dev]"
	touch $@

clean:
	rm -rf .venv demo dist build
