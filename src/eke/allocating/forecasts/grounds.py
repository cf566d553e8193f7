"""What a forecast rests on: what the file gives, what eke plans, and what is assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eke.allocating.forecasts.cases import Uncertain
from eke.allocating.forecasts.lines import ASSUMED
from eke.allocating.forecasts.plans import values
from eke.allocating.forecasts.serving import ROOM
from eke.allocating.forecasts.supply import Fleet
from eke.allocating.forecasts.uses import Wired
from eke.catalog.chips import chip
from eke.catalog.prices import price
from eke.types.forecast import Asked
from eke.types.need import Ground, GroundKind


def grounds(
    asked: Asked, fleet: Fleet, uses: Sequence[Wired], inputs: Mapping[str, Uncertain]
) -> tuple[Ground, ...]:
    """Every number the forecast rests on, and how well it is known."""
    found = [_input(name, each, asked) for name, each in inputs.items()]
    found += [_time(use, kind) for use in uses for kind in use.described().chip_time]
    found += _site(asked, fleet)
    found.append(
        Ground(
            name="largest share of the throughput planned with",
            value=ROOM,
            unit="1",
            kind="assumed",
            source="eke",
        )
    )
    return tuple(found)


def _input(name: str, each: Uncertain, asked: Asked) -> Ground:
    planned = name.startswith("eke's speed")
    kind: GroundKind = "derived" if planned else "given" if _given(name, asked) else "assumed"
    return Ground(
        name=name,
        value=each.span.likely,
        unit=f"{each.unit} a year" if each.growth else each.unit,
        kind=kind,
        source="eke" if planned or kind == "assumed" else "the file",
        low=each.span.low,
        high=each.span.high,
    )


def _given(name: str, asked: Asked) -> bool:
    """Whether the file says an input that may also be assumed."""
    for part, field in (("peak over mean", "peak_over_mean"), *((n, n) for n in ASSUMED)):
        if name.endswith(f" {part}"):
            use = name.removesuffix(f" {part}")
            return any(f"{of}.{use}.{field}" in asked.given for of in ("demand", "training"))
    return True


def _time(use: Wired, kind: str) -> Ground:
    described = use.described()
    span = described.chip_time[kind]
    what = "an ask" if described.what == "inference" else "a run"
    planned = described.plan is not None
    return Ground(
        name=f"chip time of {what} of {use.name} on {kind}",
        value=span.likely if span is not None else "cannot run",
        unit="s",
        kind="derived" if planned else "assumed",
        source="eke" if planned else "kaplan2020",
        low=span.low if span is not None else None,
        high=span.high if span is not None else None,
        note="planned by eke" if planned else "rule of thumb",
    )


def _site(asked: Asked, fleet: Fleet) -> list[Ground]:
    """Prices, power and what a site adds."""
    found = []
    for kind, power in fleet.powers.items():
        said = f"supply.{kind}.power" in asked.given
        found.append(
            Ground(
                name=f"power of {kind} at the site",
                value=power,
                unit="W",
                kind="given" if said else "derived",
                source="the file" if said else _power_source(kind),
                note="" if said else "its maximum, its share of the server, and the site",
            )
        )
        row, own = price(kind, "buy"), f"supply.{kind}.price" in asked.given
        span = fleet.prices[kind]
        if span is not None:
            found.append(
                Ground(
                    name=f"price of {kind}",
                    value=span.likely,
                    unit="USD",
                    kind="given" if own or row is None else row.kind,
                    source="the file" if own or row is None else row.source,
                    low=span.low,
                    high=span.high,
                    note="" if own or row is None else f"{row.date}: {row.note}",
                )
            )
    of = values(asked.count_in)
    for name in ("server_power", "pue", "power_share", "idle_power"):
        each = of[name]
        found.append(
            Ground(
                name=name,
                value=each.likely,
                unit=each.unit,
                kind=each.kind,
                source=each.source,
                low=each.low,
                high=each.high,
            )
        )
    said = "electricity" in asked.given
    span = asked.electricity
    found.append(
        Ground(
            name="electricity",
            value=span.likely,
            unit="USD/J",
            kind="given" if said else "assumed",
            source="the file" if said else "epoch",
            low=span.low,
            high=span.high,
        )
    )
    return found


def _power_source(kind: str) -> str:
    fact = chip(kind).facts.get("power")
    return fact.source if fact is not None else "eke"


def remarks(asked: Asked, uses: Sequence[Wired]) -> tuple[str, ...]:
    """What the answer assumed, in words."""
    found = []
    for use in uses:
        described = use.described()
        if described.plan is None:
            found.append(
                f"{use.name}: no model is named, so its chips follow from a share of the peak that "
                "is assumed; name one (model = …), and eke plans it"
            )
        cannot = [kind for kind, time in described.chip_time.items() if time is None]
        if cannot:
            found.append(
                f"{use.name} cannot run on {', '.join(cannot)}; those are worth what they do for "
                "the other uses"
            )
    if not asked.supplies:
        found.append("no supply is given ([supply.CHIP]), so nothing is said of shortage")
    return tuple(found)
