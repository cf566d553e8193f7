"""Scenes for laws of the simulation: small fleets, what is asked of them, what happens beside."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from eke.simulation.deployment import Deployment
from eke.simulation.traffic import Traffic
from eke.simulation.watch import Failures, Scaling, Watch
from eke.types.record import replace
from eke.types.run import Run
from tests.fleets import REPLICA, deployed, play, traffic

POLICIES = (
    *("fcfs", "fair", "fair(weights=a:4+b:1)", "deadline", "shortest", "deficit(quantum=200)"),
    *("priority(ageing=5s)", "tiers(256:60%,1k:40%)", "fcfs+promise", "fair+queue(most=3)"),
    *("priority+ladder(short:16,refuse,step=1s)", "fair+backfill(kinds=batch)"),
    *("fcfs@prefix", "fair@sticky", "fcfs@round-robin", "fair(floors=b:30%)+promise@prefix"),
)


class Scene(NamedTuple):
    """What is played: who serves, who asks, under which policy, and what happens beside it."""

    where: Deployment
    asks: Traffic
    policy: str
    watch: Watch

    def run(self, **others: Any) -> Run:
        """What happened."""
        return play(self.where, self.asks, self.policy, self.watch, **others)


@st.composite
def asks(draw: st.DrawFn) -> Traffic:
    """Conversations of up to three turns, from several tenants, some with promises, some batch
    work, some work for a whole replica; at given times, or by users who wait for one another."""
    turns = draw(st.lists(st.sampled_from([1, 1, 1, 2, 3]), min_size=1, max_size=24))
    first = np.concatenate([[True] + [False] * (many - 1) for many in turns])
    count = len(first)
    users = draw(st.sampled_from([None, None, 1, 3]))
    gaps = draw(st.lists(st.sampled_from([0.0, 0.003, 0.1, 1.7]), min_size=count, max_size=count))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32)))
    works = draw(st.sampled_from([0.0, 0.0, 0.1])) if users is None else 0.0
    work = np.where(first & (numbers.random(count) < works), numbers.uniform(1, 9, count), 0.0)
    return traffic(
        np.where(first & (users is None), np.cumsum(gaps * first), gaps),
        numbers.integers(1, 700, count),
        numbers.integers(1, 90, count),
        users=users,
        after=np.where(first, -1, np.arange(count) - 1),
        session=np.repeat(np.arange(len(turns)), turns),
        stem=numbers.integers(-1, 2, count),
        stem_tokens=64,
        tenant=numbers.integers(0, 3, count),
        tenants=("a", "b", "c"),
        kind=numbers.integers(0, 2, count),
        kinds=("chat", "batch"),
        priority=numbers.integers(0, 3, count),
        ttft=numbers.choice([np.inf, 0.3, 2.0], count),
        deadline=numbers.choice([np.inf, 4.0], count),
        work=work,
    )


@st.composite
def fleets(draw: st.DrawFn) -> Deployment:
    """One replica to three, or two that take prompts in for two that answer."""
    kind = replace(
        REPLICA,
        blocks=draw(st.sampled_from([60, 400])),
        swap=draw(st.sampled_from([None, 0.002])),
        static=draw(st.sampled_from([False, False, False, True])),
        ordered=draw(st.booleans()),
        caching=draw(st.booleans()),
        drafts=draw(st.sampled_from([0, 0, 2])),
        emitted=1.5,
    )
    if kind.drafts == 0:
        kind = replace(kind, emitted=1.0)
    if draw(st.integers(0, 3)) == 0:
        taking, answering = replace(kind, role="fills"), replace(kind, role="answers")
        return deployed((taking, 2), (answering, 2), handover=(0.004, 1e-5), longest=800)
    return deployed((kind, draw(st.integers(1, 3))), longest=800)


WATCHES = st.builds(
    Watch,
    until=st.sampled_from([None, None, 0.4, 3.0, 11.0]),
    report=st.sampled_from([0.2, 5.0]),
    late=st.sampled_from([0.0, 0.5]),
    patience=st.sampled_from([None, None, 0.2, 3.0]),
    forecast=st.sampled_from(["mean", "exact"]),
    samples=st.just(20),
    failures=st.sampled_from([None, None, Failures(every=3.0, restart=1.0)]),
    scaling=st.sampled_from(
        [None, None, Scaling(least=1, target=0.5, start=0.7, every=0.3, calm=1.0)]
    ),
)
SCENES = st.builds(Scene, fleets(), asks(), st.sampled_from(POLICIES), WATCHES)
