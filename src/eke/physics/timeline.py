"""One optimizer step as its pipeline schedule plays it out, with the durations of `step_time`.

Stages are alike, as the closed form has them: each is the slowest. What hides behind computing has
no slot. What nothing hides stands behind the operation it belongs to, data-parallel exchange and
the update behind all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.physics.align import learnings, sides
from eke.physics.answer import pool_of
from eke.physics.learn import (
    Learning,
    StepTime,
    exchange_rounds,
    micro_batches,
    step_time,
    weight_gradient_share,
)
from eke.physics.machine import machine
from eke.physics.schedule import Cut, Slot, Times, play
from eke.physics.train import learning_sequence
from eke.physics.tune import tune_learning
from eke.types.efficiency import Knobs
from eke.types.fleet import Fleet
from eke.types.job import Align, Job, Serve, Train
from eke.types.plan import Plan, Schedule
from eke.types.record import Record, replace
from eke.units import show

MOST_SLOTS = 100_000
NOTED = 5e-4  # difference from the closed form that an answer mentions
BUBBLE = "pipeline bubble"


class Passes(Record):
    """Seconds of what one chunk of a stage does with one micro-batch, and at the end, by kind and
    in this order."""

    forward: dict[str, float]
    backward: dict[str, float]
    weight: dict[str, float]
    end: dict[str, float]

    @property
    def times(self) -> Times:
        """Of whole operations."""
        return Times(
            forward=sum(self.forward.values()),
            backward=sum(self.backward.values()),
            weight=sum(self.weight.values()),
        )


class Timeline(Record):
    """One step. Slots of the stages, in the order of time, without what `cuts` leave out.

    length: of the schedule played out.  closed: of the closed form, `step_time` [s].  shares: of
    stages × length, by kind; they add up to 1.
    """

    model: str
    plan: Plan
    schedule: Schedule
    micro_batches: int
    passes: Passes
    slots: tuple[Slot, ...]
    cuts: tuple[Cut, ...]
    length: float
    closed: float
    shares: dict[str, float]
    remarks: tuple[str, ...]

    @property
    def stages(self) -> int:
        """Of the pipeline."""
        return self.plan.pipeline


def timeline(job: Job, plan: Plan, fleet: Fleet, knobs: Knobs) -> Timeline:
    """One optimizer step of a job that learns; of alignment, one update of the policy.

    Raises BadInput for serving, whose step has no pipeline schedule.
    """
    learning, own = _learnt(job, plan)
    here = machine(pool_of(fleet, own.chip), own, knobs)
    times, count = step_time(learning, own, here), int(_one(micro_batches(own)))
    apart = own.schedule == "zero-bubble" and own.virtual == 1
    weight = _one(weight_gradient_share(learning, own, here)) if apart else 0.0
    passes = _passes(times, count * own.virtual, weight, learning, own)
    kinds = len(passes.forward) + len(passes.backward) + len(passes.weight)
    most = MOST_SLOTS // (kinds * own.pipeline * own.virtual)
    return _laid(job.model.name, own, passes, count, most, closed=_one(times.total))


def shortened(found: Timeline, most: int) -> Timeline:
    """The same step with about `most` micro-batches laid out, the middle cut out."""
    return _laid(
        found.model, found.plan, found.passes, found.micro_batches, most, closed=found.closed
    )


def differs(found: Timeline) -> bool:
    """Whether the schedule takes visibly longer or shorter than the closed form."""
    return abs(found.length / found.closed - 1) > NOTED


def _learnt(job: Job, plan: Plan) -> tuple[Learning, Plan]:
    """What is learnt, and on which chips."""
    if isinstance(job, Serve):
        raise BadInput("serving has no pipeline schedule to draw; draw its engine step instead.")
    if isinstance(job, Align):
        own = sides(job, plan)[0]
        return learnings(job)["policy"], replace(plan, data=int(own.data))
    if isinstance(job, Train):
        return Learning(model=job.model, sequence=learning_sequence(job)), plan
    return tune_learning(job), plan


def _one(value: Any) -> float:
    """The likeliest case of what may be an array of cases."""
    return float(np.ravel(np.asarray(value, float))[0])


def _passes(times: StepTime, count: int, weight: float, learning: Learning, plan: Plan) -> Passes:
    """The parts of a step, per operation. weight: share of the backward pass that is the weights'
    gradients; 0 where the schedule does not tell them apart."""
    each = {name: _one(getattr(times, name)) / count for name in _COUNTED}
    ahead = (1 + learning.reads) / exchange_rounds(learning, plan)
    share = {"tensor": ahead, "context": 1 / 3, "expert": ahead, "stage": 1 / 2}
    there = {f"{name} exchange": each[name] * part for name, part in share.items()}
    back = {f"{name} exchange": each[name] * (1 - part) for name, part in share.items()}
    backward = {"recomputation": each["recompute"], "backward": each["backward"] * (1 - weight)}
    return Passes(
        forward=_some({"forward": each["forward"], **there}),
        backward=_some({**backward, **back}),
        weight=_some({"weight gradient": each["backward"] * weight}),
        end=_some({"data exchange": _one(times.data), "optimizer": _one(times.update)}),
    )


_COUNTED = ("forward", "backward", "recompute", "tensor", "context", "expert", "stage")


def _some(parts: dict[str, float]) -> dict[str, float]:
    """Parts that take any time."""
    return {name: value for name, value in parts.items() if value > 0}


def _laid(
    model: str, plan: Plan, passes: Passes, count: int, most: int, *, closed: float
) -> Timeline:
    """The step with at most about `most` micro-batches laid out."""
    played = play(
        plan.schedule,
        stages=plan.pipeline,
        micro_batches=count,
        virtual=plan.virtual,
        times=passes.times,
        most=most,
    )
    length = played.length + sum(passes.end.values())
    found = [piece for slot in played.slots for piece in _pieces(slot, passes)]
    ends = (_ending(stage, played.length, passes) for stage in range(plan.pipeline))
    found += [piece for end in ends for piece in end]
    return Timeline(
        model=model,
        plan=plan,
        schedule=_schedule(plan),
        micro_batches=count,
        passes=passes,
        slots=tuple(sorted(found, key=lambda slot: (slot.stage, slot.start))),
        cuts=played.cuts,
        length=length,
        closed=closed,
        shares=_shares(passes, count * plan.virtual, length),
        remarks=_remarks(plan, passes, count, length, closed),
    )


def _schedule(plan: Plan) -> Schedule:
    """Stages of several chunks interleave, stages of one have nothing to interleave."""
    if plan.virtual > 1:
        return "interleaved"
    return "1f1b" if plan.schedule == "interleaved" else plan.schedule


def _pieces(slot: Slot, passes: Passes) -> list[Slot]:
    """An operation in its parts."""
    parts = {"forward": passes.forward, "backward": passes.backward}.get(slot.kind, passes.weight)
    found, start = [], slot.start
    for kind, duration in parts.items():
        found.append(replace(slot, kind=kind, start=start, duration=duration))
        start += duration
    return found


def _ending(stage: int, start: float, passes: Passes) -> list[Slot]:
    """Data-parallel exchange and update, once all stages are done."""
    found = []
    for kind, duration in passes.end.items():
        found.append(Slot(stage=stage, start=start, duration=duration, kind=kind, micro_batch=-1))
        start += duration
    return found


def _shares(passes: Passes, count: int, length: float) -> dict[str, float]:
    """Of stages × length, by kind; what is left is waiting."""
    found: dict[str, float] = {}
    for parts in (passes.forward, passes.backward, passes.weight):
        for kind, each in parts.items():
            found[kind] = found.get(kind, 0.0) + each * count / length
    found |= {kind: each / length for kind, each in passes.end.items()}
    waits = 1 - sum(found.values())
    return found | ({BUBBLE: waits} if waits > 1e-9 else {})


def _remarks(
    plan: Plan, passes: Passes, count: int, length: float, closed: float
) -> tuple[str, ...]:
    """Where the schedule departs from the closed form, and what the picture takes for granted."""
    found = []
    by = length / closed - 1
    if abs(by) > NOTED:
        words = f"{100 * abs(by):.2g} % {'longer' if by > 0 else 'shorter'}"
        found.append(
            f"played out, the step takes {words} than the {show(closed, 's')} of the answer: "
            f"{_why(plan, passes.times, count)}"
        )
    if plan.pipeline > 1:
        found.append("every stage is drawn as slow as the slowest, as the answer counts them")
    if any("exchange" in kind for kind in (*passes.forward, *passes.backward)):
        found.append(
            "exchange that computing hides is not drawn; what it does not hide stands behind its "
            "operation, though it happens between the layers"
        )
    if plan.shard == 3 and "data exchange" in passes.end:
        found.append("FSDP gathers weights all along the step; what nothing hides is at the end")
    return tuple(found)


def _why(plan: Plan, times: Times, count: int) -> str:
    """Why the schedule and the closed form differ."""
    p = plan.pipeline
    if count < p:
        return f"{count} micro-batches are fewer than the {p} stages"
    if plan.virtual > 1:
        return (
            f"the schedule goes by groups of {p} micro-batches, and the last group has only "
            f"{count % p}; a batch of whole groups waits less"
        )
    ahead, back, weight = (show(x, "s") for x in (times.forward, times.backward, times.weight))
    return (
        "the answer leaves a third of the 1F1B bubble, as when forward, backward and weight "
        f"gradient take equally long; here they take {ahead}, {back} and {weight}"
    )
