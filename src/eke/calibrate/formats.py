"""Number formats from the words people use: "FP8", "w8a8", "q4_K_M", "awq-int4", "nvfp4"."""

from __future__ import annotations

import re

from eke.search.base import compute_width, published_width, sixteen_bit
from eke.types.fleet import Pool
from eke.types.model import Model
from eke.types.plan import Width
from eke.types.record import Record


class Formats(Record):
    """weights: kept in.  compute: of the matrix units.  cache: of keys and values."""

    weights: Width
    compute: Width
    cache: Width
    assumed: str = ""


# In this order: the first whose words appear decides the format of the weights.
_WEIGHTS: tuple[tuple[str, Width], ...] = (
    (r"q8_0|q8\b", "q8_0"),
    (r"q6_k|q6\b", "q6_k"),
    (r"q5_k|q5_\d|q5\b", "q5_k"),
    (r"q4_k|q4\b|iq4", "q4_k"),
    (r"q4_0|q4_1", "q4_0"),
    (r"q3_|iq3", "q3_k"),
    (r"q2_|iq2", "q2_k"),
    (r"fp4|mxfp4|nvfp4", "fp4"),
    (r"w4|int4|uint4|awq|gptq(?!-int8)|4-?bit|bitsandbytes|nf4", "int4"),
    (r"fp6", "fp6"),
    (r"fp8|e4m3|w8a8-?fp", "fp8"),
    (r"int8|w8|8-?bit", "int8"),
    (r"bf16|bfloat16", "bf16"),
    (r"fp16|float16|half|f16|mixed", "fp16"),
    (r"fp32|float32|f32", "fp32"),
)
_ONLY_WEIGHTS = re.compile(r"weight|wo\b|a16|awq|gptq|uint4|int4|matmult|fp6|bitsandbytes|nf4|cw")


def width(text: str) -> Width | None:
    """The format of weights a text names; None when it names none."""
    word = text.lower()
    return next((name for pattern, name in _WEIGHTS if re.search(pattern, word)), None)


def formats(
    precision: str, cache: str, named: str | None, usual: str, model: Model, pool: Pool
) -> Formats:
    """The formats of a measurement.

    precision, cache: the columns, perhaps empty.  named: what the model's label says, such as
    "fp8".  usual: the engine's own choice, or "".  Where all are silent the weights are in the
    model's published format.
    """
    said = width(precision) or width(named or "")
    weights = said or (width(usual) if usual else None) or published_width(model)
    if weights in ("fp16", "bf16"):
        weights = "bf16"
    return Formats(
        weights=weights,
        compute=_compute(weights, precision, pool),
        cache=width(cache) or "bf16",
        assumed="" if said else f"weights in {weights}: not stated",
    )


def _compute(weights: Width, precision: str, pool: Pool) -> Width:
    """The format of the matrix units: that of the weights where the chip has it and activations
    are as narrow, else 16 bits."""
    wide = sixteen_bit(pool)
    if weights.startswith("q"):
        return compute_width(weights, pool)
    if weights == "fp32":
        return "fp32" if "fp32" in pool.chip.peak else wide
    if weights in ("fp8", "int8", "fp4") and not _ONLY_WEIGHTS.search(precision.lower()):
        if weights in pool.chip.peak:
            return weights
        if weights == "fp4" and "mx" not in precision.lower() and "fp8" in pool.chip.peak:
            return "fp8"
    return wide
