"""Parameter counts equal those of the models that transformers builds, to the last one."""

import json
from pathlib import Path

import pytest

from eke.catalog.huggingface import KNOWN, model_from_config
from eke.errors import EkeError
from eke.physics.layers import count_parameters

RECORD = json.loads((Path(__file__).parent / "record" / "parameters.json").read_text())


# What transformers builds but eke refuses, because the file is silent on something that matters
# or asks for a variant that no published model has.
REFUSED = {
    "deepseek-v2-noq mlp_bias",
    "deepseek_v2 by its size",
    "ernie-moe-small use_bias",
    "glm4_moe by its size",
    "nemotron-h-latent tie_word_embeddings",
    "nemotron-h-routed tie_word_embeddings",
    "nemotron-h-small tie_word_embeddings",
    "nemotron_h by its size",
    "olmo_hybrid by its size",
    "paligemma by its size",
}
UNCHECKED = {
    "arctic",
    "baichuan",
    "chatglm",
    "deci",
    "deepseek",
    "internlm",
    "internlm2",
    "kimi_k2",
    "minimax_text_01",
    "nemotron-nas",
    "qwen",
}  # not in transformers


@pytest.mark.parametrize("name", [name for name in RECORD["cases"] if name not in REFUSED])
def test_count_is_exact(name: str) -> None:
    case = RECORD["cases"][name]
    counted = count_parameters(model_from_config(case["config"], name))
    assert counted.total == case["parameters"]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not_exact_is_refused(name: str) -> None:
    with pytest.raises(EkeError):
        model_from_config(RECORD["cases"][name]["config"], name)


def test_every_family_is_covered() -> None:
    families = {case["config"]["model_type"] for case in RECORD["cases"].values()}
    assert set(KNOWN) - families == UNCHECKED
