"""The smallest layout that fits: what `need` takes when no plan is given.

Serving, and learning by a date: the fewest chips that keep every limit. Learning without a date
uses all chips, laid out in the fastest of a few simple ways. Candidates are priced as arrays,
through the same wiring as one plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from eke.catalog.engines import Engine, build_for, engine_named, usual_engine
from eke.errors import BadInput, closest
from eke.physics.answer import job_kind, outcome, shortage
from eke.physics.engine import fixed_bytes
from eke.physics.layers import attention_heads, count_parameters
from eke.physics.machine import peak_format
from eke.physics.outcome import Outcome
from eke.physics.train import learning_sequence
from eke.types.efficiency import Knobs
from eke.types.fleet import Fleet, Pool
from eke.types.job import Align, Job, Serve, Train, Tune
from eke.types.model import Experts, Model
from eke.types.need import Infeasible
from eke.types.plan import NUMBERS, WHOLE_STAGES, Plan, Plans, Width
from eke.types.record import replace

GATHERED = 1024  # ranks over which FSDP gathers layers in practice; beyond, nobody publishes it
IN_FLIGHT = 256  # sequences an engine keeps in flight by default


Choices = Mapping[str, Any]  # fields of the plan that are already decided


def smallest(
    job: Job, pools: list[tuple[Pool, Knobs]], choices: Choices | None = None
) -> Plan | Infeasible:
    """The smallest plan for the job on the first pool that can do it.

    pools: with what arrives of each one's figures.  choices: fields of the plan to keep.
    """
    _known(choices or {})
    nearest: Infeasible | None = None
    every = tuple(pool for pool, _ in pools)
    for pool, knobs in pools if "prefill" not in (choices or {}) else pools[:1]:
        one = Fleet(pools=(pool, *(other for other in every if other is not pool)))
        here = _built(job, pool, choices or {})
        for candidates in _candidates(job, pool, here):
            found = _least(job, candidates, one, knobs)
            if isinstance(found, Plan):
                _honoured(job, found, here)
                return found
            nearest = _nearer(nearest, found)
    if nearest is None:
        said = ", ".join(f"{name} {value}" for name, value in (choices or {}).items())
        most = max(pool.chips for pool, _ in pools)
        raise BadInput(
            f"no layout of {job.model.name} on {most:,} {'chip' if most == 1 else 'chips'} has "
            f"{said or 'any'}; give more chips or smaller degrees."
        )
    return nearest


def _known(choices: Choices) -> None:
    """Refuse names that are no fields of a plan, and degrees that are no whole numbers."""
    for name, value in choices.items():
        if name not in Plan.__annotations__:
            near = closest(name, Plan.__annotations__)
            hint = f"; closest: {near}" if near else ""
            raise BadInput(f"a plan has no {name!r}{hint}.")
        if name in NUMBERS and not (isinstance(value, int) and value >= 1):
            raise BadInput(f"{name} is {value!r}; it must be a whole number from 1 up.")
        if name in ("drafts", "adapter_slots") and not (isinstance(value, int) and value >= 0):
            raise BadInput(f"{name} is {value!r}; it must be a whole number from 0 up.")


def _built(job: Job, pool: Pool, choices: Choices) -> Choices:
    """The choices with the build of the engine for these chips."""
    runs = engine_for(job, pool, choices) if "engine" in choices else None
    return {**choices, "engine": runs.id} if runs else choices


def _honoured(job: Job, plan: Plan, choices: Choices) -> None:
    """Refuse a decided field that such a job has no use for, rather than drop it."""
    for name, value in choices.items():
        if getattr(plan, name) != value:
            raise BadInput(f"{name} {value} means nothing to a job of kind {job_kind(job)}.")


def _least(
    job: Job, candidates: Iterable[Plans], fleet: Fleet, knobs: Knobs
) -> Plan | Infeasible | None:
    """The feasible plan that ranks lowest, or the failure that misses by least."""
    least, best, nearest = np.inf, None, None
    for plans in candidates:
        result = outcome(job, plans, fleet, knobs)
        feasible = np.broadcast_to(np.asarray(result.feasible), (len(plans),))
        if not feasible.any():
            nearest = _nearer(nearest, _failure(job, plans[len(plans) - 1], fleet, knobs))
            continue
        ranks = np.where(feasible, _rank(job, plans, result), np.inf)
        index = int(np.argmin(ranks))
        if ranks[index] < least:
            least, best = float(ranks[index]), plans[index]
    return best or nearest


def _rank(job: Job, plans: Plans, result: Outcome) -> Any:
    """What to make least. Serving: chips, then splitting. Learning by a date: chips, then time;
    learning without one takes all chips, so time."""
    if isinstance(job, Serve):
        return plans.chips * 1e6 + plans.group
    if job.within is None:
        return result["time"]
    return plans.chips + 0.5 * np.minimum(result["time"] / job.within, 1)


def _failure(job: Job, plan: Plan, fleet: Fleet, knobs: Knobs) -> Infeasible | None:
    return shortage(outcome(job, plan, fleet, knobs), plan)


def _nearer(one: Infeasible | None, other: Infeasible | None) -> Infeasible | None:
    """Of two failures, the one that misses by less."""
    if one is None or other is None:
        return one or other
    return other if _miss(other) <= _miss(one) else one


def _miss(found: Infeasible) -> float:
    return found.need / found.have if found.have > 0 else float("inf")


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


def _candidates(job: Job, pool: Pool, choices: Choices) -> Iterator[list[Plans]]:
    """Groups of plans; a later group counts only where an earlier one has nothing feasible."""
    streams = (False, True) if pool.chip.stream_size and "stream" not in choices else (None,)
    for stream in streams:
        settled = choices if stream is None else {**choices, "stream": stream}
        if isinstance(job, Serve):
            yield list(_serving(job, pool, settled))
        else:
            yield list(_learning(job, pool, settled))


def _serving(job: Serve, pool: Pool, choices: Choices) -> Iterator[Plans]:
    """Fewest chips first; among equals the least splitting."""
    rows = []
    data = choices.get("data", 1)
    for tensor, pipeline in _splits(job.model, pool, choices):
        group = tensor * pipeline * data
        counts = _counts(pool.chips // group)
        for replicas in (choices["replicas"],) if "replicas" in choices else counts:
            rows.append((group * replicas, group, pipeline, tensor, replicas))
    if rows:
        base, table = base_plan(job, pool, choices), np.array(sorted(rows))
        expert = np.where(_has_experts(job.model), table[:, 3] * data, 1)
        yield Plans(
            base=base,
            tensor=table[:, 3],
            pipeline=table[:, 2],
            data=data,
            replicas=table[:, 4],
            expert=choices.get("expert", expert),
            batch=base.batch,
            token_budget=base.token_budget,
            block=base.block,
            drafts=base.drafts,
            adapter_slots=base.adapter_slots,
        )


def prefill_plan(job: Serve, pool: Pool, choices: Choices) -> Plan:
    """How the prefill half of a disaggregated plan uses its chips: the least splitting whose
    weights fit, copied over all of them. Raises BadInput when nothing fits."""
    alike = ("weights", "compute", "cache", "offload", "adapter_slots")
    kept = {name: choices[name] for name in alike if name in choices}
    base = replace(base_plan(job, pool, kept), replicas=1)
    for tensor, pipeline in _splits(job.model, pool, {}):
        plan = replace(base, tensor=tensor, pipeline=pipeline)
        if fixed_bytes(job, plan) < 0.9 * (pool.chip.memory_size or 0.0):
            return replace(plan, replicas=pool.chips // plan.group)
    raise BadInput(f"{job.model.name} does not fit {pool.chips} {pool.chip.id} for prefill.")


def _has_experts(model: Model) -> bool:
    return any(isinstance(stack.block.feed, Experts) for stack in model.stacks)


def _counts(most: int) -> Iterable[int]:
    """1, 2, 3, … in steps of at most 2 %, and the most there are."""
    found, count = [], 1
    while count < most:
        found.append(count)
        count = max(count + 1, int(count * 1.02))
    return [*found, most] if most else []


WIDE = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)  # micro-batches where weights stream: widest first
PIPELINES = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128)


def _splits(model: Model, pool: Pool, choices: Choices) -> list[tuple[int, int]]:
    """Tensor and pipeline degrees to try; a pipeline only once the fast links are used up."""
    layers = sum(stack.count for stack in model.stacks)
    tensors = [choices["tensor"]] if "tensor" in choices else _tensor_degrees(model, pool)
    pipelines = (choices["pipeline"],) if "pipeline" in choices else PIPELINES
    widest = max(tensors, default=1)
    return [
        (tensor, pipeline)
        for tensor in tensors
        for pipeline in pipelines
        if pipeline <= layers
        and tensor * pipeline <= pool.chips
        and (pipeline == 1 or tensor == widest or "pipeline" in choices)
    ]


def _tensor_degrees(model: Model, pool: Pool) -> list[int]:
    """Powers of two that divide the heads and stay inside the scale-up domain."""
    heads = attention_heads(model)
    most = min(pool.domain, pool.chips, 64)
    return [t for t in (1, 2, 4, 8, 16, 32, 64) if t <= most and all(a % t == 0 for a in heads)]


def _learning(job: Train | Tune | Align, pool: Pool, choices: Choices) -> Iterator[Plans]:
    """Simple layouts: with the optimizer's state spread over the copies (ZeRO-1) as is usual, or
    all state (FSDP), with and without recomputing everything."""
    recomputes: tuple[str, ...] = ("full",) if choices.get("stream") else ("selective", "full")
    if "recompute" in choices:
        recomputes = (choices["recompute"],)
    shards = (choices["shard"],) if "shard" in choices else (1, 3)
    for recompute in recomputes:
        for shard in shards:
            settled = {**choices, "recompute": recompute, "shard": shard}
            yield from _learning_block(job, pool, settled)


def _learning_block(job: Train | Tune | Align, pool: Pool, choices: Choices) -> Iterator[Plans]:
    """One recomputation and ZeRO stage. Without a date all chips are used, as far as they
    divide."""
    context = choices.get("context", 1)
    micros = list(WIDE) if choices.get("stream") else [1]
    if "micro_batch" in choices:
        micros = [choices["micro_batch"]]
    rows: list[tuple[int, ...]] = []
    for tensor, stages in _splits(job.model, pool, choices):
        if choices["shard"] == 3 and stages > 1 and "pipeline" not in choices:
            continue  # FSDP gathers whole layers; a pipeline holds on to few
        most = pool.chips // (tensor * stages * context)
        counts = list(_counts(most)) if job.within is not None else [most] * (most > 0)
        for ranks in [choices["data"]] if "data" in choices else counts:
            if ranks <= most and (choices["shard"] < 3 or ranks * context <= GATHERED):
                rows += [
                    (stages, virtual, tensor, ranks, micro)
                    for virtual in _virtual(job.model, stages, choices)
                    for micro in micros
                ]
    if not rows:
        return
    base, table = base_plan(job, pool, choices), np.array(rows)
    pipeline, virtual, tensors, data, micro = table.T
    batch = _global_batch(job, data * micro, pipeline)
    yield Plans(
        base=base,
        tensor=tensors,
        pipeline=pipeline,
        context=context,
        data=data,
        virtual=virtual,
        expert=choices.get("expert", _expert_degree(job.model, tensors * data)),
        batch=choices.get("batch", batch),
        micro_batch=micro,
    )


def _virtual(model: Model, stages: int, choices: Choices) -> list[int]:
    """Virtual stages to try on each rank of a pipeline: as many as leave each a layer, and as the
    schedule knows."""
    if "virtual" in choices:
        return [choices["virtual"]]
    if choices.get("schedule") in WHOLE_STAGES:
        return [1]
    layers = sum(stack.count for stack in model.stacks)
    return [v for v in (1, 2, 4, 8) if v == 1 or (stages > 1 and stages * v <= layers)]


def _expert_degree(model: Model, ranks: Any) -> Any:
    """Experts spread over as many ranks as divide both them and the ranks, at most 64."""
    count = max(
        (s.block.feed.count for s in model.stacks if isinstance(s.block.feed, Experts)), default=1
    )
    return np.gcd(np.gcd(ranks, count), 64)


def _global_batch(job: Train | Tune | Align, ranks: Any, stages: Any) -> Any:
    """Sequences per step: as asked, or a usual number of tokens, which in training is at least a
    micro-batch for every stage of every rank; a multiple of the ranks."""
    if isinstance(job, Align):
        asked = job.batch * job.answers_each
    else:
        asked = (job.batch or usual_batch(job)) / learning_sequence(job)
    each = np.maximum(np.round(asked / ranks), 1)
    if isinstance(job, Train) and not job.batch:
        each = np.maximum(each, stages)
    return (each * ranks).astype(int)


def usual_batch(job: Train | Tune) -> float:
    """Global batch in tokens where none is given: assumed, and said in the answer."""
    if isinstance(job, Tune):
        return 131_072.0
    return 4e6 if count_parameters(job.model).active > 3e9 else 0.5e6
