"""The verb `allocate`: who gets which chips and when, what is refused, what one more is worth."""

from __future__ import annotations

from pathlib import Path

from eke.allocating.sharing.answer import allocation, dates, promised
from eke.allocating.sharing.compare import difference
from eke.allocating.sharing.problem import Posed, Ways, pose
from eke.allocating.sharing.read import provider_of, read_provider
from eke.allocating.sharing.ways import Planned, ways_of
from eke.allocation.conflict import Conflict
from eke.allocation.divide import divide
from eke.allocation.outcome import Division
from eke.allocation.relaxed import Progress
from eke.errors import BadInput
from eke.types.need import Span
from eke.types.provider import Provider
from eke.types.record import replace
from eke.types.share import Allocation, Clash, Difference
from eke.units import quantity, show


def allocate(
    provider: Provider | str | Path,
    *,
    slip: bool = True,
    known: Planned | None = None,
    told: Progress | None = None,
) -> Allocation | Clash:
    """Who gets what; or the promises that clash.

    provider: a record, or the file that describes it.  slip: whether to look at what changes where
    deliveries come later.  known: ways planned before, to which new ones are added, so that the
    same provider with one number changed is not planned anew. Raises EkeError for input that makes
    no sense.
    """
    wanted = provider if isinstance(provider, Provider) else read_provider(provider)
    known = {} if known is None else known
    ways = ways_of(wanted, told, known)
    found, division = _answered(wanted, ways, told)
    if isinstance(found, Clash) or not slip or not _delivered(wanted):
        return found
    return replace(found, slip=_slipped(wanted, ways, found, division, told))


def again(
    before: Allocation,
    provider: Provider,
    known: Planned | None = None,
    told: Progress | None = None,
) -> tuple[Allocation | Clash, Difference | None]:
    """The answer for a changed provider, and what moved since the one before."""
    after = allocate(provider, known=known, told=told)
    if isinstance(after, Clash):
        return after, None
    return after, difference("", before, after)


def _answered(
    provider: Provider, ways: Ways, told: Progress | None, near: Division | None = None
) -> tuple[Allocation | Clash, Division | None]:
    posed = pose(provider, ways)
    if not posed.options:
        raise BadInput(
            f"{provider.name}: no use can be done on any pool: nothing fits or keeps its promises."
        )
    found = divide(posed.problem, provider.goal, provider.gap, told, near)
    if isinstance(found, Conflict):
        return _clash(provider, posed, found), None
    span = _span(provider, ways, found)
    return allocation(provider, posed, found, span), found


def _span(provider: Provider, ways: Ways, found: Division) -> Span:
    """The value where every way is as slow, or as fast, as it may be; where promises then clash,
    nothing is left to promise."""
    ends = []
    for speed, end in ((-1.0, "low"), (1.0, "high")):
        if all(getattr(way, end) == 1.0 for each in ways for way in each):
            ends.append(found.value)
            continue
        posed = pose(provider, ways, speed)
        other = divide(posed.problem, provider.goal, provider.gap, near=found)
        ends.append(other.value if isinstance(other, Division) else 0.0)
    return Span(low=min(ends[0], found.value), likely=found.value, high=max(ends[1], found.value))


def _delivered(provider: Provider) -> bool:
    pools = provider.words.get("pools", {})
    return provider.slip > 0 and any(pool.get("coming") for pool in pools.values())


def _slipped(
    provider: Provider,
    ways: Ways,
    before: Allocation,
    near: Division | None,
    told: Progress | None,
) -> Difference | None:
    """What changes where every delivery comes later."""
    later = provider_of(_later(provider), provider.name)
    later = replace(later, words=provider.words)
    after, _ = _answered(later, ways, told, near)
    title = f"deliveries {show(provider.slip, 's')} later"
    if isinstance(after, Clash):
        return Difference(
            title=f"{title}: promises clash: {'; '.join(after.promises)}",
            changes=(),
            value_before=before.value,
            value_after=0.0,
            expected=None,
            moved=(),
        )
    found = difference(title, before, after)
    return replace(found, expected=_foretold(before, after))


def _foretold(before: Allocation, after: Allocation) -> float:
    """The change in value by the shadow prices of the chips that are not there yet."""
    return sum(
        price * (b - a) * before.period
        for one, other in zip(before.pools, after.pools, strict=True)
        for price, a, b in zip(one.price, one.there, other.there, strict=True)
    )


def _later(provider: Provider) -> dict[str, object]:
    """The file's tables with every delivery later."""
    pools = {}
    for name, pool in provider.words["pools"].items():
        coming = [
            {**each, "late": f"{_seconds(each.get('late', '0 d')) + provider.slip} s"}
            for each in pool.get("coming", ())
        ]
        pools[name] = {**pool, "coming": coming} if coming else pool
    return {**provider.words, "pools": pools}


def _seconds(text: object) -> float:
    return quantity(str(text), "s")


def _clash(provider: Provider, posed: Posed, found: Conflict) -> Clash:
    when = dates(provider)
    names = [promised(provider, posed, *each) for each in found.promises]
    lacks = []
    for name, shares in zip(names, found.lacks, strict=True):
        if max(shares, default=0.0) > 5e-4:
            lacks.append(f"{name}: lacks up to {max(shares, default=0.0):.1%}")
    parts = list(provider.parts)
    short = [
        f"{_supply_name(provider, posed, what)} in the period from {when[period]}"
        + (f", {parts[min(part, len(parts) - 1)]}" if len(parts) > 1 else "")
        for what, period, part in found.supply[:6]
    ]
    return Clash(
        name=provider.name,
        promises=tuple(names),
        short=tuple(short),
        lacks=tuple(lacks),
    )


def _supply_name(provider: Provider, posed: Posed, what: str) -> str:
    kind, place = what.split()
    if kind == "chips":
        return f"chips of {provider.supplies[int(place)].name}"
    if kind in ("watts", "racks"):
        return f"{'power' if kind == 'watts' else 'racks'} of {posed.sites[int(place)]}"
    return "the budget" if kind == "budget" else "the carbon that may be emitted"
