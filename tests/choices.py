"""Invented answers about chips and designs, for pages: numbers are drawn, nothing is planned."""

from __future__ import annotations

import numpy as np

from eke.catalog.chips import chip
from eke.types.need import Ground, Span
from eke.types.plan import Plan
from eke.types.record import replace
from eke.types.silicon import ChipChoice, Design, Designs, Gain, Offer, Swing, Turning

EVIL = "<script>alert(1)</script>\"'&" + "y" * 400
YEAR = 365.25 * 86400.0
SWUNG = (("price_trend", "1/s"), ("load", "1"), ("nre", "USD"), ("scatter of own", "sd"))
GROUNDS = (
    Ground(name="load", value=0.45, unit="1", kind="assumed", source="eke", low=0.38, high=0.6),
    Ground(name="price of buy:x", value=3e4, unit="USD", kind="published", source="a list"),
    Ground(name="defects", value=1100.0, unit="1/m2", kind="derived", source="a paper", note="n5"),
)


def _offer(name: str, cost: float, dice: np.random.Generator) -> Offer:
    how = name.partition(":")[0]
    made = ("silicon", "memory", "package", "test")
    parts = {"rent": cost} if how == "rent" else {"server": cost / 2, "site": cost / 4}
    if how != "rent":
        parts |= dict.fromkeys(made, cost / 16) if how == "build" else {"chips": cost / 4}
    return Offer(
        name=name,
        how=how,
        chip=name,
        cost=Span(low=0.6 * cost, likely=cost, high=2.5 * cost),
        parts=parts,
        speed=Span(low=500, likely=900, high=1500),
        chips=float(dice.integers(10, 10**6)),
        unit={part: float(dice.uniform(100, 5000)) for part in made} if how == "build" else {},
        plans=(Plan(chip="h100-sxm", tensor=4, replicas=3),),
        cheapest=0.3,
    )


def _gain(against: str, middle: float, alone: bool) -> Gain:
    told = np.sort(middle + 5e9 * np.tan(np.linspace(-1.4, 1.4, 41)))
    swings = tuple(
        Swing(name=n, low=-0.1, high=0.4, unit=u, gain_low=middle - 9e9 / i, gain_high=middle + 2e9)
        for i, (n, u) in enumerate(SWUNG, 1)
    )
    turnings = (
        Turning(name="volume", now=2e5 / YEAR, at=9e5 / YEAR, unit="1/s", above=True),
        Turning(name=f"price of {against}", now=3e4, at=5e4, unit="USD", above=True),
    )
    return Gain(
        against=against,
        likely=middle,
        mean=middle,
        low=float(told[4]),
        middle=float(told[20]),
        high=float(told[36]),
        chance=float(np.mean(told > 0)),
        quantiles=tuple(told.tolist()),
        swings=swings if alone else (),
        turnings=turnings if alone else (),
    )


def choice(name: str) -> ChipChoice:
    """ "build", "one rival", "certain", "sold" without a chip of one's own, or "evil"."""
    dice = np.random.default_rng(3)
    mark = EVIL if name == "evil" else ""
    rivals = ["buy:x", "rent:y", "own:z"][: 1 if name == "one rival" else 3]
    rivals = [each + mark for each in rivals]
    own = [] if name == "sold" else ["build:mine" + mark]
    offers = [_offer(each, 0.2 + 0.1 * i, dice) for i, each in enumerate([*rivals, *own])]
    missing = Offer(name="buy:slow" + mark, how="buy", chip="slow", why_not="tpot is short" + mark)
    gains = [_gain(each, 2e9 * i - 1e9, alone=True) for i, each in enumerate(rivals)]
    gains += [_gain("the cheapest of them", -3e9, alone=False)] if len(rivals) > 1 else []
    if name == "certain":
        gains = [replace(each, quantiles=(2e9,) * 41, swings=(), turnings=()) for each in gains]
    return ChipChoice(
        job="serve a model" + mark,
        offers=(*offers, missing),
        gains=tuple(gains) if own else (),
        volume=2e5 / YEAR if own else None,
        years=4 * YEAR,
        tokens=3e9,
        samples=20_000,
        seed=1,
        grounds=tuple(replace(each, source=each.source + mark) for each in GROUNDS),
        remarks=("it is invented" + mark,),
    )


def _design(shape: str, dollar: float, joule: float, mark: str = "") -> Design:
    of = replace(chip("h100-sxm"), name=f"{shape} of 800 mm2{mark}")
    speed = Span(low=dollar / 4e3, likely=dollar / 2e3, high=dollar / 1e3)
    return Design(
        name=shape + mark,
        shape=shape,
        chip=of,
        areas={"matrix units": 5e-4 + 1e-9 * dollar / 1e6, "links": 1e-5, "rest": 2e-4},
        dies=1,
        stacks=6,
        unit={"silicon": 300.0, "memory": 1400.0, "package": 800.0, "test": 650.0},
        per_dollar=dollar,
        per_joule=joule,
        speed=speed,
        binds={"peak arithmetic": 0.5, "memory speed" + mark: 0.3},
        bound=("heat" + mark,),
        plans=(Plan(chip="h100-sxm"),),
        clock=0.8 if dollar > 9e6 else 1.0,
    )


def designs(name: str) -> Designs:
    """ "plain", "alone" without others or references, "wide" over decades, or "evil"."""
    mark = EVIL if name == "evil" else ""
    wide = 300.0 if name == "wide" else 1.0
    points = [_design("systolic", 9e6 + 1e6 * i, 3.0 - 0.4 * i, mark) for i in range(3, 0, -1)]
    others = [_design("gpu", 7e6, 2.2), _design("wafer", 3e6 / wide, 1.1 / wide)]
    known = [_design("h100-sxm", 4e6, 1.0, mark), _design("wse-3", 1.5e6 / wide, 0.3 / wide, mark)]
    if name == "alone":
        points, others, known = points[:1], [], []
    return Designs(
        job="serve a model" + mark,
        node="n5",
        budget=8.58e-4,
        points=tuple(points),
        others=tuple(others),
        references=tuple(known),
        considered=400,
        priced=300,
        grounds=tuple(replace(each, note=each.note + mark) for each in GROUNDS),
        remarks=("it is invented" + mark,),
    )


CHOICES = ("build", "one rival", "certain", "sold", "evil")
DESIGNS = ("plain", "alone", "wide", "evil")
