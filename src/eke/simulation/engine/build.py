"""Replicas out of their tables and settings: the arrays that the engine works on."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.simulation.engine import gates
from eke.simulation.engine import layout as at
from eke.simulation.engine.layout import World
from eke.simulation.step import StepTable
from eke.types.record import Record

TOLD = 65_536  # starts and ends in one lane, about
ROLES = {"mixed": at.MIXED, "fills": at.FILLS, "answers": at.ANSWERS}


class Replica(Record):
    """How one kind of replica is set up.

    most: sequences in flight.  budget: tokens of one step, per rank.  blocks: of the cache, of
    `block` tokens each.  emitted: tokens a step gives each sequence, more than 1 with `drafts`
    guessed.  swap: time to move a block to the host or back [s]; None computes again what is
    preempted.  caching: prefixes are kept.  ordered: priorities count inside the engine.
    static: a batch begins and ends together.  role: "mixed", "fills" or "answers".
    padded: every step computes all places.  jumps: stretches without a change are taken at once.
    """

    step: StepTable
    most: int
    budget: int
    blocks: int
    block: int = 16
    drafts: int = 0
    emitted: float = 1.0
    swap: float | None = None
    caching: bool = False
    ordered: bool = False
    static: bool = False
    role: str = "mixed"
    padded: bool = False
    jumps: bool = True


def world(kinds: tuple[Replica, ...], replicas: Any, requests: int, longest: int) -> World:
    """Empty replicas. replicas: the kind of each, as an index into `kinds`.  requests: for how many
    there is to be room.  longest: context of any of them [tokens]."""
    count, most = len(replicas), max(kind.most for kind in kinds)
    block = max(kind.block for kind in kinds)
    shape, table = _tables(kinds)
    kept = [kind for kind in kinds if kind.caching]
    blocks = max((kind.blocks for kind in kept), default=0)
    rows, wide = (most, _most_blocks(kinds, longest)) if kept else (1, 1)
    made = World(
        shape=shape,
        table=table,
        num=np.zeros((count, at.CROSSING + block), dtype=np.int64),
        flt=np.zeros((count, at.FLOATS)),
        slot=np.zeros((at.SLOTS, count, most), dtype=np.int64),
        fill=np.zeros((at.SLOTS, count, most), dtype=np.int64),
        times=np.zeros((requests, at.TIMES)),
        count=np.zeros((requests, at.COUNTS), dtype=np.int32),
        told=np.zeros((2 * most + 1024, 5), dtype=np.int64),
        told_at=np.zeros(2 * most + 1024),
        size=np.zeros(requests),
        gone=np.zeros(2 * most + 1024, dtype=np.int64),
        story=np.zeros(TOLD + 4 * most, dtype=np.int64),
        shared=np.zeros((requests if kept else 1, at.SHARED), dtype=np.int64),
        hashes=np.zeros(1, dtype=np.int64),
        hash_start=np.zeros(requests + 1 if kept else 1, dtype=np.int64),
        hash_tokens=np.zeros(1, dtype=np.int64),
        block=np.zeros((at.BLOCK_FIELDS, count if kept else 1, max(blocks, 1)), dtype=np.int64),
        bucket=np.zeros((count if kept else 1, _prime(2 * blocks)), dtype=np.int32),
        holds=np.zeros((count if kept else 1, rows, wide + 1), dtype=np.int32),
        rows=np.zeros((count if kept else 1, rows + 1), dtype=np.int64),
    )
    address, _kept = gates.handle(made)
    for replica, kind in enumerate(replicas):
        made.num[replica, at.KIND] = kind
        gates.begin(address, replica)
    return made


def _most_blocks(kinds: tuple[Replica, ...], longest: int) -> int:
    return max(-(-longest // kind.block) for kind in kinds) + 2


def _prime(least: int) -> int:
    """The next prime number, so that keys spread evenly over the chains."""
    number = max(least, 3) | 1
    while any(number % divisor == 0 for divisor in range(3, int(number**0.5) + 1, 2)):
        number += 2
    return number


def _tables(kinds: tuple[Replica, ...]) -> tuple[Any, Any]:
    """Settings and tables of every kind, side by side."""
    rows: list[Any] = []
    shape = np.zeros((len(kinds), at.SHAPES), dtype=np.int64)
    for index, kind in enumerate(kinds):
        _settings(shape[index], kind)
        row = [np.array(_numbers(kind))]
        for field, values in _parts(kind.step):
            shape[index, field] = sum(map(len, row))
            row.append(np.ravel(values))
        rows.append(np.concatenate(row))
    table = np.zeros((len(kinds), max(map(len, rows))))
    for index, row in enumerate(rows):
        table[index, : len(row)] = row
    return shape, table


def _settings(shape: Any, kind: Replica) -> None:
    step = kind.step
    shape[at.MOST], shape[at.BUDGET] = kind.most, kind.budget
    shape[at.BLOCKS], shape[at.BLOCK] = kind.blocks, kind.block
    shape[at.ROLE], shape[at.STATIC] = ROLES[kind.role], kind.static
    shape[at.ORDERED], shape[at.SWAPS] = kind.ordered, kind.swap is not None
    shape[at.CACHING], shape[at.DRAFTS] = kind.caching, kind.drafts
    shape[at.RANKS], shape[at.STAGES] = step.ranks, step.stages
    shape[at.PADDED], shape[at.JUMPS] = kind.padded, kind.jumps
    shape[at.N_TOKENS], shape[at.N_LENGTHS] = len(step.base), len(step.lengths)
    shape[at.N_NEW], shape[at.N_CACHED] = len(step.new), len(step.cached)


def _numbers(kind: Replica) -> list[float]:
    step = kind.step
    numbers = [0.0] * at.NUMBERS
    numbers[at.OWN], numbers[at.SEQUENCE], numbers[at.FACTOR] = step.own, step.sequence, step.factor
    numbers[at.OVERLAP_TENSOR] = step.overlap_tensor
    numbers[at.OVERLAP_EXPERT] = step.overlap_expert
    numbers[at.EMITTED], numbers[at.SWAP] = kind.emitted, kind.swap or 0.0
    return numbers


def _parts(step: StepTable) -> tuple[tuple[int, Any], ...]:
    return (
        (at.BASE, step.base),
        (at.TENSOR, step.tensor),
        (at.EXPERT, step.expert),
        (at.OTHER, step.other),
        (at.LOGITS, step.logits),
        (at.LENGTHS, step.lengths),
        (at.DECODE, step.decode),
        (at.NEW, step.new),
        (at.CACHED, step.cached),
        (at.CHUNK, step.chunk),
    )
