"""What holds for the ledger whatever is measured: it cannot see the answer, and loses no row."""

from __future__ import annotations

import random

import numpy as np
import pytest
from tests.tables import learning, mixed_rows, serving

from eke.calibrate.ledger import Entry, check, rows_csv, summarise
from eke.calibrate.rows import Row
from eke.calibrate.spans import learn, priced, spans
from eke.types.record import replace

ROWS = mixed_rows()
DISAGGREGATED = {
    "model": "DeepSeek-R1",
    "chip": "B200",
    "engine": "TensorRT-LLM",
    "engine_version": "1.1",
    "precision": "fp4",
    "scenario": "online",
    "batch": "",
    "metric": "tpot_ms",
    "concurrency_or_qps": "concurrency=64",
}


def half(count: int, tensor: int) -> str:
    """A disaggregated layout: two replicas that take in, so many that answer."""
    return f"prefill 2x(tp4 pp1 adp1 moe_tp1 ep4); decode {count}x(tp{tensor} pp1 adp1 moe_tp1 ep1)"


def ends(entry: Entry) -> tuple[float | None, float | None, float | None]:
    return entry.low, entry.likely, entry.high


def other_value(row: Row, value: float) -> Row:
    """The row with another number measured."""
    columns = row.columns | {"measured_value": repr(value)}
    return replace(row, value=value, columns=columns)


@pytest.mark.parametrize("seed", range(3))
def test_shuffling_what_was_measured_changes_no_prediction(seed: int) -> None:
    good = [row for row in ROWS if not row.flag]
    values = [row.value for row in good]
    random.Random(seed).shuffle(values)
    shuffled = [other_value(row, value) for row, value in zip(good, values, strict=True)]
    before, after = check(good), check(shuffled)
    assert [ends(each) for each in before] == [ends(each) for each in after]
    assert [(each.status, each.note) for each in before] == [
        (each.status, each.note) for each in after
    ]
    assert [each.measured for each in after] == values


@pytest.mark.parametrize("value", [1e-9, 1.0, 1e12])
def test_any_answer_whatever_is_measured(value: float) -> None:
    good = [row for row in ROWS if not row.flag]
    before, after = check(good), check([other_value(row, value) for row in good])
    assert [ends(each) for each in before] == [ends(each) for each in after]


def test_spans_are_ordered() -> None:
    scored = [each for each in check(ROWS) if each.status == "scored"]
    assert len(scored) > 10
    for each in scored:
        assert 0 < (each.low or 0) < (each.likely or 0) < (each.high or 0) < np.inf


