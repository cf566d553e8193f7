"""Memory against published tables: Korthikanti's activations, ZeRO's bytes per parameter."""

from __future__ import annotations

import pytest

from eke.catalog.models import model as catalogued
from eke.physics.footprint import cache_bytes, cache_per_token, held_parameters
from eke.physics.learn import Learning
from eke.physics.learn_memory import activation_bytes, learning_memory
from eke.physics.tune import lora_parameters, tune_learning
from eke.types.job import Tune
from eke.types.model import Attention, Block, Feed, LatentAttention, Model, Stack
from eke.types.plan import Plan
from eke.types.record import replace

H, A, S, L = 4096, 32, 2048, 8
BLOCK = Block(
    mixer=Attention(heads=A, kv_heads=A, head_size=H // A), feed=Feed(width=4 * H, gated=False)
)
GPT = Model(
    id="gpt",
    name="gpt",
    architecture="gpt",
    hidden=H,
    vocabulary=32000,
    stacks=(Stack(count=L, block=BLOCK),),
    context=S,
)


@pytest.mark.parametrize("tensor", [1, 2, 8])
def test_activations_are_those_of_korthikanti(tensor: int) -> None:
    """34 s b h / t for selective recomputation and sequence parallelism, of which 2 are dropout
    masks that nobody keeps any more; 2 s b h / t for full recomputation, beside one layer at
    work; 5 a s² b / t more when scores are kept."""
    learning, plan = Learning(model=GPT, sequence=S), Plan(chip="", tensor=tensor, micro_batch=3)
    tokens = 3 * S
    selective = activation_bytes(learning, plan)
    assert selective == pytest.approx(L * 32 * tokens * H / tensor)
    none = activation_bytes(learning, replace(plan, recompute="none"))
    assert none - selective == pytest.approx(L * 5 * A * S * tokens / tensor)
    full = activation_bytes(learning, replace(plan, recompute="full"))
    assert full == pytest.approx((L * 2 + 32) * tokens * H / tensor)


@pytest.mark.parametrize(
    "shard,bytes_each",
    [(0, 2 + 2 + 12), (1, 2 + 2 + 12 / 64), (2, 2 + (2 + 12) / 64), (3, (2 + 2 + 12) / 64)],
)
def test_bytes_per_parameter_are_those_of_zero(shard: int, bytes_each: float) -> None:
    """Adam in mixed precision over 64 ranks: weights 2, gradients 2, state 12."""
    plan = Plan(chip="", data=64, batch=64, shard=shard, gradients="bf16")  # type: ignore[arg-type]
    held = learning_memory(Learning(model=GPT, sequence=S), plan)
    parameters = L * 12 * H * H + 2 * 32000 * H
    state = held.weights + held.gradients + held.optimizer
    assert state == pytest.approx(parameters * bytes_each)


def test_cache_per_token_of_published_models() -> None:
    """Llama 70B 328 kB, DeepSeek-V3 70 kB, Llama 405B 516 kB in 16 bits."""
    llama = Block(mixer=Attention(heads=64, kv_heads=8, head_size=128))
    latent = LatentAttention(
        heads=128, query_rank=1536, cache_rank=512, nope_size=128, rope_size=64, value_size=128
    )
    for block, layers, size in (
        (llama, 80, 327_680),
        (llama, 126, 516_096),
        (Block(mixer=latent), 61, 70_272),
    ):
        model = replace(GPT, stacks=(Stack(count=layers, block=block),))
        assert cache_per_token(model, 2.0) == size


def test_low_rank_factors_of_a_published_run() -> None:
    """Llama 3.1 8B with rank 16 beside all seven matrices: 41,943,040, as PEFT prints it."""
    assert lora_parameters(catalogued("llama-3.1-8b"), 16) == 41_943_040


def test_four_bit_weights_are_as_large_as_published() -> None:
    """Llama 3.1 8B in NF4 on the hub (unsloth/Meta-Llama-3.1-8B-bnb-4bit) is 5.70 GB: its tables
    stay in 16 bits."""
    job = Tune(model=catalogued("llama-3.1-8b"), tokens=1e6, method="qlora")
    held = learning_memory(tune_learning(job), Plan(chip=""))
    factors = 2 * lora_parameters(job.model, 16)
    assert held.weights - factors == pytest.approx(5.70e9, rel=0.01)


@pytest.mark.parametrize("shard,copies", [(0, 1), (3, 1 / 8)])
def test_a_reference_is_a_second_copy_and_sharded_alike(shard: int, copies: float) -> None:
    plan = Plan(chip="", data=8, batch=8, shard=shard)  # type: ignore[arg-type]
    job = Tune(model=GPT, tokens=1e6, objective="dpo", sequence=S)
    held = learning_memory(tune_learning(job), plan)
    assert held.resident == pytest.approx(2 * held_parameters(GPT, plan).total * copies)
    assert learning_memory(tune_learning(replace(job, method="lora")), plan).resident == 0


def test_fully_sharded_memory_goes_down_to_what_is_gathered() -> None:
    """However many ranks, two layers and the table of the logits are there in full, and the
    gradients of one layer."""
    plan = Plan(chip="", data=10**6, batch=10**6, shard=3, recompute="full")
    held = learning_memory(Learning(model=GPT, sequence=S, scores=0.0), plan)
    layer = 12 * H * H
    assert held.buffers == pytest.approx(2 * (2 * layer + 32000 * H) + 4 * layer)
    assert held.weights + held.gradients + held.optimizer < 1e-3 * held.buffers


def test_context_ranks_share_the_cache_of_a_sequence() -> None:
    one = cache_bytes(GPT, 4096, Plan(chip=""))
    assert cache_bytes(GPT, 4096, Plan(chip="", context=4)) == pytest.approx(one / 4)
