"""A few simple layouts for a job on a pool: what `need` looks at when no plan is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from eke.errors import BadInput
from eke.physics.engine import fixed_bytes
from eke.physics.layers import attention_heads
from eke.search.base import Choices, base_plan, expert_degree, global_batch
from eke.types.fleet import Pool
from eke.types.job import Align, Job, Serve, Train, Tune
from eke.types.model import Model
from eke.types.plan import WHOLE_STAGES, Plan, Plans
from eke.types.record import replace

GATHERED = 1024  # ranks over which FSDP gathers layers in practice; beyond, nobody publishes it
WIDE = (512, 256, 128, 64, 32, 16, 8, 4, 2, 1)  # micro-batches where weights stream: widest first
PIPELINES = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128)


def simple_plans(job: Job, pool: Pool, choices: Choices) -> Iterator[list[Plans]]:
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
        counts = counts_up_to(pool.chips // group)
        for replicas in (choices["replicas"],) if "replicas" in choices else counts:
            rows.append((group * replicas, group, pipeline, tensor, replicas))
    if rows:
        base, table = base_plan(job, pool, choices), np.array(sorted(rows))
        expert = table[:, 3] * data if job.model.experts else 1
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
            prefill=base.prefill,
        )


def counts_up_to(most: int) -> Iterable[int]:
    """1, 2, 3, … in steps of at most 2 %, and the most there are."""
    found, count = [], 1
    while count < most:
        found.append(count)
        count = max(count + 1, int(count * 1.02))
    return [*found, most] if most else []


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


def _splits(model: Model, pool: Pool, choices: Choices) -> list[tuple[int, int]]:
    """Tensor and pipeline degrees to try; a pipeline only once the fast links are used up."""
    layers = model.layers
    tensors = [choices["tensor"]] if "tensor" in choices else tensor_degrees(model, pool)
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


def tensor_degrees(model: Model, pool: Pool) -> list[int]:
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
        counts = list(counts_up_to(most)) if job.within is not None else [most] * (most > 0)
        for ranks in [choices["data"]] if "data" in choices else counts:
            if ranks <= most and (choices["shard"] < 3 or ranks * context <= GATHERED):
                rows += [
                    (stages, virtual, tensor, ranks, micro)
                    for virtual in virtual_stages(job.model, stages, choices)
                    for micro in micros
                ]
    if not rows:
        return
    base, table = base_plan(job, pool, choices), np.array(rows)
    pipeline, virtual, tensors, data, micro = table.T
    batch = global_batch(job, data * micro, pipeline)
    yield Plans(
        base=base,
        tensor=tensors,
        pipeline=pipeline,
        context=context,
        data=data,
        virtual=virtual,
        expert=choices.get("expert", expert_degree(job.model, tensors * data)),
        batch=choices.get("batch", batch),
        micro_batch=micro,
    )


def virtual_stages(model: Model, stages: int, choices: Choices) -> list[int]:
    """Virtual stages to try on each rank of a pipeline: as many as leave each a layer, and as the
    schedule knows."""
    if "virtual" in choices:
        return [choices["virtual"]]
    if choices.get("schedule") in WHOLE_STAGES:
        return [1]
    layers = model.layers
    return [v for v in (1, 2, 4, 8) if v == 1 or (stages > 1 and stages * v <= layers)]
