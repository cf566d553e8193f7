"""What a gateway is told: records, read once, replaced whole when the file changes."""

from __future__ import annotations

from math import inf
from typing import Literal, NamedTuple

from eke.types.record import Record

Form = Literal["auto", "json", "words"]
Counted = Literal["requests", "tokens", "USD", "seconds"]

LEVELS = ("debug", "info", "warning", "error")  # of logs
POLICY = "classes+promise+queue+backfill(spare=5%)+anticipate@prefix"  # where nobody says
ADMIN_KEY = "EKE_ADMIN_KEY"  # the variable with the administration's key, where nobody says
EVERYONE = "everyone"  # the tenant of those who give no key, where none is asked for
MONTH = 365.2425 * 86400.0 / 12  # stands for a month of the calendar, as long as that is [s]
PERIODS = {"second": 1.0, "min": 60.0, "hour": 3600.0, "day": 86400.0, "month": MONTH}


class Chips(NamedTuple):
    """What some chips are. number: of them.  rate: their rent [USD/s].  power, idle: they draw at
    work and without, at the site's meter [W]."""

    number: float
    rate: float
    power: float
    idle: float


class Limit(Record):
    """A most that a tenant may use in a window of time.

    what: requests, tokens (prompt and answer), USD by the price list, or accelerator-seconds.
    amount: of it.  period: length of a window [s]; MONTH for months of the calendar, inf for ever.
    text: all that as it was written, such as "1.5M tokens/min".
    """

    what: Counted
    amount: float
    period: float = inf
    text: str = ""

    @property
    def words(self) -> str:
        """The whole of it, in the words of whoever wrote it."""
        return self.text or f"{self.amount:,.15g} {self.name}"

    @property
    def name(self) -> str:
        """What it is kept under, such as "tokens/day"."""
        for word, seconds in PERIODS.items():
            if seconds == self.period:
                return f"{self.what}/{word}"
        return self.what if self.period == inf else f"{self.what}/{self.period:g}s"

    @property
    def quick(self) -> bool:
        """Whether it comes back soon enough to ask again: a rate, not a budget."""
        return self.period <= 3600.0


class TenantFile(Record):
    """A table [tenants.NAME], as gateway.toml or the administration says it."""

    keys: list[str] = []
    key_env: list[str] | str = []
    group: str = ""
    weight: float = 1.0
    floor: str = ""
    ceiling: str = ""
    context: str = ""
    service_tiers: list[str] = []
    limits: list[str] = []
    models: list[str] | None = None
    store: bool = True
    retention: str = "30d"
    seal_env: str | None = None


class Tenant(Record):
    """Whose requests they are.

    keys: SHA-256 of its API keys, in hex.  group: what context tiers call it.  weight: of its
    share.  floor, ceiling: shares of the engines it is sure of, and never exceeds.  context:
    longest prompt and answer [tokens].  tiers: service tiers it may ask for; the first is the one
    of "auto".  limits: budgets and rates.  models: that it may use; None for all.
    store: whether any text of it may be kept.  retention: how long what is stored is kept [s].
    key_env: names of the environment variables that some of the keys came from.
    seal: name of the environment variable with the key its stored text is sealed with.
    said: all that, in the words of whoever said it.
    """

    name: str
    keys: tuple[str, ...] = ()
    key_env: tuple[str, ...] = ()
    group: str = ""
    weight: float = 1.0
    floor: float | None = None
    ceiling: float | None = None
    context: float = inf
    tiers: tuple[str, ...] = ("default", "priority", "flex")
    limits: tuple[Limit, ...] = ()
    models: tuple[str, ...] | None = None
    store: bool = True
    retention: float = 30 * 86400.0
    seal: str | None = None
    said: TenantFile = TenantFile()


class Price(Record):
    """What tokens are charged at [USD/token]."""

    prompt: float = 0.0
    cached: float = 0.0
    answer: float = 0.0


