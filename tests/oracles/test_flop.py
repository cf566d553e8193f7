"""FLOP of a forward pass equal those torch counts, for matrices and the attention core."""

import json
from pathlib import Path
from typing import Any

import pytest

from eke.catalog.huggingface import model_from_config
from eke.physics.forward import model_operations
from eke.physics.operations import Batch
from eke.types.model import Attention, Model, Stack
from eke.types.plan import Plan
from eke.types.record import replace

RECORD = json.loads((Path(__file__).parent / "record" / "flop.json").read_text())


def unmasked(model: Model) -> Model:
    """The same model without a causal mask, as torch counts it."""

    def seen(stack: Stack) -> Stack:
        mixer: Any = stack.block.mixer
        assert isinstance(mixer, Attention)
        return replace(stack, block=replace(stack.block, mixer=replace(mixer, causal=False)))

    return replace(model, stacks=tuple(seen(stack) for stack in model.stacks))


@pytest.mark.parametrize("name", [name for name in RECORD["cases"] if name != "deepseek_v3"])
def test_flop_is_exact(name: str) -> None:
    case = RECORD["cases"][name]
    model = model_from_config(case["config"], name)
    n, s = RECORD["sequences"], RECORD["sequence"]
    operations = model_operations(
        unmasked(model), (Batch(sequences=n, new=s),), Plan(chip=""), n * s
    )
    assert sum(op.flop * op.times for op in operations) == case["flop"]


def test_latent_flop() -> None:
    """Latent attention: matrices exact, the causal core (s + 1) / 2s of torch's full one."""
    case = RECORD["cases"]["deepseek_v3"]
    config, n, s = case["config"], RECORD["sequences"], RECORD["sequence"]
    model = model_from_config(config, "deepseek_v3")
    operations = model_operations(model, (Batch(sequences=n, new=s),), Plan(chip=""), n * s)
    core = sum(op.flop * op.times for op in operations if op.kind == "attention")
    matrices = sum(op.flop * op.times for op in operations if op.kind == "matrix")
    assert matrices + core * 2 * s / (s + 1) == pytest.approx(case["flop"], rel=1e-12)
