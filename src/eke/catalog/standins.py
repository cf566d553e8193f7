"""A model of which only the size is published: the nearest dense shape, scaled to it."""

from __future__ import annotations

from typing import Any

from eke.catalog.huggingface import model_from_config
from eke.errors import BadInput
from eke.types.model import Model
from eke.types.record import Record, replace
from eke.units import show

HEAD = 128
VOCABULARY = 32000
TOP = 8  # experts a token uses
STEP = 64  # of widths, which keeps the count within a percent


class Shape(Record):
    """A published dense shape. group: query heads for each key and value head."""

    parameters: float
    hidden: int
    layers: int
    group: int


SHAPES = (  # Llama 3.2 1B, Llama 2 and Llama 3.1 405B
    Shape(parameters=1.2e9, hidden=2048, layers=16, group=4),
    Shape(parameters=6.7e9, hidden=4096, layers=32, group=1),
    Shape(parameters=13e9, hidden=5120, layers=40, group=1),
    Shape(parameters=69e9, hidden=8192, layers=80, group=8),
    Shape(parameters=406e9, hidden=16384, layers=126, group=16),
)


def model_of_size(parameters: float, active: float | None = None) -> Model:
    """A stand-in of about that many parameters; its name says that it is one.

    active: parameters one token uses, where they are fewer: the rest becomes routed experts.
    Raises BadInput for a size that no language model has.
    """
    used = parameters if active is None else active
    if not 5e7 <= used <= parameters <= 1e14:
        raise BadInput(
            f"no stand-in of {parameters:.3g} parameters, {used:.3g} of them active; it has "
            "50 million to 100 trillion, and no more active ones than there are."
        )
    config, name = _dense(used), f"a {show(parameters)} model of unknown shape"
    if used < parameters:
        config, name = _routed(config, parameters - used), f"{name}, {show(used)} active"
    notes = "only the size is published; the shape is the nearest Llama's, scaled"
    return replace(model_from_config(config, "stand-in", name, name), source="eke", notes=notes)


def _dense(parameters: float) -> dict[str, Any]:
    """A Llama of that size: depth and width grow alike, the inner width takes up the rest."""
    near = min(SHAPES, key=lambda each: abs(parameters / each.parameters - 1))
    grown = (parameters / near.parameters) ** (1 / 3)
    heads = max(round(near.hidden * grown / HEAD), 1)
    hidden, layers = heads * HEAD, max(round(near.layers * grown), 1)
    most = max(heads // near.group, 1)
    kv_heads = max(each for each in range(1, most + 1) if heads % each == 0)
    mixer = 2 * hidden * HEAD * (heads + kv_heads)
    inner = ((parameters - 2 * VOCABULARY * hidden) / layers - mixer) / (3 * hidden)
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": max(round(inner / STEP), 1) * STEP,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": HEAD,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 131072,
    }


def _routed(config: dict[str, Any], idle: float) -> dict[str, Any]:
    """Its feed-forward network cut into experts, and as many more as `idle` parameters make."""
    inner = max(config["intermediate_size"] // TOP, 1)
    one = 3 * config["hidden_size"] * inner * config["num_hidden_layers"]
    return config | {
        "model_type": "mixtral",
        "intermediate_size": inner,
        "num_local_experts": TOP + round(idle / one),
        "num_experts_per_tok": TOP,
        "sliding_window": 0,
    }
