"""Two answers side by side: what moved between them, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from eke.types.share import Allocation, Difference, Moved, PoolShare, Served
from eke.units import show

SLIGHT = 0.005  # share of what a line asks for, or of a pool, that is no move
HALF = 0.5  # of a chip, on average
MOST = 40  # moves told


def difference(title: str, before: Allocation, after: Allocation) -> Difference:
    """What moved. Lines and pools that only one of them has count as nothing in the other."""
    moved = [*_lines(before, after), *_chips(before, after), *_prices(before, after)]
    return Difference(
        title=title,
        changes=tuple(_changes(before.words, after.words)),
        value_before=before.value,
        value_after=after.value,
        expected=_expected(before, after),
        moved=tuple(moved[:MOST]),
    )


def _changes(before: Any, after: Any, at: str = "") -> Iterable[tuple[str, str, str]]:
    """Fields whose values differ, with both."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            where = f"{at}.{key}" if at else str(key)
            yield from _changes(before.get(key), after.get(key), where)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from _changes(*pair, at=f"{at}.{number}")
    elif before != after:
        yield at, _said(before), _said(after)


def _said(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _expected(before: Allocation, after: Allocation) -> float | None:
    """The change in value that the first answer's shadow prices foretell, for pools of chips; None
    where something else changed too, or nothing."""
    fields = [field for field, _, _ in _changes(before.words, after.words)]
    if not all(field.startswith("pools.") for field in fields):
        return None
    pools = {pool.pool: pool for pool in after.pools}
    if set(pools) != {pool.pool for pool in before.pools} or before.dates != after.dates:
        return None
    return sum(
        price * (now - then) * before.period
        for pool in before.pools
        for price, then, now in zip(pool.price, pool.there, pools[pool.pool].there, strict=True)
    )


def _lines(before: Allocation, after: Allocation) -> list[Moved]:
    """Lines of which more or less is done, the largest change in value first."""
    pairs = _paired(
        {(line.use, line.line): line for line in before.lines},
        {(line.use, line.line): line for line in after.lines},
    )
    found = []
    for (use, line), then, now in pairs:
        one, other = _done(then), _done(now)
        asked = max(sum(each.asked) for each in (then, now) if each is not None)
        if abs(other - one) <= SLIGHT * max(asked, 1e-12):
            continue
        some = now or then
        assert some is not None
        worth = abs(_value(now) - _value(then))
        moved = Moved(
            name=f"{use} {line}".strip(),
            what="done",
            before=one,
            after=other,
            unit=some.unit,
            first=_first(before, _series(then, "done"), _series(now, "done"), asked),
            why=(now.why if now is not None and other < one else ""),
        )
        found.append((worth, moved))
    found.sort(key=lambda each: -each[0])
    return [moved for _, moved in found]


def _paired(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> list[tuple[Any, Any, Any]]:
    return [(key, before.get(key), after.get(key)) for key in dict.fromkeys([*before, *after])]


def _done(line: Served | None) -> float:
    return sum(line.done) if line is not None else 0.0


def _value(line: Served | None) -> float:
    return line.value if line is not None else 0.0


def _series(record: Any, name: str) -> tuple[float, ...]:
    return getattr(record, name) if record is not None else ()


def _first(
    answer: Allocation, before: tuple[float, ...], after: tuple[float, ...], total: float
) -> str:
    """The first day on which they differ."""
    longest = max(len(before), len(after))
    pad = (0.0,) * longest
    one, other = ((*each, *pad)[:longest] for each in (before, after))
    slight = SLIGHT * total / max(longest, 1)
    places = (i for i in range(longest) if abs(one[i] - other[i]) > slight)
    first = next(places, None)
    return answer.dates[first] if first is not None and first < len(answer.dates) else ""


def _chips(before: Allocation, after: Allocation) -> list[Moved]:
    """Uses that have more or fewer chips in a pool."""
    pairs = _paired(_held(before), _held(after))
    pools = {pool.pool: pool for pool in (*before.pools, *after.pools)}
    found = []
    for (use, pool), then, now in pairs:
        one, other = (sum(each) / len(each) if each else 0.0 for each in (then, now))
        size = max(max(pools[pool].there, default=0.0), max(pools[pool].used, default=0.0), 1.0)
        if abs(other - one) <= max(SLIGHT * size, HALF):
            continue
        first = _first(before, then or (), now or (), size * len(before.dates))
        found.append(
            Moved(
                name=f"{use} on {pool}",
                what="chips",
                before=one,
                after=other,
                unit="1",
                first=first,
            )
        )
    return sorted(found, key=lambda each: -abs(each.after - each.before))


def _held(answer: Allocation) -> dict[tuple[str, str], tuple[float, ...]]:
    """Chips of each use in each pool by period."""
    found: dict[tuple[str, str], tuple[float, ...]] = {}
    for share in answer.shares:
        key = (share.use, share.pool)
        old = found.get(key, (0.0,) * len(share.chips))
        found[key] = tuple(a + b for a, b in zip(old, share.chips, strict=True))
    return found


def _prices(before: Allocation, after: Allocation) -> list[Moved]:
    """Pools of which a chip is worth more or less."""
    pairs = _paired(
        {pool.pool: pool for pool in before.pools}, {pool.pool: pool for pool in after.pools}
    )
    found = []
    for name, then, now in pairs:
        one, other = (_mean(each) for each in (then, now))
        if abs(other - one) * 3600.0 <= 0.01:
            continue
        first = _first(before, _series(then, "price"), _series(now, "price"), 0.0)
        found.append(
            Moved(
                name=name,
                what="worth of a chip",
                before=one,
                after=other,
                unit="USD/s",
                first=first,
            )
        )
    return sorted(found, key=lambda each: -abs(each.after - each.before))


def _mean(pool: PoolShare | None) -> float:
    return sum(pool.price) / len(pool.price) if pool is not None and pool.price else 0.0


def shown(value: float, unit: str) -> str:
    """A value of a move as it is read."""
    if unit == "USD/s":
        return show(value, "USD/s")
    return f"{value:,.0f}" if abs(value) < 1e6 else show(value)
