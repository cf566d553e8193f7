"""A provider's file as a `Provider`, with every mistake named by file and field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import tomli

from eke.allocating.sharing.calendar import Calendar
from eke.allocating.sharing.file import (
    USE_FIELDS,
    ProviderText,
    UseText,
)
from eke.allocating.sharing.lines import Lines
from eke.allocating.sharing.pools import site, supply
from eke.allocating.sharing.texts import Texts
from eke.catalog.files import read_text, to_record
from eke.errors import BadFile, closest
from eke.types.provider import Line, Provider
from eke.types.record import replace

MOST_PERIODS, MOST_USES, MOST_POOLS = 1000, 2000, 500
ALL_DAY = {"all day": 1.0}


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
    _is_providers(words, path)
    text = to_record(dict(words), ProviderText, path)
    texts = Texts(path)
    calendar = _calendar(texts, text)
    sites = {name: site(texts, name, each) for name, each in text.sites.items()}
    if not text.pools or len(text.pools) > MOST_POOLS:
        raise BadFile(f"{path}: pools: there are {len(text.pools)}; give 1 to {MOST_POOLS}.")
    supplies = tuple(
        supply(texts, calendar, name, each, text.sites, sites) for name, each in text.pools.items()
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


OTHERS = {  # fields by which files of other questions are known
    **dict.fromkeys(("build", "against", "chip"), "chip"),
    **dict.fromkeys(("base", "longer"), "tiers"),
    **dict.fromkeys(("training", "quarters"), "forecast"),
    **dict.fromkeys(("area", "shapes", "load"), "design"),
}


def _is_providers(words: Mapping[str, Any], path: str) -> None:
    """Refuse a file of another question. Raises BadFile."""
    field = next((name for name in OTHERS if name in words), None)
    if "pools" not in words and field is not None:
        verb = OTHERS[field]
        raise BadFile(
            f"{path}: has no pools; with `{field}` it is a file of `eke allocate {verb}`, see "
            f"`eke allocate {verb} --help`."
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
