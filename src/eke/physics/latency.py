"""What users see: time to first token and per output token, on average and as promised."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from eke.physics import queueing
from eke.physics.engine import Load, asks, emitted, prefill_time, step
from eke.physics.exchange import hop
from eke.physics.footprint import cache_per_token
from eke.physics.machine import Machine
from eke.physics.operations import AnyPlan
from eke.types.job import Serve
from eke.types.plan import BYTES, Plan
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
    wait = queueing.mg1_wait_time(
        arrival_rate=busy / service, service_time=service, squared_variation=job.spread
    )
    waiting = wait / servers + _slot_wait(job, plan, state)
    tail = queueing.wait_percentile(wait_time=waiting, busy=busy, percentile=first)
    tpot = state.step.mean / emitted(plan)
    crowd = np.maximum(state.concurrency + _normal(each) * np.sqrt(state.concurrency), 1.0)
    crowded = step(job, plan, machine, np.minimum(crowd, state.most)).mean / emitted(plan)
    return Seen(
        ttft=waiting + fixed + service,
        ttft_promised=tail + fixed + service * _lognormal(job.spread, first),
        tpot=tpot,
        tpot_promised=np.maximum(crowded, tpot) if each > 0.5 else tpot,
    )


def _taking_in(
    job: Serve, plan: AnyPlan, machine: Machine, state: Load, prefill: Machine | None
) -> tuple[Any, Any, Any, Any]:
    """Time to take in one prompt, how busy that keeps who does it, how many do, and what else
    passes before the first token [s]."""
    at = state.step
    if plan.prefill is None or prefill is None:
        return at.chunks * at.mixed, np.minimum(at.busy, 0.98), 1.0, at.mean / 2
    half = plan.prefill
    service = prefill_time(job, half, prefill)
    busy = np.minimum(prefill_busy(job, half, prefill), 0.98)
    return service, busy, half.replicas, handover_time(job, plan, machine) + at.mean


def prefill_busy(job: Serve, half: Plan, prefill: Machine) -> Any:
    """Share of their time in which the prefill replicas work; above 1 they cannot keep up."""
    return job.rate / half.replicas * prefill_time(job, half, prefill)


def handover_time(job: Serve, plan: AnyPlan, machine: Machine) -> Any:
    """Time to send a prompt's keys and values to the chips that decode [s]."""
    tokens = sum(ask.share * (ask.new + ask.cached) for ask in asks(job))
    size = tokens * cache_per_token(job.model, BYTES[plan.cache]) / plan.group
    return hop(machine, size=size, distance=machine.domain)


def _slot_wait(job: Serve, plan: AnyPlan, state: Load) -> Any:
    """Wait for a place among the sequences in flight: Erlang C with `most` places [s]."""
    busy = np.minimum(job.rate / plan.replicas / state.ceiling, 0.98)
    hold = job.answer * state.step.mean / emitted(plan)
    chance = queueing.waiting_chance(servers=state.most, busy=busy)
    return queueing.many_servers_wait_time(
        chance=chance, servers=state.most, busy=busy, service_time=hold
    )


def _normal(percentile: float) -> float:
    """Quantile of the standard normal distribution."""
    return NormalDist().inv_cdf(min(max(percentile, 1e-6), 1 - 1e-6))


def _lognormal(spread: float, percentile: float) -> float:
    """A percentile of work per request over its mean, work being lognormal."""
    sigma2 = float(np.log1p(spread))
    return float(np.exp(_normal(percentile) * np.sqrt(sigma2) - sigma2 / 2)) if spread else 1.0
