"""From a plan to the replicas that the engine plays."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.physics.adapters import sharing
from eke.physics.answer import pool_of
from eke.physics.costs import costs_of
from eke.physics.engine import emitted, room_for_cache
from eke.physics.exchange import hop
from eke.physics.footprint import cache_bytes
from eke.physics.machine import Machine, machine
from eke.physics.network import host_copy_time
from eke.simulation.engine.build import Replica
from eke.simulation.step import encoding_times, step_table
from eke.types.efficiency import Knobs
from eke.types.fleet import Fleet, Pool
from eke.types.job import Serve
from eke.types.plan import Plan
from eke.types.record import Record, replace


class Settings(Record):
    """How the engines are run, where the plan does not say.

    caching: prefixes are kept and found again.  ordered: priorities count inside the engine.
    static: a batch begins and ends together, as before continuous batching.  swap: what is
    preempted goes to the host's memory.  jumps: stretches without a change are taken at once.
    """

    caching: bool = False
    ordered: bool = False
    static: bool = False
    swap: bool = False
    jumps: bool = True


class Half(Record):
    """The replicas of one part of a plan: what prices them, and what they are to the engine.

    chips: of one replica.
    """

    plan: Plan
    pool: Pool
    knobs: Knobs
    machine: Machine
    replica: Replica
    count: int

    @property
    def chips(self) -> int:
        """Of one replica."""
        return self.plan.group


class Deployment(Record):
    """Replicas that serve one model.

    halves: one, or of a disaggregated plan the half that takes prompts in and the half that
    answers.  longest: context of any request [tokens].  handover: time to send the keys and values
    of a prompt from one half to the other: at once, and per token [s].  grounds: what the times of
    steps rest on, in words.
    """

    job: Serve
    halves: tuple[Half, ...]
    longest: int
    grounds: str = ""
    handover: tuple[float, float] = (0.0, 0.0)

    @property
    def chips(self) -> int:
        """Of all replicas."""
        return sum(half.count * half.chips for half in self.halves)

    def encoding(self, images: Any, sound: Any) -> Any:
        """Time to encode the images and the sound of each request [s]."""
        first = self.halves[0]
        return encoding_times(self.job, first.plan, first.machine, images, sound)

    def costs(self, half: int, held: float, busy: float) -> tuple[Any, Any, Any]:
        """Energy [J], carbon [kg] and money [USD] of a replica held and busy for so long [s]."""
        one = self.halves[half]
        share = busy / held if held > 0 else 0.0
        return costs_of(((one.pool, one.chips, one.knobs),), held, min(share, 1.0))


def deployment(
    job: Serve, plan: Plan, fleet: Fleet, knobs: Knobs, settings: Settings, longest: int
) -> Deployment:
    """The replicas of a plan. job: with the mean lengths of the traffic.  longest: context of any
    request [tokens]. Raises BadInput where a single request would not fit."""
    if job.adapters and plan.adapter_slots == 0:
        raise BadInput(
            "merged fine-tunes, each on replicas of its own, are not simulated; give "
            "them slots on a shared one, such as --adapter-slots 8."
        )
    if plan.prefill is None:
        role = "mixed"
        halves: tuple[Half, ...] = (_half(job, plan, fleet, knobs, settings, longest, role),)
        return Deployment(job=job, halves=halves, longest=longest)
    taking = _half(job, plan.prefill, fleet, knobs.other or knobs, settings, longest, "fills")
    own = replace(plan, prefill=None)
    answering = _half(job, own, fleet, knobs, settings, longest, "answers")
    sent = _handover(job, taking, answering)
    return Deployment(job=job, halves=(taking, answering), longest=longest, handover=sent)


def _half(
    job: Serve, plan: Plan, fleet: Fleet, knobs: Knobs, settings: Settings, longest: int, role: str
) -> Half:
    pool = pool_of(fleet, plan.chip)
    here = machine(pool, plan, knobs)
    blocks, swap = _blocks(job, plan, here), None
    if blocks < 2:
        raise BadInput(
            f"{job.model.name} leaves no room for a cache on {plan.group} {plan.chip}; take more "
            "tensor parallelism or narrower weights."
        )
    if settings.swap:
        swap = float(host_copy_time(size=_block_bytes(job, plan), bandwidth=here.host))
    engine = Replica(
        step=step_table(job, plan, here, longest),
        most=plan.batch,
        budget=plan.token_budget,
        blocks=blocks,
        block=plan.block,
        drafts=plan.drafts,
        emitted=float(emitted(plan)),
        swap=swap,
        caching=settings.caching,
        ordered=settings.ordered,
        static=settings.static,
        role=role,
        padded=plan.padded,
        jumps=settings.jumps,
    )
    count = int(sharing(job, plan))
    return Half(plan=plan, pool=pool, knobs=knobs, machine=here, replica=engine, count=count)


def _mean_context(job: Serve) -> float:
    """Length at which sequences are, on average [tokens]."""
    return max(job.prompt + job.answer / 2, 1.0)


def _block_bytes(job: Serve, plan: Plan) -> float:
    """What one more block takes on each chip that holds a sequence, on average over its life:
    states that do not grow and windows that fill are spread over its length [B]."""
    blocks = np.ceil(_mean_context(job) / plan.block)
    return float(cache_bytes(job.model, blocks * plan.block, plan) / blocks)


def _blocks(job: Serve, plan: Plan, here: Machine) -> int:
    """Blocks that the cache of one replica has, over all its ranks and stages."""
    room = float(np.ravel(room_for_cache(replace(job, pause=0.0), plan, here))[0])
    return int(max(room, 0.0) / _block_bytes(job, plan) * plan.data)


def _handover(job: Serve, taking: Half, answering: Half) -> tuple[float, float]:
    """Time to send a prompt's keys and values over the network: at once, and per token [s]."""

    def time(half: Half, tokens: float) -> float:
        size = cache_bytes(job.model, tokens, half.plan)
        return float(hop(half.machine, size=size, distance=half.machine.domain))

    block = taking.plan.block
    few, many = block, 64 * block
    slow = max((taking, answering), key=lambda half: time(half, many))
    each = (time(slow, many) - time(slow, few)) / (many - few)
    return max(time(slow, few) - each * few, 0.0), each
