"""GET /metrics: all numbers of a gateway, with names and units by Prometheus's conventions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING

from eke.gateway.engines.engine import UNBOUNDED, Engine
from eke.gateway.gateway import Gateway
from eke.gateway.reloading import newest
from eke.gateway.row import REFUSED
from eke.gateway.seeing.budgets import budgets
from eke.gateway.seeing.census import Census
from eke.gateway.seeing.exposition import counter, gauge, histogram
from eke.gateway.seeing.meters import Meters
from eke.gateway.seeing.process import memory, processor

if TYPE_CHECKING:
    from eke.gateway.seeing.seeing import Seeing

ALIKE = ("model", "tenant", "kind", "tier")
SUMS = {
    "prompt_tokens": ("prompt", "Tokens of prompts, cached ones among them."),
    "cached_tokens": ("cached", "Tokens of prompts that came from an engine's cache."),
    "answer_tokens": ("answer", "Tokens of answers."),
    "accelerator_seconds": ("seconds", "Time of accelerators, by shares of engines."),
    "energy_joules": ("energy", "Energy of accelerators, by shares of engines at work."),
    "cost_usd": ("cost", "What the accelerators cost."),
    "charged_usd": ("charged", "What was charged, by the price list where there is one."),
    "saved_usd": ("saved", "What cached tokens would have been charged more."),
}
TIMES = {
    "time_to_first_token": ("first", "From arrival to the first token, of answers that stream."),
    "time_per_output_token": ("token", "For each token after the first, of answers that stream."),
    "queue_wait": ("wait", "From arrival to the start, of requests that were started."),
    "request_duration": ("whole", "From arrival to the end, of requests that were answered."),
}
ENGINES: dict[str, tuple[str, Callable[[Engine, float], float | None]]] = {
    "up": ("Whether it takes requests.", lambda each, now: each.alive),
    "limit": ("Requests it is given at once, as found out.", lambda each, now: each.slots),
    "running": ("Requests on it from this gateway.", lambda each, now: each.running),
    "inside": ("Requests in its own queue.", lambda each, now: each.inside),
    "held_tokens": ("Tokens in its cache.", lambda each, now: each.held),
    "room_tokens": (
        "Tokens its cache can hold.",
        lambda each, now: None if each.room >= UNBOUNDED else each.room,
    ),
    "seconds_per_token": ("Its pace lately.", lambda each, now: each.pace),
    "busy_seconds_total": ("Time with requests.", lambda each, now: each.meter.read(now)[0]),
    "idle_seconds_total": ("Time without.", lambda each, now: each.meter.read(now)[1]),
    "finished_total": ("Answers it gave.", lambda each, now: each.finished),
    "failed_total": ("Requests it gave nothing for.", lambda each, now: each.failed),
    "troubles": ("Failures in a row.", lambda each, now: each.breaker.failures),
}


async def metrics(seeing: Seeing) -> bytes:
    """All families as text. Counts who waits."""
    return exposition(seeing, await seeing.counting.now()).encode()


def exposition(seeing: Seeing, census: Census) -> str:
    """All families."""
    parts = (
        _requests(seeing.meters),
        _times(seeing.meters),
        _engines(seeing.gateway),
        _queues(seeing, census),
        _budgets(seeing.gateway),
        _state(seeing.gateway),
        _process(seeing),
    )
    return "".join(family for part in parts for family in part)


def _requests(meters: Meters) -> Iterator[str]:
    cells = meters.cells
    everything = [(key, cell.requests) for key, cell in cells.items()]
    words = "Requests that are over."
    yield counter("eke_requests_total", words, (*ALIKE, "outcome"), everything)
    for name, (field, words) in SUMS.items():
        sums: dict[tuple[str, ...], float] = {}
        for key, cell in cells.items():
            sums[key[:4]] = sums.get(key[:4], 0) + getattr(cell, field)
        yield counter(f"eke_{name}_total", words, ALIKE, sums.items())
    again: Counter[tuple[str, ...]] = Counter()
    for key, cell in cells.items():
        again[key[:1]] += cell.again
    yield counter("eke_retries_total", "Tries that came to nothing.", ("model",), again.items())
    reasons = meters.reasons.items()
    refused = [((why,), count) for (how, why), count in reasons if how == REFUSED]
    yield counter("eke_refusals_total", "Requests refused, and why.", ("reason",), refused)
    rest = [(key, count) for key, count in reasons if key[0] != REFUSED]
    words = "Requests that were stopped or failed, and why."
    yield counter("eke_unanswered_total", words, ("outcome", "reason"), rest)


def _times(meters: Meters) -> Iterator[str]:
    for name, (field, words) in TIMES.items():
        of = attrgetter(field)
        all_of_them = [(key, of(times)) for key, times in meters.times.items()]
        yield histogram(f"eke_{name}_seconds", words, ("model", "tier"), all_of_them)


def _engines(gateway: Gateway) -> Iterator[str]:
    now = gateway.clock.now()
    for name, (words, of) in ENGINES.items():
        values = [((each.name,), of(each, now)) for each in newest(gateway.engines.values())]
        told = [(key, value) for key, value in values if value is not None]
        family = counter if name.endswith("_total") else gauge
        yield family(f"eke_engine_{name}", words, ("engine",), told)


def _queues(seeing: Seeing, census: Census) -> Iterator[str]:
    waiting: Counter[tuple[str, ...]] = Counter()
    for line, queue in census.queues.items():
        waiting[line.models, seeing.meters.tenants.of(line.tenant)] += queue.count
    labels = ("models", "tenant")
    yield gauge("eke_waiting_requests", "Requests that wait.", labels, waiting.items())
    words = "Errors that clients were told, also before anything was asked of an engine."
    yield counter("eke_errors_total", words, ("status", "code"), seeing.gateway.errors.items())
    open_calls = [((), seeing.gateway.open_calls)]
    yield gauge("eke_open_calls", "Calls under way, of all kinds.", (), open_calls)


def _budgets(gateway: Gateway) -> Iterator[str]:
    found = [((each.tenant, each.limit.name), each) for each in budgets(gateway)]
    labels = ("tenant", "limit")
    words = "Most that may be used in a window of time."
    yield gauge("eke_budget_limit", words, labels, [(k, each.limit.amount) for k, each in found])
    words = "Used of it in this window, by all gateways."
    yield gauge("eke_budget_used", words, labels, [(k, each.used) for k, each in found])
    words = "What gateways have leave for besides."
    yield gauge("eke_budget_leased", words, labels, [(k, each.leased) for k, each in found])
    words = "Reserved for requests under way here."
    yield gauge("eke_budget_reserved", words, labels, [(k, each.reserved) for k, each in found])


def _state(gateway: Gateway) -> Iterator[str]:
    keeper = gateway.keeper
    if keeper is not None:
        words = "Whether the state takes what is to be kept."
        yield gauge("eke_state_up", words, (), [((), not keeper.trouble)])
        yield gauge("eke_rows_waiting", "Rows not stored yet.", (), [((), keeper.waiting)])


def _process(seeing: Seeing) -> Iterator[str]:
    gateway = seeing.gateway
    about = ((seeing.version, gateway.settings.policy), 1)
    yield gauge("eke_info", "What runs.", ("version", "policy"), [about])
    start = gateway.clock.wall(0.0)
    yield gauge("eke_start_time_seconds", "When it began, since 1970.", (), [((), start)])
    yield gauge("eke_resident_memory_bytes", "Memory of this process.", (), [((), memory())])
    yield counter("eke_cpu_seconds_total", "Processor time.", (), [((), processor())])
    yield gauge("eke_loop_lag_seconds", "How late the event loop is.", (), [((), seeing.lag)])
    words = "Jumps of the calendar that were taken over."
    yield counter("eke_calendar_jumps_total", words, (), [((), seeing.jumps)])
