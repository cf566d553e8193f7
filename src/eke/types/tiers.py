"""Context tiers: who may use how long a context, and what remembering conversations is worth."""

from __future__ import annotations

from typing import Literal

from eke.errors import BadInput
from eke.types.job import Promise, positive, zero_or_more
from eke.types.need import Ground, Matter, Span
from eke.types.plan import Plan
from eke.types.record import Record

MONTH = 365.25 * 86400.0 / 12  # [s]
Where = Literal["nowhere", "chip", "host"]


class TierUse(Record):
    """How a context tier is used by those who may use it.

    context: the longest a request may reach.  prompt, answer: mean lengths [tokens].  asks: of one
    user, mean over the day [1/s].  price: what a user pays [USD/s].  token_price: what is paid for
    a token of prompt or answer [USD].  ttft: promised.  wanted: share of users who would take it.
    """

    name: str
    context: int
    prompt: float
    answer: float
    asks: float
    price: float = 0.0
    token_price: float = 0.0
    ttft: Promise | None = None
    wanted: float = 1.0

    def __post_init__(self) -> None:
        positive(self, "context", "prompt", "answer", "asks", "wanted")
        zero_or_more(self, "price", "token_price")
        if self.prompt + self.answer > self.context * (1 + 1e-9):
            raise BadInput(
                f"tier {self.name}: a prompt of {self.prompt:,.0f} and an answer of "
                f"{self.answer:,.0f} tokens do not fit a context of {self.context:,}."
            )
        if self.wanted > 1:
            raise BadInput(f"tier {self.name}: wanted is {self.wanted:g}; it is a share of users.")

    @property
    def tokens(self) -> float:
        """Of one request, prompt and answer [tokens]."""
        return self.prompt + self.answer

    @property
    def pays(self) -> float:
        """What a user brings [USD/s]."""
        return self.price + self.token_price * self.asks * self.tokens


class Conversations(Record):
    """Turns of a conversation, and how long people think between them.

    turns: mean.  think: mean time between an answer and the next prompt [s].  variation: its
    variance over its mean squared; None is exponential, else log-normal.  repeats: share of a later
    prompt that stood in the conversation before.  keep, kept: where keys and values are kept after
    an answer, and for how long [s].
    """

    turns: float
    think: float
    repeats: float
    variation: float | None = None
    keep: Where = "nowhere"
    kept: float = 0.0

    def __post_init__(self) -> None:
        positive(self, "turns", "think", "variation")
        zero_or_more(self, "kept")
        if self.turns < 1:
            raise BadInput(f"turns is {self.turns:g}; a conversation has one or more.")
        if not 0 <= self.repeats <= 1:
            raise BadInput(f"repeats is {self.repeats:g}; it is a share of the prompt, 0 to 1.")
        if (self.keep == "nowhere") != (self.kept == 0):
            raise BadInput(
                f"keep is {self.keep!r} for {self.kept:g} s; to keep conversations say both where "
                "(chip or host) and for how long, or neither."
            )


class Demand(Record):
    """Who asks for what. users: active on a day.  peak: rate of the busiest time over the mean of
    the day.  base: the tier everybody has.  longer: those in question, the shortest first.
    spread: squared variation of the work of a request within a tier."""

    users: float
    peak: float
    base: TierUse
    longer: tuple[TierUse, ...]
    tpot: Promise | None = None
    spread: float = 1.0
    conversations: Conversations | None = None
    name: str = ""
    grounds: tuple[Ground, ...] = ()

    def __post_init__(self) -> None:
        positive(self, "users", "peak")
        zero_or_more(self, "spread")
        if self.peak < 1:
            raise BadInput(f"peak is {self.peak:g}; the busiest time is at least the mean: 1 up.")
        contexts = [tier.context for tier in (self.base, *self.longer)]
        if not self.longer or contexts != sorted(set(contexts)):
            raise BadInput(
                "longer names the context tiers in question, each longer than base; it gives "
                f"{', '.join(f'{each:,}' for each in contexts[1:]) or 'none'} beside "
                f"{contexts[0]:,} tokens."
            )


class SharePoint(Record):
    """What the chips carry where `share` of users have the longer tier.

    users: the most of whom everybody keeps every promise, the better of `together` on all replicas
    and `apart` on replicas of each tier's own.  limit: what stops there.  chips: that the demand
    takes.  ttft, ttft_longer, tpot: what users of both tiers see as promised, at the demand or at
    most at `users`.  cost: of a user and month, per_million: of tokens of prompt and answer, with
    the chips kept full [USD].  revenue: at the demand or at most at `users`, margin: what is left
    of it when all chips are paid [USD/s].  displaces: users of the base tier whose place each of
    the longer takes.  plans: which of the answer's, the base tier's first.
    """

    share: float
    users: Span
    together: float
    apart: float
    limit: str
    chips: float | None = None
    ttft: Span | None = None
    ttft_longer: Span | None = None
    tpot: Span | None = None
    cost: Span | None = None
    per_million: Span | None = None
    revenue: float = 0.0
    margin: float | None = None
    displaces: float | None = None
    plans: tuple[int, ...] = ()


class Resource(Record):
    """What 10 % more of a resource does to the number of users carried, as a factor."""

    name: str
    factor: float


class TierCurve(Record):
    """How many may have the longer tier beside the base tier for all.

    share: of users, at the demand.  users: who then have it.  points: over the share, at `share`
    too.  alone: whether a promise is broken by the longest request alone, and which.  resources:
    what binds there, the most felt first.
    """

    tier: TierUse
    share: Span
    users: Span
    displaces: float | None
    points: tuple[SharePoint, ...]
    resources: tuple[Resource, ...]
    alone: str = ""


class KeepPoint(Record):
    """Conversations kept for `kept` [s]. reuse: share of prompt tokens found.  held: mean time a
    turn's keys and values are held [s].  conversations: held at any time, at the demand.  chips:
    that the demand takes."""

    kept: float
    reuse: float
    held: float
    users: Span
    limit: str
    conversations: float
    chips: float | None = None
    ttft: Span | None = None
    cost: Span | None = None


class KeepCurve(Record):
    """Keeping conversations somewhere, over how long. best: the shortest time that carries
    as many as any.
    even: beyond which less is carried than by sending each conversation again; None for never.
    shares: of users that may have each longer tier with the best."""

    where: Where
    points: tuple[KeepPoint, ...]
    best: int
    even: float | None
    shares: tuple[float, ...] = ()


class Tiers(Record, tag="tiers", tag_field="answer"):
    """Who may have how long a context, and what remembering conversations saves."""

    model: str
    fleet: str
    chips: int
    demand: Demand
    base: SharePoint
    curves: tuple[TierCurve, ...]
    keeping: tuple[KeepCurve, ...]
    plans: tuple[Plan, ...]
    matters: tuple[Matter, ...]
    grounds: tuple[Ground, ...]
    remarks: tuple[str, ...] = ()
