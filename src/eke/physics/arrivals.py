"""How requests come when no rate is given: all together, from so many users, or as a backlog.

A static batch starts and ends together. A closed loop keeps so many requests in flight: each user
asks again as soon as the answer is there. A backlog is there from the beginning and is worked off.
All take arrays over plans and scenarios.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics.engine import (
    asks,
    duration,
    emitted,
    encoder_positions,
    encoding_time,
    own_time,
    per_pass,
    per_sequence,
    prefill_time,
    room_for_cache,
    run,
    slowdown,
    step,
)
from eke.physics.machine import Machine
from eke.physics.operations import AnyPlan, Batch
from eke.types.job import Serve
from eke.types.record import Record

ROUNDS = 4  # of the fixed point between what is decoding and what is being taken in


class Seen(Record):
    """What the users of one replica see. ttft, tpot: means [s].  time: until all is answered, or
    mean time of a request in a closed loop [s].  rate: requests per second of the replica.
    concurrency: requests in flight."""

    ttft: Any
    tpot: Any
    time: Any
    rate: Any
    concurrency: Any


def most_in_flight(job: Serve, plan: AnyPlan, machine: Machine) -> Any:
    """Sequences of one replica that memory and the plan allow."""
    each = per_sequence(job, plan) * plan.pipeline / plan.data
    room = room_for_cache(job, plan, machine) * plan.pipeline
    return np.clip(np.floor(room / np.maximum(each, 1.0)), 1, plan.batch)


def together(job: Serve, plan: AnyPlan, machine: Machine, requests: Any) -> Seen:
    """A static batch: so many requests per replica start together and answer in step.

    More than fit in memory go one batch after the other.
    """
    most = most_in_flight(job, plan, machine)
    at_once = np.minimum(requests, most)
    ttft = intake_time(job, plan, machine, at_once)
    tpot = decode_time(job, plan, machine, _computed(plan, at_once))
    once = ttft + (job.answer - 1) * tpot
    time = once * np.maximum(requests / at_once, 1.0)
    return Seen(ttft=ttft, tpot=tpot, time=time, rate=requests / time, concurrency=at_once)


def intake_time(job: Serve, plan: AnyPlan, machine: Machine, sequences: Any) -> Any:
    """Time to take in the prompts of so many sequences at once and give their first tokens [s].

    A pipeline takes them in as micro-batches, so its stages work at the same time.
    """
    rank = per_pass(plan, sequences)
    work = tuple(
        Batch(
            sequences=rank * ask.share,
            new=ask.new,
            cached=ask.cached,
            source=encoder_positions(job.model),
        )
        for ask in asks(job)
    )
    tokens = sum(batch.tokens for batch in work)
    once = run(job, work, plan, machine, logits_rows=rank)
    steps = np.maximum(tokens / plan.token_budget, 1.0)  # weights are read again by each
    again = (steps - 1) * (once.launch + own_time(machine, 1.0))
    own = own_time(machine, rank) + encoding_time(job, plan, machine) * rank
    return (duration(once, machine) + own + again) * slowdown(job, machine)


def decode_time(job: Serve, plan: AnyPlan, machine: Machine, sequences: Any) -> Any:
    """Time per token and sequence while so many are answered and no prompt is taken in [s]."""
    rank = per_pass(plan, sequences)
    work = tuple(
        Batch(
            sequences=rank * ask.share,
            new=1 + plan.drafts,
            cached=ask.context,
            source=encoder_positions(job.model),
        )
        for ask in asks(job)
    )
    rows = sum(batch.tokens for batch in work)
    once = run(job, work, plan, machine, logits_rows=rows)
    drafting = 1 + plan.drafts * plan.draft_cost
    mean = (duration(once, machine) + own_time(machine, rank)) * slowdown(job, machine) * drafting
    return mean / emitted(plan)


def closed_loop(
    job: Serve, plan: AnyPlan, machine: Machine, users: Any, prefill: Machine | None = None
) -> Seen:
    """So many users per replica, each asking again at once.

    Of them some are being taken in and the others decode; both follow from each other. prefill:
    the machine of a plan's prefill half, which takes prompts in elsewhere.
    """
    most = most_in_flight(job, plan, machine)
    inside = np.minimum(users, most)
    decoding, ttft, tpot = inside, 0.0 * inside, 0.0 * inside
    elsewhere: Any = None
    crowd: Any = 0.0
    if plan.prefill is not None and prefill is not None:
        elsewhere = prefill_time(job, plan.prefill, prefill)
    else:
        crowd = intake_time(job, plan, machine, np.maximum(inside / 2, 1.0))
    for _ in range(ROUNDS):
        at = step(job, plan, machine, _computed(plan, np.maximum(decoding, 1.0)))
        alone = at.chunks * at.mixed if elsewhere is None else elsewhere
        # those of equal lengths come in step and wait for one another
        queue = machine.knobs.first * np.maximum(crowd - alone, 0.0) / 2
        ttft = alone + at.mean / 2 + queue
        tpot = at.mean / emitted(plan)
        answering = (job.answer - 1) * tpot
        decoding = inside * answering / np.maximum(answering + ttft, 1e-12)
    time = ttft + (job.answer - 1) * tpot
    rate = inside / time
    waiting = np.maximum(users - inside, 0.0) / rate  # for a place among those in flight
    return Seen(ttft=ttft + waiting, tpot=tpot, time=time + waiting, rate=rate, concurrency=inside)


def backlog(job: Serve, plan: AnyPlan, machine: Machine, requests: Any, served: Any = 1) -> Seen:
    """So many requests per replica, all there at the beginning, worked off with as many in flight
    as fit. served: 1 where they come through a server, which takes its time for each, else 0.

    Where answers differ in length (`job.spread`), the longest of an exponential crowd takes ln(n)
    mean answers, and its last steps are shared with few: a step of a + b·c at c sequences
    integrates to a·ln(n) + b·n.
    """
    most = most_in_flight(job, plan, machine)
    inside = np.minimum(requests, most)
    at = step(job, plan, machine, _computed(plan, inside))
    tpot = at.mean / emitted(plan)
    whole = job.answer * tpot
    alone = decode_time(job, plan, machine, np.minimum(inside, 2.0))
    tail = job.spread * job.answer * alone * np.maximum(np.log(inside) - 1, 0.0)
    serial = served * requests * machine.knobs.request * slowdown(job, machine)
    time = (whole * np.maximum(requests / inside, 1.0) + tail + serial) * machine.knobs.full
    rate = requests / time
    first = intake_time(job, plan, machine, inside) / 2
    queue = first + np.maximum(time - whole - tail, 0.0) / 2
    ttft = intake_time(job, plan, machine, 1.0) + queue * machine.knobs.first
    shared = 1 - job.spread / 2  # of the time others are there, when all begin together
    seen = np.where(requests > most, tpot, shared * tpot + (1 - shared) * alone)
    return Seen(ttft=ttft, tpot=seen, time=time, rate=rate, concurrency=inside)


def _computed(plan: AnyPlan, sequences: Any) -> Any:
    """Sequences that a step computes: those there are, or all places of a batch that is compiled
    for so many."""
    return np.maximum(sequences, plan.batch) if plan.padded else sequences
