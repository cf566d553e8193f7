"""What a forecast rests on: what the file gives, what eke plans, and what is assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eke.allocating.forecasts.cases import Uncertain
from eke.allocating.forecasts.demands import BORROWED
from eke.allocating.forecasts.plans import ROOM, values
from eke.allocating.forecasts.supply import SITE, Fleet
from eke.allocating.forecasts.uses import Wired
from eke.catalog.chips import chip
from eke.catalog.forecasts import published
from eke.catalog.prices import price
from eke.types.forecast import Asked
from eke.types.need import Ground, GroundKind


def grounds(
    asked: Asked, fleet: Fleet, uses: Sequence[Wired], inputs: Mapping[str, Uncertain]
) -> tuple[Ground, ...]:
    """Every number the forecast rests on, and how well it is known."""
    assumed = _assumed(asked)
    return (
        *(_input(name, each, asked, assumed) for name, each in inputs.items()),
        *(_time(use, kind) for use in uses for kind in use.described().chip_time),
        *(_power(kind, fleet) for kind in fleet.powers),
        _plain("largest share of the throughput planned with", ROOM),
        *(_plain(f"{use.name} reuse", use.reuse, "the file") for use in asked.demands if use.reuse),
    )


MAY_BE_ASSUMED = {  # names of inputs, and the fields that say them
    "peak over mean": "peak_over_mean",
    "utilisation": "utilisation",
    "runs": "runs",
    "experiments": "experiments",
    "companies": "companies",
    "retired": "retire",
    "share": "share",
}


def _assumed(asked: Asked) -> set[str]:
    """Inputs that the file does not say."""
    lines = [
        *(("demand", each.name) for each in asked.demands),
        *(("training", each.name) for each in asked.trainings),
        *(("supply", each.chip) for each in asked.supplies),
    ]
    found = {
        f"{name} {words}"
        for of, name in lines
        for words, field in MAY_BE_ASSUMED.items()
        if f"{of}.{name}.{field}" not in asked.given
    }
    return found | ({"electricity"} - asked.given)


def _input(name: str, each: Uncertain, asked: Asked, assumed: set[str]) -> Ground:
    kind, source, note = _known(name, asked, assumed)
    return Ground(
        name=name,
        value=each.span.likely,
        unit=f"{each.unit} a year" if each.growth else each.unit,
        kind=kind,
        source=source,
        low=each.span.low,
        high=each.span.high,
        note=note,
    )


def _known(name: str, asked: Asked, assumed: set[str]) -> tuple[GroundKind, str, str]:
    """How well an input is known, from where, and what is said of it."""
    if name.startswith("eke's speed"):
        return "derived", "eke", "planned by eke"
    if name in SITE:
        each = values(asked.count_in)[SITE[name]]
        return each.kind, each.source, each.note
    chip_id = name.removesuffix(" price")
    if chip_id != name and f"supply.{chip_id}.price" not in asked.given:
        row = price(chip_id, "buy")
        if row is not None:
            return row.kind, row.source, f"{row.date}: {row.note}"
    of = next((each for each in asked.demands if name.startswith(f"{each.name} ")), None)
    if of is not None and of.like and name not in assumed:
        field = name.removeprefix(f"{of.name} ")
        if field in BORROWED and f"demand.{of.name}.{field}" not in asked.given:
            return "published", published(of.like).source, f"of {of.like}"
    if name in assumed:
        return "assumed", "epoch" if name == "electricity" else "eke", ""
    return "given", "the file", ""


def _plain(name: str, value: float, source: str = "eke") -> Ground:
    kind: GroundKind = "assumed" if source == "eke" else "given"
    return Ground(name=name, value=value, unit="1", kind=kind, source=source)


def _power(kind: str, fleet: Fleet) -> Ground:
    """Of a chip, alone or at the meter."""
    metered = kind in fleet.metered
    fact = chip(kind).facts.get("power")
    published = fact.source if fact is not None else "eke"
    return Ground(
        name=f"power of {kind}",
        value=fleet.powers[kind],
        unit="W",
        kind="given" if metered else "published",
        source="the file" if metered else published,
        note="at the meter of the site, at most" if metered else "at most; the server's is beside",
    )


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
        found += [f"{use.name}: {note}" for note in described.notes]
        cannot = [kind for kind, time in described.chip_time.items() if time is None]
        if cannot:
            found.append(
                f"{use.name} cannot run on {', '.join(cannot)}; those are worth what they do for "
                "the other uses"
            )
    if asked.narrowed:
        found.append(
            f"of {', '.join(asked.narrowed)} only the likeliest value is used, not the span"
        )
    if not asked.supplies:
        found.append("no supply is given ([supply.CHIP]), so nothing is said of shortage")
    return tuple(found)
