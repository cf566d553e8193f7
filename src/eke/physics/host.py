"""What waits in the host's memory: kept conversations and fine-tunes, and loading them.

A request whose keys and values, or whose fine-tune, lie in the host's memory waits until they are
on the chip. Engines copy them on the chip's copy engine while other requests are computed (vLLM's
offloading connector, LMCache, S-LoRA), so a step takes no longer; what the link cannot hide is that
it carries only so much: it is a queue of its own, and bounds the rate. The way back, to the host,
is the link's other direction.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics import queueing
from eke.physics.adapters import adapter_bytes, misses, sharing
from eke.physics.engine import kept_bytes, kept_each
from eke.physics.machine import Machine
from eke.physics.network import host_copy_time
from eke.physics.operations import AnyPlan
from eke.types.job import Serve

MOST_BUSY = 0.98  # share of its time up to which the queue before the link is followed


def used(job: Serve, plan: AnyPlan) -> bool:
    """Whether any request waits for something out of the host's memory."""
    return plan.offload or bool(np.any(np.asarray(misses(job, plan)) > 0))


def loading_time(job: Serve, plan: AnyPlan, machine: Machine) -> Any:
    """Time to load what a request needs, mean over requests; each chip loads its own part [s]."""
    return _conversation(job, plan, machine) + misses(job, plan) * _adapter(job, plan, machine)


def _conversation(job: Serve, plan: AnyPlan, machine: Machine) -> Any:
    return _copy(kept_each(job, plan), machine) if plan.offload else 0.0


def _adapter(job: Serve, plan: AnyPlan, machine: Machine) -> Any:
    return _copy(adapter_bytes(job.model, job.adapter_rank, plan), machine) if job.adapters else 0.0


def _copy(size: Any, machine: Machine) -> Any:
    return host_copy_time(size=size, bandwidth=machine.host)


def loading_ceiling(job: Serve, plan: AnyPlan, machine: Machine) -> Any:
    """Requests per second that the links can load for; data-parallel ranks have links of their
    own."""
    time = np.maximum(loading_time(job, plan, machine), 1e-12)
    return sharing(job, plan) * plan.data / time


def loading(job: Serve, plan: AnyPlan, machine: Machine, percentile: float) -> tuple[Any, Any]:
    """What loading adds to the first token, its mean and a percentile [s].

    Of fine-tunes either all or nothing is loaded: a percentile sees it where enough requests miss.
    """
    if not used(job, plan):
        return 0.0, 0.0
    mean = loading_time(job, plan, machine)
    busy = np.minimum(job.rate / loading_ceiling(job, plan, machine), MOST_BUSY)
    wait = queueing.many_servers_wait_time(
        chance=busy, servers=1, busy=busy, service_time=mean, squared_variation=job.spread
    )
    tail = queueing.wait_percentile(wait_time=wait, busy=busy, percentile=percentile)
    missed = misses(job, plan) > 1 - percentile
    seen = _conversation(job, plan, machine) + missed * _adapter(job, plan, machine)
    return mean + wait, seen + tail


def host_bytes(job: Serve, plan: AnyPlan) -> Any:
    """What lies in the host's memory, each chip's part [B]: conversations kept there, and every
    fine-tune where not all are resident."""
    kept = kept_bytes(job, plan) if plan.offload else 0.0
    if not job.adapters:
        return kept
    every = job.adapters * adapter_bytes(job.model, job.adapter_rank, plan)
    return kept + every * (np.asarray(misses(job, plan)) > 0)