def test_a_row_alone_is_predicted_as_in_company() -> None:
    halves = [
        serving(**DISAGGREGATED, id=f"h{count}", n_chips=8 + 4 * count, tp=4, notes=half(count, 4))
        for count in (1, 2, 12)
    ]
    loops = [
        serving(
            id=f"w{n}",
            chip="L40S",
            n_chips=n,
            tp=min(n, 4),
            pp=max(n // 4, 1),
            scenario="online",
            batch=batch,
            concurrency_or_qps="concurrency=32",
            metric="e2e_latency_s",
        )
        for n, batch in ((1, ""), (4, ""), (8, "64"), (16, ""), (64, ""))
    ]
    rows = [*ROWS, *halves, *loops]
    together = check(rows)
    for row, entry in zip(rows, together, strict=True):
        (alone,) = check([row])
        assert (alone.status, alone.note) == (entry.status, entry.note)
        if entry.status == "scored":
            assert ends(alone) == pytest.approx(ends(entry), rel=1e-9), row.id


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_is_kept_and_does_not_matter(seed: int) -> None:
    rows = list(ROWS)
    random.Random(seed).shuffle(rows)
    found = check(rows)
    assert [each.id for each in found] == [row.id for row in rows]
    by = {each.id: each for each in check(ROWS)}
    for each in found:
        assert each.status == by[each.id].status
        if each.status == "scored":
            assert ends(each) == pytest.approx(ends(by[each.id]), rel=1e-9)


def test_every_row_ends_exactly_once_as_scored_or_skipped_with_a_reason() -> None:
    found = check(ROWS)
    assert [each.id for each in found] == [row.id for row in ROWS]
    for each in found:
        if each.status == "scored":
            assert None not in ends(each)
        else:
            assert each.status == "skipped" and each.note
            assert ends(each) == (None, None, None)
    whole = summarise(found)[0]
    assert (whole.scored, whole.skipped) == (len(ROWS) - 6, 6)
    for by in ("source", "chip", "engine", "model", "metric", "regime", "publisher"):
        groups = summarise(found, by)
        assert sum(each.scored for each in groups) == whole.scored
        assert sum(each.skipped for each in groups) == whole.skipped
    assert len(rows_csv(found).splitlines()) == 1 + len(ROWS)


def test_the_same_row_given_twice_ends_twice() -> None:
    row = serving()
    first, second = check([row, row])
    assert first == second and first.status == "scored"


def test_no_rows_no_entries() -> None:
    assert check([]) == []


def test_the_share_that_is_done_rises_to_all() -> None:
    told: list[float] = []
    check(ROWS, tell=told.append)
    assert told == sorted(told) and told[-1] == 1


# one's own measurements

OTHERS = [
    serving(id="batch", batch=32),
    serving(id="model", model="Qwen2.5-14B"),
    serving(id="rate", metric="output_tokens_per_sec_total"),
    serving(
        id="users",
        scenario="online",
        batch="",
        concurrency_or_qps="concurrency=16",
        metric="tpot_ms",
    ),
]
SLOWER = {"batch": 1, "model": 1, "rate": -1, "users": 1}  # what a slower stack does to each


def after(factor: float, rows: list[Row] = OTHERS) -> tuple[list[Entry], list[Entry]]:
    """Predictions before and after a measurement of so many times what was predicted."""
    own = serving(id="own")
    likely = check([own])[0].likely
    assert likely is not None
    return check(rows), check(rows, [other_value(own, likely * factor)])


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.3, 2.0])
def test_an_own_measurement_narrows_every_span(factor: float) -> None:
    for before, now in zip(*after(factor), strict=True):
        assert now.high / now.low < before.high / before.low  # type: ignore[operator]


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.3, 2.0])
def test_predictions_move_towards_it(factor: float) -> None:
    for before, now in zip(*after(factor), strict=True):
        moved = np.log(now.likely / before.likely) * SLOWER[before.id]  # type: ignore[operator]
        assert 0 < moved / np.log(factor) < 1.2, before.id


def test_a_throughput_and_a_latency_move_in_opposite_directions() -> None:
    for factor in (0.6, 1.7):
        before, now = after(factor)
        latency, throughput = (
            now[index].likely / before[index].likely  # type: ignore[operator]
            for index in (0, 2)
        )
        assert (latency - 1) * (throughput - 1) < 0
    own = serving(id="own", metric="output_tokens_per_sec_total")
    fast = other_value(own, 2 * (check([own])[0].likely or 0))
    assert check(OTHERS, [fast])[0].likely < check(OTHERS)[0].likely  # type: ignore[operator]


def test_a_perfect_measurement_leaves_the_likely_value() -> None:
    for before, now in zip(*after(1.0), strict=True):
        assert now.likely == pytest.approx(before.likely, rel=1e-9)


def test_the_own_row_itself_moves_most() -> None:
    own = serving(id="own")
    likely = check([own])[0].likely or 0.0
    measured = other_value(own, 1.5 * likely)
    (itself,) = check([own], [measured])
    assert likely < (itself.likely or 0) < 1.5 * likely
    assert (itself.likely or 0) / likely > 1.5**0.6


def test_a_row_among_the_own_ones_is_predicted_from_the_others() -> None:
    own = [serving(id=f"own{n}", batch=n, measured_value=n) for n in (1, 4, 16)]
    found = check(own, own)
    for index, row in enumerate(own):
        others = own[:index] + own[index + 1 :]
        assert ends(found[index]) == pytest.approx(ends(check([row], others)[0]), rel=1e-9)
    assert check(own[:1], own[:1]) == check(own[:1])


