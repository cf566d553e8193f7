"""What is seen of requests adds up to what happened to them, whatever that was."""

from __future__ import annotations

import csv
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from math import fsum, inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.test_seeing_usage import usage

from eke.gateway.engines.meter import Meter
from eke.gateway.refusal import Refusal, bad, missing, no_answer, not_found, overloaded
from eke.gateway.row import Row
from eke.gateway.seeing.buckets import Completions, Costs, Question
from eke.gateway.seeing.focus import focus
from eke.gateway.seeing.histogram import FINE, WAIT, Histogram, percentile
from eke.gateway.seeing.history import COLUMNS, KEPT, LEVELS, SPREADS, WIDE, History
from eke.gateway.seeing.labels import LONGEST, OTHER, Names
from eke.gateway.seeing.meters import SUMMED, Meters, counted
from eke.gateway.seeing.trace_context import context_of
from eke.gateway.seeing.usage import ATOM, EngineTime, atoms, tokens_of, whole_times, written
from eke.gateway.settings import Price

PRICES = {"priced": Price(prompt=2.5e-6, cached=2.5e-7, answer=1e-5), "free": None}
amounts = st.floats(0, 1e3).map(lambda value: round(value, 9))
words = st.sampled_from(["a", "b", 'c, "d"', "e\nf"])


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """Any request that is over."""
    outcome = draw(st.sampled_from(["finished", "refused", "stopped", "failed"]))
    arrived = draw(st.floats(0, 1e5))
    steps = [draw(st.floats(0, 100)) for _ in range(3)]
    started = None if outcome == "refused" else arrived + steps[0]
    first = None if started is None or (outcome != "finished" and draw(st.booleans())) else 1.0
    finished = (arrived if started is None else started) + steps[1] + steps[2]
    prompt = draw(st.integers(0, 10_000))
    worked = started is not None
    return Row(
        number=draw(st.integers(0, 1 << 40)),
        arrived_at=1.79e9 + arrived,
        arrived=arrived,
        started=started,
        first=None if first is None or started is None else started + steps[1],
        finished=finished,
        prompt=prompt,
        asked=draw(st.sampled_from([0, 1, 1 << 30])),
        tokens=draw(st.integers(0, 2000)) if first is not None else 0,
        cached=draw(st.integers(0, prompt)) if first is not None else 0,
        tenant=draw(words),
        kind=draw(st.sampled_from(["chat", "batch"])),
        model=draw(st.sampled_from(["priced", "free"])),
        priority=0,
        tier=draw(st.sampled_from(["default", "flex"])),
        engine="e" if worked else "",
        outcome=outcome,
        reason="" if outcome == "finished" else draw(st.text(max_size=40)),
        tries=draw(st.integers(0, 3)),
        session=None,
        ttft=None,
        deadline=None,
        seconds=draw(amounts) if worked else 0.0,
        energy=draw(amounts) if worked else 0.0,
        cost=draw(amounts) if worked else 0.0,
        charged=draw(amounts) if worked else 0.0,
        saved=draw(amounts) if worked else 0.0,
    )


many = st.lists(rows(), max_size=30)


def meters_of(all_of_them: list[Row]) -> Meters:
    meters = Meters(tuple)
    for row in all_of_them:
        meters.over(row)
    return meters


@given(many)
def test_meters_add_up_to_the_rows(all_of_them: list[Row]) -> None:
    meters = meters_of(all_of_them)
    whole = meters.total()
    some = [row for row in all_of_them if counted(row)]
    assert whole.requests == len(all_of_them)
    assert whole.prompt == sum(row.prompt for row in some)
    assert whole.answer == sum(row.tokens for row in some)
    assert whole.cached == sum(row.cached for row in some)
    for name in ("seconds", "energy", "cost", "charged", "saved"):
        assert getattr(whole, name) == pytest.approx(
            fsum(getattr(row, name) for row in all_of_them)
        )
    assert set(SUMMED) < set(dir(whole))
    outcomes = Counter(row.outcome for row in all_of_them)
    assert all(meters.count(name) == count for name, count in outcomes.items())
    assert meters.lately.outcomes == outcomes
    unanswered = len(all_of_them) - outcomes["finished"]
    assert sum(meters.reasons.values()) == unanswered


