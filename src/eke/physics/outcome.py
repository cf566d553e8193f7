"""What physics hands up: values for one plan or many, before they become an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eke.types.record import Record


class Amount(Record):
    """One figure of an answer, in base units; an array over plans or scenarios.

    how: what it is computed from, in terms of other figures: "steps × step_time / goodput".
    """

    name: str
    value: Any
    unit: str
    means: str
    how: str = ""


def amounts(*rows: tuple[Any, ...]) -> tuple[Amount, ...]:
    """Figures from rows of name, value, unit, meaning and, where there is one, how; a value that
    is None is not known and makes no figure."""
    return tuple(
        Amount(name=name, value=value, unit=unit, means=means, how=how[0] if how else "")
        for name, value, unit, means, *how in rows
        if value is not None
    )


class Share(Record):
    """A part of an amount; the parts of one amount add up to it."""

    of: str
    name: str
    value: Any
    unit: str


class Limit(Record):
    """Something a plan must keep: it is feasible while `need` is at most `have`."""

    name: str
    need: Any
    have: Any
    unit: str
    hint: str


class Outcome(Record):
    """Everything the physics says about a job on a plan.

    parts: works out the shares, which a search over many plans does without.
    """

    amounts: tuple[Amount, ...]
    limits: tuple[Limit, ...]
    parts: Callable[[], tuple[Share, ...]]
    remarks: tuple[str, ...] = ()

    @property
    def shares(self) -> tuple[Share, ...]:
        """Of the amounts."""
        return self.parts()

    def __getitem__(self, name: str) -> Any:
        return next(amount.value for amount in self.amounts if amount.name == name)

    @property
    def feasible(self) -> Any:
        """Whether every limit is kept, per plan."""
        kept: Any = True
        for limit in self.limits:
            kept = kept & (limit.need <= limit.have)
        return kept
