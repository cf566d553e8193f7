"""Published forecasts: what somebody said about chips and money, as quantities of one chain."""

from __future__ import annotations

from typing import Literal

from eke.types.need import Span
from eke.types.record import Record

Mark = Literal["stated", "assumed", "implied"]


class Quantity(Record):
    """A word of the common vocabulary. unit: base unit it is written in.  per: how people read
    it: the unit shown, and how much of the base unit that is."""

    unit: str
    words: str
    per: str = ""
    scale: float = 1.0


DAY, YEAR = 86400.0, 365.25 * 86400.0
HOUR = 3600.0


def _of(unit: str, words: str, per: str = "", scale: float = 1.0) -> Quantity:
    return Quantity(unit=unit, words=words, per=per, scale=scale)


QUANTITIES: dict[str, Quantity] = {
    "users": _of("1", "people who ask in a day"),
    "asks_per_user": _of("1/s", "asks of one of them", "a day", 1 / DAY),
    "searches": _of("1/s", "searches of the engine it is held against", "a year", 1 / YEAR),
    "share": _of("1", "share of the searches that the model answers", "%", 0.01),
    "asks": _of("1/s", "asks", "a day", 1 / DAY),
    "tokens_per_ask": _of("token", "tokens read and written per ask"),
    "tokens": _of("token/s", "tokens", "tokens a day", 1 / DAY),
    "active_parameters": _of("1", "parameters at work on a token"),
    "flop_per_token": _of("FLOP", "FLOP per token"),
    "work": _of("FLOP/s", "useful FLOP per time", "PF-days a day", 1e15),
    "peak": _of("FLOP/s", "dense peak of a chip"),
    "utilisation": _of("1", "share of the peak that is useful work", "%", 0.01),
    "speed": _of("FLOP/s", "useful FLOP per time of a busy chip"),
    "peak_over_mean": _of("1", "chips there over chips busy on average"),
    "tokens_per_chip": _of("token/s", "tokens per chip and time"),
    "chips": _of("1", "chips"),
    "servers": _of("1", "servers"),
    "chips_per_server": _of("1", "chips in a server"),
    "chip_price": _of("USD", "price of a chip with its share of the server"),
    "server_price": _of("USD", "price of a server"),
    "capex": _of("USD", "money for the chips"),
    "capex_per_ask": _of("USD s", "money for chips per yearly ask", "USD", YEAR),
    "capex_tenth": _of("USD", "money for the chips of a tenth of Google"),
    "capex_over_cost": _of("s", "years of running cost that the chips cost"),
    "life": _of("s", "life of a chip"),
    "depreciation": _of("USD/s", "chips written off", "USD a year", 1 / YEAR),
    "chip_hour": _of("USD/s", "price of a chip for an hour", "USD/h", 1 / HOUR),
    "cost": _of("USD/s", "cost", "USD a day", 1 / DAY),
    "cost_per_ask": _of("USD", "cost of an ask", "cent", 0.01),
    "cost_per_token": _of("USD/token", "cost of a million tokens", "USD", 1e-6),
    "cost_per_flop": _of("USD/FLOP", "cost of a PF-day", "USD", 1 / (1e15 * DAY)),
    "chip_power": _of("W", "power of a chip with its share of the server"),
    "pue": _of("1", "power of the site over that of its servers"),
    "power": _of("W", "power of the site"),
    "energy_per_token": _of("J", "energy of a token"),
    "energy_per_ask": _of("J", "energy of an ask", "Wh", 3600.0),
    "electricity": _of("USD/J", "price of electricity"),
    "energy_bill": _of("USD/s", "electricity", "USD a day", 1 / DAY),
    "training_tokens": _of("token", "tokens trained on"),
    "training_flop": _of("FLOP", "FLOP of the training run", "PF-days", 1e15 * DAY),
    "chip_time": _of("s", "chip-hours of the run", "chip-hours", HOUR),
    "time": _of("s", "time of the run"),
    "training_cost": _of("USD", "cost of the training run"),
}


class Stated(Record):
    """One figure of a forecast. mark: its author says it ("stated"), or it is put in so that the
    chain closes ("assumed")."""

    quantity: str
    value: Span
    mark: Mark
    note: str = ""


class Relation(Record):
    """`name` = constant × product of factors to their powers."""

    name: str
    factors: dict[str, int]
    constant: float = 1.0
    why: str = ""


class Same(Record):
    """The same question put to eke: the model and the chip, and the lengths or the tokens.
    reuse: share of prompts that is cached.  tpot: at most between two words [s], 0 for any.
    chips: how many train it."""

    model: str
    chip: str
    prompt: float = 0.0
    answer: float = 0.0
    reuse: float = 0.0
    tpot: float = 0.0
    tokens: float = 0.0
    chips: int = 0


class About(Record):
    """What a published forecast is. of: serving, or a training run.  topics: the tables it stands
    in.  claim: of `eke claims`, that judges it."""

    id: str
    of: Literal["serving", "training"]
    title: str
    who: str
    where: str
    when: str
    seen: str
    source: str
    claim: str = ""
    says: str = ""
    topics: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Published(About):
    """A forecast that somebody published. relations: that hold in it beside the common ones."""

    figures: tuple[Stated, ...]
    relations: tuple[Relation, ...] = ()
    same: Same | None = None


class Known(Record):
    """A quantity of a chain and why it is known. how: from which figures, for an implied one."""

    quantity: str
    value: Span
    mark: Mark
    how: str = ""
    note: str = ""


class Clash(Record):
    """A figure that follows from the others too. ratio: as said over as it follows."""

    quantity: str
    said: float
    follows: float
    ratio: float
    how: str


class Chain(Record):
    """A forecast with everything that follows from it. unknown: the quantities that do not, and
    what would have to be known."""

    id: str
    who: str
    when: str
    of: Literal["serving", "training"]
    topics: tuple[str, ...]
    known: dict[str, Known]
    unknown: dict[str, tuple[str, ...]]
    clashes: tuple[Clash, ...]


class Factor(Record):
    """One input of two forecasts. names: of a product of which only the whole is known, its
    parts.  ratio: the first over the second."""

    names: tuple[str, ...]
    one: float
    other: float
    ratio: float
    marks: tuple[str, str]


class Difference(Record):
    """A quantity of two forecasts and the inputs that make the difference: their ratios multiply
    to that of the quantity.  hidden: the input that explains most of it.  untold: where the two
    share no input, what each would have to tell."""

    quantity: str
    one: str
    other: str
    ratio: float
    factors: tuple[Factor, ...]
    hidden: str
    untold: dict[str, tuple[str, ...]] = {}


class Row(Record):
    """One forecast's figure in a table, and the ratio to the smallest that was published."""

    id: str
    who: str
    when: str
    value: Span
    mark: Mark
    ratio: float


class Table(Record):
    """One quantity as several forecasts have it, the smallest first. silent: forecasts of that
    topic from which it cannot be known, and what is missing.  differences: what tells the largest
    from the smallest; then of the pair furthest apart of those that can be taken apart; then what
    tells each from eke."""

    title: str
    quantity: str
    rows: tuple[Row, ...]
    silent: dict[str, tuple[str, ...]]
    differences: tuple[Difference, ...]


class SideBySide(Record, tag="published", tag_field="answer"):
    """Published forecasts beside each other."""

    chains: tuple[Chain, ...]
    tables: tuple[Table, ...]
    differences: tuple[Difference, ...]
    remarks: tuple[str, ...] = ()