@given(many)
def test_everybody_who_started_waited_once_and_who_was_answered_took_a_time(
    all_of_them: list[Row],
) -> None:
    times = meters_of(all_of_them).times.values()
    started = [row for row in all_of_them if row.started is not None]
    assert sum(sum(each.wait.counts) for each in times) == len(started)
    answered = [row for row in started if row.outcome == "finished"]
    assert sum(sum(each.whole.counts) for each in times) == len(answered)
    assert all(sum(each.first.counts) == sum(each.token.counts) for each in times)


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_a_percentile_lies_between_the_edges_around_the_value(
    values: list[float], share: float
) -> None:
    histogram = Histogram(FINE)
    for value in values:
        histogram.add(value)
    assert histogram.below()[-1] == len(values)
    assert histogram.below() == [sum(value <= edge for value in values) for edge in (*FINE, inf)]
    found = percentile(FINE, histogram.counts, share)
    assert found is not None
    rank = sorted(values)[min(max(-int(-share * len(values) // 1) - 1, 0), len(values) - 1)]
    edges = (0.0, *FINE, inf)
    low, high = next((low, high) for low, high in pairwise(edges) if rank <= high)
    assert min(low, FINE[-1]) <= found <= min(high, FINE[-1])


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile(WAIT, Histogram(WAIT).counts, 0.5) is None


seconds = st.lists(st.floats(0.1, 40), min_size=1, max_size=60)


@given(seconds, st.data())
def test_history_has_what_came_in_the_last_ten_minutes(steps: list[float], data: Any) -> None:
    history, now, all_of_them = History(), 0.0, []
    for step in steps:
        now += step
        numbers = {name: float(data.draw(st.integers(0, 9))) for name in COLUMNS}
        spreads = {name: [0] * WIDE for name in SPREADS}
        spreads["wait"][data.draw(st.integers(0, WIDE - 1))] = 1
        history.add(now, numbers, spreads)
        all_of_them.append((int(now), numbers))
    recent = [numbers for at, numbers in all_of_them if at > int(now) - KEPT]
    for name in set(COLUMNS) - set(LEVELS):
        assert history.total(name) == sum(each[name] for each in recent)
    assert history.seconds() == min(int(now) + 1, KEPT)
    assert history.rates("waiting")[-1] is not None
    known = [each for each in history.percentiles("wait", 0.5) if each is not None]
    assert known
    assert history.percentile("wait", 1.0) >= max(known) - 1e-9  # type: ignore[operator]


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(0, 10))
def test_names_are_bounded_and_known_ones_are_always_told(numbers: list[int], most: int) -> None:
    names = Names(most, lambda: {"n1", "n2"})
    found = {names.of(f"n{number}") for number in numbers}
    assert len(found - {"n1", "n2", OTHER}) <= most
    assert names.of("n1") == "n1" and names.of("n2") == "n2"


SECRET = "ZQXSECRET"


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_a_client_wrote_is_in_no_reason(before: str, after: str) -> None:
    sent = f"no {before}{SECRET}{after}"
    refusals = (
        *(bad(sent, sent), bad(sent, code="c"), not_found(sent), overloaded(sent, 1.0)),
        *(Refusal(500, sent), missing(sent), no_answer(sent, f"broke off: {sent}")),
    )
    for refusal in refusals:
        assert SECRET not in refusal.reason and len(refusal.reason) <= LONGEST
        assert refusal.outcome == ("failed" if refusal.status == 502 else "refused")


@given(many)
def test_usage_adds_up_to_the_rows_exactly(all_of_them: list[Row]) -> None:
    groups = usage(all_of_them, PRICES)
    lines = list(csv.DictReader("".join(focus(groups)).splitlines(keepends=True)))
    assert len(lines) == len(groups)
    for name, of in (
        ("BilledCost", lambda row: row.charged),
        ("x_AcceleratorCost", lambda row: row.cost),
        ("x_AcceleratorSeconds", lambda row: row.seconds),
        ("x_EnergyJoules", lambda row: row.energy),
        ("ListCost", lambda row: row.charged + row.saved),
    ):
        told = sum(Fraction(line[name]) for line in lines)
        assert abs(told - sum(Fraction(of(row)) for row in all_of_them)) <= Fraction(
            len(all_of_them), ATOM
        )
    assert sum(atoms(row.charged) for row in all_of_them) == sum(
        sums.charged for sums in groups.values()
    )
    tokens = [tokens_of(row) for row in all_of_them]
    for place, part in enumerate(("prompt", "cached", "answer")):
        told_tokens = sum(sums.tokens for group, sums in groups.items() if group.part == part)
        assert told_tokens == sum(each[place] for each in tokens)


@given(many)
def test_the_order_of_rows_changes_no_sum(all_of_them: list[Row]) -> None:
    there = "".join(focus(usage(all_of_them, PRICES)))
    assert there == "".join(focus(usage(reversed(all_of_them), PRICES)))


@given(st.integers(-(10**20), 10**20))
def test_amounts_are_written_exactly(amount: int) -> None:
    assert Fraction(written(amount)) * ATOM == amount


def summed(sums: Completions | Costs, all_of_them: list[Row]) -> dict[str, Any]:
    for row in all_of_them:
        sums.add(row)
    return sums.page()


@given(many, st.sampled_from([(), ("project_id",), ("model", "project_id"), ("batch",)]))
def test_pages_of_buckets_add_up_to_the_rows(
    all_of_them: list[Row], group: tuple[str, ...]
) -> None:
    end = int(1.79e9 + 3e5)
    results: list[Any] = []
    start: int | None = int(1.79e9) - 7200
    pages = 0
    while start is not None:
        asked = Question(start=start, end=end, width=3600, limit=24, group=group)
        page = summed(Completions(asked), all_of_them)
        assert len(page["data"]) <= 24
        results += [each for bucket in page["data"] for each in bucket["results"]]
        start = int(page["next_page"].removeprefix("page_")) if page["has_more"] else None
        pages += 1
    kept = [row for row in all_of_them if row.asked and row.outcome != "refused"]
    assert pages == len(range(int(1.79e9) // 3600 * 3600 - 7200, end, 3600)) // 24 + 1
    assert sum(each["num_model_requests"] for each in results) == len(kept)
    for name, places in (("input_tokens", (0, 1)), ("output_tokens", (2,))):
        assert sum(each[name] for each in results) == sum(
            tokens_of(row)[place] for row in kept for place in places
        )


@given(many)
def test_costs_add_up_to_what_was_charged(all_of_them: list[Row]) -> None:
    start = int(1.79e9) - 86400
    asked = Question(start=start, end=start + 40 * 86400, limit=180, group=("line_item",))
    page = summed(Costs(asked, PRICES), all_of_them)
    found = [each["amount"]["value"] for bucket in page["data"] for each in bucket["results"]]
    assert fsum(found) == pytest.approx(fsum(row.charged for row in all_of_them))


flights = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0.01, 50), st.floats(0.5, 20)), max_size=12
)


@given(flights, st.sampled_from([1.0, 8.0]))
def test_requests_and_idle_time_are_the_engines_meter(
    times: list[tuple[float, float, float]], chips: float
) -> None:
    """Whatever overlaps: what requests are charged with, and the time without any."""
    meter, marks, shares = Meter(0.0), {}, {}
    moments = [(start, 1, number) for number, (start, _, _) in enumerate(times)]
    moments += [(start + long, 0, number) for number, (start, long, _) in enumerate(times)]
    for now, begins, number in sorted(moments, key=lambda each: (each[0], each[1])):
        if begins:
            marks[number] = meter.begin(times[number][2], now)
        else:
            shares[number] = meter.end(marks[number], times[number][2], now)
    busy, free = meter.read(200.0)
    plain = Row(**dict.fromkeys(Row._fields, 0) | {"tenant": "a", "kind": "chat", "model": "m"})
    all_of_them = [plain._replace(seconds=share * chips) for share in shares.values()]
    time = EngineTime("e", 0.0, 200.0, chips, 0.01, 700.0, 90.0, busy, free)
    groups = usage(all_of_them, {})
    idle, left = whole_times([time], groups)
    used = sum(sums.seconds for sums in groups.values())
    assert used + idle.seconds + left.seconds == atoms(busy * chips) + atoms(free * chips)
    assert abs(left.seconds) <= 1e-6 * ATOM  # everybody is over: nothing is left
    assert busy + free == pytest.approx(200.0)


sensible = st.just(b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")


@given(sensible | st.binary(max_size=80), st.binary(max_size=80) | st.just(b"a=1"))
def test_no_header_of_a_client_becomes_another_one(parent: bytes, state: bytes) -> None:
    lines = context_of(parent, state).lines().split(b"\r\n")
    heads = [line.partition(b":")[0] for line in lines if line]
    assert heads in ([b"traceparent"], [b"traceparent", b"tracestate"])
