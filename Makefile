# Everything runs in .venv, which these rules make from any Python 3.11 or later.
#   make demo            a real model: compressed, restored, compared with zstd
#   make test            lint, types and every test
#   make faults          the command killed at 200 random moments, and ended at every line that makes a file (10 minutes)
#   make fuzz            hostile input for long: FUZZ_SECONDS=600 for each of eleven targets
#   make bench           every codec on every file; BENCH=--quick for a few minutes' worth
#   make PYTHON=python3.13 test

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
FUZZ_SECONDS ?= 600
PORTABLE := tests/kernels tests/stages tests/test_bulk.py tests/test_stability.py tests/test_structure.py tests/test_columns.py tests/test_repeats.py

.PHONY: help demo test lint types tests faults fuzz bench clean
help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.base
	@$(RUN) -m bench.demo

test: lint types tests

lint: $(VENV)/.dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(VENV)/.dev
	$(RUN) -m mypy

# The whole suite as it runs for a user; then the kernels, the stages and what is written on the portable path, as on a
# CPU without AVX-512; then the kernels as plain Python, where bounds are checked by numpy.
tests: $(VENV)/.dev
	$(RUN) -m pytest -q -n 2 --dist loadfile
	CODEC_KERNELS=portable $(RUN) -m pytest -q -n 2 --dist loadfile $(PORTABLE)
	CODEC_KERNELS=portable NUMBA_DISABLE_JIT=1 $(RUN) -m pytest -q -n 2 --dist loadfile tests/kernels

faults: $(VENV)/.dev
	$(RUN) -m tests.faults.run --kills 200 --signals 48
	$(RUN) -m tests.faults.points kill
	$(RUN) -m tests.faults.points interrupt-instructions

# Guided by coverage where atheris has a wheel, else by mutation alone; then every position and many more seeds.
fuzz: $(VENV)/.dev
	-$(RUN) -m pip install --quiet --only-binary :all: atheris
	$(RUN) -m tests.fuzz --seconds $(FUZZ_SECONDS)
	HOSTILE_ALL=1 GUARD_SCALE=30 $(RUN) -m pytest -q tests/hostile

bench: $(VENV)/.bench
	$(RUN) -m bench.run $(BENCH)

clean:
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp says that the environment holds what pyproject.toml asks for, with one extra or none.
$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "weft needs Python 3.11 or later: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml | $(VENV)/bin/pip
	$(RUN) -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: pyproject.toml | $(VENV)/bin/pip
	$(RUN) -m pip install --quiet --editable '.[$*]'
	@touch $@
