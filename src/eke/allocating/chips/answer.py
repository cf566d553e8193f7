"""Buy, rent or build: every way priced on the same workload, with its risk and what turns it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from eke.allocating.chips.gains import gains_of
from eke.allocating.chips.loads import job_words
from eke.allocating.chips.offers import grounds_of, offer_of, remarks_of
from eke.allocating.chips.question import Question
from eke.allocating.chips.scene import inputs_of, staged, tokens_at_once, years_of
from eke.allocating.chips.speed import Speed, refuse_none, speed
from eke.allocating.chips.ways import Known, Named, named, pool_of
from eke.catalog.fleets import pool
from eke.economics.laws import likely, point
from eke.economics.risk import drawn, likeliest
from eke.errors import BadInput
from eke.types.need import Infeasible
from eke.types.silicon import ChipChoice, Offer
from eke.units import show

Progress = Callable[[int, float], None]
Speeds = dict[tuple[str, str], Speed | Infeasible]  # by whether it is built, and by chip


def choose(question: Question, progress: Progress | None = None) -> ChipChoice | Infeasible:
    """What a useful token costs in every way, and whether to build. Raises EkeError."""
    refuse_none(question.loads)
    ways = _ways(question)
    known: list[Known] = []
    failed: dict[str, Infeasible] = {}
    speeds: Speeds = {}
    for way in ways:
        found = _known(question, way, speeds, progress)
        if isinstance(found, Known):
            known.append(found)
        elif way.how == "build":
            return found
        else:
            failed[way.name] = found
    if not any(each.named.how != "build" for each in known):
        return next(iter(failed.values()))
    missing = [_cannot(way, failed[way.name]) for way in ways if way.name in failed]
    return _answer(question, known, missing)


def _ways(question: Question) -> list[Named]:
    """The chip of one's own first, where there is one."""
    others = [named(text) for text in question.against]
    twice = [way.name for way in others]
    for name in twice:
        if twice.count(name) > 1:
            raise BadInput(f"{name} is given twice in --against; give it once.")
    if not others:
        raise BadInput("compared with what? Give --against, such as buy:h100-sxm,rent:h200.")
    if question.chip is None:
        return others
    own = question.chip.id
    return [Named(name=f"build:{own}", how="build", chip=own), *others]


def _known(
    question: Question, way: Named, speeds: Speeds, progress: Progress | None
) -> Known | Infeasible:
    """A way with the speed of its chips, looked for once for each kind of them."""
    chip, file = question.chip, question.file
    if way.how != "build" or chip is None or file is None:
        of, said, process = pool_of(way), {}, ""
    elif chip.power is None:
        raise BadInput(f"{file.path}: nothing says the power of the chip; give chip.power.maximum.")
    else:
        of, said, process = pool(chip, 1), file.said, file.node
    key = ("built" if way.how == "build" else "sold", of.chip.id)
    if key not in speeds:
        speeds[key] = speed(question.loads, of, chip is None, progress)
    found = speeds[key]
    if isinstance(found, Infeasible):
        return found
    return Known(named=way, pool=of, speed=found, said=said, process=process)


def _cannot(way: Named, found: Infeasible) -> Offer:
    why = f"{found.limit} is short by {show(found.by, found.unit)}: {found.hint}"
    return Offer(name=way.name, how=way.how, chip=way.chip, why_not=why)


def _answer(question: Question, known: Sequence[Known], missing: list[Offer]) -> ChipChoice:
    inputs = inputs_of(question, known)
    scenes = staged(question, known, inputs)
    every, served = likeliest(inputs, scenes)
    cases = drawn(inputs, scenes, question.samples, question.seed)
    least = np.argmin(np.array(cases.costs), axis=0)
    offers = [
        offer_of(each, every[i], served, cases.costs[i], float(np.mean(least == i)))
        for i, each in enumerate(known)
    ]
    build = question.chip is not None
    return ChipChoice(
        job=job_words(question.loads),
        offers=(*sorted(offers, key=lambda o: o.cost.likely if o.cost else 0.0), *missing),
        gains=gains_of(inputs, scenes, every, cases, known) if build else (),
        volume=likely(inputs["volume"].law) if build else None,
        years=years_of(question, inputs),
        tokens=tokens_at_once(scenes(point(inputs))),
        samples=question.samples,
        seed=question.seed,
        grounds=grounds_of(inputs, known),
        remarks=remarks_of(question.loads, build, known, bool(missing)),
    )
