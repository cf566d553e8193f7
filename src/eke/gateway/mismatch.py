"""What is wrong with a record that was given, in words of whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from eke.errors import closest

TYPES = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "a boolean",
    "object": "an object",
    "array": "an array",
    "null": "null",
}
_PLACE = re.compile(r"(.*?)(?: - at `\$\.?([^`]*)`)?", re.S)
_TYPE = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
_VALUE = re.compile(r"Invalid enum value (.*)", re.S)


class Mismatch(NamedTuple):
    """words: a sentence.  field: that is wrong, with those it is in; "" for the whole.  code: as
    OpenAI has it."""

    words: str
    field: str
    code: str | None = None


def mismatch(error: msgspec.ValidationError, kind: Any) -> Mismatch:
    """What is wrong with what was to be of some kind."""
    match = _PLACE.fullmatch(str(error))
    assert match is not None
    said, place = match[1], match[2] or ""
    field = place.replace("[...]", "")
    if found := _TYPE.fullmatch(said):
        names = [TYPES.get(name, name) for name in found[1].split(" | ") if name != "null"]
        words = f"expected {' or '.join(names)}, but got {TYPES.get(found[2], found[2])} instead."
        return Mismatch(words, field, "invalid_type")
    if found := _MISSING.fullmatch(said):
        return Mismatch("it is missing.", _inside(field, found[1]), "missing_required_parameter")
    if found := _UNKNOWN.fullmatch(said):
        fields = [each.encode_name for each in _fields(_at(kind, place))]
        near = closest(found[1], fields)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(fields)}."
        words = f"{found[1]!r:.60} is no field; {hint}"
        return Mismatch(words, _inside(field, found[1]), "unknown_parameter")
    if found := _VALUE.fullmatch(said):
        values = ", ".join(str(value) for value in _values(_at(kind, place)))
        return Mismatch(f"{found[1]} is none of {values}.", field, "invalid_value")
    for name, words in TYPES.items():
        said = said.replace(f"`{name}`", words)
    return Mismatch(f"{said[:1].lower()}{said[1:]}.", field)


def _inside(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _at(kind: Any, place: str) -> Any:
    """The type at a place such as items[...].text in a record."""
    found: Any = msgspec.inspect.type_info(kind)
    for step in re.findall(r"\[[^\]]*\]|[^.\[]+", place):
        found = next(_steps(found, step), None)
        if found is None:
            return None
    return found


def _steps(found: Any, step: str) -> Iterator[Any]:
    """Types that a step leads to."""
    if isinstance(found, msgspec.inspect.UnionType):
        for each in found.types:
            yield from _steps(each, step)
    elif step.startswith("["):
        for name in ("item_type", "value_type"):
            if hasattr(found, name):
                yield getattr(found, name)
    else:
        yield from (each.type for each in _fields(found) if each.encode_name == step)


def _fields(found: Any) -> tuple[Any, ...]:
    """Of the record that is among some types."""
    for each in _each(found):
        if isinstance(each, msgspec.inspect.StructType):
            return each.fields
    return ()


def _values(found: Any) -> list[Any]:
    """That one of some types allows."""
    for each in _each(found):
        if isinstance(each, msgspec.inspect.LiteralType):
            return list(each.values)
    return []


def _each(found: Any) -> tuple[Any, ...]:
    return found.types if isinstance(found, msgspec.inspect.UnionType) else (found,)
