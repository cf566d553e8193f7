"""What a gateway keeps is kept on, and once, whatever its state does; and it tells if it is not."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.gateways import Fake, House, ask, chat, run, serving, until
from tests.postgres import server
from tests.states import KINDS, address, every, opened, read, threads
from tests.unit.test_seeing_metrics import of
from tests.unit.test_seeing_metrics import read as samples_of
from tests.unit.test_seeing_usage import PLAIN
from tests.unit.test_state_trouble import Cut

from eke.errors import StateError
from eke.gateway import books
from eke.gateway.api import status
from eke.gateway.clock import Clock
from eke.gateway.engines.engine import Engine
from eke.gateway.gateway import Gateway
from eke.gateway.keeping import Keeper, Presence
from eke.gateway.ledger import Told
from eke.gateway.reloading import newest, reload
from eke.gateway.seeing.metrics import metrics
from eke.gateway.seeing.seeing import Seeing
from eke.gateway.settings import EngineSettings, Limit, Settings, Tenant
from eke.gateway.state import budgets, postgres, rows
from eke.gateway.state.state import State
from eke.gateway.tenants import hashed
from eke.types.record import replace

DAY = Limit(what="requests", amount=100.0, period=86400.0)
GOLD = Tenant(name="gold", keys=(hashed("sk-gold"),), limits=(DAY,))
LEASE = Limit(what="tokens", amount=1000.0)


async def pages(house: House) -> tuple[Any, Any, str]:
    """What strangers, the administration and Prometheus are told."""
    seeing = Seeing(house.gateway)
    stranger, admin = [await status.Told(seeing, each).now() for each in (False, True)]
    return stranger, admin, (await metrics(seeing)).decode()


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_cannot_be_stored_is_lost_alone(kind: str, tmp_path: Path) -> None:
    async def work(state: State) -> None:
        keeper = Keeper(state, Clock(), "g")
        for number in (0, 1, 2**70, 3, 4):
            keeper.write(PLAIN._replace(number=number))
        await keeper.flush()
        assert keeper.waiting == 0 and not keeper.trouble

    with opened(address(kind, tmp_path)) as state:
        run(work(state))
        found = every(lambda: state.rows(0.0, 1e12))
        assert [kept.row.number for kept in found] == [0, 1, 3, 4]


def test_what_fails_keeps_nothing_else_from_being_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "SETTLE", 0.001)
    before = threads()
    done: set[str] = set()

    def fails(name: str) -> Any:
        async def verb(self: Any, *nouns: Any) -> None:
            done.add(name)
            raise KeyError(name)

        return verb

    verbs = ("flush", "beat", "sample", "sweep")
    for name in verbs:
        monkeypatch.setattr(Keeper, name, fails(name))

    async def work() -> None:
        async with serving(Fake(), state=str(tmp_path / "s.db")):
            for _ in range(2):
                await until(lambda: done == set(verbs))
                done.clear()
                monkeypatch.setattr(books, "SWEEP", 1)
        assert threads() <= before  # all is let go

    monkeypatch.setattr(books, "SWEEP", 2)
    run(work())


def test_a_look_at_who_says_nothing_that_fails_is_not_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0

    def fails(self: Gateway) -> None:
        nonlocal looks
        looks += 1
        raise KeyError("a mistake")

    async def work() -> None:
        monkeypatch.setattr("eke.gateway.serving.OFTEN", 0.001)
        monkeypatch.setattr(Gateway, "overdue", fails)
        async with serving(Fake()):
            await until(lambda: looks > 2)

    run(work())


def test_that_the_state_takes_nothing_is_told_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "SETTLE", 0.001)

    async def work() -> None:
        async with serving(Fake(), state=str(tmp_path / "s.db")) as house:
            keeper = house.gateway.keeper
            assert keeper is not None
            add = rows.add

            def full(*nouns: Any) -> None:
                raise StateError("no room in /secret")

            monkeypatch.setattr(rows, "add", full)
            assert (await ask(house, body=chat())).status == 200
            await until(lambda: keeper.trouble)
            stranger, admin, text = await pages(house)
            assert (stranger.trouble, admin.trouble) == ("in trouble", "no room in /secret")
            found = samples_of(text)
            assert (of(found, "eke_state_up"), of(found, "eke_rows_waiting")) == (0, 1)
            monkeypatch.setattr(rows, "add", add)
            await until(lambda: not keeper.trouble)
            stranger, admin, text = await pages(house)
            assert stranger.trouble == admin.trouble == ""
            found = samples_of(text)
            assert (of(found, "eke_state_up"), of(found, "eke_rows_waiting")) == (1, 0)

    run(work())


def test_trouble_with_one_thing_is_told_though_another_is_stored(tmp_path: Path) -> None:
    async def work(state: State) -> None:
        keeper = Keeper(state, Clock(), "g")
        with pytest.MonkeyPatch.context() as patch:

            def fails(*nouns: Any) -> None:
                raise StateError("not for writing")

            patch.setattr(budgets, "renew", fails)
            await keeper.beat(Presence())
            keeper.write(PLAIN)
            await keeper.flush()
            assert keeper.trouble == "not for writing"
        await keeper.beat(Presence())
        assert not keeper.trouble

    with opened(str(tmp_path / "s.db")) as state:
        run(work(state))


@pytest.mark.parametrize("kind", KINDS)
def test_budgets_are_told_as_all_gateways_used_them(kind: str, tmp_path: Path) -> None:
    """After a restart too; and who only looks makes no window."""
    where = {"state": address(kind, tmp_path), "tenants": (GOLD,)}

    async def work() -> None:
        async with serving(Fake(), **where) as house:
            for _ in range(3):
                assert (await ask(house, body=chat(), key="sk-gold")).status == 200
        async with serving(Fake(), **where) as house:
            keeper = house.gateway.keeper
            assert keeper is not None
            await until(lambda: keeper.standing)
            _, admin, text = await pages(house)
            (gold,) = admin.tenants
            assert [each.left for each in gold.budgets] == [97.0]
            found = samples_of(text)
            assert of(found, "eke_budget_used", tenant="gold") == 3
            assert of(found, "eke_budget_limit", tenant="gold") == 100
            assert not house.gateway.ledger._windows

    run(work())


@pytest.mark.parametrize("kind", KINDS)
def test_windows_are_those_of_the_moment_and_of_these_tenants(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "AT_ONCE", 2)
    with opened(address(kind, tmp_path)) as state:
        for name in "abc":
            for start in (0.0, 60.0, 120.0):
                window = budgets.Window(name, "tokens/min", start, start + 60.0)
                ask = budgets.Ask(window, 100, 10, 1, 1e9)
                asyncio.run(state.write(budgets.lease, "g", ask))
        for now, start in ((60.0, 60.0), (119.9, 60.0), (120.0, 120.0)):
            found = read(state, budgets.current, ("a", "b", "c", "nobody"), now)
            assert sorted((each.tenant, each.starts) for each in found) == [
                (name, start) for name in "abc"
            ]
        assert read(state, budgets.current, (), 60.0) == []
        (alone,) = read(state, budgets.current, ("b",), 60.0)
        assert (alone.tenant, alone.leased, alone.spent) == ("b", 10, 0)


def test_one_of_each_name_is_told_and_sampled_while_an_engine_moves(tmp_path: Path) -> None:
    async def work(state: State) -> None:
        now = [100.0]
        clock = Clock(lambda: now[0], lambda: 1.79e9 + now[0])
        engine = EngineSettings(name="a", url="http://127.0.0.1:1/v1", models={"m": "m"})
        settings = Settings(engines=(engine,))
        keeper = Keeper(state, clock, "g")
        gateway = Gateway(settings, asyncio.get_running_loop(), clock, keeper)

        async def sample(after: float) -> list[Engine]:
            now[0] += after
            found = newest(gateway.engines.values())
            await keeper.sample(found, 0)
            return found

        (old,) = await sample(0.0)
        old.meter.begin(1.0, clock.now())  # a long stream runs on it
        await sample(10.0)
        reload(gateway, replace(settings, engines=(replace(engine, url="http://127.0.0.1:2/v1"),)))
        assert [each.name for each in gateway.engines.values()] == ["a", "a"]
        (new,) = await sample(10.0)
        assert new is not old
        samples_of((await metrics(Seeing(gateway))).decode())  # no series is there twice
        found = await state.read(rows.samples, "g", 0.0, 1e12)
        assert [each.busy for each in found] == [0.0, 1.0, 0.0]

    with opened(str(tmp_path / "s.db")) as state:
        run(work(state))


def spent(where: str) -> int:
    with opened(where) as state:
        (found,) = read(state, budgets.standing, "acme")
        assert found.leased == 0
        return found.spent


@pytest.mark.parametrize("kind", KINDS)
def test_a_gateway_that_ends_while_it_stores_what_was_used_tells_it_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "SETTLE", 0.001)
    begun, go = threading.Event(), threading.Event()
    settle, where = budgets.settle, address(kind, tmp_path)

    def slow(*nouns: Any) -> int:
        found = settle(*nouns)
        begun.set()
        go.wait(20)
        return found

    async def work() -> None:
        async with serving(Fake(), state=where) as house:
            keeper = house.gateway.keeper
            assert keeper is not None
            leave = await keeper.lease("acme", LEASE, 0, 500.0, 100.0)
            monkeypatch.setattr(budgets, "settle", slow)
            keeper.settle("acme", LEASE, 0, Told(100.0, leave.given - 100.0))
            await asyncio.to_thread(begun.wait, 20)
            house.service.stop()
            await until(lambda: house.gateway.ended)
            asyncio.get_running_loop().call_later(0.05, go.set)

    run(work())
    assert spent(where) == 100


def test_what_may_be_stored_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather is something not charged than charged twice."""
    where = server().database()

    async def work(state: State) -> None:
        keeper = Keeper(state, Clock(), "g")
        leave = await keeper.lease("acme", LEASE, 0, 500.0, 100.0)
        keeper.settle("acme", LEASE, 0, Told(100.0, leave.given - 100.0))
        monkeypatch.setattr(postgres, "ASKED", 0)
        dialect = state.database.dialect
        monkeypatch.setattr(dialect, "end", Cut(dialect, stored=True))
        await keeper.flush()
        assert "may be stored or not" in keeper.trouble
        await keeper.flush()
        assert not keeper.trouble

    with opened(where) as state:
        run(work(state))
    assert spent(where) == 100


def test_the_status_is_a_record_with_its_trouble() -> None:
    async def work() -> None:
        async with serving(Fake()) as house:
            _, admin, text = await pages(house)
            assert msgspec.json.decode(msgspec.json.encode(admin))["trouble"] == ""
            assert "eke_state_up" not in text

    run(work())
