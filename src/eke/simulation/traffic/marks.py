"""What is said of every request of a part: who asks, what was promised, what comes with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from eke.simulation.traffic.chance import noise
from eke.simulation.traffic.changes import changed
from eke.simulation.traffic.columns import group_of
from eke.simulation.traffic.noun import Traffic
from eke.simulation.traffic.profiles import profile
from eke.types.arrivals import NOBODY, Arrivals
from eke.types.record import replace

SAME = ("ttft", "deadline", "priority", "images", "sound", "work")


def marked(traffic: Traffic, said: Mapping[str, Any], seed: int, part: int) -> Traffic:
    """The traffic with what the words say of all its requests."""
    if "tenants" in said:
        traffic = _with_tenants(traffic, said["tenants"], seed, part)
    same = {name: said[name] for name in SAME if name in said}
    if not same and "most" not in said:
        return traffic

    picture = profile("images").picture
    longer = round(said.get("images", 0) * picture.mean) if picture else 0

    def alike(pieces: Iterator[Arrivals]) -> Iterator[Arrivals]:
        for chunk in pieces:
            columns = {n: np.full(len(chunk), v, getattr(chunk, n).dtype) for n, v in same.items()}
            most = np.maximum(said.get("most", chunk.most), chunk.answer)
            yield replace(chunk, most=most, prompt=chunk.prompt + longer, **columns)

    remarks = (f"images: {longer:,} tokens of each prompt (liu2023llava)",) if longer else ()
    return changed(traffic, alike, remarks=(*traffic.remarks, *remarks))


def _with_tenants(
    traffic: Traffic, tenants: tuple[tuple[str, float], ...], seed: int, part: int
) -> Traffic:
    """Every group belongs to one tenant, by weight; each tenant has a stem of its own."""
    names = tuple(name for name, _ in tenants)
    edges = np.cumsum([weight for _, weight in tenants])
    edges /= edges[-1]

    def owned(pieces: Iterator[Arrivals]) -> Iterator[Arrivals]:
        base = 0
        for chunk in pieces:
            group = base + group_of(chunk)
            base = int(group[-1]) + 1
            chance = noise(seed, part, "tenant", group)
            tenant = np.searchsorted(edges, chance, side="right").astype(np.int32)
            stem = np.where(chunk.stem >= 0, chunk.stem * len(names) + tenant, NOBODY)
            yield replace(chunk, tenant=tenant, tenants=names, stem=stem)

    return changed(traffic, owned)
