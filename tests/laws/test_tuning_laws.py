"""Fine-tuning: whatever a trainer says, however it is cut, it is heard the same."""

from __future__ import annotations

import json
import tempfile
from math import log
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.gateway.refusal import Refusal
from eke.gateway.settings import Tenant
from eke.gateway.tuning import folder as folders
from eke.gateway.tuning import job as jobs
from eke.gateway.tuning import saying
from eke.gateway.tuning.folder import Folder
from eke.gateway.tuning.job import Ask, job_of, shown
from eke.gateway.tuning.results import _table
from eke.gateway.tuning.saying import Heard

NUMBERS = st.one_of(st.integers(-3, 10**6), st.floats(allow_nan=False, allow_infinity=False))
SAID = st.dictionaries(
    st.sampled_from(["step", "total_steps", "loss", "tokens", "checkpoint", "model", "other"]),
    st.one_of(NUMBERS, st.text(max_size=6), st.none(), st.booleans()),
    max_size=4,
)
LINES = st.lists(
    st.one_of(
        SAID.map(lambda found: json.dumps(found).encode()),
        st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")),
    ),
    max_size=8,
)


def heard(parts: list[bytes]) -> Heard:
    found = Heard("ftjob-1", "ft:m", jobs.Job(model="m", training="f", seed=1), 1e9)
    for each in parts:
        found.hear(each)
    return found


@given(LINES)
def test_each_line_is_an_event_and_steps_never_lie(lines: list[bytes]) -> None:
    found = heard([b"".join(line + b"\n" for line in lines)])
    told = [msgspec.json.decode(item.body) for item in found.items if item.part == "event"]
    assert len(told) == sum(bool(line.strip()) for line in lines)
    assert all(isinstance(each["message"], str) and each["level"] == "info" for each in told)
    assert found.step >= 0 and (found.steps is None or found.steps > 0)
    text = _table([each["data"] for each in told if each["type"] == "metrics"])
    rows = [line.split(b",") for line in text.splitlines()]
    assert len({len(row) for row in rows}) <= 1


@given(st.integers(1, 8), st.integers(1, 400))
def test_of_much_that_a_trainer_says_little_is_kept_but_of_everything_to_the_end(
    turns: int, times: int
) -> None:
    most, lines = saying.MOST, 50 * times
    saying.MOST = 50
    try:
        kept = [number for number in range(lines) if saying.worth(number)]
    finally:
        saying.MOST = most
    assert kept[:50] == list(range(50))
    assert len(kept) == pytest.approx(50 * (1 + log(times)), abs=5)
    late = {number % turns for number in kept if number >= lines // 4}
    assert late == set(range(turns))


@given(LINES, st.integers(1, 40))
def test_a_log_is_read_in_whole_lines_and_nothing_is_lost(lines: list[bytes], part: int) -> None:
    data, before = b"\n".join(lines), folders.PART
    folders.PART = part
    try:
        with tempfile.TemporaryDirectory() as path:
            folder = Folder(path, "job")
            folder.make()
            folder.out.write_bytes(data)
            read = b""
            while more := folder.said(len(read)):
                assert more.endswith(b"\n") or len(more) == part
                read += more
            while more := folder.said(len(read), last=True):
                read += more
            assert read == data
            assert folder.said(len(read), last=True) == b""
    finally:
        folders.PART = before


@given(
    st.sampled_from(["supervised", "dpo", "reinforcement"]),
    st.dictionaries(st.text(min_size=1, max_size=5), NUMBERS, max_size=3),
    st.one_of(st.none(), st.text(max_size=70)),
    st.one_of(st.none(), st.integers(-2, 2**32)),
)
def test_a_job_that_is_taken_is_shown_as_it_was_asked(
    method: str, hyper: dict[str, Any], suffix: str | None, seed: int | None
) -> None:
    given_as = {"type": method, method: {"hyperparameters": hyper}}
    text = {"model": "m", "training_file": "f", "method": given_as, "suffix": suffix, "seed": seed}
    ask = msgspec.json.decode(json.dumps(text).encode(), type=Ask)
    try:
        document = jobs.new(ask, Tenant(name="t"), 1e9)
    except Refusal as refusal:
        assert refusal.param in ("suffix", "seed")
        return
    found = shown(document)
    assert found["method"] == given_as and found["hyperparameters"] == hyper
    assert found["status"] == "validating_files" and found["organization_id"] == "t"
    assert found["seed"] == seed or seed is None
    over = jobs.ended(document, job_of(document), "cancelled", 2e9, 60.0)
    assert shown(over)["finished_at"] == 2 * 10**9 and over.expires == 2e9 + 60.0
