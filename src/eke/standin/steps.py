"""How long a step takes, in plain Python: the tables of `eke.simulation.step` as lists.

The same arithmetic as `eke.simulation.engine.clock`, which works on arrays of many replicas; a test
holds them together. NumPy is too slow for a few numbers at a time, and not needed here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil

from eke.types.record import Record


class Steps(Record):
    """Times of the parts of a step on one data-parallel rank of an engine [s].

    base, tensor, expert, other: by tokens that enter.  logits: by sequences that want a word.
    decode: attention of one sequence, at the contexts `lengths`.  chunk: attention of a chunk, by
    `new` tokens and by `cached` ones before it.  own, sequence: the engine's own work, per step and
    per sequence.  places: sequences in flight at most; all are computed where `padded`.
    emitted: tokens a step gives a sequence.  The rest is as in `eke.simulation.step.StepTable`.
    """

    base: list[float]
    tensor: list[float]
    expert: list[float]
    other: list[float]
    logits: list[float]
    lengths: list[float]
    decode: list[float]
    new: list[float]
    cached: list[float]
    chunk: list[list[float]]
    own: float
    sequence: float
    factor: float
    overlap_tensor: float
    overlap_expert: float
    ranks: int
    stages: int
    places: int
    padded: bool = False
    drafts: int = 0
    emitted: float = 1.0


class Load(Record):
    """What a step has to do. decoding: sequences that want their next token.  context: tokens in
    the cache of all of them.  chunks: of each prompt that is taken in, tokens now and before."""

    decoding: int
    context: float
    chunks: Sequence[tuple[int, int]] = ()


def decode_time(steps: Steps, load: Load) -> float:
    """Duration of a step that only decodes [s]."""
    rows = _rows(steps, load.decoding)
    entering = ceil(rows * (1 + steps.drafts))
    return _composed(steps, rows, entering, ceil(rows), _attending(steps, load, rows))


def stretch(steps: Steps, load: Load, most: int, wanted: float) -> tuple[int, float]:
    """Steps that only decode: about as many as take `wanted` seconds, `most` at most; and the time
    they take [s]. Between the first and the last of them times go in a straight line."""
    first = decode_time(steps, load)
    many = min(most, ceil(wanted / first)) if first > 0 else most
    if many <= 1:
        return 1, first
    grown = load.context + (many - 1) * steps.emitted * load.decoding
    last = decode_time(steps, Load(decoding=load.decoding, context=grown))
    return many, many * (first + last) / 2


def mixed_time(steps: Steps, load: Load) -> tuple[float, float]:
    """Duration of a step that takes in chunks, and how much later their first tokens come [s].

    Stages of a pipeline each have a batch under way, some with chunks and some without: the next
    ones follow at their mean time, while the chunks need the whole of their own.
    """
    taken = [takes for takes, _ in load.chunks]
    cores = [_chunk_time(steps, takes, before) for takes, before in load.chunks]
    rows = _rows(steps, load.decoding)
    attending = _attending(steps, load, rows)
    loaded = max(min(len(taken), steps.stages), 1)
    ranks = loaded * steps.ranks // steps.stages
    entering = ceil(rows * (1 + steps.drafts))
    most = entering + max(max(taken, default=0), -(-sum(taken) // ranks))
    words = ceil(rows) + -(-len(taken) // ranks)
    core = attending + max(max(cores, default=0.0), sum(cores) / ranks)
    full = _composed(steps, rows, most, words, core)
    if loaded == steps.stages:
        return full, 0.0
    plain = _composed(steps, rows, entering, ceil(rows), attending) if rows else 0.0
    mean = (loaded * full + (steps.stages - loaded) * plain) / steps.stages
    return mean, full - mean


def _rows(steps: Steps, decoding: int) -> float:
    """Decoding sequences that a rank computes."""
    if decoding == 0:
        return 0.0
    return max((steps.places if steps.padded else decoding) / steps.ranks, 1.0)


def _attending(steps: Steps, load: Load, rows: float) -> float:
    """Attention of all decoding sequences of a rank, at their mean context [s]."""
    if load.decoding == 0:
        return 0.0
    i, part = _place(steps.lengths, load.context / load.decoding)
    return rows * (steps.decode[i] + part * (steps.decode[i + 1] - steps.decode[i]))


def _chunk_time(steps: Steps, new: float, cached: float) -> float:
    """Attention of a chunk of `new` tokens after `cached` ones [s]."""
    i, x = _place(steps.new, new)
    j, y = _place(steps.cached, cached)
    front, rear = steps.chunk[i], steps.chunk[i + 1]
    near = front[j] + y * (front[j + 1] - front[j])
    return near + x * (rear[j] + y * (rear[j + 1] - rear[j]) - near)


def _place(rising: list[float], value: float) -> tuple[int, float]:
    """The stretch between two of the numbers in which a value lies, and how far along it."""
    i = min(max(bisect_right(rising, value) - 1, 0), len(rising) - 2)
    return i, (value - rising[i]) / (rising[i + 1] - rising[i])


def _composed(steps: Steps, rows: float, tokens: int, words: int, core: float) -> float:
    """A step of `tokens` tokens per rank, of which `words` want a word, with `core` spent in
    attention: computing and exchanges with what hides behind them [s]."""
    most = len(steps.base) - 1
    at = min(tokens, most)
    computing = steps.base[at] + steps.logits[min(words, most)] + core
    tensor, expert = steps.tensor[at], steps.expert[at]
    hidden = steps.overlap_tensor * min(tensor, computing)
    also = steps.overlap_expert * min(expert, computing - hidden)
    exchange = tensor + expert + steps.other[at] - hidden - also
    return (computing + exchange + steps.own + steps.sequence * rows) * steps.factor
