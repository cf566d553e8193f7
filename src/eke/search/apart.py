"""Disaggregated serving: prompts taken in by some chips, answers written by others.

The halves meet in few figures: the first token waits for both, each has to keep up with the rate,
and their chips add up. So each half is laid out and pruned by itself, and then every pair is
priced, decoding down and prefill across.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from eke.physics.adapters import sharing
from eke.physics.answer import outcome
from eke.physics.outcome import Outcome
from eke.search.base import Choices, base_plan
from eke.search.place import Place
from eke.search.serving import Layouts, all_layouts, fits, plans_of, shared_fields
from eke.search.tally import Tally
from eke.types.efficiency import Knobs
from eke.types.fleet import Fleet
from eke.types.job import Serve
from eke.types.plan import Plans
from eke.types.record import Record, replace

MORE = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32])  # copies beyond the fewest
FOREMOST = 6  # halves of each number of chips that are paired, by time and by speed
PAIRED = 2048  # halves of a side that are paired at most, the smallest first
ROWS = 64  # decode halves priced at a time with all prefill halves


class Pair(Record):
    """Where answers are written and where prompts are taken in, with the formats of both."""

    job: Serve
    place: Place
    other: Place
    choices: Choices
    half: Choices
    knobs: Knobs

    @property
    def fleet(self) -> Fleet:
        """Both pools, that of decoding first."""
        pools = (self.place.pool, self.other.pool)
        return Fleet(pools=pools[:1] if pools[0] is pools[1] else pools)

    def price(self, plans: Plans) -> Outcome:
        """What the physics says of plans of this pair."""
        return outcome(self.job, plans, self.fleet, self.knobs)


def halves(job: Serve, place: Place, other: Place, tally: Tally) -> Iterator[Plans]:
    """Blocks of plans that decode at `place` and take in prompts at `other`, which may be the same
    pool."""
    for choices in shared_fields(job, place):
        pair = _pair(job, place, other, choices)
        takers = _takers(pair)
        writers = _writers(pair, takers.some(slice(-1, None))) if len(takers) else takers
        some = False
        for plans in _blocks(pair, writers, takers, tally) if len(writers) else ():
            some = True
            yield plans
        if not some and tally.best == np.inf:
            yield from _nearest(pair)


def _pair(job: Serve, place: Place, other: Place, choices: Choices) -> Pair:
    same = place.pool is other.pool
    kept = ["weights", "cache", "engine", "offload", "adapter_slots", "sparse"]
    kept += ["compute"] if same else []
    half = {name: choices[name] for name in kept if name in choices}
    knobs = place.knobs if same else replace(place.knobs, other=other.knobs)
    return Pair(job=job, place=place, other=other, choices=choices, half=half, knobs=knobs)


def _nearest(pair: Pair) -> Iterator[Plans]:
    """Where nothing can do it: halves of half the chips each, to show by how much."""
    sides = []
    for place, choices in ((pair.place, pair.choices), (pair.other, pair.half)):
        share = place.pool.chips // (2 if pair.place.pool is pair.other.pool else 1)
        pool = replace(place.pool, chips=max(share, 1))
        fixed = {"batch": base_plan(pair.job, pool, {}).batch, "drafts": 0}
        sides.append(all_layouts(pair.job, pool, {**_settings(pair.job, place, choices), **fixed}))
    if all(len(side) for side in sides):
        yield _together(pair, sides[0].some(slice(ROWS)), sides[1].some(slice(ROWS)))


def _settings(job: Serve, place: Place, choices: Choices) -> Choices:
    """The engine's own budget; it says nothing where prompts and answers run apart."""
    return {"token_budget": base_plan(job, place.pool, {}).token_budget, **choices}


def _takers(pair: Pair) -> Layouts:
    """Prefill halves that hold the model and keep up with the rate, smallest first."""
    job, other = pair.job, pair.other
    fixed = {"batch": base_plan(job, other.pool, {}).batch, "drafts": 0, "replicas": (0,)}
    half = all_layouts(job, other.pool, {**_settings(job, other, pair.half), **fixed})
    if not len(half):
        return half
    some = all_layouts(job, pair.place.pool, {**_settings(job, pair.place, pair.choices), **fixed})
    if not len(some):
        return some
    plans = _together(pair, some.some(slice(0, 1)), half)
    result = pair.price(plans)
    limits = {limit.name: limit for limit in result.limits}
    each = limits["prefill"].have / sharing(job, plans.prefill)
    each = np.broadcast_to(each, (1, len(half))).ravel()
    memory = limits["prefill memory"]
    held = np.broadcast_to(memory.need <= memory.have, (1, len(half))).ravel()
    able = _with_copies(pair, half, np.where(held, each, 0.0))
    if not len(able):
        return able
    result = pair.price(_together(pair, some.some(slice(0, 1)), able))
    speed = next(limit.have for limit in result.limits if limit.name == "prefill")
    first = result["ttft_promised"] if job.ttft else result["ttft"]
    return _foremost(able, [np.broadcast_to(x, (1, len(able))).ravel() for x in (first, -speed)])


