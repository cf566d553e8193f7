"""Bytes per parameter and per token."""

from __future__ import annotations

import numpy as np

from eke.physics.formula import Number, formula

# Optimizer state per parameter [B]: a 32-bit copy of the weights, then what the optimizer keeps.
OPTIMIZER_BYTES = {
    "adam": 12.0,  # 4 + 4 + 4; rajbhandari2020 (section 3.1)
    "adam-8bit": 6.0,  # 4 + 1 + 1; dettmers2022
    "muon": 8.0,  # 4 + 4
    "adafactor": 4.1,  # 4 + row and column sums
    "sgd": 4.0,
}


@formula(unit="B", equation="2 L g d x", source=("shazeer2019",))
def kv_cache_size(
    *,
    tokens: Number,
    layers: Number,
    kv_heads: Number,
    head_size: Number,
    width: Number,
) -> Number:
    """Keys and values of one sequence, grouped-query attention [B].

    tokens: of context [1].  layers: with attention [1].  kv_heads: per layer [1].  head_size: of
    each head [1].  width: of one number [B].
    """
    return 2 * layers * kv_heads * head_size * width * tokens


@formula(unit="1", equation="⌈S / b⌉ b", source=("kwon2023",))
def paged_tokens(*, tokens: Number, block: Number) -> Number:
    """Tokens for which memory is taken when it is given in blocks [1].

    tokens: held [1].  block: tokens per block [1].
    """
    return np.ceil(tokens / block) * block
