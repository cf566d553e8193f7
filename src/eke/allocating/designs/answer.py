"""Co-design: how to spend the area of a chip for a workload, and what limits each way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from eke.allocating.chips.loads import job_words
from eke.allocating.chips.speed import Load, Moves, refuse_none
from eke.allocating.designs.costs import Costs, Flow, costs_of, flow_of
from eke.allocating.designs.price import bound_of, whole_worth, worth
from eke.allocating.designs.shapes import (
    SHAPES,
    SIZES,
    Blueprint,
    Shape,
    blueprints,
    kit,
    slower,
)
from eke.catalog.chips import chip as catalogued
from eke.catalog.nodes import YEAR, densities, memory_values, node, usual
from eke.economics.laws import ground_of
from eke.errors import BadInput, closest
from eke.types.chip import Chip
from eke.types.job import Serve
from eke.types.need import Ground, Infeasible, Span
from eke.types.record import Record, replace
from eke.types.silicon import Design, Designs, Uncertain

CLOCKS = (0.8, 0.6)  # over the full one
REFERENCES = ("h100-sxm", "tpu-v5e", "wse-3")
Progress = Callable[[int, int, str], None]


class Wish(Record):
    """What is to be designed. area: of all dies of a package at most [m2].  memory: beside the
    dies.  volume: chips per year over four years [1/s], over which the design is paid."""

    loads: tuple[Load, ...]
    process: str = "n5"
    area: float = 858e-6
    memory: str = "HBM3e"
    shapes: tuple[Shape, ...] = SHAPES
    references: tuple[str, ...] = REFERENCES
    volume: float | None = None
    said: Mapping[str, Uncertain] = {}


class Priced(Record):
    """A design and what it is worth."""

    blueprint: Blueprint
    per_dollar: float
    per_joule: float


def design(wish: Wish, progress: Progress | None = None) -> Designs | Infeasible:
    """The designs that none beats in tokens per dollar and per joule. Raises EkeError."""
    _check(wish)
    parts = kit(wish.process, wish.memory)
    pieces = None if wish.volume is None else wish.volume * 4 * YEAR
    costs = costs_of(wish.said, parts.process, pieces)
    every = list(blueprints(parts, wish.shapes, wish.area))
    priced = _priced(wish, every, costs, progress)
    slow = [slower(parts, each, clock) for each in _leading(priced) for clock in CLOCKS]
    priced += _priced(wish, slow, costs, progress)
    if not priced:
        return _none(wish)
    fronts = [each for shape in wish.shapes for each in _front(priced, shape)]
    best = nondominated(fronts)
    return Designs(
        job=job_words(wish.loads),
        node=parts.process,
        budget=wish.area,
        points=_points(wish, best, costs),
        others=_points(wish, [each for each in fronts if each not in best], costs),
        references=tuple(_references(wish, costs)),
        considered=len(every) + len(slow),
        priced=len(priced),
        grounds=tuple(_grounds(wish)),
        remarks=tuple(_remarks(wish)),
    )


def _check(wish: Wish) -> None:
    refuse_none(wish.loads)
    if any(not isinstance(load.job, Serve) for load in wish.loads):
        raise BadInput("designs are compared for serving; drop the training of the workload.")
    for shape in wish.shapes:
        if shape not in SHAPES:
            near = closest(shape, SHAPES) or ", ".join(SHAPES)
            raise BadInput(
                f"no shape {shape[:30]!r}; closest: {near}. There are {', '.join(SHAPES)}."
            )
    for name in wish.references:
        catalogued(name)
    if wish.area < SIZES[0] * (1 - 1e-9) and set(wish.shapes) != {"wafer"}:
        raise BadInput(
            f"an area of {wish.area * 1e6:.4g} mm2 is too small; the smallest design has "
            f"{SIZES[0] * 1e6:.0f} mm2."
        )
    if "stack_speed" not in memory_values(wish.memory):
        raise BadInput(f"{wish.memory!r} comes in no stacks; expected HBM2e, HBM3, HBM3e or HBM4.")


def _priced(
    wish: Wish, every: Sequence[Blueprint], costs: Costs, progress: Progress | None
) -> list[Priced]:
    """What each is worth, but for those that others of the same shape and size are sure to beat.

    The most promising by what none can exceed go first.
    """
    flows = [flow_of(each.chip, each.stacks, costs) for each in every]
    ceilings = [bound_of(wish.loads, e.chip, f) for e, f in zip(every, flows, strict=True)]
    order = sorted(range(len(every)), key=lambda i: (-ceilings[i][0], every[i].chip.id))
    found: dict[tuple[str, float], list[Priced]] = {}
    for done, index in enumerate(order):
        blueprint = every[index]
        if progress is not None:
            progress(done, len(order), blueprint.chip.name)
        alike = found.setdefault(_kin(blueprint), [])

        def beaten(dollar: float, joule: float, alike: Sequence[Priced] = alike) -> bool:
            return any(e.per_dollar >= dollar and e.per_joule >= joule for e in alike)

        if beaten(*ceilings[index]):
            continue
        one = worth(wish.loads, blueprint.chip, flows[index], beaten)
        if one is not None:
            alike.append(
                Priced(blueprint=blueprint, per_dollar=one.per_dollar, per_joule=one.per_joule)
            )
    return [each for some in found.values() for each in some]


def _kin(of: Blueprint) -> tuple[str, float]:
    """Shape and size, within which the best are found whatever else may be built."""
    return of.shape, of.chip.die_area or 0.0


def _leading(priced: Sequence[Priced]) -> list[Blueprint]:
    """Of every shape and size the best per dollar and per joule, to be looked at slower too."""
    best: dict[tuple[str, float, str], Priced] = {}
    for each in priced:
        for measure in ("per_dollar", "per_joule"):
            key = (*_kin(each.blueprint), measure)
            if key not in best or getattr(each, measure) > getattr(best[key], measure):
                best[key] = each
    return list({each.blueprint.chip.id: each.blueprint for each in best.values()}.values())


def _front(priced: Sequence[Priced], shape: Shape) -> list[Priced]:
    return nondominated([each for each in priced if each.blueprint.shape == shape])


def nondominated(priced: Sequence[Priced]) -> list[Priced]:
    """Those that no other equals or beats in both measures, the best per dollar first."""
    ranked = sorted(
        priced, key=lambda each: (-each.per_dollar, -each.per_joule, each.blueprint.chip.id)
    )
    kept: list[Priced] = []
    for each in ranked:
        if not kept or each.per_joule > kept[-1].per_joule:
            kept.append(each)
    return kept


def _points(wish: Wish, chosen: Sequence[Priced], costs: Costs) -> tuple[Design, ...]:
    """With spans, layouts and what binds them, the best per dollar first."""
    rows = []
    for each in chosen:
        of = each.blueprint
        made = _made(wish, of.chip, flow_of(of.chip, of.stacks, costs))
        if made is not None:
            bound = (*of.bound, *made.bound)
            spent = {"shape": of.shape, "areas": of.areas, "dies": of.dies, "stacks": of.stacks}
            rows.append(replace(made, bound=bound, clock=of.clock, **spent))
    return tuple(sorted(rows, key=lambda each: -each.per_dollar))


def _made(wish: Wish, chip: Chip, flow: Flow) -> Design | None:
    """A chip with what it is worth, its shape that of its kind and its area undivided."""
    found = whole_worth(wish.loads, chip, flow)
    if found is None:
        return None
    return Design(
        name=chip.id,
        shape=chip.kind,
        chip=chip,
        areas={"die": chip.die_area or 0.0},
        dies=1,
        stacks=0,
        unit=flow.unit,
        per_dollar=found.per_dollar,
        per_joule=found.per_joule,
        speed=_span(found.tokens, found.moves),
        binds=found.binds,
        bound=found.full,
        plans=(found.plan,),
    )


def _span(tokens: float, moves: Moves) -> Span:
    """With what is not known of the efficiencies, added in squares."""
    up = float(np.sqrt(sum(max(low, high, 0.0) ** 2 for low, high in moves.values())))
    down = float(np.sqrt(sum(min(low, high, 0.0) ** 2 for low, high in moves.values())))
    return Span(low=tokens * float(np.exp(-down)), likely=tokens, high=tokens * float(np.exp(up)))


def _references(wish: Wish, costs: Costs) -> Iterable[Design]:
    """Chips of the catalogue by the same rules: what they cost to make, and software of any maker.

    Those that cannot do it, or of which too little is published, are left out.
    """
    for name in wish.references:
        of = replace(catalogued(name), vendor="you")
        made = _made(wish, of, flow_of(of, None, costs))
        if made is not None:
            yield made


def _none(wish: Wish) -> Infeasible:
    return Infeasible(
        limit="designs that serve it",
        need=1.0,
        have=0.0,
        by=1.0,
        unit="1",
        hint=f"more than {wish.area * 1e6:,.0f} mm2 (--area), other --shapes, or looser promises",
    )


def _grounds(wish: Wish) -> Iterable[Ground]:
    every = {**densities(wish.process), **node(wish.process).values, **usual("making")}
    every |= {**usual("site"), **wish.said}
    for value in every.values():
        yield ground_of(value)


def _remarks(wish: Wish) -> Iterable[str]:
    if wish.volume is None:
        yield "design, masks and software are not in it; --volume spreads them over four years"
    if wish.references:
        yield (
            "chips that exist are priced by the same rules: what they cost to make, not what they "
            "sell for"
        )
    yield (
        "intervals are what is not known of efficiencies, much of it the same for all designs of a "
        "shape; what chips and sites cost is taken at its likeliest"
    )
    yield (
        "efficiencies are those measured of the family of each shape (blackwell, tpu; a wafer has "
        "those of any chip, its operators apart), after years of software; densities are of chips "
        "that exist"
    )
    yield (
        "memory on the die hides latency, holds tiles and keeps what operators hand on; a wafer "
        "keeps everything"
    )
