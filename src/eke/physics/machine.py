"""A pool of chips as the physics sees it: what arrives of each published figure."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.plan import Plan, Plans
from eke.types.record import Record


class Machine(Record):
    """Speeds that arrive, after efficiencies. Numbers, or arrays of scenarios.

    peak, logits: in matrix multiplications of many rows, and in that of the logits, which stays in
    16 bits [FLOP/s].  attention, attention_backward: in the
    attention core [FLOP/s].  memory: from memory [B/s].  weights: from where the weights are kept,
    which for streamed ones is external memory [B/s].
    size: memory a plan may fill [B].  link, network: one direction, per chip [B/s].  host: from the
    memory of the host, per chip while all of a server load at once [B/s].
    """

    peak: Any
    logits: Any
    rows: Any
    columns: Any
    attention: Any
    attention_backward: Any
    memory: Any
    weights: Any
    size: Any
    domain: int
    link: Any
    link_latency: Any
    network: Any
    network_latency: Any
    host: Any
    knobs: Knobs


SIXTEEN_BIT = ("bf16", "fp16")
SMALLER = {"fp8": ("fp8", "int8"), "int8": ("int8", "fp8"), "fp4": ("fp4",), "int4": ("int4",)}


def peak_format(pool: Pool, compute: str) -> str:
    """The format whose published peak applies when computing in `compute` on this chip.

    A chip without a peak for bf16 uses fp16 and the reverse; without either, tf32 or fp32.
    Raises BadInput when the chip cannot compute in that format at all.
    """
    peaks = pool.chip.peak
    wanted: tuple[str, ...] = SMALLER.get(compute, (compute,))
    if compute in SIXTEEN_BIT:
        wanted = (compute, *SIXTEEN_BIT, "tf32", "fp32")
    for name in wanted:
        if name in peaks:
            return name
    raise BadInput(
        f"{pool.chip.id} has no published peak in {compute}; it has {', '.join(peaks) or 'none'}. "
        "Choose one of those with --compute, or add the figure to your own chip file."
    )


def machine(pool: Pool, plan: Plan | Plans, knobs: Knobs) -> Machine:
    """The speeds of one pool under a plan's formats. Raises BadInput for unpublished figures."""
    chip = pool.chip
    name = peak_format(pool, plan.compute)
    peak = chip.peak[name] * (2.0 if plan.sparse else 1.0) * knobs.peak_change  # type: ignore[index]
    low = name not in ("fp32", "tf32", "bf16", "fp16")
    share = (knobs.matmul_low if low else knobs.matmul) * knobs.matmul_kernel
    sixteen = chip.peak[peak_format(pool, "bf16")] * knobs.peak_change  # type: ignore[index]
    speed = _published(pool, "memory_speed") * knobs.memory_change
    whole = _published(pool, "memory_size")
    shared = knobs.host_link if pool.host_link else 1.0
    reserved = np.minimum(knobs.reserved, knobs.reserved_share * whole)
    return Machine(
        peak=peak * share,
        logits=sixteen * knobs.matmul * knobs.matmul_kernel if low else peak * share,
        rows=knobs.matmul_rows,
        columns=knobs.matmul_columns,
        attention=sixteen * knobs.attention * knobs.attention_kernel,
        attention_backward=sixteen * knobs.attention_backward * knobs.attention_kernel,
        memory=speed * knobs.memory,
        weights=(_published(pool, "stream_speed") if plan.stream else speed) * knobs.memory,
        size=whole * (1 - knobs.fragmentation) - reserved,
        domain=pool.domain,
        link=pool.link_speed * knobs.link * knobs.link_change * shared,
        link_latency=knobs.link_latency,
        network=pool.network_speed * knobs.network * knobs.network_change,
        network_latency=knobs.network_latency,
        host=pool.host_speed * knobs.host_link,
        knobs=knobs,
    )


def _published(pool: Pool, field: str) -> float:
    value: float | None = getattr(pool.chip, field)
    if not value:
        raise BadInput(
            f"{pool.chip.id} has no published {field.replace('_', ' ')}, so nothing can be said "
            f"about it. Add it to your own copy of the chip file (see `eke catalog chips "
            f"{pool.chip.id}`)."
        )
    return value
