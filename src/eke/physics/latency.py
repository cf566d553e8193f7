"""What users see: time to first token and per output token, on average and as promised."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from eke.physics import queueing
from eke.physics.adapters import sharing
from eke.physics.engine import Load, asks, emitted, prefill_time, step
from eke.physics.exchange import hop
from eke.physics.footprint import cache_bytes
from eke.physics.host import loading
from eke.physics.machine import Machine
from eke.physics.operations import AnyPlan
from eke.types.job import Serve
from eke.types.plan import Plan
from eke.types.record import Record


class Seen(Record):
    """What users see. Durations in seconds, means and at the promised percentile."""

    ttft: Any
    ttft_promised: Any
    tpot: Any
    tpot_promised: Any


def seen(
    job: Serve, plan: AnyPlan, machine: Machine, state: Load, prefill: Machine | None = None
) -> Seen:
    """Latencies at the load of the replica. prefill: the machine of a plan's prefill half."""
    first = job.ttft.percentile if job.ttft else 0.5
    each = job.tpot.percentile if job.tpot else 0.5
    service, busy, servers, fixed = _taking_in(job, plan, machine, state, prefill)
    taken = _slots_busy(job, plan, state)
    lines = (
        (queueing.erlang_c(servers, busy * servers), servers, busy, service),
        (_slot_chance(state, taken), state.most, taken, _hold(job, plan, state)),
    )
    means, tails = zip(*(_wait(job, first, *line) for line in lines), strict=True)
    waiting, tail = sum(means), sum(tails)
    loaded, late = loading(job, plan.prefill or plan, prefill or machine, first)
    tpot = state.step.mean / emitted(plan)
    crowd = np.maximum(state.concurrency + _normal(each) * np.sqrt(state.concurrency), 1.0)
    crowded = step(job, plan, machine, np.minimum(crowd, state.most)).mean / emitted(plan)
    return Seen(
        ttft=waiting * machine.knobs.first + fixed + service + loaded,
        ttft_promised=tail * machine.knobs.first
        + fixed
        + service * _lognormal(job.spread, first)
        + late,
        tpot=tpot,
        tpot_promised=np.maximum(crowded, tpot) if each > 0.5 else tpot,
    )


def _wait(
    job: Serve, percentile: float, chance: Any, servers: Any, busy: Any, service: Any
) -> tuple[Any, Any]:
    """Wait in one line, its mean and a percentile: for the engine to take the prompt in, or for a
    place among the sequences in flight. Percentiles of the two lines add up to a little more than
    that of their sum [s]."""
    mean = queueing.many_servers_wait_time(
        chance=chance,
        servers=servers,
        busy=busy,
        service_time=service,
        squared_variation=job.spread,
    )
    return mean, queueing.wait_percentile(wait_time=mean, busy=chance, percentile=percentile)


def _taking_in(
    job: Serve, plan: AnyPlan, machine: Machine, state: Load, prefill: Machine | None
) -> tuple[Any, Any, int, Any]:
    """Time to take in one prompt, how busy that keeps who does it, how many do, and what else
    passes before the first token [s]."""
    at = state.step
    if plan.prefill is None or prefill is None:
        return at.chunks * at.mixed, np.minimum(at.busy, 0.98), 1, at.mean / 2
    half = plan.prefill
    service = prefill_time(job, half, prefill)
    busy = np.minimum(job.rate / prefill_ceiling(job, half, prefill), 0.98)
    fixed = handover_time(job, plan, machine, prefill) + at.mean
    own = half.replicas
    if job.adapters:  # of each fine-tune, where it has replicas of its own
        merged = np.maximum(half.replicas // job.adapters, 1)
        own = np.where(np.asarray(half.adapter_slots) > 0, half.replicas, merged)
    return service, busy, own * half.pipeline, fixed


def prefill_ceiling(job: Serve, half: Plan, prefill: Machine) -> Any:
    """Prompts per second that the prefill half can take in; stages work on different ones."""
    return sharing(job, half) * half.pipeline / prefill_time(job, half, prefill)


def handover_time(job: Serve, plan: AnyPlan, machine: Machine, prefill: Machine) -> Any:
    """Time to send a prompt's keys and values over the network, from the chips that hold them to
    the chips that will; the slower side sets it [s]."""

    def side(layout: AnyPlan, chips: Machine) -> Any:
        each = sum(
            ask.share * cache_bytes(job.model, ask.new + ask.cached, layout) for ask in asks(job)
        )
        return hop(chips, size=each, distance=chips.domain)

    return np.maximum(side(plan, machine), side(plan.prefill or plan, prefill))


def _slots_busy(job: Serve, plan: AnyPlan, state: Load) -> Any:
    """Share of the places among the sequences in flight that are taken."""
    return np.minimum(job.rate / sharing(job, plan) / state.ceiling, 0.98)


def _slot_chance(state: Load, busy: Any) -> Any:
    """Chance of waiting for such a place; exact for a single one."""
    many = queueing.waiting_chance(servers=state.most, busy=busy)
    return np.where(np.asarray(state.most) == 1, busy, many)


def _hold(job: Serve, plan: AnyPlan, state: Load) -> Any:
    """How long a sequence keeps its place [s]."""
    return job.answer * state.step.mean / emitted(plan)


def _normal(percentile: float) -> float:
    """Quantile of the standard normal distribution."""
    return NormalDist().inv_cdf(min(max(percentile, 1e-6), 1 - 1e-6))


def _lognormal(spread: float, percentile: float) -> float:
    """A percentile of work per request over its mean, work being lognormal."""
    sigma2 = float(np.log1p(spread))
    return float(np.exp(_normal(percentile) * np.sqrt(sigma2) - sigma2 / 2)) if spread else 1.0
