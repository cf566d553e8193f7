"""What is told of a gateway's state: nouns for the page, for programs, for whoever looks."""

from __future__ import annotations

from eke.types.record import Record


class Waits(Record):
    """How long something took of late [s]; None where nothing was."""

    median: float | None
    p95: float | None


class Totals(Record):
    """All requests. per_second: answered, mean of the last minute.  first, wait: to the first token
    and in the queue, of the last minute.  finished and so on: since the gateway began.
    prompt, cached, answer: tokens.  energy [J].  cost, charged, saved [USD].  seconds: of
    accelerators."""

    per_second: float
    tokens_per_second: float
    waiting: int
    running: int
    first: Waits
    wait: Waits
    finished: int
    refused: int
    stopped: int
    failed: int
    prompt: int
    cached: int
    answer: int
    seconds: float | None = None
    energy: float | None = None
    cost: float | None = None
    charged: float | None = None
    saved: float | None = None


class QueueState(Record):
    """Those who wait for the same engines in the same tier. tenant: "" for all of them.
    oldest: how long the first has waited [s]."""

    models: str
    tier: str
    tenant: str
    waiting: int
    oldest: float


class BudgetState(Record):
    """One limit. text: as it was written.  left: of its amount, but for what is reserved.  again:
    when it is whole again, from now [s]; None for never."""

    name: str
    text: str
    amount: float
    left: float
    again: float | None


class TenantState(Record):
    """One tenant. share: of the tokens lately, an answer's counted twice.  due: its weight's share
    among those who had any or wait.  context: longest prompt and answer [tokens]; None for any."""

    name: str
    group: str
    weight: float
    running: int
    waiting: int
    share: float
    due: float
    context: float | None
    floor: float | None
    ceiling: float | None
    budgets: list[BudgetState]


class TierState(Record):
    """A context tier: longest prompt and answer [tokens], and whom it is for."""

    context: float
    whose: list[str]


class EngineState(Record):
    """One engine. cache: share of it in use; None where it does not say.  pace: seconds per token.
    rate: of its cost [USD/s].  energy: so far [J].  busy: share of its time with requests.
    trouble: what is wrong, "" for nothing; only that something is, to strangers."""

    name: str
    models: list[str]
    alive: bool
    draining: bool
    limit: int
    running: int
    inside: int
    cache: float | None
    pace: float | None
    busy: float
    finished: int
    failed: int
    trouble: str
    rate: float | None = None
    energy: float | None = None


class Reason(Record):
    """Why requests were not answered, and how many."""

    outcome: str
    reason: str
    count: int


class Status(Record):
    """Everything. at: now, UTC [s].  since: when the gateway began.  lag: of the event loop [s].
    memory [B].  processor: time used [s].  tenants: None to strangers.  trouble: why the state does
    not take what is to be kept, "" where it does; only that it does not, to strangers."""

    at: float
    since: float
    version: str
    policy: str
    rules: list[str]
    closing: bool
    totals: Totals
    queues: list[QueueState]
    engines: list[EngineState]
    reasons: list[Reason]
    tiers: list[TierState]
    tenants: list[TenantState] | None
    lag: float
    memory: float
    processor: float
    trouble: str
