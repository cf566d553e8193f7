"""Formulas that know their equation, units and sources, and can be watched while they run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from eke.types.record import Record

Number = Any  # a float, or a NumPy array that broadcasts with the other arguments
P = ParamSpec("P")
T = TypeVar("T")


class Formula(Record):
    """One cited formula. source: keys of docs/sources.bib."""

    name: str
    function: Callable[..., Any]
    unit: str
    equation: str
    source: tuple[str, ...]

    @property
    def words(self) -> str:
        """What it is, from the first line of its docstring, without the unit."""
        line = (self.function.__doc__ or "").strip().splitlines()[0]
        return re.sub(r"\s*\[[^]]*\]\.?$", "", line)

    @property
    def inputs(self) -> dict[str, str]:
        """Unit of every input, read from the docstring: "size, ranks: … [B]."."""
        units: dict[str, str] = {}
        text = " ".join((self.function.__doc__ or "").split())
        for names, unit in re.findall(r"([a-z_, ]+):[^:\[\]]*\[([^]]+)\]", text):
            units |= {name.strip(): unit for name in names.split(",")}
        return units


class Call(Record):
    """One formula at work."""

    name: str
    inputs: dict[str, Any]
    output: Any


FORMULAS: dict[str, Formula] = {}
_tapes: list[list[Call]] = []


def formula(
    *, unit: str, equation: str, source: tuple[str, ...]
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Register a formula; while a tape runs, write down each of its calls."""

    def register(function: Callable[P, T]) -> Callable[P, T]:
        name = function.__name__

        def watched(*args: P.args, **inputs: P.kwargs) -> T:
            output = function(*args, **inputs)
            if _tapes:
                _tapes[-1].append(Call(name=name, inputs=dict(inputs), output=output))
            return output

        watched.__name__, watched.__doc__ = name, function.__doc__
        FORMULAS[name] = Formula(
            name=name, function=function, unit=unit, equation=equation, source=source
        )
        return watched

    return register


@contextmanager
def recording() -> Iterator[list[Call]]:
    """A tape of every formula called inside the block."""
    tape: list[Call] = []
    _tapes.append(tape)
    try:
        yield tape
    finally:
        _tapes.pop()