class ModelSettings(Record):
    """One model as clients see it.

    name: in requests.  context: longest prompt and answer [tokens]; None asks its engines.
    price: by tokens; None charges what the chips cost.  ttft: promised time to first token, of
    requests that stream [s].  smaller: model that stands in for it on the ladder.
    """

    name: str
    context: int | None = None
    price: Price | None = None
    ttft: float | None = None
    smaller: str | None = None


class EngineSettings(Record):
    """One engine.

    url: up to and including /v1.  key: sent to it.  models: name in requests → name there; None
    asks it.  slots: sequences it takes at most; None finds out.  room: tokens its cache holds;
    None asks its metrics, else no bound.  chips: how many it has.  rate: what they cost [USD/s].
    power: they draw at work [W].  idle: and without [W].  metrics: where its Prometheus metrics
    are, "" for nowhere.  ordered: whether it is sent priorities (vLLM's --scheduling-policy).
    sleep, wake: paths from the root of its server that are posted to before a fine-tuning job gets
    its chips and after, such as vLLM's /sleep?level=1 and /wake_up; "" for none.
    """

    name: str
    url: str
    key: str = ""
    models: dict[str, str] | None = None
    slots: int | None = None
    room: int | None = None
    chips: float = 1.0
    rate: float = 0.0
    power: float = 0.0
    idle: float = 0.0
    metrics: str | None = None
    ordered: bool = False
    sleep: str = ""
    wake: str = ""


class Patience(Record):
    """How long the gateway waits for whom [s].

    connect: for a connection.  first: for the first byte of an answer.  between: for the next.
    body: for a client to send its request.  reading: for it to go on taking the answer.
    drain: for answers under way at the end.  alone: in the queue while no engine is
    there.  checkpoint: for a trainer that was told to stop.
    hedge: for a first byte, before another engine that is free is asked too; None never asks.
    retries: of a request whose engine gave no byte.
    """

    connect: float = 5.0
    first: float = 600.0
    between: float = 120.0
    body: float = 30.0
    reading: float = 120.0
    drain: float = 30.0
    alone: float = 15.0
    checkpoint: float = 60.0
    hedge: float | None = None
    retries: int = 2


class Settings(Record):
    """All of it.

    policy: who is answered next, as eke.policy.naming reads it.  open: whether requests without a
    known key are answered, each key a tenant of its own; None for as long as no tenant has keys.
    origins: of pages that may use the API from a browser.  longest_body: of a request [B].
    state: path of an SQLite file, or postgresql://…  admin: port of the administration on the
    loopback interface; None for none.  key_env: names of the environment variables with its key
    and those of engines.  record: file for every event and action, to be replayed.
    longest_file, longest_batch: of what is uploaded [B].  batch_discount: share of the price that
    lines of batches are spared.  trainer: command that fine-tunes, started without a shell.
    jobs: folder in which each fine-tuning job gets one of its own.
    log: least level that is logged; "info" has a line per request.  log_form: "auto" is words on a
    terminal, else JSON.  log_file: "" for stderr.  traces: where OpenTelemetry's traces go, "" for
    nowhere.
    """

    engines: tuple[EngineSettings, ...]
    tenants: tuple[Tenant, ...] = ()
    models: tuple[ModelSettings, ...] = ()
    policy: str = POLICY
    open: bool | None = None
    origins: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8080
    admin: int | None = None
    admin_key: str = ""
    key_env: tuple[str, ...] = ()
    state: str = ""
    record: str = ""
    longest_body: int = 32 * 2**20
    longest_file: int = 512 * 10**6
    longest_batch: int = 200 * 10**6
    batch_discount: float = 0.5
    patience: Patience = Patience()
    contexts: dict[float, tuple[str, ...]] = {}
    trainer: str = ""
    jobs: str = "eke-jobs"
    log: str = "warning"
    log_form: Form = "auto"
    log_file: str = ""
    traces: str = ""