def _foremost(half: Layouts, figures: list[Any]) -> Layouts:
    """Of the halves of every number of chips those that are best in some figure, smallest halves
    first: what a half adds to the whole is its chips, its time and its speed."""
    chips = half.group * half.most
    kept: set[int] = set()
    for figure in figures:
        order = np.lexsort((figure, chips))
        ranked = chips[order]
        first = np.searchsorted(ranked, ranked)  # where a number of chips begins
        kept |= set(order[np.arange(len(order)) - first < FOREMOST].tolist())
    return half.some(np.array(sorted(kept, key=lambda i: (chips[i], i)), dtype=int))


def _writers(pair: Pair, taker: Layouts) -> Layouts:
    """Decode halves that hold the model, keep up with the rate and the promised time per token,
    smallest first; none of that depends on who takes in the prompts."""
    job, choices = pair.job, _settings(pair.job, pair.place, pair.choices)
    half = all_layouts(job, pair.place.pool, choices)
    plans = _together(pair, half, taker)
    result = pair.price(plans)
    speed = next(limit.have for limit in result.limits if limit.name == "throughput")
    each = np.where(fits(result), speed / sharing(job, plans), 0.0)
    able = _with_copies(pair, half, np.broadcast_to(each, (len(half), 1)).ravel())
    if not len(able):
        return able
    result = pair.price(_together(pair, able, taker))
    kept: Any = True
    for limit in result.limits:
        if limit.name in ("tpot", "memory", "external memory", "throughput"):
            kept = kept & (limit.need <= limit.have)
    kept = np.broadcast_to(kept, (len(able), 1)).ravel()
    speed = next(limit.have for limit in result.limits if limit.name == "throughput")
    figures = (result["tpot"], -speed)
    return _foremost(
        able.some(kept), [np.ravel(each + 0.0 * able.most[:, None])[kept] for each in figures]
    )


def _with_copies(pair: Pair, half: Layouts, each: Any) -> Layouts:
    """Halves with as many copies as keep up, and a few more; `most` of each is its copies.

    each: requests per second of one copy, 0 where it does not fit.
    """
    asked = pair.job.rate / pair.job.utilisation
    least = np.ceil(asked / np.maximum(each, 1e-30) * (1 - 1e-12)).clip(1, 1e9).astype(int)
    least = np.maximum(least, half.least)
    able = replace(half, least=least).some(least <= half.most)
    copies = able.least[:, None] + MORE
    row, column = np.nonzero(copies <= able.most[:, None])
    found = able.some(row)
    found = replace(found, most=copies[row, column])
    order = np.argsort(found.group * found.most, kind="stable")
    return found.some(order)


def _together(pair: Pair, writers: Layouts, takers: Layouts) -> Plans:
    """Every pair of halves: decoding down, prefill across."""
    taking = plans_of(pair.job, pair.other.pool, pair.half, takers.columns, takers.most[:, None])
    across = {name: getattr(taking, name).T for name in (*takers.columns, "replicas")}
    down = plans_of(pair.job, pair.place.pool, pair.choices, writers.columns, writers.most[:, None])
    return replace(down, prefill=replace(taking, **across))


def _blocks(pair: Pair, writers: Layouts, takers: Layouts, tally: Tally) -> Iterator[Plans]:
    """Pairs, small ones first, as far as there are chips for both."""
    place, other = pair.place, pair.other
    seconds = 1 / pair.job.rate
    tally.skip(max(len(writers) - PAIRED, 0) * len(takers))
    writers, takers = writers.some(slice(PAIRED)), takers.some(slice(PAIRED))
    used = takers.group * takers.most
    beside = tally.floor(used, seconds, other.pool, other.knobs)
    for at in range(0, len(writers), ROWS):
        rows = writers.some(slice(at, at + ROWS))
        chips = rows.group * rows.most
        room = place.pool.chips - chips.min() if place.pool is other.pool else other.pool.chips
        floor = tally.floor(chips, seconds, place.pool, place.knobs).min() + beside
        those = (used <= room) & (floor <= tally.bar)
        tally.skip(int((~those).sum()) * len(rows))
        if those.any():
            yield _together(pair, rows, takers.some(those))
