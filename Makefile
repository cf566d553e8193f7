# Every target sets up what it needs by itself; a new machine has Python 3.11+, pip, make and gcc.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
PIP_QUIET := --quiet --disable-pip-version-check

.PHONY: demo test lint golden bench oracles oracles-ray clean
.DEFAULT_GOAL := demo

$(VENV)/demo: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN)/pip install $(PIP_QUIET) -e .
	touch $@

$(VENV)/test: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN)/pip install $(PIP_QUIET) -e '.[test]'
	touch $@

.venv-oracles/ready: pyproject.toml
	$(PYTHON) -m venv .venv-oracles
	.venv-oracles/bin/pip install $(PIP_QUIET) torch==2.13.0 transformers
	.venv-oracles/bin/pip install $(PIP_QUIET) -e .
	touch $@

.venv-ray/ready: pyproject.toml
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/pip install $(PIP_QUIET) -e '.[ray]'
	touch $@

demo: $(VENV)/demo  ## the main job on real input: one model on three kinds of chips
	$(RUN)/python examples/side_by_side.py

test: $(VENV)/test lint  ## everything that is light: no torch, no network
	$(RUN)/pytest

lint: $(VENV)/test
	$(RUN)/ruff format --check --quiet src tests benchmarks examples
	$(RUN)/ruff check --quiet src tests benchmarks examples
	$(RUN)/mypy src
	$(RUN)/lint-imports --no-cache | tail -n 4

golden: $(VENV)/test  ## expected outputs anew, after a change that is meant
	$(RUN)/python tests/golden/write.py

bench: $(VENV)/test  ## timings on this machine, as a table
	$(RUN)/python benchmarks/run.py

oracles: .venv-oracles/ready  ## exact counts against torch and transformers, recorded
	.venv-oracles/bin/python tests/oracles/transformers_counts.py
	.venv-oracles/bin/python tests/oracles/torch_flop.py

oracles-ray: .venv-ray/ready  ## a sweep on Ray against one process, workers killed too
	.venv-ray/bin/python tests/oracles/ray_sweep.py

clean:
	rm -rf $(VENV) .venv-oracles .venv-ray .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
