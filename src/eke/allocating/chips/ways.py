"""Ways to have chips, from words such as "buy:h100-sxm" to what they cost and how fast they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eke.allocating.chips.inputs import (
    Inputs,
    making_at,
    making_inputs,
    price_input,
)
from eke.allocating.chips.speed import Speed, speed_at
from eke.catalog.chips import chip as catalogued
from eke.catalog.fleets import pool
from eke.economics.choice import Way
from eke.errors import BadInput, closest
from eke.types.chip import Chip
from eke.types.fleet import Pool
from eke.types.record import Record
from eke.types.silicon import Uncertain
from eke.units import quantity

HOWS = {"buy": "USD", "rent": "USD/s", "own": ""}


class Named(Record):
    """An offer as its words name it. price: the user's own, if any [USD], or rent [USD/s]."""

    name: str
    how: str
    chip: str
    price: float | None = None


class Known(Record):
    """A way with its chips and their speed. said: what a file says of making them."""

    named: Named
    pool: Pool
    speed: Speed
    said: Mapping[str, Uncertain] = {}
    process: str = ""

    @property
    def chip(self) -> Chip:
        """Of which it is."""
        return self.pool.chip

    @property
    def suffix(self) -> str:
        """That tells its inputs apart; those of one's own chip have none."""
        return "" if self.named.how == "build" else f" of {self.named.name}"


def named(text: str) -> Named:
    """ "rent:h200=2.5 USD/h" as a way; the price is optional. Raises BadInput."""
    how, colon, rest = text.strip().partition(":")
    if how not in HOWS or not colon or not rest.strip():
        near = closest(how, HOWS)
        hint = f" Did you mean {near}:…?" if near and near != how else ""
        raise BadInput(
            f"{text[:60]!r} is no way to have chips; expected buy:CHIP, rent:CHIP or own:CHIP, "
            f"such as rent:h200, with a price of your own as rent:h200='2.5 USD/h'.{hint}"
        )
    name, equals, price = rest.partition("=")
    chip = catalogued(name.strip())
    if equals and how == "own":
        raise BadInput(f"{text[:60]!r}: own: is what making the chip costs; drop the price.")
    own = quantity(price.strip(), HOWS[how]) if equals else None
    if own is not None and not 0 < own < 1e9:
        raise BadInput(f"{text[:60]!r}: a price is above zero.")
    return Named(name=f"{how}:{chip.id}", how=how, chip=name.strip(), price=own)


def pool_of(way: Named) -> Pool:
    """Its chips. Raises BadInput where nobody has published what is needed of them."""
    of = pool(catalogued(way.chip), 1)
    if way.how != "rent" and of.chip.power is None:
        raise BadInput(
            f"nobody has published the power of {of.chip.id}, so owning it cannot be priced; add "
            f"it to a file of your own, or use rent:{of.chip.id}."
        )
    if way.how != "own" and way.price is None and getattr(of, way.how) is None:
        raise BadInput(
            f"nobody has published what {of.chip.id} costs to {way.how}; give a price: "
            f"{way.name}='{'3 USD/h' if way.how == 'rent' else '20000 USD'}'."
        )
    return of


def way_inputs(known: Known) -> Inputs:
    """The uncertain numbers of one way."""
    how = known.named.how
    if how in ("build", "own"):
        return making_inputs(known.chip, known.said, known.process, known.suffix)
    name, own = f"price{known.suffix}", known.named.price
    price = own if own is not None else getattr(known.pool, how)
    fact = known.pool.facts.get(how)
    return {name: price_input(name, price, HOWS[how], fact, own is not None)}


def way_at(known: Known, values: Mapping[str, Any]) -> Way:
    """The way where its inputs have these values."""
    how = known.named.how
    made = how in ("build", "own")
    return Way(
        name=known.named.name,
        how=how,  # type: ignore[arg-type]
        speed=speed_at(known.speed, values),
        power=known.chip.power or 0.0,
        price=0.0 if made else values[f"price{known.suffix}"],
        making=making_at(known.chip, values, known.suffix) if made else None,
    )
