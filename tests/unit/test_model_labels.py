"""Labels that measurements are published under mean one model of the catalogue, or none."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from eke.catalog.model_labels import keys, name_key, width_in_name
from eke.catalog.models import _path, model, model_names, names
from eke.catalog.standins import model_of_size
from eke.errors import BadInput, EkeError
from eke.physics.layers import count_parameters

# Every label of the inference measurements we have, by the id it means.
PUBLISHED = """
aquila-7b: BAAI/Aquila-7B
codellama-13b: CodeLlama-13b-hf
codellama-34b: codellama/CodeLlama-34b-Instruct-hf
decilm-7b: Deci/DeciLM-7B
deepseek-r1: DeepSeek R1 671b; DeepSeek-R1; DeepSeek-R1-0528; deepseek-ai/DeepSeek-R1;
    deepseek-r1
deepseek-v3: DeepSeek 671B; DeepSeek-V3/R1; deepseek-ai/DeepSeek-V3
deepseek-v3.2: DeepSeek-V3.2
falcon-180b: Falcon 180B
glm-4.5: GLM-4.6; GLM-4.6-FP8
glm-4.5-air: GLM-4.5-Air
glm-5: zhipuai/GLM-5
glm-5.2: GLM-5.2-FP8
gpt-j-6b: EleutherAI/gpt-j-6b; GPT-J 6B; gptj-99; gptj-99.9
gpt-oss-120b: GPT-OSS-120B; gpt-oss-120b; openai/gpt-oss-120b
gpt-oss-20b: GPT-OSS-20B; gpt-oss 20b
kimi-k2.5: Kimi-K2.6-NVFP4; moonshotai/Kimi-K2.5
llama-1-7b: LLaMA 7B
llama-2-13b: Llama-2-13B; Llama-2-13b
llama-2-70b: LLaMA 70B; Llama-2-70B; Llama-2-70b; Llama-2-70b-chat-hf-FP8; Llama-70B;
    llama2-70b-99; llama2-70b-99.9; llama2-70b-interactive-99; llama2-70b-interactive-99.9;
    meta-llama/Llama-2-70b-hf
llama-2-7b: LLaMA-2-7B; LLaMA2-7B; Llama-2-7B; Llama-2-7b; Llama-2-7b-chat-hf;
    meta-llama/Llama-2-7b-chat-hf; meta-llama/Llama-2-7b-hf;
    neuralmagic_Llama-2-7b-chat-hf-FP8
llama-3-70b: LLaMA v3 70B; Llama-3-70B; Meta-Llama-3-70B-Instruct; meta-llama/Meta-Llama-3-70B
llama-3-8b: Llama-3-8B; Meta-Llama-3-8B-Instruct; meta-llama/Meta-Llama-3-8B;
    meta-llama/Meta-Llama-3-8B-Instruct
llama-3.1-405b: LLaMA v3.1 405B; Llama 3.1 405B; Llama 3.1:405b; Llama-3.1-405B; llama3.1-405b;
    llama3_1-405b; llama3_1-405b-fp8_dyn; llama3_1-405b_finetuned
llama-3.1-70b: LLaMA 3.1 70B; LLaMA v3.1 70B; Llama 3.1 70B; Llama 3.1:70b;
    llama3_1-70b-fp8_dyn; llama3_1-70b-fp8_nim; llama3_1-70b-fp8_trtllm;
    llama3_1-70b-interactive-fp8_nim; meta-llama/Llama-3.1-70B;
    meta-llama/Llama-3.1-70B-Instruct
llama-3.1-8b: DeepSeek-R1-Distill-Llama-8B; LLaMA 3.1 8B; LLaMA v3.1 8B; Llama-3.1-8B;
    Llama-3.1-8B-Instruct; Meta-Llama-3.1-8B-Instruct; llama3.1-8b; llama3.1-8b-edge;
    llama3_1-8b; llama3_1-8b-edge; meta-llama/Llama-3.1-8B-Instruct
llama-3.2-3b: Llama 3.2:3b
llama-3.3-70b: DeepSeek-R1-Distill-Llama-70B; Llama 3.3 70B
llama-4-maverick: Llama 4 Maverick
llama-4-scout: Llama-4-Scout-17B-16E-Instruct;
    RedHatAI/Llama-4-Scout-17B-16E-Instruct-FP8-dynamic
