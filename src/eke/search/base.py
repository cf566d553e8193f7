"""What every candidate shares: formats, the engine and its usual settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from eke.catalog.engines import Engine, build_for, engine_named, usual_engine
from eke.errors import BadInput, closest
from eke.physics.answer import job_kind
from eke.physics.layers import count_parameters
from eke.physics.machine import peak_format
from eke.physics.train import learning_sequence
from eke.types.fleet import Pool
from eke.types.job import Align, Job, Serve, Train, Tune
from eke.types.model import Model
from eke.types.plan import COUNTS, NUMBERS, Plan, Width
from eke.types.record import replace

IN_FLIGHT = 256  # sequences an engine keeps in flight by default

Choices = Mapping[str, Any]  # fields of the plan that are already decided


def base_plan(job: Job, pool: Pool, choices: Choices) -> Plan:
    """Formats and settings that every candidate shares."""
    sixteen = sixteen_bit(pool)
    plan = Plan(chip=pool.chip.id, compute=sixteen, weights=_stored(sixteen))
    if isinstance(job, Serve):
        published = published_width(job.model)
        usual = _stored(sixteen) if published == "bf16" else published
        stored: Width = choices.get("weights", usual)
        compute = compute_width(stored, pool)
        runs = engine_for(job, pool, choices)
        settings = {"batch": IN_FLIGHT}
        if runs is not None:
            settings = dict(zip(("batch", "token_budget"), runs.limits(pool.chip), strict=True))
            plan = replace(plan, engine=runs.id, padded=runs.padded)
        plan = replace(plan, weights=stored, compute=compute, **settings)
    return replace(plan, **choices)


def engine_for(job: Job, pool: Pool, choices: Choices) -> Engine | None:
    """What serves on these chips: as named, or the usual one; frameworks of training only as
    named."""
    named = engine_named(choices.get("engine", ""))
    named = build_for(named, pool.chip.vendor) if named else None
    usual = usual_engine(pool.chip.vendor, pool.chip.kind) if isinstance(job, Serve) else None
    return named or usual


def sixteen_bit(pool: Pool) -> Width:
    """The 16-bit format the chip computes in; wider where it has none."""
    name = peak_format(pool, "bf16")
    return "fp16" if name == "fp16" else "bf16" if name in ("bf16", "tf32") else "fp32"


def _stored(sixteen: Width) -> Width:
    """The 16-bit format weights are kept in: the one the chip computes in."""
    return "fp16" if sixteen == "fp16" else "bf16"


def published_width(model: Model) -> Width:
    """The format in which the maker publishes the weights; 16 bits where that says nothing."""
    known = ("fp8", "int8", "fp4", "int4")
    return model.weight_format if model.weight_format in known else "bf16"  # type: ignore[return-value]


def compute_width(stored: Width, pool: Pool) -> Width:
    """Compute in the stored format where the chip can, else unpack to 16 bits; blocks of GGUF are
    multiplied in 8 bits where the chip can."""
    if stored.startswith("q") and "int8" in pool.chip.peak:
        return "int8"
    return stored if stored in pool.chip.peak else sixteen_bit(pool)


def check_choices(choices: Choices) -> None:
    """Refuse names that are no fields of a plan, and degrees that are no whole numbers."""
    for name, value in choices.items():
        if name not in Plan.__annotations__:
            near = closest(name, Plan.__annotations__)
            hint = f"; closest: {near}" if near else ""
            raise BadInput(f"a plan has no {name!r}{hint}.")
        lowest = 1 if name in NUMBERS else 0 if name in COUNTS else None
        for each in value if isinstance(value, tuple) else (value,):
            if lowest is not None and not (isinstance(each, int) and each >= lowest):
                raise BadInput(f"{name} is {each!r}; it must be a whole number from {lowest} up.")


def with_build(job: Job, pool: Pool, choices: Choices) -> Choices:
    """The choices with the build of the engine for these chips."""
    runs = engine_for(job, pool, choices) if "engine" in choices else None
    return {**choices, "engine": runs.id} if runs else choices


def check_honoured(job: Job, plan: Plan, choices: Choices) -> None:
    """Refuse a decided field that such a job has no use for, rather than drop it."""
    for name, value in choices.items():
        if getattr(plan, name) != value:
            raise BadInput(f"{name} {value} means nothing to a job of kind {job_kind(job)}.")


def expert_degree(model: Model, ranks: Any) -> Any:
    """Experts spread over as many ranks as divide both them and the ranks, at most 64."""
    return np.gcd(np.gcd(ranks, model.experts or 1), 64)


def global_batch(job: Train | Tune | Align, ranks: Any, stages: Any) -> Any:
    """Sequences per step: as asked, or a usual number of tokens, which in training is at least a
    micro-batch for every stage of every rank; a multiple of the ranks."""
    each = np.maximum(np.round(asked_batch(job) / ranks), 1)
    if isinstance(job, Train) and not job.batch:
        each = np.maximum(each, stages)
    return (each * ranks).astype(int)


def asked_batch(job: Train | Tune | Align) -> float:
    """Sequences per step as asked, or a usual number."""
    if isinstance(job, Align):
        return job.batch * job.answers_each
    return (job.batch or usual_batch(job)) / learning_sequence(job)


def usual_batch(job: Train | Tune) -> float:
    """Global batch in tokens where none is given: assumed, and said in the answer."""
    if isinstance(job, Tune):
        return 131_072.0
    return 4e6 if count_parameters(job.model).active > 3e9 else 0.5e6
