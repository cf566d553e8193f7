"""Laws of the engine stand-in: conservation, memory, jumps that change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.engines import Engine, run, table

from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import fleet
from eke.catalog.models import model
from eke.physics.engine import duration, own_time, slowdown
from eke.physics.engine import run as passed
from eke.physics.machine import machine
from eke.physics.operations import Batch
from eke.physics.scenarios import likely
from eke.simulation.engine import layout as at
from eke.simulation.engine.build import Replica
from eke.simulation.engine.clock import chunk_time, composed, decode_core, stretch
from eke.simulation.step import step_table
from eke.types.job import Serve
from eke.types.plan import Plan
from eke.types.record import replace

REPLICA = Replica(
    step=table(own=0.01, per_token=1e-4, per_context=1e-6, exchange=2e-5),
    most=8,
    budget=256,
    blocks=400,
)


@st.composite
def asks(draw: st.DrawFn, most: int = 24):
    """Requests in order of time, some at the same moment."""
    gaps = draw(st.lists(st.sampled_from([0.0, 0.003, 0.1, 1.7]), min_size=1, max_size=most))
    times = np.cumsum(gaps)
    lengths = st.tuples(st.integers(1, 700), st.integers(1, 90))
    return [(float(time), *draw(lengths), 0) for time in times]


KINDS = st.builds(
    lambda blocks, static, swap, ordered, drafts, caching: replace(
        REPLICA,
        blocks=blocks,
        static=static,
        swap=0.002 if swap else None,
        ordered=ordered,
        drafts=drafts,
        emitted=1.0 + 0.6 * drafts,
        caching=caching,
    ),
    st.sampled_from([60, 90, 400]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 0, 3]),
    st.booleans(),
)


@given(KINDS, asks())
def test_every_request_is_answered_in_full_and_in_order_of_events(kind, wanted):
    engine = run(kind, wanted)
    w = engine.world
    assert (w.count[:, at.TOKENS] == w.count[:, at.ANSWER]).all()
    arrived, started = engine.column(at.ARRIVED), engine.column(at.STARTED)
    scheduled, first = engine.column(at.SCHEDULED), engine.column(at.FIRST)
    finished = engine.column(at.FINISHED)
    assert (arrived <= started).all()
    assert (started <= scheduled).all()
    assert (scheduled < first).all()
    assert (first <= finished).all()
    ended = [request for _, event, request in engine.events if event == at.EVENT_FINISHED]
    assert sorted(ended) == list(range(len(wanted)))
    assert [when for when, _, _ in engine.events] == sorted(when for when, _, _ in engine.events)


@given(KINDS, asks())
def test_no_engine_holds_more_than_its_memory_and_all_of_it_comes_back(kind, wanted):
    def look(engine: Engine) -> None:
        w = engine.world
        held = 0
        for i in range(w.num[0, at.DECODING]):
            request = w.slot[at.REQUEST, 0, i]
            made = w.slot[at.MADE, 0, i] + w.num[0, at.STEPS] - w.slot[at.SINCE, 0, i]
            tokens = w.count[request, at.PROMPT] + made - 1
            if kind.drafts:
                tokens = w.count[request, at.PROMPT] + w.count[request, at.ANSWER]
            held += -(-tokens // kind.block)
        for i in range(w.num[0, at.FILLING]):
            tokens = w.fill[at.DONE, 0, i] + w.fill[at.TAKES, 0, i]
            request = w.fill[at.REQUEST, 0, i]
            if kind.drafts:
                tokens = w.count[request, at.PROMPT] + w.count[request, at.ANSWER]
            held += -(-tokens // kind.block)
        assert w.num[0, at.FREE] >= 0
        assert w.num[0, at.FREE] + held == kind.blocks  # nothing is shared here
        assert w.num[0, at.DECODING] + w.num[0, at.FILLING] <= kind.most

    engine = run(kind, wanted, look=look)
    assert engine.world.num[0, at.FREE] == kind.blocks
    assert engine.world.flt[0, at.CONTEXT] == 0


@given(KINDS, asks(), st.lists(st.integers(0, at.CLASSES - 1), min_size=24, max_size=24))
@example(
    replace(REPLICA, blocks=60, ordered=True),  # one loses its place to make room for another class
    [(0.1, 412, 53, 0), (0.1, 448, 57, 0), (0.2, 292, 44, 0), (0.203, 21, 11, 0)],
    [2, 1, 1, 0],
)
def test_a_stretch_taken_at_once_ends_as_if_it_had_been_stepped(kind, wanted, classes):
    classes = classes[: len(wanted)]
    jumped = run(kind, wanted, classes=classes)
    stepped = run(replace(kind, jumps=False), wanted, classes=classes)
    assert np.array_equal(jumped.world.count, stepped.world.count)
    assert np.allclose(jumped.world.times, stepped.world.times, rtol=1e-12, atol=1e-9)
    assert jumped.world.flt[0, at.BUSY] == pytest.approx(stepped.world.flt[0, at.BUSY])


@given(asks())
def test_an_engine_rests_only_when_nobody_waits(wanted):
    engine = run(REPLICA, wanted)
    w = engine.world
    begun = np.sort(engine.column(at.ARRIVED))
    alone = w.flt[0, at.BUSY]
    span = np.nanmax(engine.column(at.FINISHED)) - begun[0]
    idle = 0.0
    free_at = begun[0]
    order = np.argsort(engine.column(at.ARRIVED), kind="stable")
    done = np.maximum.accumulate(engine.column(at.FINISHED)[order])
    for before, comes in zip(done[:-1], engine.column(at.ARRIVED)[order][1:], strict=True):
        free_at = max(free_at, before)
        if comes > free_at:
            idle += comes - free_at
    assert alone == pytest.approx(span - idle)


def test_what_a_step_takes_on_paper():
    """One request of 300 tokens under a budget of 256: two chunks, then four decode steps."""
    engine = run(replace(REPLICA, step=table(own=0.01, per_token=1e-3)), [(0.0, 300, 5, 0)])
    first = 0.01 + 0.256 + 0.01 + 0.044
    assert engine.column(at.FIRST)[0] == pytest.approx(first)
    assert engine.column(at.FINISHED)[0] == pytest.approx(first + 4 * 0.011)


def test_chunks_of_two_prompts_share_a_step():
    """The second prompt takes what the first one leaves of the budget."""
    kind = replace(REPLICA, step=table(own=0.0, per_token=1e-3))
    engine = run(kind, [(0.0, 200, 1, 0), (0.0, 100, 1, 0)])
    assert engine.column(at.FIRST)[0] == pytest.approx(0.256)
    assert engine.column(at.FIRST)[1] == pytest.approx(0.256 + 0.044)


def test_the_last_admitted_loses_its_place_and_computes_again():
    """Two sequences grow until the cache of seven blocks is full."""
    kind = replace(REPLICA, step=table(own=1.0), blocks=7)
    engine = run(kind, [(0.0, 40, 30, 0), (0.0, 40, 30, 0)])
    w = engine.world
    assert list(w.count[:, at.PREEMPTED]) == [0, 1]
    # both decode from step 2 on; the ninth token of each wants the seventh and the eighth block
    assert engine.column(at.FINISHED)[0] == 30
    assert engine.column(at.FINISHED)[1] == 30 + 30 - 8 - 1


def test_a_static_batch_waits_for_its_longest():
    kind = replace(REPLICA, step=table(own=1.0), static=True)
    engine = run(kind, [(0.0, 8, 10, 0), (0.0, 8, 2, 0), (0.5, 8, 1, 0)])
    assert list(engine.column(at.FINISHED)) == [10, 2, 11]


def test_a_prefix_is_found_again():
    """The second turn of a session computes only what is new."""
    kind = replace(REPLICA, step=table(own=0.0, per_token=1e-3), caching=True)
    engine = Engine((kind,), [0], 3)
    engine.world.shared[:2, at.SESSION] = 5
    engine.world.shared[2, at.SESSION] = 6
    engine.ask(0, 0.0, 100, 29, 0)
    engine.until(np.inf)
    engine.ask(1, 10.0, 140, 1, 0)
    engine.ask(2, 20.0, 140, 1, 0)
    engine.until(np.inf)
    assert list(engine.world.count[:, at.HIT]) == [0, 128, 0]
    assert engine.column(at.FIRST)[1] == pytest.approx(10.0 + 0.012)
    assert engine.column(at.FIRST)[2] == pytest.approx(20.0 + 0.140)
    assert engine.world.num[0, at.FREE] == kind.blocks


def test_what_was_longest_unused_makes_room_first():
    """A cache of twenty blocks keeps the later of two texts, and the head of the earlier one."""
    kind = replace(REPLICA, step=table(own=0.01), caching=True, blocks=20)
    engine = Engine((kind,), [0], 5)
    engine.world.shared[:, at.SESSION] = [1, 2, 3, 2, 1]
    for number, prompt in enumerate((128, 128, 128, 129, 129)):
        engine.ask(number, 10.0 * number, prompt, 1)
        engine.until(np.inf)
    assert list(engine.world.count[:, at.HIT]) == [0, 0, 0, 128, 48]


@pytest.mark.parametrize(
    ("name", "chip", "tensor", "families"),
    [
        ("llama-3.1-8b", "h100-sxm", 1, ("hopper", "vllm-1")),
        ("llama-3.1-70b", "h100-sxm", 4, ("hopper", "vllm-1")),
        ("deepseek-v3", "h200-sxm", 8, ("hopper", "sglang")),
        ("gemma-3-27b", "h100-sxm", 2, ("hopper", "vllm-1")),
    ],
)
def test_steps_cost_what_the_physics_says(name, chip, tensor, families):
    job, where = Serve(model=model(name)), fleet(f"16x{chip}")
    plan = Plan(chip=chip, tensor=tensor, batch=256, token_budget=8192, engine=families[1])
    here = machine(where.pools[0], plan, likely(efficiencies(*families)))
    kind = Replica(step=step_table(job, plan, here, 32768), most=256, budget=8192, blocks=9999)
    w = Engine((kind,), [0]).world

    def said(decoding, context, chunks):
        core = decoding * decode_core(w.shape, w.table, 0, context) if decoding else 0.0
        core += sum(chunk_time(w.shape, w.table, 0, new, cached) for new, cached in chunks)
        tokens = int(decoding + sum(new for new, _ in chunks))
        words = decoding + len(chunks)
        return composed(w.shape, w.table, 0, float(decoding), tokens, words, core)

    def known(decoding, context, chunks):
        work = [Batch(sequences=float(decoding), new=1.0, cached=context)] if decoding else []
        work += [Batch(sequences=1.0, new=new, cached=cached) for new, cached in chunks]
        once = passed(job, tuple(work), plan, here, decoding + len(chunks))
        return (duration(once, here) + own_time(here, decoding)) * slowdown(job, here)

    for decoding, context, chunks in (
        (1, 500.0, ()),
        (200, 7777.0, ()),
        (0, 0.0, ((1000.0, 0.0),)),
        (0, 0.0, ((8000.0, 20000.0),)),
    ):
        assert said(decoding, context, chunks) == pytest.approx(
            known(decoding, context, chunks), rel=2e-3
        )
    # chunks and decoding are attended to one after the other, where the physics has one kernel
    mixed = (50, 2000.0, ((2000.0, 1000.0),))
    assert known(*mixed) <= said(*mixed) * 1.01
    assert said(*mixed) <= 1.1 * known(*mixed)


@given(st.floats(1e-4, 1e-2), st.floats(0, 1e-4), st.integers(1, 64), st.integers(1, 500))
def test_a_stretch_is_the_sum_of_its_steps(own, per_context, decoding, steps):
    kind = replace(REPLICA, step=table(own=own, per_context=per_context))
    w = Engine((kind,), [0]).world
    context, total = 37.0 * decoding, 0.0
    for step in range(steps):
        one, time = stretch(w.shape, w.table, 0, decoding, context + step * decoding, 1, np.inf)
        assert one == 1
        total += time
    many, time = stretch(w.shape, w.table, 0, decoding, context, steps, np.inf)
    assert many == steps
    assert time == pytest.approx(total, rel=1e-10)
    # and as many steps as take half of it, no fewer and no more
    some, spent = stretch(w.shape, w.table, 0, decoding, context, steps, total / 2)
    assert spent >= total / 2 * (1 - 1e-12)
    if some > 1:
        _, less = stretch(w.shape, w.table, 0, decoding, context, some - 1, np.inf)
        assert less < total / 2
