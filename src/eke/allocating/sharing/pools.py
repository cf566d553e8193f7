"""Pools of chips and the sites where they stand, from the words of a provider's file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from eke.allocating.sharing.calendar import Calendar
from eke.allocating.sharing.file import Change, PoolText, SiteText
from eke.allocating.sharing.texts import Texts
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import fleet
from eke.errors import EkeError
from eke.physics.ownership import capital_recovery
from eke.types.fleet import Pool
from eke.types.provider import NOWHERE, Site, Supply
from eke.types.record import replace

YEAR = 365.25 * 86400.0


def site(texts: Texts, name: str, text: SiteText) -> Site:
    at = f"sites.{name}"
    return Site(
        name=name,
        power=None if text.power is None else texts.number(f"{at}.power", text.power, "W"),
        racks=None if text.racks is None else texts.number(f"{at}.racks", text.racks),
    )


PER_RACK = 32.0  # chips of a rack where nobody says


def supply(
    texts: Texts,
    calendar: Calendar,
    name: str,
    text: PoolText,
    sites: Mapping[str, SiteText],
    made: Mapping[str, Site],
) -> Supply:
    at = f"pools.{name}"
    if text.site:
        texts.known(f"{at}.site", text.site, sites, "site")
    chips = texts.count(f"{at}.chips", text.chips)
    if text.more is not None and chips:
        raise texts.wrong(
            f"{at}.more",
            "rents chips beside those there are; give rented ones a pool of their own.",
        )
    pool = _pool(texts, at, text, sites.get(text.site))
    there = _there(texts, calendar, at, text, chips)
    working = _working(texts, at, text)
    more, price, lost = _more(texts, at, text, pool)
    return Supply(
        name=name,
        pool=pool,
        site=made.get(text.site, NOWHERE),
        there=tuple(float(int(number * working + 1e-6)) for number in there),
        more=(more * (1 - lost),) * calendar.periods,
        price=price / (1 - lost),
        per_rack=texts.above(f"{at}.per_rack", text.per_rack) if text.per_rack else PER_RACK,
        held=_held(texts, at, text, pool),
    )


def _pool(texts: Texts, at: str, text: PoolText, site: SiteText | None) -> Pool:
    """The chip, with what the site makes of its power."""
    try:
        pool = fleet(f"1x{text.chip}").pools[0]
    except EkeError as error:
        raise texts.wrong(f"{at}.chip", f"is {text.chip!r:.40}: {error}") from None
    usual = efficiencies(pool.chip.family, "")
    said = site or SiteText()
    electricity = (
        usual["electricity"].likely
        if said.electricity is None
        else texts.number("sites.electricity", said.electricity, "USD/J")
    )
    pue = usual["pue"].likely if said.pue is None else texts.number("sites.pue", said.pue)
    if pue < 1:
        raise texts.wrong("sites.pue", f"is {said.pue!r}; it is 1 or more.")
    carbon = (
        usual["carbon"].likely
        if said.carbon is None
        else texts.number("sites.carbon", said.carbon, "kg/J")
    )
    if text.rent is not None or text.more is not None:
        electricity = 0.0  # a rent includes it
    return replace(pool, electricity=electricity, pue=pue, carbon=carbon)


def _there(texts: Texts, calendar: Calendar, at: str, text: PoolText, chips: int) -> list[float]:
    """Chips by period: what came counts from the first period that begins after it did, what
    leaves until the last that ends before."""
    found = [float(chips)] * calendar.periods
    for sign, what, changes in ((1, "coming", text.coming), (-1, "leaving", text.leaving)):
        for number, change in enumerate(changes):
            where = f"{at}.{what}[{number}]"
            for period in range(_effective(texts, calendar, where, change, sign), calendar.periods):
                found[period] += sign * texts.count(f"{where}.chips", change.chips)
    short = next((i for i, number in enumerate(found) if number < 0), None)
    if short is not None:
        raise texts.wrong(
            f"{at}.leaving",
            f"takes {-found[short]:,.0f} chips more than there are in period {short + 1}.",
        )
    return found


def _effective(texts: Texts, calendar: Calendar, at: str, change: Change, sign: int) -> int:
    day = texts.day(f"{at}.date", change.date)
    late = texts.number(f"{at}.late", change.late, "s")
    after = calendar.first_from(date.fromordinal(day.toordinal() + round(late / 86400.0)))
    if sign > 0:
        return after
    exact = (day - calendar.start).days * 86400.0 / calendar.period
    return min(max(int(exact + 1e-9), 0), calendar.periods)


def _working(texts: Texts, at: str, text: PoolText) -> float:
    """Share of the chips that work: not broken, not kept as spares."""
    found = 1.0 - texts.share(f"{at}.spares", text.spares)
    if text.failing is not None:
        every = texts.above(f"{at}.failing.every", text.failing.every, "s")
        repair = texts.number(f"{at}.failing.repair", text.failing.repair, "s")
        found *= every / (every + repair)
    return found


def _more(texts: Texts, at: str, text: PoolText, pool: Pool) -> tuple[float, float, float]:
    """Chips that may be rented, at what price, and the share of their time that is lost."""
    if text.more is None:
        return 0.0, 0.0, 0.0
    lost = texts.share(f"{at}.more.lost", text.more.lost)
    if lost > 0.95:
        raise texts.wrong(f"{at}.more.lost", f"is {text.more.lost!r}; nothing would be left.")
    if text.more.price is None and pool.rent is None:
        raise texts.wrong(f"{at}.more.price", f"is missing; nobody has published {text.chip}'s.")
    price = (
        pool.rent
        if text.more.price is None
        else texts.number(f"{at}.more.price", text.more.price, "USD/s")
    )
    assert price is not None
    return float(texts.count(f"{at}.more.chips", text.more.chips)), price, lost


def _held(texts: Texts, at: str, text: PoolText, pool: Pool) -> float:
    """What a chip that one has costs in use or not [USD/s]."""
    if text.rent is not None and text.buy is not None:
        raise texts.wrong(at, "has a rent and a price to buy; give one of them.")
    staff = 0.0 if text.staff is None else texts.number(f"{at}.staff", text.staff, "USD/s")
    if text.rent is not None:
        return staff + texts.number(f"{at}.rent", text.rent, "USD/s")
    price = pool.buy if text.buy is None else texts.number(f"{at}.buy", text.buy, "USD")
    if price is None:
        return staff
    life = pool.life if text.life is None else texts.above(f"{at}.life", text.life, "s")
    return staff + price * float(
        capital_recovery(
            life=life,
            rate=texts.share(f"{at}.interest", text.interest) / YEAR,
            share=texts.share(f"{at}.residual", text.residual),
        )
    )
