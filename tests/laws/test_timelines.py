"""Pipeline schedules played out: what holds of every order, and that it takes what the formulas
say. Durations are drawn; the closed forms know nothing of the orders."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import models, plans, pool_of

from eke.catalog.efficiencies import efficiencies
from eke.errors import BadInput
from eke.physics.learn import Learning, micro_batches, step_time
from eke.physics.machine import machine
from eke.physics.pipeline import BUBBLE_SHARE, bubble_time, micro_batches_in_flight
from eke.physics.scenarios import likely
from eke.physics.schedule import Slot, Times, order, placed, play
from eke.physics.timeline import BUBBLE, differs, shortened, timeline
from eke.types.fleet import Fleet
from eke.types.job import Align, Serve, Train, Tune
from eke.types.model import Model
from eke.types.plan import Plan
from eke.types.record import Record, replace

LIKELY = likely(efficiencies("hopper"))
SCHEDULES = ("1f1b", "gpipe", "zero-bubble", "interleaved")


class Case(Record):
    """A schedule with durations."""

    schedule: Any
    stages: int
    micro_batches: int
    virtual: int
    times: Times

    @property
    def slots(self) -> list[Slot]:
        """In time."""
        todo = order(
            self.schedule,
            stages=self.stages,
            micro_batches=self.micro_batches,
            virtual=self.virtual,
        )
        return placed(todo, self.times)

    @property
    def each(self) -> float:
        """Seconds of one micro-batch on one stage."""
        return self.virtual * (self.times.forward + self.times.backward + self.times.weight)


@st.composite
def cases(draw: st.DrawFn, schedules: tuple[str, ...] = SCHEDULES) -> Case:
    schedule = draw(st.sampled_from(schedules))
    seconds = st.floats(0.1, 10)
    interleaves = schedule == "interleaved"
    return Case(
        schedule=schedule,
        stages=draw(st.integers(2 if interleaves else 1, 9)),
        micro_batches=draw(st.integers(1, 40)),
        virtual=draw(st.integers(2, 4)) if interleaves else 1,
        times=Times(
            forward=draw(seconds),
            backward=draw(seconds),
            weight=draw(seconds) if schedule == "zero-bubble" else 0.0,
        ),
    )


def span(slots: list[Slot]) -> float:
    return max(slot.end for slot in slots)


@given(cases())
def test_a_stage_does_one_thing_at_a_time_and_all_of_it(case: Case) -> None:
    rows: dict[int, list[Slot]] = defaultdict(list)
    for slot in case.slots:
        rows[slot.stage].append(slot)
    kinds = {"forward", "backward"} | ({"weight gradient"} if case.times.weight else set())
    for row in rows.values():
        for before, after in pairwise(row):
            assert before.end <= after.start + 1e-9
        done = Counter((slot.kind, slot.micro_batch, slot.chunk) for slot in row)
        assert set(done.values()) == {1}
        assert {kind for kind, *_ in done} == kinds
        assert len(done) == len(kinds) * case.micro_batches * case.virtual


@given(cases())
def test_every_micro_batch_goes_down_the_pipeline_and_back(case: Case) -> None:
    last = case.stages * case.virtual - 1
    found = {
        (slot.kind, slot.micro_batch, slot.chunk * case.stages + slot.stage): slot
        for slot in case.slots
    }
    for (kind, i, place), slot in found.items():
        if kind == "forward":
            needs = found[(kind, i, place - 1)] if place else None
        elif kind == "backward":
            needs = found[(kind, i, place + 1) if place < last else ("forward", i, place)]
        else:
            needs = found[("backward", i, place)]
        assert needs is None or needs.end <= slot.start + 1e-9


@given(cases(("1f1b", "interleaved", "gpipe")))
def test_no_stage_holds_more_than_the_formula_says(case: Case) -> None:
    most = micro_batches_in_flight(
        schedule=case.schedule,
        micro_batches=case.micro_batches,
        stages=case.stages,
        virtual=case.virtual,
    )
    held, highest = [0] * case.stages, [0] * case.stages
    for slot in case.slots:
        held[slot.stage] += 1 if slot.kind == "forward" else -1
        highest[slot.stage] = max(highest[slot.stage], held[slot.stage])
    assert max(highest) / case.virtual <= most + 1e-9
    if case.micro_batches % case.stages == 0 and case.micro_batches > 2 * case.stages:
        assert highest[0] / case.virtual == pytest.approx(most)
    assert set(held) == {0}


@given(cases(("1f1b", "gpipe")))
def test_the_bubble_is_the_formula(case: Case) -> None:
    waits = span(case.slots) - case.micro_batches * case.each
    wanted = bubble_time(
        micro_batch_time=case.each,
        stages=case.stages,
        virtual=1,
        share=BUBBLE_SHARE[case.schedule],
    )
    assert waits == pytest.approx(wanted, abs=1e-9)


@given(cases(("interleaved",)))
def test_interleaving_keeps_its_formula_in_whole_groups(case: Case) -> None:
    """With a last group that is not full it waits longer, by at most what filling it would take."""
    p, m = case.stages, case.micro_batches
    waits = span(case.slots) - m * case.each
    wanted = bubble_time(micro_batch_time=case.each, stages=p, virtual=case.virtual, share=1.0)
    if m % p == 0:
        assert waits == pytest.approx(wanted)
    else:
        assert wanted - 1e-9 <= waits <= wanted + (p - m % p) * case.each + 1e-9


@given(cases(("zero-bubble",)))
def test_zero_bubble_waits_for_what_weights_do_not_fill(case: Case) -> None:
    """ZB-H1 as published, (p − 1)(F + B − W), as long as that leaves the way there and back."""
    p, m, times = case.stages, case.micro_batches, case.times
    F, B, W = times.forward, times.backward, times.weight
    waits = span(case.slots) - m * case.each
    if m >= p:
        assert waits == pytest.approx((p - 1) * max(F, B, F + B - W), abs=1e-9)
    assert waits <= (p - 1) * case.each + 1e-9  # never more than 1F1B
    alike = replace(case, micro_batches=p, times=Times(forward=F, backward=F, weight=F))
    third = BUBBLE_SHARE["zero-bubble"] * (p - 1) * alike.each
    assert span(alike.slots) - p * alike.each == pytest.approx(third, abs=1e-9)


@given(cases(), st.integers(0, 3))
def test_what_is_left_out_is_as_its_surroundings(case: Case, extra: int) -> None:
    """A schedule with its middle cut out has slots of the whole one only, at their own times, and
    all of those outside the cuts."""
    count = case.micro_batches + (6 + extra) * case.stages

    def laid(most: int | None) -> Any:
        return play(
            case.schedule,
            stages=case.stages,
            micro_batches=count,
            virtual=case.virtual,
            times=case.times,
            most=most,
        )

    whole, part = laid(None), laid(1)
    assert not whole.cuts and len(part.cuts) == (2 if case.schedule == "gpipe" else 1)
    assert part.length == pytest.approx(whole.length)

    def outside(slot: Slot) -> bool:
        near = 1e-6 * whole.length
        return all(
            slot.end < cut.start - near or slot.start > cut.start + cut.length + near
            for cut in part.cuts
        )

    there = {key(slot): slot.start for slot in whole.slots}
    found = {key(slot): slot.start for slot in part.slots}
    assert len(found) == len(part.slots)
    assert found == pytest.approx({name: there[name] for name in found}, abs=1e-6)
    assert {key(slot) for slot in whole.slots if outside(slot)} <= set(found)


def key(slot: Slot) -> tuple[Any, ...]:
    return slot.stage, slot.kind, slot.micro_batch, slot.chunk


def drawn(plan: Plan, schedule: str, virtual: int) -> Plan:
    """The plan under a schedule that fits it."""
    splits = plan.pipeline > 1 and schedule in ("1f1b", "interleaved")
    return replace(plan, schedule=schedule, virtual=virtual if splits else 1)


@given(models(), plans(), st.sampled_from(SCHEDULES), st.sampled_from([1, 1, 2]))
def test_a_step_played_out_takes_what_the_closed_form_says(
    model: Model, plan: Plan, schedule: str, virtual: int
) -> None:
    own, pool = drawn(plan, schedule, virtual), pool_of("h100-sxm")
    job = Train(model=model, tokens=1e9, sequence=2048)
    found = timeline(job, own, Fleet(pools=(pool,)), LIKELY)
    learning = Learning(model=model, sequence=2048)
    times = step_time(learning, own, machine(pool, own, LIKELY))
    assert found.closed == pytest.approx(times.total)
    assert sum(found.shares.values()) == pytest.approx(1)
    p, m = own.pipeline, int(micro_batches(own))
    whole_groups = own.virtual == 1 or m % p == 0
    if own.schedule != "zero-bubble" and whole_groups:
        assert found.length == pytest.approx(found.closed) and not differs(found)
        bubble = found.shares.get(BUBBLE, 0.0) * found.length
        assert bubble == pytest.approx(times.bubble, abs=1e-9 * found.length)
    elif own.schedule == "zero-bubble" and m >= p:
        each = found.passes.times
        kept = max(each.forward, each.backward, each.forward + each.backward - each.weight)
        apart = (p - 1) * kept - times.bubble
        assert found.length - found.closed == pytest.approx(apart, abs=1e-9 * found.length)
    assert differs(found) == any("played out" in remark for remark in found.remarks)
    busy = sum(slot.duration for slot in found.slots) / p
    if not found.cuts:
        assert busy == pytest.approx(found.length * (1 - found.shares.get(BUBBLE, 0.0)))
    assert shortened(found, 8).length == pytest.approx(found.length)


@given(models(), plans())
def test_whoever_learns_has_a_timeline_and_serving_has_none(model: Model, plan: Plan) -> None:
    fleet = Fleet(pools=(pool_of("h100-sxm"),))
    jobs = (
        Tune(model=model, tokens=1e7, method="lora", objective="dpo", sequence=1024),
        Align(model=model, split=0.5),
    )
    for job in jobs:
        found = timeline(job, replace(plan, schedule="zero-bubble"), fleet, LIKELY)
        assert found.length > 0 and found.slots
    with pytest.raises(BadInput, match="engine step"):
        timeline(Serve(model=model), plan, fleet, LIKELY)
