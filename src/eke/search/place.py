"""Where a plan may run, and what of it is decided."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from eke.search.base import Choices
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.record import Record


class Place(Record):
    """A pool, what most likely arrives of its figures, and fields of the plan that are decided
    there: one value, or a tuple of values to choose from."""

    pool: Pool
    knobs: Knobs
    choices: Mapping[str, Any]


def options(choices: Choices, name: str, default: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values a field may take: as decided, else `default`."""
    value = choices.get(name, default)
    return value if isinstance(value, tuple) else (value,)


def single(choices: Choices) -> dict[str, Any]:
    """The fields that have one value."""
    return {name: value for name, value in choices.items() if not isinstance(value, tuple)}


def settled(choices: Choices, defaults: Mapping[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    """The choices with every combination of the values of those fields that all plans of a block
    share; None leaves a field as it is by default."""
    fixed = {name: value for name, value in choices.items() if name not in defaults}
    rows = product(*(options(choices, name, each) for name, each in defaults.items()))
    return [
        fixed
        | {name: value for name, value in zip(defaults, row, strict=True) if value is not None}
        for row in rows
    ]


def grid(**columns: Any) -> dict[str, np.ndarray]:
    """Every combination of the values of some columns, as equally long arrays."""
    whole = np.meshgrid(*(np.asarray(values) for values in columns.values()), indexing="ij")
    return {name: values.ravel() for name, values in zip(columns, whole, strict=True)}


def divisors(number: int) -> list[int]:
    """Of a whole number, from 1 up."""
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


ALL = 64  # counts up to which each is tried; beyond, steps of 1 %


def counts(most: int) -> np.ndarray:
    """1, 2, 3, … `most`, beyond `ALL` in steps of 1 %."""
    found, count = [], 1
    while count < most:
        found.append(count)
        count = count + 1 if count < ALL else max(count + 1, int(count * 1.01))
    return np.array([*found, most] if most > 0 else [], dtype=int)
