"""Laws of the stand-in's engine: it is the simulator's engine over again, and loses nobody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engines import Engine as Simulated
from tests.standins import REPLICA, Ask, Played

from eke.simulation.engine import layout as at
from eke.simulation.engine.build import Replica
from eke.standin.cache import Cache, keys_of
from eke.standin.engine import Engine
from eke.standin.speed import limits_of, steps_of
from eke.types.record import replace

KINDS = st.builds(
    lambda blocks, drafts, ranks, stages, ordered: replace(
        REPLICA,
        step=replace(REPLICA.step, ranks=ranks * stages, stages=stages),
        blocks=blocks,
        drafts=drafts,
        emitted=1.0 + 0.6 * drafts,
        ordered=ordered,
        caching=False,
        jumps=False,
    ),
    st.sampled_from([60, 90, 400]),
    st.sampled_from([0, 0, 0, 3]),
    st.sampled_from([1, 1, 2]),
    st.sampled_from([1, 1, 2]),
    st.booleans(),
)
ROOMY = replace(REPLICA, blocks=4000, jumps=False)


@st.composite
def asks(draw: st.DrawFn, most: int = 24) -> list[Ask]:
    """Requests in order of time."""
    gaps = draw(st.lists(st.sampled_from([0.002, 0.003, 0.1, 1.7]), min_size=1, max_size=most))
    rest = st.tuples(*(st.integers(*ends) for ends in ((1, 700), (1, 90), (0, 2), (-1, 2))))
    return [Ask(float(time), *draw(rest)) for time in np.cumsum(gaps)]


def engine_of(kind: Replica) -> Engine:
    return Engine(steps_of(kind), limits_of(kind))


def simulated(kind: Replica, wanted: list[Ask]) -> Simulated:
    """The same asks in the simulator's engine."""
    engine = Simulated((kind,), [0], len(wanted))
    for number, ask in enumerate(wanted):
        engine.world.count[number, at.CLASS] = ask.priority if kind.ordered else 0
        if kind.caching:
            engine.world.shared[number, at.SESSION] = ask.session
        engine.ask(number, ask.time, ask.prompt, ask.answer)
    engine.until(np.inf)
    return engine


def check_same(kind: Replica, wanted: list[Ask], close: float) -> None:
    there, here = simulated(kind, wanted), Played(engine_of(kind), wanted)
    assert here.column("first") == pytest.approx(there.column(at.FIRST), rel=close)
    assert here.column("last") == pytest.approx(there.column(at.FINISHED), rel=close)
    assert [each.cached for each in here.requests] == there.world.count[:, at.HIT].tolist()
    if close < 1e-6:
        counted = there.world.count[:, at.PREEMPTED].tolist()
        assert [each.preempted for each in here.requests] == counted


@given(KINDS, asks())
def test_requests_are_served_when_the_simulator_says(kind, wanted):
    check_same(kind, wanted, 1e-9 if kind.drafts == 0 else 0.01)


@given(asks(), st.booleans())
def test_what_conversations_share_is_found_where_the_simulator_finds_it(wanted, ordered):
    check_same(replace(ROOMY, ordered=ordered), wanted, 1e-9)


@given(KINDS, st.booleans(), asks())
def test_every_request_ends_once_and_has_all_its_tokens(kind, caching, wanted):
    played = Played(engine_of(replace(kind, caching=caching)), wanted)
    assert played.column("tokens") == [ask.answer for ask in wanted]
    assert len(played.ended) == len(set(played.ended)) == len(wanted)
    for ask, request in zip(wanted, played.requests, strict=True):
        assert ask.time <= request.scheduled < played.seen[request].first


def within_limits(played: Played) -> None:
    """Places and blocks, and that none of them is counted twice or lost."""
    engine = played.engine
    flying = [*engine.decoding, *engine.filling]
    assert len(flying) == len(set(flying)) <= engine.limits.places
    held = {number for each in flying for number in each.blocks if number >= 0}
    unnamed = [number for each in flying for number in each.blocks if number < 0]
    assert len(unnamed) == len(set(unnamed))
    assert engine.cache.free + len(held) + len(unnamed) == engine.limits.blocks
    for each in engine.decoding:
        assert len(each.blocks) * engine.limits.block >= each.stored
    for each in engine.filling:
        assert len(each.blocks) * engine.limits.block >= each.done
    waits = [request for request in played.requests if request.waits]
    assert engine.waiting == len(waits)
    assert not any(request.blocks for request in waits)


@given(KINDS, st.booleans(), asks(), st.data())
def test_whoever_leaves_whenever_frees_all_it_held(kind, caching, wanted, data):
    times = st.floats(0.0, 8.0)
    leaving = data.draw(st.dictionaries(st.integers(0, len(wanted) - 1), times))
    engine = engine_of(replace(kind, caching=caching))
    played = Played(engine, wanted, leaving=leaving, look=within_limits)
    assert engine.cache.free == engine.limits.blocks
    assert not (engine.busy or engine.decoding or engine.filling)
    stayed = [each for i, each in enumerate(played.requests) if i not in leaving]
    assert set(stayed) <= set(played.ended)


@given(KINDS, asks(), st.sampled_from([0.05, 1.0]))
def test_steps_taken_together_end_as_if_they_had_been_taken_alone(kind, wanted, together):
    alone = Played(engine_of(kind), wanted)
    joined = Played(engine_of(kind), wanted, together=together)
    assert joined.column("tokens") == alone.column("tokens")
    if not kind.ordered:  # whoever has more right to a place waits for the steps under way
        assert joined.column("last") == pytest.approx(alone.column("last"), rel=0.02)


@given(st.lists(st.text("ab", max_size=3), max_size=40), st.integers(1, 8), st.integers(0, 40))
def test_keys_are_alike_as_far_as_texts_are(pieces, block, length):
    whole, beginning = keys_of(pieces, block), keys_of(pieces[:length], block)
    assert whole[: len(beginning)] == beginning
    half = len(whole) // 2
    assert keys_of(pieces[half * block :], block, whole[half - 1] if half else 0) == whole[half:]
    other = keys_of(["c", *pieces[1:]], block)
    assert not set(other) & set(whole)


def test_the_longest_unused_text_goes_first_and_its_end_before_its_beginning():
    cache = Cache(4)
    for keys in ([1, 2], [3]):
        held = cache.take(len(keys))
        cache.name(held, keys)
        cache.give_back(held)
    assert cache.free == 4
    cache.take(2)  # the one never used, and the end of the first text
    assert cache.find([1, 2]) == (1, 1)
    assert cache.find([3]) == (1, 1)
    cache.take(1)
    assert cache.find([1, 2]) == (0, 0)
    assert cache.find([3]) == (1, 1)
