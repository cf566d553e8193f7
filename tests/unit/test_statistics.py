"""The numbers of a run: laws, hand-made cases, and the same counted slowly."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runs import columns, queue, run

from eke.report.compared import side_by_side
from eke.report.run_words import percent
from eke.report.simulated import simulated_json, simulated_words
from eke.simulation.fairness import backlogged, jain, service, widest
from eke.simulation.groups import rows_of
from eke.simulation.series import Windows, spread, tally, windows
from eke.simulation.statistics import Summary, summary
from eke.types.run import FAILED, FINISHED, OUTCOMES, REFUSED, RUNNING, STOPPED, WAITING, Run

ONE = {"arrived": 1.0, "scheduled": 1.5, "first": 2.0, "finished": 4.0}
times = st.floats(0, 100) | st.just(float("nan"))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 200), st.integers(0, 9), st.integers(1, 5), st.floats(0, 1))
def test_every_request_counts_exactly_once(
    count: int, seed: int, tenants: int, refuse: float
) -> None:
    found = summary(queue(count, seed=seed, tenants=tenants, refuse=refuse), ttft=1.0)
    assert sum(found.counts.values()) == found.arrived == count
    assert found.kept + found.undecided <= count and found.kept <= found.counts["finished"]
    for groups in filter(None, (found.tenants, found.kinds)):
        assert sum(each.arrived for each in groups) == count
        assert sum(each.refused for each in groups) == found.counts["refused"]
    lost = ("refused", "stopped", "failed")
    assert sum(each.count for each in found.refusals) == sum(found.counts[name] for name in lost)
    for each in found.times.values():
        points = [each.p10, each.p50, each.p90, each.p95, each.p99, each.max]
        assert points == sorted(points)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(times, times, st.floats(0, 1000)), max_size=20))
def test_what_is_spread_over_windows_adds_up(flows: list[tuple[float, float, float]]) -> None:
    at = Windows(start=20, end=80, count=7)
    start, end, amount = np.array(flows, dtype=float).reshape(-1, 3).T
    found = spread(at, start, end, amount)[0]
    edges = np.linspace(20, 80, 8)
    slowly = np.zeros(7)
    for begin, finish, size in flows:
        if not begin <= finish:
            continue
        for i, (low, high) in enumerate(itertools.pairwise(edges)):
            if finish > begin:
                slowly[i] += size * max(min(finish, high) - max(begin, low), 0) / (finish - begin)
            elif low <= begin < high or (begin == high == 80):
                slowly[i] += size
    # A flow much shorter than its place is exact cannot be told to the last digit.
    assert found == pytest.approx(slowly, rel=1e-6, abs=1e-6 * max([1.0, *amount]))


def test_groups_are_spread_apart_and_nobody_is_left_out() -> None:
    at = Windows(start=0, end=10, count=5)
    found = tally(at, np.array([1.0, 9.0, 3.0, np.nan]), np.array([0, 2, -1, 0]))
    assert found.tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]]


def test_times_are_what_they_are_called() -> None:
    found = summary(run(1, **ONE, tokens=5, outcome=FINISHED))
    assert {name: each.p50 for name, each in found.times.items()} == {
        "ttft": 1.0,
        "tpot": 0.5,
        "end_to_end": 3.0,
        "queueing": 0.5,
    }


def test_an_answer_of_one_token_has_no_time_per_token() -> None:
    assert "tpot" not in summary(run(1, **ONE, tokens=1, outcome=FINISHED)).times


@pytest.mark.parametrize("outcome", [REFUSED, STOPPED, FAILED])
def test_who_is_not_answered_is_not_kept_and_has_no_end(outcome: int) -> None:
    found = summary(run(1, arrived=1.0, finished=1.0, outcome=outcome, reason=1))
    assert found.kept == found.undecided == 0 and not found.times
    assert found.refusals[0].outcome == OUTCOMES[outcome]
    assert found.refusals[0].reason == "too late"


PROMISES: list[tuple[dict[str, Any], dict[str, Any], tuple[int, int]]] = [
    ({}, {}, (1, 0)),
    ({}, {"ttft": 1.0}, (1, 0)),
    ({}, {"ttft": 0.9}, (0, 0)),
    ({}, {"tpot": 0.4}, (0, 0)),
    ({"ttft": 2.0}, {"ttft": 0.9}, (1, 0)),  # its own promise goes first
    ({"deadline": 2.0}, {}, (0, 0)),
    ({"deadline": 9.0}, {"tpot": 0.4}, (1, 0)),
    ({"outcome": RUNNING, "finished": np.nan}, {"ttft": 0.9}, (0, 0)),
    ({"outcome": RUNNING, "finished": np.nan}, {"ttft": 1.0}, (0, 1)),
    ({"outcome": RUNNING, "finished": np.nan, "deadline": 5.0}, {}, (0, 0)),
    ({"outcome": WAITING, "first": np.nan, "finished": np.nan}, {"ttft": 98.9}, (0, 0)),
    ({"outcome": WAITING, "first": np.nan, "finished": np.nan}, {"ttft": 99.0}, (0, 1)),
]


@pytest.mark.parametrize("columns,promise,expected", PROMISES)
def test_promises(
    columns: dict[str, Any], promise: dict[str, Any], expected: tuple[int, int]
) -> None:
    found = summary(run(1, **{**ONE, "tokens": 5, "outcome": FINISHED, **columns}), **promise)
    assert (found.kept, found.undecided) == expected
    assert found.promised == (bool(promise) or "ttft" in columns or "deadline" in columns)


def test_numbers_by_hand() -> None:
    made = run(
        2,
        end=11.0,
        arrived=[1.0, 2.0],
        scheduled=[1.0, np.nan],
        first=[2.0, np.nan],
        finished=[4.0, 2.0],
        prompt=[100, 50],
        cached=[20, 0],
        answer=10,
        tokens=[10, 0],
        outcome=[FINISHED, REFUSED],
        tenant=[0, 1],
    )
    facts = {"cost": 2.2, "energy": 50.0}
    line = {
        "time": np.array([0.0, 10.0, 0.0, 10.0]),
        "replica": np.array([0, 0, 1, 1]),
        "busy": np.array([0.0, 0.5, 0.0, 0.0]),
        "cache": np.array([0.0, 0.4, 0.0, 0.9]),
        "alive": np.array([1, 1, 0, 0]),  # the second was never in service
    }
    kind = {"requests": made.requests, "names": made.names, "timeline": line, "facts": facts}
    numbers = summary(Run(label="", end=11.0, **kind)).numbers
    expected = {
        "share_kept": 0.5,
        "goodput": 1 / 11,
        "requests": 1 / 11,
        "tokens": 10 / 11,
        "prompt_tokens": 100 / 11,
        "reuse": 20 / 150,
        "preempted": 0.0,
        "utilisation": 0.5,
        "cache_mean": 0.4,
        "cache_most": 0.4,
        "cost": 2.2,
        "cost_per_request": 2.2,
        "cost_per_million_tokens": 2.2e6 / 110,
        "cost_per_million_answer_tokens": 2.2e5,
        "energy": 50.0,
        "energy_per_request": 50.0,
        "energy_per_token": 5.0,
        "jain": 0.5,
        "jain_of_asked": 0.5,
    }
    assert {name: each.value for name, each in numbers.items()} == pytest.approx(expected)


def test_jain() -> None:
    assert jain(np.full(7, 3.0)) == pytest.approx(1)
    assert jain(np.array([1.0, 0, 0, 0])) == pytest.approx(0.25)
    assert jain(np.zeros(3)) is None


def test_a_tenant_is_backlogged_while_any_of_its_requests_waits() -> None:
    at = Windows(start=0, end=10, count=10)
    found = backlogged(np.array([4.5, 0.0, 2.0, 7.2]), np.array([6.0, 3.0, 2.5, 7.8]), at)
    assert np.flatnonzero(found).tolist() == [0, 1, 2, 5]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(1, 7), st.integers(0, 99))
def test_the_widest_gap_is_that_of_every_stretch_looked_at(
    tenants: int, count: int, seed: int
) -> None:
    dice = np.random.default_rng(seed)
    got, waits = dice.integers(0, 9, (tenants, count)), dice.random((tenants, count)) < 0.6
    slowly = [
        abs(int(got[one, low:high].sum() - got[other, low:high].sum()))
        for one, other in itertools.combinations(range(tenants), 2)
        for low, high in itertools.combinations(range(count + 1), 2)
        if waits[one, low:high].all() and waits[other, low:high].all()
    ]
    found = widest(got, waits)
    assert found[0] == max(slowly, default=0)


def test_who_is_ahead_is_told() -> None:
    """One tenant is served, another waits all the time; a third never waits."""
    both = {"arrived": 0.0, "prompt": 100, "answer": 100}
    made = run(
        4,
        **both,
        tenant=[0, 0, 1, 2],
        scheduled=[0.0, np.nan, np.nan, 0.0],
        first=[50.0, np.nan, np.nan, 10.0],
        finished=[100.0, np.nan, np.nan, 20.0],
        tokens=[100, 0, 0, 100],
        outcome=[FINISHED, WAITING, WAITING, FINISHED],
    )
    made = Run(label="", end=100.0, requests=made.requests, names={"tenant": ("A", "B", "C")})
    found = summary(made)
    assert (found.ahead, found.behind) == ("A", "B")
    assert found.numbers["service_gap"].value == pytest.approx(300)
    given = service(made, windows(made, 4), made.requests["tenant"])
    assert given[0].tolist() == pytest.approx([50, 50, 100, 100])


def test_rows_of_the_heaviest_codes() -> None:
    codes = np.array([3, 1, 3, 0, 40_000, 3])
    assert {c: rows.tolist() for c, rows in rows_of(codes, 2).items()} == {3: [0, 2, 5], 0: [3]}
    weight = np.array([0, 9, 0, 0, 5, 0.0])
    assert list(rows_of(codes, 2, weight)) == [1, 40_000]


def test_more_tenants_than_are_told() -> None:
    found = summary(queue(3000, tenants=30, seed=3))
    many = run(500, tenant=np.arange(500), prompt=np.arange(500), outcome=REFUSED, arrived=1.0)
    assert len(found.tenants) == found.all_tenants
    told = summary(many)
    assert told.all_tenants == 500 and len(told.tenants) == 64
    assert told.tenants[0].name == "499"  # asked most
    assert "492 tenants more" in simulated_words([many], [told])


def test_the_same_run_gives_the_same_numbers() -> None:
    assert summary(queue(), 1.0, 0.1) == summary(queue(), 1.0, 0.1)


AWKWARD = {
    "nobody": run(0, end=0.0),
    "one": run(1, arrived=1.0),
    "all refused": queue(50, refuse=1.0),
    "nothing known": Run(label="", end=0.0, requests=columns(3, arrived=np.nan), names={}),
    "milliseconds": queue(300, length=3e-3, label="<script>alert(1)</script>"),
    "hours": queue(300, length=36_000.0),
    "many replicas": queue(500, replicas=64, tenants=30),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_runs_have_words_too(name: str) -> None:
    found = summary(AWKWARD[name], ttft=1.0)
    words = simulated_words([AWKWARD[name]], [found], "eke simulate")
    assert words.endswith("eke simulate\n") and "\n\n\n" not in words
    assert not re.search(r"\bnan\b|\binf\b|\bno (s|USD|J)\b", words)
    record = json.loads(simulated_json([AWKWARD[name]], [found]))
    assert record["summary"]["arrived"] == found.arrived


def test_words_answer_first() -> None:
    made = queue()
    found = summary(made, ttft=2.0)
    first = simulated_words([made], [found]).splitlines()[0]
    assert first.startswith(
        "86.9 % of 2,000 requests were answered as promised: first token 444 ms"
    )
    assert first.endswith("0.442 USD per million tokens")


def several() -> tuple[list[Run], list[Summary]]:
    runs = [queue(label=label, refuse=share) for label, share in (("fcfs", 0.05), ("fair", 0.2))]
    return runs, [summary(each, ttft=2.0) for each in runs]


def test_side_by_side_marks_the_best() -> None:
    runs, found = several()
    rows = {row.name: row for row in side_by_side(found)}
    assert rows["kept"].best == (True, False) and rows["first token, p99"].best == (False, True)
    assert rows["arrived"].best == (False, False)
    words = simulated_words(runs, found)
    assert words.startswith("fcfs answers as promised 86.9 % of 2,000 requests; fair 77.2 %\n")
    assert [line for line in words.splitlines() if "86.9 % *" in line]
    assert len(json.loads(simulated_json(runs, found))) == 2


@pytest.mark.parametrize(
    "share,words",
    [(1.0, "100 %"), (0.0, "0 %"), (0.9999, "99.99 %"), (0.5, "50.0 %"), (1 - 1e-6, "99.9999 %")],
)
def test_only_all_is_a_hundred_percent(share: float, words: str) -> None:
    assert percent(share) == words