def test_more_measurements_say_more() -> None:
    factor = 1.4
    own = [serving(id=f"own{n}", batch=n) for n in (1, 2, 8, 16)]
    slow = [
        other_value(row, factor * (entry.likely or 0))
        for row, entry in zip(own, check(own), strict=True)
    ]
    (before,) = check(OTHERS[:1])
    widths, moves = [], []
    for count in (1, 2, 4):
        (now,) = check(OTHERS[:1], slow[:count])
        widths.append((now.high or 0) / (now.low or 1))
        moves.append((now.likely or 0) / (before.likely or 1))
    assert widths == sorted(widths, reverse=True)
    assert moves == sorted(moves) and 1 < moves[-1] < factor * 1.02


def test_own_measurements_leave_other_chips_and_engines_alone() -> None:
    others = [
        serving(id="chip", chip="MI300X"),
        serving(id="engine", engine="SGLang", engine_version="0.4"),
        learning(id="training"),
    ]
    before, now = after(3.0, others)
    assert [ends(each) for each in before] == [ends(each) for each in now]


def test_an_own_row_that_cannot_be_predicted_says_nothing() -> None:
    lost = [
        serving(id="p99", notes="p99"),
        serving(id="flag", measured_value="n/a"),
        serving(id="impossible", metric="prefill_tokens_per_sec", isl="1e300"),
    ]
    assert [ends(each) for each in check(OTHERS, lost)] == [ends(each) for each in check(OTHERS)]


def test_the_update_is_that_of_normal_variables() -> None:
    from eke.calibrate.inference import inference_blocks

    (block,), _ = inference_blocks([serving()])
    found = priced(block)
    value = 1.3 * float(np.exp(found.likely[0]))
    learnt = learn([(found, 0, value)])
    shared = float((found.slopes[0] ** 2).sum())
    share = shared / (shared + float(found.alone[0]) ** 2)
    _, likely, _ = spans(found, learnt)
    assert np.log(likely[0]) - found.likely[0] == pytest.approx(share * np.log(1.3), rel=1e-6)
    assert np.linalg.eigvalsh(learnt.covariance).min() > -1e-9
    assert np.linalg.eigvalsh(learnt.covariance).max() < 1 + 1e-9


# tables nobody checked

ONLINE = {"scenario": "online", "batch": "", "metric": "ttft_ms"}
HALVES = "prefill {0}x(tp{0} pp{0} adp{0} moe_tp1 ep{0}); decode {0}x(tp{0} pp{0} adp{0} moe_tp1 ep"


@pytest.mark.parametrize(
    "bad",
    [
        serving(isl="0.5"),
        serving(osl="1e40"),
        serving(batch="1e30"),
        serving(n_chips="1e300", tp="9" * 400),
        serving(n_chips="0", tp="-1"),
        serving(tp="inf", n_params="nan"),
        serving(**ONLINE, concurrency_or_qps="qps=0"),
        serving(**ONLINE, concurrency_or_qps="qps=1..2"),
        serving(**ONLINE, concurrency_or_qps="concurrency=."),
        serving(**ONLINE, concurrency_or_qps="concurrency=" + "9" * 5000),
        serving(scenario="offline_max_throughput", notes="0-0 requests"),
        serving(scenario="offline_max_throughput", notes="9" * 5000 + " requests"),
        serving(tp="", notes="DEP0"),
        serving(tp="", notes="DEP" + "9" * 5000),
        serving(notes="attention_dp=0 moe_ep=0"),
        serving(notes="TP = 0 and PP = 0"),
        serving(notes="Tensor (8) x Pipeline (0)"),
        serving(notes=HALVES.format(0) + "0"),
        serving(chip="gaudi1"),
        serving(chip="sn30"),
        serving(precision="\x00", engine="🦜", engine_version="..", kv_precision=","),
        learning(chip="gaudi1"),
        learning(chip="sn30"),
        learning(chip="maia-200"),
        learning(n_chips="1e30", dp=""),
        learning(global_batch_sequences="1e40"),
        learning(micro_batch="1e30"),
        learning(seq_len="1e40"),
        learning(tp="7", pp="3"),
    ],
)
def test_one_bad_row_stops_no_other(bad: Row) -> None:
    first, odd, last = check([serving(), bad, learning()])
    assert first.status == last.status == "scored"
    assert odd.status == "scored" or odd.note
    assert ends(first) == ends(check([serving()])[0])
