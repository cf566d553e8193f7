"""A provider's file as a `Provider`, with every mistake named by file and field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import tomli

from eke.allocating.sharing.file import (
    USE_FIELDS,
    Change,
    PoolText,
    ProviderText,
    SiteText,
    UseText,
)
from eke.allocating.sharing.lines import Calendar, Lines
from eke.allocating.sharing.texts import Texts
from eke.catalog.efficiencies import efficiencies
from eke.catalog.files import read_text, to_record
from eke.catalog.fleets import fleet
from eke.errors import BadFile, EkeError, closest
from eke.physics.ownership import capital_recovery
from eke.types.fleet import Pool
from eke.types.provider import NOWHERE, Line, Provider, Site, Supply
from eke.types.record import replace

MOST_PERIODS, MOST_USES, MOST_POOLS = 1000, 2000, 500
ALL_DAY = {"all day": 1.0}
YEAR = 365.25 * 86400.0


def read_provider(path: str | Path, changes: Sequence[str] = ()) -> Provider:
    """The provider of a file. changes: "pools.h100.chips=9000", made before it is read.

    Raises BadFile naming file and field.
    """
    words = read_words(path)
    for change in changes:
        _change(str(path), words, change)
    return provider_of(words, str(path))


def read_words(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file, dates as texts."""
    try:
        found = tomli.loads(read_text(Path(path)))
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise BadFile(f"{path}: is not TOML: {error}.") from None
    plain: dict[str, Any] = _plain(found)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def _change(path: str, words: dict[str, Any], change: str) -> None:
    """One number of the file, changed."""
    field, equals, text = change.partition("=")
    steps = field.strip().split(".")
    if not equals or not all(steps):
        raise BadFile(f"{change!r:.60}: expected FIELD=VALUE, such as pools.h100.chips=9000.")
    at: Any = words
    for step in steps[:-1]:
        at = at[_step(path, field, at, step)]
    last = _step(path, field, at, steps[-1], new=isinstance(at, dict))
    try:
        at[last] = _plain(tomli.loads(f"value = {text}")["value"])
    except tomli.TOMLDecodeError:
        at[last] = text.strip()


def _step(path: str, field: str, at: Any, step: str, new: bool = False) -> Any:
    """The next table or place on the way to a field."""
    if isinstance(at, list) and step.isdigit() and int(step) < len(at):
        return int(step)
    if isinstance(at, dict) and (step in at or new):
        return step
    names = list(at) if isinstance(at, dict) else [str(i) for i in range(len(at))]
    near = closest(step, names)
    hint = f"closest: {near}" if near else f"there are {', '.join(names[:12])}"
    raise BadFile(f"{path}: has no {field!r:.60}: no {step!r:.40} there; {hint}.")


def provider_of(words: Mapping[str, Any], path: str) -> Provider:
    """The provider that the tables describe."""
    text = to_record(dict(words), ProviderText, path)
    texts = Texts(path)
    calendar = _calendar(texts, text)
    sites = {name: _site(texts, name, each) for name, each in text.sites.items()}
    if not text.pools or len(text.pools) > MOST_POOLS:
        raise BadFile(f"{path}: pools: there are {len(text.pools)}; give 1 to {MOST_POOLS}.")
    supplies = tuple(
        _supply(texts, calendar, name, each, text.sites, sites) for name, each in text.pools.items()
    )
    if not text.uses or len(text.uses) > MOST_USES:
        raise BadFile(f"{path}: uses: there are {len(text.uses)}; give 1 to {MOST_USES}.")
    reader = Lines(texts, calendar, tuple(text.pools))
    uses, lines = [], []
    for name, given in text.uses.items():
        own = {key: value for key, value in given.items() if key in USE_FIELDS}
        use = to_record(own, UseText, f"{path}: uses.{name}")
        uses.append(reader.use(name, use))
        rest = {key: value for key, value in given.items() if key not in own or key == "rate"}
        rest.pop("rate", None)
        lines += reader.lines(name, use, rest)
    if text.goal == "cost":
        lines = [_in_time(line) for line in lines]
    return Provider(
        name=text.name or Path(path).stem,
        start=text.start,
        period=calendar.period,
        periods=calendar.periods,
        parts=calendar.parts,
        sites=tuple(sites.values()),
        supplies=supplies,
        uses=tuple(uses),
        lines=tuple(lines),
        goal=text.goal,
        gap=texts.share("gap", text.gap),
        budget=_budget(texts, text, calendar),
        carbon=None if text.carbon is None else texts.number("carbon", text.carbon, "kg"),
        slip=texts.number("slip", text.slip, "s"),
        words=dict(words),
    )


def _in_time(line: Line) -> Line:
    """Where only cost counts, what is asked is promised, and promised in time."""
    return replace(line, floor=line.floor or 1.0, promised=True, lateness=line.lateness[:1])


def _calendar(texts: Texts, text: ProviderText) -> Calendar:
    if not 1 <= text.periods <= MOST_PERIODS:
        raise texts.wrong(
            "periods", f"is {text.periods}; it must lie between 1 and {MOST_PERIODS}."
        )
    parts = {name: texts.above(f"day.{name}", hours, "s") for name, hours in text.day.items()}
    total = sum(parts.values())
    if parts and abs(total - 86400.0) > 60.0:
        raise texts.wrong("day", f"adds up to {total / 3600:g} h; its parts must make 24 h.")
    period = texts.above("period", text.period, "s")
    if period < 3600.0:
        raise texts.wrong("period", f"is {text.period!r}; a period has an hour or more.")
    return Calendar(
        start=texts.day("start", text.start),
        period=period,
        periods=text.periods,
        parts={name: length / total for name, length in parts.items()} or ALL_DAY,
    )


def _budget(texts: Texts, text: ProviderText, calendar: Calendar) -> tuple[float, ...] | None:
    if text.budget is None:
        return None
    if isinstance(text.budget, tuple):
        if len(text.budget) != calendar.periods:
            raise texts.wrong(
                "budget", f"has {len(text.budget)} values; there are {calendar.periods} periods."
            )
        return tuple(texts.number(f"budget[{i}]", v, "USD") for i, v in enumerate(text.budget))
    return (texts.number("budget", text.budget, "USD"),) * calendar.periods


def _site(texts: Texts, name: str, text: SiteText) -> Site:
    at = f"sites.{name}"
    return Site(
        name=name,
        power=None if text.power is None else texts.number(f"{at}.power", text.power, "W"),
        racks=None if text.racks is None else texts.number(f"{at}.racks", text.racks),
    )


PER_RACK = 32.0  # chips of a rack where nobody says


def _supply(
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
