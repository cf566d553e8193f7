"""Rows of requests, samples of engines, tenants, keys and gateways."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.states import KINDS, address, every, opened, read, write

import eke.gateway.state.state as facade
from eke.errors import BadInput
from eke.gateway.row import Row
from eke.gateway.state import deleting, gateways, members, rows
from eke.gateway.state.gateways import Alive
from eke.gateway.state.members import Key, Member
from eke.gateway.state.rows import Kept, Moment, Sample
from eke.gateway.state.state import State

DAY = 86400.0
FAR = 100 * DAY
_times = count()


@pytest.fixture(scope="module", params=KINDS)
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> State:
    with opened(address(request.param, tmp_path_factory.mktemp("rows"))) as state:
        yield state


def fresh() -> float:
    """A day such that nobody else has rows that came or ended within FAR of it."""
    return next(_times) * 4 * FAR


seconds = st.floats(0, 1e6, allow_nan=False)
whole = st.integers(0, 2**40)
made = st.builds(
    Row,
    number=whole,
    arrived_at=st.sampled_from([0.0, 0.5, 3600.0, DAY - 0.25, DAY, 2.5 * DAY]),
    arrived=seconds,
    started=st.none() | seconds,
    first=st.none() | seconds,
    finished=seconds,
    prompt=whole,
    asked=whole,
    tokens=whole,
    cached=whole,
    tenant=st.sampled_from(["acme", "other"]),
    kind=st.sampled_from(["chat", "batch"]),
    model=st.sampled_from(["large", "small"]),
    priority=st.integers(-3, 9),
    tier=st.sampled_from(["default", "flex"]),
    engine=st.sampled_from(["", "e1"]),
    outcome=st.sampled_from(["finished", "refused"]),
    reason=st.sampled_from(["", "waited too long"]),
    tries=st.integers(0, 3),
    session=st.none() | st.integers(-(2**63), 2**63 - 1),
    ttft=st.none() | seconds,
    deadline=st.none() | seconds,
    seconds=seconds,
    energy=seconds,
    cost=seconds,
    charged=seconds,
    saved=seconds,
)
many = st.lists(made, max_size=12, unique_by=lambda row: row.number)


def add(state: State, gateway: str, start: float, drawn: list[Row]) -> list[Row]:
    stored = [row._replace(arrived_at=start + row.arrived_at) for row in drawn]
    write(state, rows.add, gateway, stored)
    return stored


@given(one=many, other=many, moment=st.sampled_from(["arrived_at", "ended_at"]))
@settings(max_examples=40)
def test_rows_come_back_as_they_came_or_ended(
    state: State, one: list[Row], other: list[Row], moment: Moment
) -> None:
    start = fresh()
    names = [f"{start:.0f}-{word}" for word in "ab"]
    stored = [
        Kept(name, row)
        for name, drawn in zip(names, (one, other), strict=True)
        for row in add(state, name, start, drawn)
    ]
    add(state, names[0], start, one)  # again: none is there twice

    def at(kept: Kept) -> float:
        return float(getattr(kept.row, moment))

    stored.sort(key=lambda kept: (at(kept), kept.gateway, kept.row.number))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(facade, "AT_ONCE", 3)
        assert every(lambda: state.rows(start - FAR, start + FAR, moment)) == stored
        until = start + DAY
        early = [kept for kept in stored if start <= at(kept) < until]
        assert every(lambda: state.rows(start, until, moment)) == early


def test_samples_come_back_in_order_and_old_ones_go(state: State) -> None:
    start = fresh()
    name = f"{start:.0f}"
    taken = [Sample("e1", start + i, i, 2, 3, 0.25, 0.5, 100.0, 1) for i in range(4)]
    write(state, rows.add_samples, name, taken[::-1])
    write(state, rows.add_samples, "another", taken)
    assert read(state, rows.samples, name, start, start + 3) == taken[:3]


def test_what_is_old_is_swept(tmp_path: Path) -> None:
    with opened(address("sqlite", tmp_path)) as state:
        row = Row(*[0] * 10, *["x"] * 3, 0, *["x"] * 4, *[0] * 9)
        write(state, rows.add, "g", [row._replace(number=i, arrived_at=float(i)) for i in range(5)])
        write(state, rows.add_samples, "g", [Sample("e", 1.0, 0, 0, 0, 0.0, 0.0, 0.0, 1)])
        assert write(state, rows.sweep, 3.0) == 3
        assert [kept.row.number for kept in every(lambda: state.rows(0.0, 9.0))] == [3, 4]
        assert read(state, rows.samples, "g", 0.0, 9.0) == []


@pytest.mark.parametrize("kind", KINDS)
def test_members_and_their_keys(kind: str, tmp_path: Path) -> None:
    with opened(address(kind, tmp_path)) as state:
        for body in (b"{}", b'{"weight":2}'):
            write(state, members.put, Member("acme", body))
        write(state, members.put, Member("Other", b"{}"))
        assert read(state, members.members) == [
            Member("Other", b"{}"),
            Member("acme", b'{"weight":2}'),
        ]
        one, two = Key("aa", "acme", "laptop", 5.0), Key("bb", "Other", "server", 6.0)
        for key in (one, two):
            write(state, members.add_key, key)
        with pytest.raises(BadInput, match="there already"):
            write(state, members.add_key, one)
        write(state, members.used, {"aa", "unknown"}, 2.5 * DAY)
        write(state, members.used, {"aa"}, 1.5 * DAY)  # from a gateway whose clock is behind
        assert write(state, members.revoke, "bb", 9.0)
        assert not write(state, members.revoke, "bb", 10.0)
        assert read(state, members.keys) == [
            Key("bb", "Other", "server", 6.0, 9.0, None),
            Key("aa", "acme", "laptop", 5.0, None, 2 * DAY),
        ]
        assert [write(state, deleting.forget, "acme").rows for _ in range(2)] == [2, 0]
        left = read(state, members.keys)
        assert [(key.hash, key.tenant) for key in left] == [("aa", ""), ("bb", "Other")]
        assert all(key.revoked is not None for key in left)


@pytest.mark.parametrize("kind", KINDS)
def test_gateways_are_there_while_they_are_heard_of(kind: str, tmp_path: Path) -> None:
    with opened(address(kind, tmp_path)) as state:
        write(state, gateways.beat, Alive("b", 1.0, 1.0, b"old"))
        write(state, gateways.beat, Alive("a", 2.0, 2.0, b"{}"))
        write(state, gateways.beat, Alive("b", 1.0, 7.0, b"new"))
        assert read(state, gateways.heard, 2.0) == [
            Alive("b", 1.0, 7.0, b"new"),
            Alive("a", 2.0, 2.0, b"{}"),
        ]
        assert [each.id for each in read(state, gateways.heard, 3.0)] == ["b"]
        assert write(state, gateways.sweep, 3.0) == 1
        assert write(state, gateways.leave, "b") and not write(state, gateways.leave, "b")
        assert read(state, gateways.heard, 0.0) == []