minimax-m2.5: MiniMaxAI/MiniMax-M2.5
mistral-7b: Mistral 7B; mistralai/Mistral-7B-v0.1
mistral-7b-v0.2: Mistral-7B-Instruct-v0.2
mistral-nemo-12b: mistralai/Mistral-Nemo-Instruct-2407
mixtral-8x22b: Mixtral 8x22B; mistralai/Mixtral-8x22B-Instruct-v0.1;
    mistralai/Mixtral-8x22B-v0.1
mixtral-8x7b: Mixtral 8x7B; mistralai/Mixtral-8x7B-v0.1; mixtral-8x7b
qwen2-72b: Qwen/Qwen2-72B
qwen2-7b: Qwen/Qwen2-7B
qwen2.5-14b: DeepSeek R1 14b
qwen2.5-7b: Qwen/Qwen2.5-7B-Instruct; Qwen2.5-7B-Instruct
qwen3-0.6b: Qwen3-0.6B
qwen3-14b: Qwen/Qwen3-14B; Qwen3-14B; Qwen3-14B-AWQ; Qwen3-14B-FP8
qwen3-235b-a22b: Qwen3-235B-A22B; Qwen3-235B-A22B-Instruct-2507;
    Qwen3-235B-A22B-Instruct-2507-FP8
