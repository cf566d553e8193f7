"""Which model a row of the training table is about: a catalogue model, or one of its columns."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np

from eke.calibrate.rows import Row
from eke.catalog.models import model as catalogued
from eke.catalog.models import model_names
from eke.errors import EkeError
from eke.physics.layers import count_parameters
from eke.types.model import Attention, Block, Experts, Feed, Model, Stack

PLAIN = ("gpt", "mpt", "bloom", "opt", "falcon", "starcoder", "pythia", "nemotron", "megatron")
GATED = ("gpt-oss", "gpt oss", "palm", "llama", "qwen", "mistral", "mixtral", "gemma", "yi-")
NEAR = 0.25  # difference in size, as a logarithm, of models that may be the same
HEAD = 128  # usual columns of a head
TABLE = {True: 32_000, False: 51_200}  # words of a gated and of a plain model that states none


class NotStated(EkeError):
    """The row leaves out something without which nothing can be predicted."""


def row_model(row: Row) -> tuple[Model, list[str]]:
    """The model's shape, and what had to be assumed. Raises NotStated.

    The catalogue knows more than the columns (heads, shared experts), so it wins where both say
    the same; the columns win where they differ, as for a model with fewer layers.
    """
    name = row["model"]
    found = _catalogued(name)
    layers, hidden = row.whole("layers"), row.whole("hidden")
    if found is not None and _same(found, layers, hidden, row.number("n_params")):
        return found, []
    if re.search(r"\bt5\b|t5-|ul2|alexatm", name.lower()):
        raise NotStated("an encoder-decoder whose shape is not in the catalogue")
    size = row.number("n_params") or _size(name)
    if not (layers and hidden) and not size:
        raise NotStated("neither the model's shape nor its size is stated")
    return _from_columns(row, size)


def _same(found: Model, layers: int | None, hidden: int | None, size: float | None) -> bool:
    """Whether the catalogue's shape has the layers, width and about the size that a row states."""
    count = found.layers
    if not found.decoder_only or layers not in (None, count) or hidden not in (None, found.hidden):
        return False
    return size is None or abs(np.log(count_parameters(found).total / size)) < NEAR


def _from_columns(row: Row, size: float | None) -> tuple[Model, list[str]]:
    """A decoder of equal layers out of the columns."""
    notes: list[str] = []
    return _built(_shape(row, size, notes)), notes


class _Shape(NamedTuple):
    """A decoder of equal layers, as a table describes one; experts is 0 where there are none."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    feed: int
    gated: bool
    vocabulary: int
    experts: int
    active: int


def _shape(row: Row, size: float | None, notes: list[str]) -> _Shape:
    """The columns of a row with the usual values where they are empty."""
    layers, hidden = _depth_and_width(row, size, notes)
    heads = row.whole("heads") or max(hidden // HEAD, 1)
    feed = row.whole("ffn") or 4 * hidden
    three = gated(f"{row['model']} {row.notes}".lower(), feed, hidden)
    if three and row.whole("ffn") is None:
        feed = 64 * round(hidden * 8 / 3 / 64)
    return _Shape(
        name=row["model"],
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=row.whole("kv_heads") or heads,
        feed=feed,
        gated=three,
        vocabulary=row.whole("vocab") or TABLE[three],
        experts=row.whole("n_experts") or 0,
        active=row.whole("top_k") or 1,
    )


def _depth_and_width(row: Row, size: float | None, notes: list[str]) -> tuple[int, int]:
    """Layers and hidden size; from the size alone, with 128 columns for every layer."""
    layers, hidden = row.whole("layers"), row.whole("hidden")
    if layers and hidden:
        return layers, hidden
    assert size is not None
    notes.append("usual shape of a model of this size")
    wide = hidden or HEAD * max(round((size * HEAD / 12) ** (1 / 3) / HEAD), 1)
    deep = layers or max(round(size / (12 * wide**2)), 1)
    return deep, wide


def gated(words: str, feed: int, hidden: int) -> bool:
    """Whether the feed-forward network has three matrices: said, or usual for the family, or
    given away by a width that is not 4 times the hidden size."""
    if "gated" in words or any(family in words for family in GATED):
        return True
    plain = any(re.search(rf"\b{family}", words) for family in PLAIN)
    return not plain and feed != 4 * hidden


@cache
def _built(shape: _Shape) -> Model:
    heads, experts = shape.heads, shape.experts
    feed: Feed | Experts = Feed(width=shape.feed, gated=shape.gated)
    if experts > 1:
        active = min(shape.active, experts)
        feed = Experts(count=experts, active=active, width=shape.feed, gated=shape.gated)
    mixer = Attention(
        heads=heads,
        kv_heads=min(shape.kv_heads, heads),
        head_size=max(shape.hidden // heads, 1),
    )
    return Model(
        id=shape.name,
        name=shape.name,
        architecture="",
        hidden=shape.hidden,
        vocabulary=shape.vocabulary,
        stacks=(Stack(count=shape.layers, block=Block(mixer=mixer, feed=feed)),),
        context=0,
    )


@cache
def _catalogued(name: str) -> Model | None:
    """The catalogue's model under that name, also without what follows it in the table."""
    short = re.sub(r"\(.*?\)", "", name).strip()
    for spelt in dict.fromkeys((name, short, _plain(short), short.split(" ")[0])):
        try:
            return catalogued(_named(spelt))
        except EkeError:
            continue
    return None


def _named(spelt: str) -> str:
    """The id with the same letters and digits, or the only one that begins with them."""
    word, known = _squeeze(spelt), _squeezed()
    longer = [
        name for squeezed, name in known.items() if len(word) > 6 and word in squeezed[: len(word)]
    ]
    return known.get(word) or (longer[0] if len(longer) == 1 else spelt)


@cache
def _squeezed() -> dict[str, str]:
    """Ids by their letters and digits alone: "DeepSeekV3" is "deepseek-v3"."""
    return {_squeeze(name): name for name in model_names()}


def _squeeze(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_AROUND = r"[-_ ](llm|megatron|deepspeed|pytorch|flagscale|finetune|q-?lora|lora|sft|hf)\b.*"


def _plain(name: str) -> str:
    """A name without the framework or method that a table adds to it."""
    return re.sub(_AROUND, "", name.replace("_", "-"), flags=re.IGNORECASE)


def _size(name: str) -> float | None:
    """Parameters out of a name such as "Qwen-14B" or "Qwen-1.8B"."""
    found = re.search(r"(\d+(?:\.\d+)?)\s*([bm])\b", name.lower())
    return float(found[1]) * {"b": 1e9, "m": 1e6}[found[2]] if found else None
