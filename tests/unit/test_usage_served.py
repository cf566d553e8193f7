"""Usage as it is served: each request in one bill, no more read than a page has, in turns."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterator
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.states import KINDS, address, opened, write
from tests.unit.test_seeing_usage import HOUR, PLAIN

from eke.gateway.api import usage
from eke.gateway.api.routes import Routes
from eke.gateway.clock import Clock
from eke.gateway.gateway import Gateway
from eke.gateway.keeping import Keeper
from eke.gateway.refusal import Refusal
from eke.gateway.row import Row
from eke.gateway.settings import Settings, Tenant
from eke.gateway.state import rows
from eke.gateway.state.state import State

DAY = 86400
NOON = HOUR // DAY * DAY + DAY // 2
NOW = NOON + 30 * DAY
_names = count()


@pytest.fixture(scope="module", params=KINDS)
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> State:
    with opened(address(request.param, tmp_path_factory.mktemp("usage"))) as state:
        yield state


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[State]:
    with opened(str(tmp_path / "state.db")) as state:
        yield state


def row(number: int, came: float, took: float, **fields: Any) -> Row:
    """A request of one dollar. came: UTC [s].  took: to its end [s]."""
    return PLAIN._replace(
        number=number, arrived_at=float(came), arrived=0.0, finished=took, charged=1.0, **fields
    )


def add(state: State, stored: list[Row]) -> None:
    write(state, rows.add, f"g{next(_names)}", stored)


async def asked(state: State, path: str) -> bytes:
    """The body of an answer."""
    loop = asyncio.get_running_loop()
    clock = Clock(lambda: 0.0, lambda: float(NOW))
    gateway = Gateway(Settings(engines=()), loop, clock, Keeper(state, clock, "g"))
    body = bytearray()

    async def send(message: Any) -> None:
        body.extend(message.get("body", b""))

    async def receive() -> Any:
        raise AssertionError("there is no body")

    path, _, query = path.partition("?")
    scope = {"method": "GET", "path": path, "query_string": query.encode(), "headers": []}
    await Routes(usage.ROUTES)(gateway, Tenant(name="admin"), scope, receive, send)
    return bytes(body)


def answer(state: State, path: str) -> bytes:
    return asyncio.run(asked(state, path))


def billed(state: State, start: int, end: int) -> Fraction:
    text = answer(state, f"/admin/usage.csv?start_time={start}&end_time={end}").decode()
    lines = csv.DictReader(text.splitlines())
    return sum((Fraction(line["BilledCost"]) for line in lines), Fraction(0))


def days(state: State, path: str) -> list[Any]:
    """The sums of each bucket."""
    page = msgspec.json.decode(answer(state, f"/v1/organization/{path}"))
    return [
        sum(
            each.get("num_model_requests", 0) or each["amount"]["value"]
            for each in bucket["results"]
        )
        for bucket in page["data"]
    ]


spans = st.lists(
    st.tuples(st.integers(0, 4 * 3600), st.integers(0, 40 * 3600)), min_size=1, max_size=8
)
cuts = st.lists(st.integers(0, 48 * 3600), max_size=3, unique=True)


@given(came=spans, cut=cuts)
@settings(max_examples=20)
def test_bills_of_adjoining_stretches_add_up_to_the_whole(
    state: State, came: list[tuple[int, int]], cut: list[int]
) -> None:
    start = NOON + next(_names) * 10 * DAY
    add(state, [row(i, start + at, took) for i, (at, took) in enumerate(came)])
    edges = [start, *sorted(start + each for each in cut), start + 49 * 3600]
    parts = [billed(state, *each) for each in pairwise(edges)]
    assert sum(parts) == billed(state, edges[0], edges[-1]) == len(came)


def test_what_takes_long_is_charged_on_the_day_on_which_it_ended(empty: State) -> None:
    add(empty, [row(0, NOON - 4 * 3600, 9 * 3600), row(1, NOON + 8 * 3600, 9 * 3600, kind="tune")])
    start = NOON // DAY * DAY
    assert days(empty, f"costs?start_time={start}&end_time={start + 3 * DAY}") == [1.0, 1.0, 0]
    for day, cost in ((0, 1.0), (1, 1.0), (2, 0)):
        at = start + day * DAY
        assert days(empty, f"costs?start_time={at}&end_time={at + DAY}") == [cost]


def test_no_more_is_read_than_a_page_has(empty: State, monkeypatch: pytest.MonkeyPatch) -> None:
    add(empty, [row(i, NOON + i, 1.0) for i in range(2)])
    add(empty, [row(i, NOON + DAY + i, 1.0) for i in range(5)])
    page, read = rows.page, list[Any]()

    def counted(*nouns: Any) -> list[Any]:
        found = page(*nouns)
        read.extend(found)
        return found

    monkeypatch.setattr(rows, "page", counted)
    assert days(empty, f"usage/completions?start_time={NOON}&limit=1") == [2]
    assert len(read) == 2


def test_others_have_their_turn_while_rows_are_added_up(
    empty: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(empty, [row(i, NOON + i, 1.0, tenant=f"t{i}") for i in range(500)])
    monkeypatch.setattr(usage, "SLICE", 10)
    together: dict[str, int] = {}

    async def turns(path: str) -> int:
        """Turns of somebody else during an answer."""
        found = 0

        async def others() -> None:
            nonlocal found
            while True:
                found += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(others())
        await asked(empty, path)
        task.cancel()
        return found

    start = f"start_time={NOON // DAY * DAY}"
    least = 500 // 10
    for path in ("usage/completions", "costs"):
        together[path] = asyncio.run(turns(f"/v1/organization/{path}?{start}"))
    assert all(each >= least for each in together.values())
    assert asyncio.run(turns(f"/admin/usage.csv?{start}")) >= least + 3 * 500 // 10


def test_without_a_state_nobody_knows() -> None:
    async def ask() -> None:
        gateway = Gateway(Settings(engines=()), asyncio.get_running_loop())
        scope = {"method": "GET", "path": "/admin/usage.csv", "query_string": b"", "headers": []}
        nobody: Any = None
        await Routes(usage.ROUTES)(gateway, Tenant(name="admin"), scope, nobody, nobody)

    with pytest.raises(Refusal, match="Usage is kept in the state"):
        asyncio.run(ask())
