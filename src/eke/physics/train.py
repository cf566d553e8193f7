"""Wiring of training: from a job, a plan and a pool to everything it takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics import failures, memory, mixed
from eke.physics.costs import Held, costs_of
from eke.physics.forward import model_operations
from eke.physics.layers import count_parameters
from eke.physics.learn import Learning, StepTime, step_time
from eke.physics.learn_memory import LearningMemory, learning_memory
from eke.physics.machine import Machine, machine, peak_format
from eke.physics.operations import ACTIVATION, AnyPlan, Batch
from eke.physics.outcome import Limit, Outcome, Share, amounts
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.job import Train, Tune
from eke.types.model import Model
from eke.types.plan import BYTES, Plan, later_stages
from eke.types.record import Record, replace


def train(
    job: Train, plan: AnyPlan, pool: Pool, knobs: Knobs, rear_pool: Pool | None = None
) -> Outcome:
    """What it takes to train. rear_pool: where the later stages of a plan with a rear run."""
    learning = Learning(model=job.model, sequence=learning_sequence(job))
    return learning_outcome(learning, job.tokens, job.within, plan, pool, knobs, rear_pool)


def learning_sequence(job: Train | Tune) -> int:
    """Length of one training sequence; where none is given, the model's context up to 8,192
    tokens for training and 4,096 for fine-tuning."""
    most = 8192 if isinstance(job, Train) else 4096
    return job.sequence or min(job.model.context or 2048, most)


def learning_outcome(
    learning: Learning,
    tokens: float,
    within: float | None,
    plan: AnyPlan,
    pool: Pool,
    knobs: Knobs,
    rear_pool: Pool | None = None,
) -> Outcome:
    """What it takes to learn from so many tokens; shared by training and fine-tuning."""
    if plan.rear is None:
        runs = _on_one_kind(learning, plan, pool, knobs)
    else:
        runs = _on_two_kinds(learning, plan, (pool, rear_pool or pool), knobs)
    times, held = runs.times, runs.memory
    per_step = plan.batch * learning.sequence
    steps = np.maximum(tokens / per_step, 1.0)
    lost = lost_to_failures(learning, plan, runs.knobs)
    seconds = steps * times.total / (1 - lost)
    per_token = learning_flop(learning)
    used_flop = per_token * tokens
    peak = runs.peak
    energy, carbon, money = costs_of(runs.held, seconds)
    running, each = plan.chips * times.total, "batch / step_time / chips"
    found = amounts(
        ("chips", plan.chips, "1", "chips in use"),
        ("time", seconds, "s", "from first step to last", "steps × step_time / goodput"),
        ("memory", held.total, "B", "on the fullest chip"),
        ("steps", steps, "1", "optimizer steps", "tokens / batch"),
        ("tokens", steps * per_step, "token", "learnt from"),
        ("batch", per_step, "token", "tokens per optimizer step"),
        ("flop", used_flop, "FLOP", "of the model, no recomputation"),
        ("step_time", times.total, "s", "one optimizer step"),
        ("tokens_per_second_per_chip", per_step / running, "token/s", "while running", each),
        ("mfu", per_token * per_step / (peak * running), "1", "model FLOP over peak FLOP (MFU)"),
        ("hfu", times.flop / (peak * times.total), "1", "executed FLOP over peak FLOP (HFU)"),
        ("goodput", 1 - lost, "1", "share of time not lost to failures"),
        ("chip_time", seconds * plan.chips, "chip s", "chips × time"),
        ("energy", energy, "J", "site included"),
        ("carbon", carbon, "kg", "CO2e of the grid, the whole job"),
        ("money", money, "USD", "the whole job"),
    )
    return Outcome(
        amounts=found,
        parts=lambda: (*_memory_shares(held), *_time_shares(times, steps, lost, seconds)),
        limits=(*runs.limits, *_deadline(seconds, within)),
        remarks=runs.remarks,
    )


class Running(Record):
    """A plan at work. memory: of the fullest stage.  held: the chips it takes.  peak: published, of
    the mean chip [FLOP/s].  knobs: of all chips together, for failures and checkpoints."""

    times: StepTime
    memory: LearningMemory
    limits: tuple[Limit, ...]
    held: Held
    peak: Any
    knobs: Knobs
    remarks: tuple[str, ...] = ()


def _on_one_kind(learning: Learning, plan: AnyPlan, pool: Pool, knobs: Knobs) -> Running:
    here, used = machine(pool, plan, knobs), learning_memory(learning, plan)
    limits = [_memory_limit("memory", learning, used, plan, here)]
    return Running(
        times=step_time(learning, plan, here),
        memory=used,
        limits=(*limits, _external(learning, plan, pool)) if plan.stream else tuple(limits),
        held=((pool, plan.chips, knobs),),
        peak=_peak(pool, plan),
        knobs=knobs,
    )


def _on_two_kinds(
    learning: Learning, plan: AnyPlan, pools: tuple[Pool, Pool], knobs: Knobs
) -> Running:
    """The first stages of a pipeline on one pool, the later ones on another."""
    other, rear = knobs.other or knobs, later_stages(plan)
    here, there = machine(pools[0], plan, knobs), machine(pools[1], rear, other)
    both = mixed.halves(learning, plan, here, there)
    one, two = mixed.memories(both)
    share = plan.own_chips / plan.chips
    peaks = share * _peak(pools[0], plan) + (1 - share) * _peak(pools[1], rear)
    return Running(
        times=mixed.step_time(both),
        memory=mixed.fuller(one, two),
        limits=(
            _memory_limit("memory", learning, one, plan, here),
            _memory_limit("rear memory", learning, two, rear, there),
        ),
        held=((pools[0], plan.own_chips, knobs), (pools[1], plan.other_chips, other)),
        peak=peaks,
        knobs=_together(knobs, other, share),
        remarks=mixed.remarks(both),
    )


def _together(knobs: Knobs, other: Knobs, share: Any) -> Knobs:
    """Failures and checkpoints of chips of which a share has the first values: either kind stops
    the job, and all write and start again."""
    fails = share / knobs.failure_interval + (1 - share) / other.failure_interval
    speed = share * knobs.checkpoint_speed + (1 - share) * other.checkpoint_speed
    return replace(
        knobs,
        failure_interval=1 / fails,
        checkpoint_speed=speed,
        checkpoint_stall=np.maximum(knobs.checkpoint_stall, other.checkpoint_stall),
        restart=np.maximum(knobs.restart, other.restart),
    )


def _peak(pool: Pool, plan: AnyPlan) -> float:
    """Published for the format a plan computes in [FLOP/s]."""
    return pool.chip.peak[peak_format(pool, plan.compute)]  # type: ignore[index]


def _memory_limit(
    name: str, learning: Learning, used: LearningMemory, plan: AnyPlan, here: Machine
) -> Limit:
    ways = ["more chips, --tensor or --pipeline, or FSDP (--shard 3)"]
    ways += ["--recompute full"] if plan.recompute != "full" else []
    ways += ["--qlora"] if learning.stored is not None and learning.stored >= 1 else []
    hint = "; or ".join(ways)
    return Limit(name=name, need=used.total, have=here.size, unit="B", hint=hint)


def _deadline(seconds: Any, within: float | None) -> tuple[Limit, ...]:
    """The date, where there is one."""
    if within is None:
        return ()
    hint = "more chips, or a later date"
    return (Limit(name="time", need=seconds, have=within, unit="s", hint=hint),)


def _external(learning: Learning, plan: AnyPlan, pool: Pool) -> Limit:
    """All state has to fit in the external memory it streams from."""
    each = checkpoint_bytes(plan) + BYTES[plan.gradients]
    return Limit(
        name="external memory",
        need=count_parameters(learning.model).total * each,
        have=pool.chip.stream_size or 0.0,
        unit="B",
        hint="more external memory, or a smaller model",
    )


def learning_flop(learning: Learning) -> float:
    """FLOP per token to learn from, without what is computed again. Frozen weights need no
    gradient; queries, keys and values always do."""
    whole = model_flop(learning.model, learning.sequence)
    core = model_flop(learning.model, learning.sequence, core=True)
    return whole * (3.0 + learning.reads) - (whole - core) * learning.frozen


def model_flop(model: Model, sequence: int, core: bool = False) -> float:
    """Forward FLOP per token, exact: matrices, attention core over a whole sequence, logits.

    core: of the attention core alone.
    """
    whole = Plan(chip="")
    work = (Batch(sequences=1, new=sequence),)
    operations = model_operations(model, work, whole, float(sequence))
    kinds = ("attention",) if core else ("matrix", "attention", "stream")
    counted = (each.flop * each.times for each in operations if each.kind in kinds)
    return float(sum(counted)) / sequence


def lost_to_failures(learning: Learning, plan: AnyPlan, knobs: Knobs) -> Any:
    """Share of time lost to writing checkpoints, to failures and to starting again."""
    numbers = learning.trainable if learning.frozen else count_parameters(learning.model).total
    size = numbers * checkpoint_bytes(plan)
    between = failures.job_failure_interval(chip_interval=knobs.failure_interval, chips=plan.chips)
    writing = failures.checkpoint_time(size=size, chips=plan.chips, speed=knobs.checkpoint_speed)
    stall = np.maximum(writing * knobs.checkpoint_stall, 1e-3)
    every = failures.daly_interval(checkpoint_time=stall, failure_interval=between)
    kept = failures.goodput(
        checkpoint_time=stall, interval=every, failure_interval=between, restart_time=knobs.restart
    )
    return 1 - kept


def checkpoint_bytes(plan: AnyPlan) -> float:
    """Bytes per parameter of a checkpoint: 16-bit weights and the optimizer's state."""
    return ACTIVATION + memory.OPTIMIZER_BYTES[plan.optimizer]


def _memory_shares(held: Any) -> list[Share]:
    names = ("weights", "gradients", "optimizer", "activations", "buffers", "resident")
    return [Share(of="memory", name=name, value=getattr(held, name), unit="B") for name in names]


def _time_shares(times: StepTime, steps: Any, lost: Any, seconds: Any) -> list[Share]:
    """Parts of the whole job's time."""
    rows = [
        Share(of="time", name=name, value=steps * getattr(times, field), unit="s")
        for name, field in _PARTS
    ]
    return [
        *rows,
        Share(of="time", name="failures and checkpoints", value=seconds * lost, unit="s"),
    ]


_PARTS = (
    ("forward", "forward"),
    ("backward", "backward"),
    ("recomputation", "recompute"),
    ("tensor exchange", "tensor"),
    ("context exchange", "context"),
    ("expert exchange", "expert"),
    ("stage exchange", "stage"),
    ("pipeline bubble", "bubble"),
    ("data exchange", "data"),
    ("optimizer", "update"),
)
