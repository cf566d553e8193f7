"""Published forecasts: one TOML file each, in the common vocabulary of `eke.types.published`."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from eke.catalog.chips import chip
from eke.catalog.files import all_files, find, read_toml, refuse_other_id
from eke.catalog.models import model
from eke.catalog.sources import source
from eke.catalog.spans import spanned
from eke.errors import BadFile, EkeError, Unknown, closest
from eke.types.published import QUANTITIES, About, Published, Relation, Same, Stated
from eke.types.record import Record, fields


class FigureText(Record):
    """A figure as the file writes it."""

    value: str
    mark: Literal["stated", "assumed"] = "stated"
    note: str = ""


class RelationText(Record):
    """ "cost = depreciation", and why that is taken to hold."""

    text: str
    why: str


class SameText(Record):
    """The question to put to eke."""

    model: str
    chip: str
    prompt: str = ""
    answer: str = ""
    reuse: str = "0%"
    tpot: str = ""
    tokens: str = ""
    chips: int = 0


class ForecastText(About):
    """The file."""

    figures: dict[str, FigureText]
    relations: tuple[RelationText, ...] = ()
    same: SameText | None = None


def forecast_names() -> list[str]:
    """Every published forecast."""
    return list(all_files("forecasts"))


def published(name: str) -> Published:
    """The forecast of that id, or of a file. Raises Unknown, or BadFile for a bad file."""
    path = find("forecasts", name)
    if path is None and name.endswith(".toml"):
        path = Path(name)
    if path is None:
        near = closest(name, forecast_names())
        hint = f"; closest: {near}" if near else ""
        raise Unknown(
            f"no published forecast {name[:60]!r}{hint}. See `eke allocate forecast --published`."
        )
    return read_forecast(path)


@lru_cache
def read_forecast(path: Path) -> Published:
    """The forecast of a file. Raises BadFile naming file and field."""
    found = read_toml(path, ForecastText)
    refuse_other_id(path, found.id, "forecasts")
    try:
        source(found.source)
    except Unknown as error:
        raise BadFile(f"{path}: source: {error}") from None
    if not found.figures:
        raise BadFile(f"{path}: figures: none; expected one or more, such as chips.")
    resolved = {
        "figures": tuple(_figure(path, name, text) for name, text in found.figures.items()),
        "relations": tuple(_relation(path, text) for text in found.relations),
        "same": _same(path, found.of, found.same) if found.same else None,
    }
    return Published(**{**fields(found), **resolved})


def _figure(path: Path, name: str, text: FigureText) -> Stated:
    where = f"{path}: figures.{name}"
    _check_name(where, name)
    value = spanned(text.value, QUANTITIES[name].unit, f"{where}.value")
    return Stated(quantity=name, value=value, mark=text.mark, note=text.note)


def _check_name(where: str, name: str) -> None:
    if name not in QUANTITIES:
        near = closest(name, QUANTITIES)
        hint = f"; closest: {near}" if near else f"; there are {', '.join(QUANTITIES)}"
        raise BadFile(f"{where}: no quantity {name[:40]!r}{hint}.")


_PRODUCT = re.compile(r"\s*([*/]?)\s*([a-z_]+|\d+(?:\.\d+)?)")


def _relation(path: Path, text: RelationText) -> Relation:
    """ "power = chips * chip_power" as a relation."""
    where = f"{path}: relations: {text.text[:60]!r}"
    name, equals, product = (part.strip() for part in text.text.partition("="))
    if not equals:
        raise BadFile(f"{where}: expected NAME = NAME * NAME / NAME.")
    _check_name(where, name)
    factors: dict[str, int] = {}
    constant, at = 1.0, 0
    while at < len(product):
        match = _PRODUCT.match(product, at)
        if match is None or (at > 0) != bool(match[1]):
            raise BadFile(f"{where}: expected NAME = NAME * NAME / NAME.")
        at, power = match.end(), -1 if match[1] == "/" else 1
        if match[2][0].isdigit():
            constant *= float(match[2]) ** power
        else:
            _check_name(where, match[2])
            factors[match[2]] = factors.get(match[2], 0) + power
    if not factors or name in factors or not 0 < constant < 1e60:
        raise BadFile(f"{where}: expected NAME = NAME * NAME / NAME, of other names.")
    return Relation(name=name, factors=factors, constant=constant, why=text.why)


def _same(path: Path, of: str, text: SameText) -> Same:
    """The question, its names resolved."""
    where = f"{path}: same"
    try:
        model(text.model)
        chip(text.chip)
    except EkeError as error:
        raise BadFile(f"{where}: {error}") from None
    needed = ("prompt", "answer") if of == "serving" else ("tokens",)
    numbers: dict[str, Any] = {}
    for name in needed:
        numbers[name] = spanned(getattr(text, name), "token", f"{where}.{name}").likely
    numbers["reuse"] = spanned(text.reuse, "1", f"{where}.reuse", least=0.0).likely
    if text.tpot:
        numbers["tpot"] = spanned(text.tpot, "s", f"{where}.tpot").likely
    if of == "training" and text.chips < 1:
        raise BadFile(f"{where}.chips is {text.chips}; say how many train it.")
    return Same(model=text.model, chip=text.chip, chips=text.chips, **numbers)
