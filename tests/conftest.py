"""Shared pieces: the catalogue's values, and random but sensible jobs, plans and fleets."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: threads only wait for another

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import fleet
from eke.physics.scenarios import likely
from eke.types.efficiency import Knobs
from eke.types.model import Attention, Block, Experts, Feed, Model, Stack
from eke.types.plan import Plan

settings.register_profile("eke", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("eke")

CHIPS = ("h100-sxm", "a100-sxm-80", "mi300x", "tpu-v5p", "l40s", "v100-sxm2-32")


@pytest.fixture(scope="session")
def knobs() -> Knobs:
    return likely(efficiencies("hopper"))


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Small to large decoders, dense or routed."""
    heads = draw(st.sampled_from([8, 16, 32, 64]))
    size = draw(st.sampled_from([64, 128]))
    kv = draw(st.sampled_from([1, 2, 8]))
    hidden = heads * size
    width = draw(st.integers(2, 4)) * hidden
    routed = draw(st.booleans())
    feed: Feed | Experts = Feed(width=width)
    if routed:
        feed = Experts(
            count=16, active=draw(st.integers(1, 4)), width=width // 4, shared=width // 8
        )
    window = draw(st.sampled_from([None, 1024]))
    block = Block(
        mixer=Attention(heads=heads, kv_heads=kv, head_size=size, window=window),
        feed=feed,
        vectors=2 * hidden,
    )
    return Model(
        id="drawn",
        name="drawn",
        architecture="drawn",
        hidden=hidden,
        vocabulary=draw(st.sampled_from([32000, 128256])),
        stacks=(Stack(count=draw(st.sampled_from([4, 16, 32])), block=block),),
        context=8192,
        vectors=hidden,
    )


@st.composite
def plans(draw: st.DrawFn, chip: str = "h100-sxm", serving: bool = False) -> Plan:
    """Layouts whose degrees are powers of two."""
    power = st.sampled_from([1, 2, 4, 8])
    tensor, data = draw(power), draw(power)
    return Plan(
        chip=chip,
        tensor=tensor,
        pipeline=draw(st.sampled_from([1, 2, 4])),
        data=data if not serving else 1,
        replicas=1 if not serving else draw(power),
        expert=1
        if serving
        else draw(st.sampled_from([d for d in (1, 2, 4, 8) if d <= tensor * data])),
        batch=draw(st.sampled_from([8, 64, 256])),
        micro_batch=1,
        shard=draw(st.sampled_from([0, 1, 3])),
        recompute=draw(st.sampled_from(["selective", "full"])),
    )


def pool_of(chip: str, chips: int = 1024):
    """A pool of that chip out of the catalogue."""
    return fleet(f"{chips}x{chip}").pools[0]