qwen3-30b-a3b: Qwen3-30B-A3B; Qwen3-30B-A3B-FP8; Qwen3-30B-A3B-Instruct-2507
qwen3-32b: Qwen3-32B; Qwen3-32B-AWQ; Qwen3-32B-FP8
qwen3-8b: Qwen3-8B; Qwen3-8B-FP8; Qwen3-8B-W8A8
qwen3.5-35b-a3b: Qwen3.5-35B-A3B; Qwen3.5-35B-A3B-FP8
qwen3.5-397b-a17b: Qwen/Qwen3.5-397B-A17B
yi-34b: 01-ai/Yi-34B
"""

# Spellings of other collections.
SPELT = {
    "amd/Llama-3.1-405B-Instruct-FP8-KV": "llama-3.1-405b",
    "amd/dbrx-instruct-FP8-KV": "dbrx",
    "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8": "llama-3.1-8b",
    "unsloth/DeepSeek-R1-Distill-Qwen-14B-bnb-4bit": "qwen2.5-14b",
    "TheBloke/Llama-2-13B-chat-GPTQ": "llama-2-13b",
    "nvidia/DeepSeek-R1-0528-NVFP4-v2": "deepseek-r1",
    "nvidia/Llama-3_3-Nemotron-Super-49B-v1_5-FP8": "llama-3.3-nemotron-super-49b",
    "nvidia/NVIDIA-Nemotron-Nano-9B-v2": "nemotron-nano-9b-v2",
    "bigscience/bloom-7b1": "bloom-7.1b",
    "lmsys/vicuna-7b-v1.5": "llama-2-7b",
    "llama-v3p1-70b-instruct": "llama-3.1-70b",
    "llama 7B Q4_0": "llama-1-7b",
    "gemma3 27B Q4_K - Medium": "gemma-3-27b",
    "qwen3moe 30B.A3B Q4_K - Medium": "qwen3-30b-a3b",
    "llama3:8b-instruct-q4_K_M": "llama-3-8b",
    "llama3.2-vision:11b": "llama-3.2-11b-vision",
    "deepseek-r1:1.5b": "deepseek-r1-distill-qwen-1.5b",
    "deepseek-r1:32b": "qwen2.5-32b",
    "deepseek-r1:70b": "llama-3.3-70b",
    "QwQ-32B-Preview": "qwen2.5-32b",
    "Qwen2.5-Coder-32B-Instruct": "qwen2.5-32b",
    "Qwen1.5-72B-Chat-GPTQ-Int4": "qwen1.5-72b",
    "Qwen3-Coder-30B-A3B-Instruct": "qwen3-30b-a3b",
    "Qwen3-235B": "qwen3-235b-a22b",
    "Mistral-Small-3.1-24B-Instruct-2503": "mistral-small-3.1-24b",
    "mistralai/Mistral-7B-Instruct-v0.3": "mistral-7b-v0.3",
    "Kimi-K2-Instruct-0905": "kimi-k2",
    "Kimi-K2-Thinking": "kimi-k2-thinking",
    "MiniMax-M2.1": "minimax-m2.5",
    "zai-org/GLM-4.7-FP8": "glm-4.5",
    "zai-org/GLM-4.7-Flash": "glm-4.7-flash",
    "Command R+": "command-r-plus-104b",
    "LLAMA2-70B LoRA": "llama-2-70b",
    "Qwen-7B (LoRA (emb))": "qwen-7b",
    "Falcon-40B (LoRA r=64)": "falcon-40b",
    "GPT3-175B": "gpt-3-175b",
    "MPT-30b": "mpt-30b",
    "Nemotron4-15B": "nemotron-4-15b",
    "mixtral_8x7B-megatron": "mixtral-8x7b",
    "aquila2_7b_finetune-flagscale": "aquila-7b",
    "LLaMA (13B repro)": "llama-1-13b",
}

# A wrong model would be worse than none.
UNKNOWN = (
    "llama",
    "Llama 3",
    "Qwen3",
    "Qwen3-31B",
    "Llama-3.1-9B",
    "Llama-3.1-8B-mytune",
    "DeepSeek-V5",
    "Mistral-Small",
    "GPT-52B",
    "GPT (30B script)",
    "BERT-99",
    "T5-11B",
    "99.9",
    "FP8",
    "()",
)


def published() -> list[tuple[str, str]]:
    lines = re.sub(r"\n {4}", " ", PUBLISHED).strip().splitlines()
    pairs = [line.partition(": ") for line in lines]
    return [(label, id) for id, _, labels in pairs for label in labels.split("; ")]


def test_every_published_label_is_listed() -> None:
    assert len(published()) == 131


@pytest.mark.parametrize("label,id", [*published(), *SPELT.items()])
def test_label_means(label: str, id: str) -> None:
    path = _path(label)
    assert path is not None and path.stem == id


@pytest.mark.parametrize("label", UNKNOWN)
def test_label_means_nothing(label: str) -> None:
    with pytest.raises(EkeError):
        model(label)


def test_a_hub_id_nobody_listed_is_left_to_the_hub() -> None:
    assert _path("someone/Llama-3.1-8B-mytune") is None


def test_no_two_models_share_a_name() -> None:
    having = defaultdict(set)
    for id in model_names():
        path = _path(id)
        assert path is not None
        for name in (id, *names(path)):
            having[name_key(name)].add(id)
    assert {name: ids for name, ids in having.items() if len(ids) > 1} == {}


def test_the_exact_spelling_comes_first() -> None:
    assert keys("Qwen/Qwen3-8B-FP8")[0] == "qwenqwen3-8bfp8"
    assert keys("Qwen/Qwen3-8B-FP8")[-1] == "qwen3-8b"


@pytest.mark.parametrize(
    "label,width",
    [
        ("Qwen3-8B", None),
        ("Llama-4-Scout-17B-16E-Instruct", None),
        ("Llama-2-70b-chat-hf-FP8", "fp8"),
        ("llama3_1-70b-fp8_dyn", "fp8"),
        ("Qwen3-8B-W8A8", "int8"),
        ("Qwen2.5-7B-Instruct-GPTQ-Int8", "int8"),
        ("Qwen3-14B-AWQ", "int4"),
        ("Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "int4"),
        ("llama3:8b-instruct-q4_K_M", "int4"),
        ("Qwen-7B (Q-LoRA)", "int4"),
        ("Kimi-K2.6-NVFP4", "fp4"),
        ("gpt-oss 20B MXFP4", "fp4"),
        ("llama 7B Q5_K", None),
        ("Llama-3.1-8B-BF16", "bf16"),
    ],
)
def test_width_in_name(label: str, width: str | None) -> None:
    assert width_in_name(label) == width


@pytest.mark.parametrize("size", [1e8, 1.3e9, 7e9, 13e9, 18e9, 52e9, 130e9, 405e9, 1e12])
def test_a_stand_in_has_its_size(size: float) -> None:
    made = model_of_size(size)
    assert count_parameters(made).total == pytest.approx(size, rel=0.01)
    assert "unknown shape" in made.name


@pytest.mark.parametrize("size,active", [(30e9, 3e9), (106e9, 12e9), (1e12, 32e9), (8e9, 8e9)])
def test_a_stand_in_of_experts_has_both_sizes(size: float, active: float) -> None:
    counted = count_parameters(model_of_size(size, active))
    assert counted.total == pytest.approx(size, rel=0.01)
    assert counted.active == pytest.approx(active, rel=0.02)


@pytest.mark.parametrize(
    "size,active", [(1e3, None), (1e16, None), (1e9, 2e9), (float("nan"), None)]
)
def test_no_stand_in_of_an_absurd_size(size: float, active: float | None) -> None:
    with pytest.raises(BadInput):
        model_of_size(size, active)
