"""How many users a layout carries, and which layout carries most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eke.allocating.tiers.load import FEW, Felt, Mix, felt, upright
from eke.physics.adapters import sharing
from eke.physics.engine import emitted, per_sequence, room_for_cache, step
from eke.physics.footprint import cache_bytes
from eke.physics.machine import machine
from eke.search.place import Place
from eke.search.serving import all_layouts, plans_of, shared_fields
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.plan import Plan, Plans, check_plan
from eke.types.record import Record, fields, replace

ACROSS = np.linspace(0, 1, 49)[1:]  # numbers of users looked at together, between two bounds
ROUNDS = 2  # of narrowing: to a share of 48⁻²
AROUND = np.array([1e-9, *np.geomspace(0.05, 1, 9), *np.geomspace(1.1, 4, 8)])  # of a likely number
BETWEEN = np.linspace(0, 1, 17)[1:]
FIRST = np.array([0.2, 0.4, 0.6, 0.75, 0.9, 1.0])  # the same, of thousands of layouts
LOOKS = 5  # at most
IN_FLIGHT, LITTLE = np.array([1.0, 0.5, 0.2]), 1.03  # of most; and what may lie between these
CLOSE = 0.002  # layouts this much apart are alike


class Carried(Record):
    """The most users of each plan or case, and the limit that stops there."""

    users: Any
    limits: tuple[str, ...]


def carried(mixed: Mix, plans: Plans, pool: Pool, knobs: Knobs) -> Carried:
    """The most users of each plan, of whom everybody keeps every promise."""
    one = felt(mixed, np.full((1, 1), FEW), plans, pool, knobs)
    most = np.ravel(one.ceiling)
    alone = _kept(one, len(most))[:, 0]
    low, high = np.zeros_like(most), np.where(alone, most, 0.0)
    for _ in range(ROUNDS):
        users = low[:, None] + (high - low)[:, None] * ACROSS
        seen = felt(mixed, users, plans, pool, knobs)
        first = _first_broken(kept := _kept(seen, len(low)))
        low, high = _narrowed(users, low, kept)
    stops = zip(_stops(one, np.zeros_like(first)), _stops(seen, first), alone, strict=True)
    return Carried(users=low, limits=tuple(later if fits else at for at, later, fits in stops))


def carried_in_cases(mixed: Mix, plan: Plan, pool: Pool, cases: Knobs, about: float) -> Any:
    """The most users of one plan in every case of the values. about: where that is likely."""
    down, plans = upright(cases), column([plan])
    rows = np.size(cases.peak_change)
    users = np.broadcast_to(about * AROUND, (rows, len(AROUND)))
    kept = _kept(felt(mixed, users, plans, pool, down), rows)
    low, high = _narrowed(users, np.zeros(rows), kept)
    users = low[:, None] + (high - low)[:, None] * BETWEEN
    return _narrowed(users, low, _kept(felt(mixed, users, plans, pool, down), rows))[0]


def _kept(seen: Felt, rows: int) -> Any:
    """Whether every limit is, by plan or case and number of users."""
    missed = np.asarray(seen.missed)
    return np.broadcast_to(missed <= 1, (rows, missed.shape[-1]))


def _first_broken(kept: Any) -> Any:
    """The first number that breaks a promise, the last where none does."""
    return np.where(kept.all(axis=1), kept.shape[1] - 1, np.argmin(kept, axis=1))


def _narrowed(users: Any, low: Any, kept: Any) -> tuple[Any, Any]:
    """The last number before the first that breaks a promise, and that one."""
    first, rows = _first_broken(kept), np.arange(len(users))
    below = np.where(first > 0, users[rows, np.maximum(first - 1, 0)], low)
    return np.where(kept.all(axis=1), users[:, -1], below), users[rows, first]


def _stops(seen: Felt, columns: Any) -> tuple[str, ...]:
    """The limit that is missed by most, per row, at one of its numbers of users."""
    rows = np.arange(len(columns))
    names = list(seen.limits)
    ratios = np.array([_at(seen.limits[name], rows, columns) for name in names])
    return tuple(names[i] for i in np.argmax(ratios, axis=0))


def _at(ratio: Any, rows: Any, columns: Any) -> Any:
    """One element per row of what broadcasts."""
    wide = np.shape(ratio)[-1] if np.ndim(ratio) else 1
    whole = np.broadcast_to(ratio, (len(rows), wide))
    return whole[rows, np.minimum(columns, wide - 1)]


def column(plans: Sequence[Plan]) -> Plans:
    """Plans that share their formats, one below the other."""
    base = plans[0]
    counts = ("tensor", "pipeline", "expert", "data", "replicas", "batch", "token_budget")
    arrays = {name: np.array([getattr(p, name) for p in plans])[:, None] for name in counts}
    return Plans(base=base, block=base.block, drafts=base.drafts, **arrays)


def best_layout(
    mixed: Mix, pool: Pool, knobs: Knobs, choices: Mapping[str, Any], floor: float = 0.0
) -> Plan | None:
    """The layout of the whole pool that carries most users; None if none carries clearly more than
    `floor`. Layouts whose throughput alone allows fewer than another carries are not looked at."""
    place = Place(pool=pool, knobs=knobs, choices=choices)
    best = None
    for shared in shared_fields(mixed.job, place):
        found = _best_of(mixed, place, shared, floor)
        if found is not None:
            best, floor = found
    return best


def _best_of(
    mixed: Mix, place: Place, shared: Mapping[str, Any], floor: float
) -> tuple[Plan, float] | None:
    """Of the layouts that share these fields, the one that carries more than `floor`."""
    pool, knobs = place.pool, place.knobs
    every = all_layouts(mixed.job, pool, shared)
    blocks = [
        plans_of(mixed.job, pool, shared, part.columns, part.most[:, None])
        for part in every.parts()
    ]
    could = [_could(mixed, plans, pool, knobs) for plans in blocks]
    best = None
    for plans, most in sorted(zip(blocks, could, strict=True), key=lambda b: -b[1].max()):
        while (most > floor * (1 + CLOSE)).any():
            ranked = np.argsort(-most, kind="stable")[:128]
            some = ranked[most[ranked] > floor * (1 + CLOSE)]
            found = _most_of(mixed, (plans, some), most[some], floor, (pool, knobs))
            most[some] = 0.0
            if found is not None:
                best, floor = (plans[found[0]], found[1]), found[1]
    if best is not None:
        check_plan(best[0])
    return best


def _could(mixed: Mix, plans: Plans, pool: Pool, knobs: Knobs) -> Any:
    """Users that throughput allows each layout at most, of those that hold the longest request.

    Of the many numbers of sequences in flight at which the physics looks for the highest speed,
    the largest alone, and two smaller ones; what lies between is little more.
    """
    job, here = replace(mixed.job, rate=FEW * mixed.each), machine(pool, plans, knobs)
    room = room_for_cache(job, plans, here)
    each = per_sequence(job, plans) * plans.pipeline / plans.data
    most = np.clip(np.floor(room * plans.pipeline / np.maximum(each, 1.0)), 1, plans.batch)
    flight = np.maximum(most[None, ...] * IN_FLIGHT.reshape((-1,) + (1,) * np.ndim(most)), 1.0)
    speed = flight * emitted(plans) / (job.answer * step(job, plans, here, flight).mean)
    rate = speed.max(axis=0) / knobs.full * sharing(job, plans) * job.utilisation
    fits = room >= cache_bytes(job.model, mixed.longest, plans)
    users = np.where(fits, LITTLE * rate / mixed.each, 0.0)
    return np.broadcast_to(users, plans.shape).ravel().copy()


def _rows(plans: Plans, those: Any) -> Plans:
    """Some of a column of plans."""
    taken = plans.take(those)
    arrays = {name: value[:, None] for name, value in fields(taken).items() if np.ndim(value) == 1}
    return replace(taken, **arrays)


def _most_of(
    mixed: Mix, rows: tuple[Plans, Any], most: Any, floor: float, where: tuple[Pool, Knobs]
) -> tuple[int, float] | None:
    """Of some rows of a block the one that carries most users, and how many, where that is more
    than `floor`. most: what each carries at most. Those that cannot be it are dropped on the way.
    """
    plans, left = rows
    low, high, found = np.zeros_like(most), most, None
    for _ in range(LOOKS):
        users = low[:, None] + (high - low)[:, None] * FIRST
        kept = _kept(felt(mixed, users, _rows(plans, left), *where), len(left))
        low, high = _narrowed(users, low, kept)
        at = int(np.argmax(low))
        if low[at] > floor:
            found, floor = (int(left[at]), float(low[at])), float(low[at])
        could = high > floor * (1 + CLOSE)
        if not could.any():
            break
        left, low, high = left[could], low[could], high[could]
    return found


def nearest(
    mixed: Mix, pool: Pool, knobs: Knobs, choices: Mapping[str, Any]
) -> tuple[str, float, Plan | None]:
    """What a single user's requests miss by least in any layout: the limit, by which factor, and
    the layout. A factor of 1 or less means that one user is served as promised."""
    place = Place(pool=pool, knobs=knobs, choices=choices)
    found: tuple[str, float, Plan | None] = ("memory", np.inf, None)
    for shared in shared_fields(mixed.job, place):
        for part in all_layouts(mixed.job, pool, shared).parts():
            plans = plans_of(mixed.job, pool, shared, part.columns, part.most[:, None])
            seen = felt(mixed, np.full((1, 1), FEW), plans, pool, knobs)
            missed = np.ravel(np.broadcast_to(seen.missed, (len(plans), 1)))
            at = int(np.argmin(missed))
            if missed[at] < found[1]:
                found = (_stops(seen, np.zeros(len(plans), int))[at], float(missed[at]), plans[at])
    return found
