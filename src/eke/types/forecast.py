"""Demand for chips over the coming quarters, against supply: the question and its answer."""

from __future__ import annotations

from eke.types.job import Promise
from eke.types.model import Model
from eke.types.need import Ground, Span
from eke.types.plan import Plan
from eke.types.published import Difference
from eke.types.record import Record

QUARTER = 365.25 * 86400.0 / 4  # [s]


class Path(Record):
    """A number over the years: what it is now, and how it grows.

    growth: more each year, as a share.  ceiling: which it nears along a logistic curve, or, with
    innovation and imitation (a year), along Bass's.
    """

    now: Span
    growth: Span | None = None
    ceiling: Span | None = None
    innovation: Span | None = None
    imitation: Span | None = None


class Work(Record):
    """What computes: a model whose layout eke plans, or, where none is named, its parameters and
    the share of a chip's peak that is taken to be useful."""

    model: Model | None = None
    active: Span | None = None
    utilisation: Span | None = None
    weights: str = ""


class Demand(Record):
    """A line of inference.

    users: who use it.  asks: of one of them [1/s].  prompt, answer: mean lengths [tokens].
    images, sound: of an ask, the latter [s].  reuse: share of prompts that is cached.
    peak_over_mean: asks of the busiest hour over those of a mean one.  efficiency: by which the
    asks of a chip grow a year, by better models and software.  price_fall: of a token, a year, as a
    share; elasticity: percent of demand it adds for a percent of price.  like: the published
    forecast it was taken from.
    """

    name: str
    users: Path
    asks: Path
    prompt: Path
    answer: Path
    work: Work
    images: float = 0.0
    sound: float = 0.0
    reuse: float = 0.0
    peak_over_mean: Span
    ttft: Promise | None = None
    tpot: Promise | None = None
    efficiency: Span | None = None
    price_fall: Span | None = None
    elasticity: Span | None = None
    like: str = ""


class Training(Record):
    """Training runs. tokens: of one.  runs: of each company within that time [s], side by side.
    growth: of the FLOP of a run, a year, as a share.  experiments: chips of all runs over those of
    the ones that are kept.  batch: of a step [tokens]; None is a usual one."""

    name: str
    work: Work
    tokens: Span
    runs: Span
    companies: Path
    within: float
    growth: Span | None = None
    experiments: Span
    efficiency: Span | None = None
    batch: float | None = None


class Supply(Record):
    """Chips of a kind that stand and that come.

    shipments: from quarter `since` until `until`, both counted from the first [1/s].  retire: a
    year, as a share.  share: of them that is for these uses.  price: with the server and the site
    [USD].  power: at the meter of the site, at most [W].  wafers: of packaging that come [1/s], and
    the chips that work out of one, above which none is shipped.
    """

    chip: str
    installed: Span
    shipments: Path | None = None
    since: int = 0
    until: int | None = None
    retire: Span
    share: Span
    price: Span | None = None
    power: float | None = None
    wafers: Path | None = None
    per_wafer: Span | None = None


class Asked(Record):
    """The question. file: named in errors.  start: year and quarter, counted from 0.  count_in:
    the kind of chip in which demand is told.  power: of all sites [W].  budget: for chips [USD/s].
    given: fields that the file sets, the others being assumed.  narrowed: those of whose span only
    the likeliest value is read."""

    name: str
    file: str
    start: tuple[int, int]
    quarters: int
    count_in: str
    demands: tuple[Demand, ...]
    trainings: tuple[Training, ...]
    supplies: tuple[Supply, ...]
    power: Span | None = None
    budget: Span | None = None
    electricity: Span
    seed: int = 1
    samples: int = 4000
    given: frozenset[str] = frozenset()
    narrowed: tuple[str, ...] = ()


class Standing(Record):
    """Chips of a kind in a quarter, all likeliest: after it, and what it brought and took.
    limited: what kept shipments below what was planned, or ""."""

    chip: str
    standing: float
    shipped: float
    retired: float
    worth: float  # of one, in the kind that demand is told in
    limited: str = ""


class Quarter(Record):
    """One quarter, in chips of the kind counted in.

    middle: chips that half of the draws want at most.  supply: what stands, by what it is worth at
    this demand; None where no supply is given.  short: chance that more is wanted.  h100: the chips
    wanted, as H100s with the same 8-bit peak.  power: of the chips wanted, at most [W].  energy:
    that they take in the quarter [J].  capex: of all the chips wanted [USD].  buying: of those that
    have to be added in the quarter [USD].  running: electricity in the quarter [USD].  tokens: read
    and written [token/s].  uses: chips wanted by each.
    """

    name: str
    date: str
    chips: Span
    middle: float
    supply: Span | None
    gap: Span | None
    short: float | None
    h100: Span
    h100_supply: Span | None
    power: Span
    energy: Span
    capex: Span | None
    buying: Span | None
    running: Span
    tokens: Span
    asks: Span
    uses: dict[str, Span]
    standing: tuple[Standing, ...]
    limited: str = ""


class Use(Record):
    """How the chips of a use were found. chip_time: of an ask or a run, by kind of chip; None where
    it cannot run [s].  plan: of which chip time is eke's; None by the rule of thumb.  peak_share:
    useful work over the peak of the chips counted in.  notes: what else to know of it."""

    name: str
    what: str  # "inference" or "training"
    model: str
    chip_time: dict[str, Span | None]
    plan: Plan | None
    peak_share: float
    notes: tuple[str, ...] = ()


class Moves(Record):
    """What an uncertain input does to the chips of the last quarter. low, high: the chips with it
    at its ends, all others at their likeliest.  share: of the variance, in logarithms."""

    name: str
    span: Span
    unit: str
    low: float
    high: float
    share: float


class Held(Record):
    """A figure of the forecast beside what others counted for the same time. ratio: over theirs."""

    quarter: str
    what: str
    own: float
    against: str
    theirs: Span
    unit: str
    ratio: float
    who: str
    source: str
    note: str


class Beside(Record):
    """A published forecast and eke's answer to the same question. value: of the quantity."""

    like: str
    who: str
    quantity: str
    theirs: float
    own: Span
    difference: Difference


class Forecast(Record, tag="forecast", tag_field="answer"):
    """The answer, quarter by quarter. first_short: the first quarter from which on more is wanted
    than there is, or ""; matters: what moves the last quarter most."""

    name: str
    count_in: str
    quarters: tuple[Quarter, ...]
    first_short: str
    uses: tuple[Use, ...]
    matters: tuple[Moves, ...]
    together: float  # share of the variance that no single input explains
    held: tuple[Held, ...]
    beside: tuple[Beside, ...]
    grounds: tuple[Ground, ...]
    remarks: tuple[str, ...]
    seed: int
    samples: int
