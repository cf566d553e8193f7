"""Values that fit simple JSON schemas, drawn from a number: types, choices, bounds, references."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor
from typing import Any

import msgspec

from eke.errors import BadInput
from eke.standin.english import number_of, spoken

DEEP, MANY = 5, 1000  # so deep, or after so many values, there is only what is required
DEEPEST, MOST = 40, 10_000  # and then nothing more: the schema has no end
LONGEST = 100_000  # letters of a text, whatever it is to have at least
LETTERS = 1_000_000  # of all of it, after which there is nothing more either
WRONG = (AttributeError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError)
encode = msgspec.json.encode
FORMATS = {
    "date": "2026-02-03",
    "time": "12:30:00Z",
    "date-time": "2026-02-03T12:30:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class _Made:
    """What there is so far."""

    values = letters = 0


class _Place:
    """Where one is in a schema: the whole of it for references, the number drawn from, how deep,
    and what there is so far."""

    def __init__(self, root: Any, number: int, depth: int, made: _Made) -> None:
        self.root, self.number, self.depth, self.made = root, number, depth, made
        many = made.values
        made.values += 1
        self.tight = depth > DEEP or many > MANY
        self.over = depth > DEEPEST or many > MOST or made.letters > LETTERS

    def inside(self, name: object) -> _Place:
        number = number_of(f"{self.number}/{name}")
        return _Place(self.root, number, self.depth + 1, self.made)


def written(schema: Any, number: int) -> str:
    """JSON of a value that fits; of what a schema says beyond the simple, nothing is heeded.

    Raises BadInput for what is no schema.
    """
    try:
        return encode(_fit(schema, _Place(schema, number, 0, _Made()))).decode()
    except WRONG as error:
        raise BadInput(f"this is no JSON schema that is understood here: {error!r:.200}") from None


def _fit(schema: Any, here: _Place) -> Any:
    if here.over:
        return None
    if not isinstance(schema, dict):
        return _text({}, here)
    if isinstance(schema.get("$ref"), str):
        return _fit(_referred(schema["$ref"], here.root), here.inside("$ref"))
    if "const" in schema:
        return _one_of([schema["const"]], here)
    if schema.get("enum"):
        return _one_of(schema["enum"], here)
    if schema.get("allOf"):
        return _fit(_merged(schema), here.inside("allOf"))
    for several in ("anyOf", "oneOf"):
        if schema.get(several):
            first = schema[several][-1 if here.tight else 0]
            return _fit(first, here.inside(several))
    return MAKERS[_kind(schema)](schema, here)


def _one_of(values: Any, here: _Place) -> Any:
    """One of the values that a schema names."""
    value = values[here.number % len(values)]
    here.made.letters += len(encode(value))
    return value


def _referred(reference: str, root: Any) -> Any:
    """What a reference inside the schema points at."""
    found = root
    for name in reference.removeprefix("#").split("/")[1:]:
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if found else None
    return found


def _merged(schema: dict[str, Any]) -> dict[str, Any]:
    """All parts of an `allOf` in one."""
    found = {name: value for name, value in schema.items() if name != "allOf"}
    for part in schema["allOf"]:
        if isinstance(part, dict):
            both = {**found.get("properties", {}), **part.get("properties", {})}
            needed = [*found.get("required", []), *part.get("required", [])]
            found = {**found, **part, "properties": both, "required": needed}
    return found


def _kind(schema: dict[str, Any]) -> str:
    """The type to make, the first of several but null."""
    said = schema.get("type")
    if isinstance(said, list):
        said = next((each for each in said if each != "null"), "null")
    if said in MAKERS:
        return str(said)
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _object(schema: dict[str, Any], here: _Place) -> Any:
    known = schema.get("properties") or {}
    needed = dict.fromkeys(schema.get("required") or ())
    names = [name for name in known if name in needed or not here.tight]
    names += [name for name in needed if name not in known]
    return {name: _fit(known.get(name), here.inside(name)) for name in names}


def _array(schema: dict[str, Any], here: _Place) -> Any:
    least = min(schema.get("minItems", 0), MOST)
    many = least if here.tight else max(least, min(2, schema.get("maxItems", 2)))
    first = schema.get("prefixItems") or []
    kinds = [first[i] if i < len(first) else schema.get("items") for i in range(many)]
    return [_fit(kind, here.inside(i)) for i, kind in enumerate(kinds)]


def _text(schema: dict[str, Any], here: _Place) -> Any:
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]]
    least = min(schema.get("minLength", 0), LONGEST)
    here.made.letters += least
    said = "".join(spoken(here.number, least // 2 + 1, least + 40))
    return said[: max(schema.get("maxLength", len(said)), least)]


def _whole(schema: dict[str, Any], here: _Place) -> Any:
    step = max(int(schema.get("multipleOf", 1)), 1)
    low, high = (bound / step for bound in _bounds(schema, 1))
    least = ceil(low)
    return step * (least + here.number % max(floor(high) - least + 1, 1))


def _fraction(schema: dict[str, Any], here: _Place) -> Any:
    if "multipleOf" in schema:
        step = schema["multipleOf"]
        low, high = (bound / step for bound in _bounds(schema, step))
        return step * (ceil(low) + here.number % max(floor(high) - ceil(low) + 1, 1))
    low, high = _bounds(schema, 0)
    return low + (high - low) * (1 + here.number % 62) / 64


def _bounds(schema: dict[str, Any], step: float) -> tuple[float, float]:
    """The least and the largest value; `step` inside of bounds that are excluded."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(schema.get("exclusiveMinimum"), int | float):
        low = schema["exclusiveMinimum"] + step
    if isinstance(schema.get("exclusiveMaximum"), int | float):
        high = schema["exclusiveMaximum"] - step
    if low is None:
        low = 0 if high is None else min(0, high - 100)
    return low, low + 100 if high is None else high


MAKERS: dict[str, Callable[[dict[str, Any], _Place], Any]] = {
    "object": _object,
    "array": _array,
    "string": _text,
    "integer": _whole,
    "number": _fraction,
    "boolean": lambda schema, here: here.number % 2 == 0,
    "null": lambda schema, here: None,
}
