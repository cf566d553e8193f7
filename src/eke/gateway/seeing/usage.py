"""What was used and charged, added up from rows: by hour, tenant, model, kind and class of token.

Amounts are added as whole numbers of 1e-12 of their unit, so that sums do not depend on the order
of rows, and what is exported adds up to what was stored: each row is rounded once, to 1e-12.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from eke.gateway.engines.capacity import PROMPT
from eke.gateway.row import Row
from eke.gateway.seeing.meters import counted
from eke.gateway.settings import Price

ATOM = 10**12  # parts of a unit
HOUR = 3600

Prices = Mapping[str, Price | None]

PARTS = ("prompt", "cached", "answer")  # tokens computed, from a cache, and given


class Group(NamedTuple):
    """What lines have in common. hour: its beginning, UTC [s].  part: class of token."""

    hour: int
    tenant: str
    model: str
    kind: str
    part: str


class Used(NamedTuple):
    """What a request used for one class of its tokens. charged, listed: with and without what
    caches saved; cost: of the chips [1e-12 USD].  seconds: of accelerators [1e-12 s].
    energy [1e-12 J]."""

    tokens: int
    charged: int
    listed: int
    cost: int
    seconds: int
    energy: int


class Sums:
    """The same of many requests."""

    __slots__ = Used._fields

    def __init__(self) -> None:
        self.tokens = self.charged = self.listed = 0
        self.cost = self.seconds = self.energy = 0

    def add(self, used: Used) -> None:
        """One more."""
        self.tokens += used.tokens
        self.charged += used.charged
        self.listed += used.listed
        self.cost += used.cost
        self.seconds += used.seconds
        self.energy += used.energy


def add(groups: dict[Group, Sums], row: Row, prices: Prices) -> None:
    """One more row, added to sums by what rows have in common; its hour is that in which the
    request ended. prices: by model."""
    hour = int(row.ended_at // HOUR) * HOUR
    for part, used in parts_of(row, prices):
        group = Group(hour, row.tenant, row.model, row.kind, part)
        groups.setdefault(group, Sums()).add(used)


def parts_of(row: Row, prices: Prices) -> Iterator[tuple[str, Used]]:
    """What a request used, by class of token.

    prices: as they were when the row was written; they only decide how what was charged is divided
    among the tokens.
    """
    tokens = tokens_of(row)
    charged = divided(atoms(row.charged), charges(tokens, prices.get(row.model)))
    work = (tokens[0] * PROMPT, 0.0, float(tokens[2]))
    cost, seconds, energy = (
        divided(atoms(each), work) for each in (row.cost, row.seconds, row.energy)
    )
    saved = (0, atoms(row.saved), 0)
    for place, part in enumerate(PARTS):
        listed = charged[place] + saved[place]
        used = Used(
            *(tokens[place], charged[place], listed),
            *(cost[place], seconds[place], energy[place]),
        )
        if any(used):
            yield part, used


class EngineTime(NamedTuple):
    """What an engine's meter counted between two moments, UTC [s]. chips, rate, power, idle: of its
    settings.  busy, free: time with and without requests [s]."""

    name: str
    since: float
    until: float
    chips: float
    rate: float
    power: float
    idle: float
    busy: float
    free: float


def whole_times(times: Iterable[EngineTime], groups: Mapping[Group, Sums]) -> tuple[Sums, Sums]:
    """What no request is charged with: engines' idle time, and what is left of their busy time.

    The latter went to tries that came to nothing and to requests that are not over. Both, with all
    groups of rows of the same time, add up to what the meters counted.
    """
    free, left = Sums(), Sums()
    for each in times:
        free.seconds += atoms(each.free * each.chips)
        free.cost += atoms(each.free * each.rate)
        free.energy += atoms(each.free * each.idle)
        left.seconds += atoms(each.busy * each.chips)
        left.cost += atoms(each.busy * each.rate)
        left.energy += atoms(each.busy * each.power)
    for sums in groups.values():
        left.seconds -= sums.seconds
        left.cost -= sums.cost
        left.energy -= sums.energy
    return free, left


def atoms(amount: float) -> int:
    """An amount in 1e-12 of its unit."""
    return round(amount * ATOM)


def written(amount: int) -> str:
    """An amount of 1e-12 as a decimal number, exactly."""
    whole, part = divmod(abs(amount), ATOM)
    text = f"{whole}.{part:012d}".rstrip("0").rstrip(".")
    return f"-{text}" if amount < 0 else text


def tokens_of(row: Row) -> tuple[int, int, int]:
    """Tokens of a request that were computed, came from a cache, and were given."""
    if not counted(row):
        return 0, 0, 0
    cached = min(row.cached, row.prompt)
    return row.prompt - cached, cached, row.tokens


def charges(tokens: tuple[int, int, int], price: Price | None) -> tuple[float, float, float]:
    """What tokens of each class weigh in what a request is charged."""
    prompt, cached, answer = tokens
    if price is None:
        return prompt * PROMPT, 0.0, float(answer)
    return prompt * price.prompt, cached * price.cached, answer * price.answer


def divided(amount: int, weights: tuple[float, float, float]) -> tuple[int, int, int]:
    """An amount divided by weights, exactly: what rounding leaves goes to the heaviest. All of it
    is the prompt's where nothing weighs."""
    whole = sum(weights)
    if whole <= 0:
        return amount, 0, 0
    parts = [round(amount * weight / whole) for weight in weights]
    parts[weights.index(max(weights))] += amount - sum(parts)
    return parts[0], parts[1], parts[2]
