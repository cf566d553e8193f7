"""Settings that change while requests wait and run: nobody is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.gateways import (
    CHAT,
    Fake,
    House,
    ask,
    asks,
    chat,
    reply_of,
    run,
    serving,
    talk,
    told,
    until,
)
from tests.unit.test_gateway_faults import clean, looks_often  # noqa: F401
from tests.unit.test_gateway_parts import VLLM

from eke.errors import BadInput
from eke.gateway.api.admin import admit
from eke.gateway.engines.engine import UNBOUNDED
from eke.gateway.refusal import Refusal
from eke.gateway.settings import EngineSettings, Limit, Settings, Tenant
from eke.gateway.tenants import hashed
from eke.types.record import replace


async def reload(house: House, **changes: Any) -> str:
    """Take over other settings; what is said of it."""
    new = replace(house.gateway.settings, **changes)
    house.service.again = lambda: new
    before = len(house.said)

    def told() -> list[str]:
        return [each for each in house.said[before:] if "taken over: " in each]

    house.service.reload()
    await until(told)
    return told()[0]


def engine(fake: Fake, name: str, **facts: Any) -> EngineSettings:
    return EngineSettings(name=name, url=fake.url, slots=1, **facts)


async def asking(house: House, count: int, fake: Fake) -> list[asyncio.Future[Any]]:
    """So many requests of which one runs and the others wait."""
    found = [asyncio.ensure_future(ask(house, body=chat(str(each)))) for each in range(count)]
    await until(lambda: fake.running == 1 and house.gateway.queued() == count - 1)
    return found


async def all_answered(house: House, going: list[asyncio.Future[Any]]) -> None:
    replies = await asyncio.gather(*going)
    assert {reply.status for reply in replies} == {200}
    await until(lambda: clean(house))
    assert len(house.rows) == len(going)


def test_those_who_wait_start_on_an_engine_that_is_new() -> None:
    async def work() -> None:
        gate = asyncio.Event()
        one, two = Fake(talk(gate=gate)), Fake(talk())
        async with serving(one, facts={"slots": 1}) as house:
            await two.start()
            going = await asking(house, 5, one)
            engines = (*house.gateway.settings.engines, engine(two, "new"))
            assert "engine new is new" in await reload(house, engines=engines)
            await until(lambda: len(house.rows) == 4)
            gate.set()
            await all_answered(house, going)
            assert len(two.got) == 4 and two.most == 1
            await two.stop()

    run(work())


def test_an_engine_that_is_gone_finishes_what_it_has() -> None:
    async def work() -> None:
        gate = asyncio.Event()
        one, two = Fake(talk(gate=gate)), Fake(talk())
        async with serving(one, facts={"slots": 1}) as house:
            await two.start()
            going = await asking(house, 4, one)
            said = await reload(house, engines=(engine(two, "new"),))
            assert "engine e0 drains" in said and "engine new is new" in said
            await until(lambda: len(two.got) == 3)
            gate.set()
            await all_answered(house, going)
            assert len(one.got) == 1
            await until(lambda: [e.name for e in house.gateway.engines.values()] == ["new"])
            assert (await ask(house, body=chat())).status == 200
            await two.stop()

    run(work())


def test_who_comes_while_no_engine_is_left_waits_for_the_next() -> None:
    async def work() -> None:
        one, two = Fake(), Fake()
        async with serving(one) as house:
            nowhere = replace(engine(one, "new"), url="http://127.0.0.1:9/v1", models={"m": "m"})
            await reload(house, engines=(nowhere,))
            await until(lambda: [e.name for e in house.gateway.engines.values()] == ["new"])
            waits = asyncio.ensure_future(ask(house, body=chat()))
            await until(house.gateway.queued)
            await two.start()
            await reload(house, engines=(nowhere, engine(two, "two")))
            assert (await waits).status == 200
            await two.stop()

    run(work())


def test_an_engine_that_moved_is_another_one() -> None:
    async def work() -> None:
        gate = asyncio.Event()
        one, two = Fake(talk(gate=gate)), Fake(talk())
        async with serving(one, facts={"slots": 1}) as house:
            await two.start()
            going = await asking(house, 3, one)
            await reload(house, engines=(engine(two, "e0"),))
            await until(lambda: len(two.got) == 2)
            gate.set()
            await all_answered(house, going)
            await two.stop()

    run(work())


@pytest.mark.parametrize("policy", ["fcfs", "fair", "priority(ageing=1s)", "tiers(100k:50%)"])
def test_another_policy_takes_over_those_who_wait_and_run(policy: str) -> None:
    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(talk(gate=gate))
        async with serving(fake, facts={"slots": 1}, policy="deadline") as house:
            going = await asking(house, 6, fake)
            for name in (policy, "shortest", policy):
                assert name in await reload(house, policy=name)
                assert house.gateway.queued() == 5
            gate.set()
            await all_answered(house, going)
            assert fake.most == 1  # what was under way counted all the time
            strangers = [each.strangers for each in house.gateway.engines.values()]
            assert strangers == [0]

    run(work())


def test_who_leaves_after_another_policy_took_over_is_forgotten_by_both() -> None:
    async def work() -> None:
        fake = Fake(talk(gate=asyncio.Event()))
        async with serving(fake, facts={"slots": 1}, policy="fcfs") as house:
            going = await asking(house, 3, fake)
            await reload(house, policy="fair")
            for each in going:
                each.cancel()
            await asyncio.gather(*going, return_exceptions=True)
            await until(lambda: clean(house))
            assert house.gateway.engines[0].strangers == 0
            fake.script = talk()
            assert (await ask(house, body=chat())).status == 200

    run(work())


def test_what_makes_no_sense_changes_nothing() -> None:
    async def work() -> None:
        async with serving(Fake(), policy="fcfs") as house:
            before = house.gateway.settings

            def bad() -> Settings:
                raise BadInput("gateway.toml: it makes no sense.")

            house.service.again = bad
            house.service.reload()
            await until(lambda: "not taken over" in house.said[-1])
            assert "makes no sense" in house.said[-1] and house.gateway.settings is before
            floors = tuple(Tenant(name=name, floor=0.6) for name in "ab")
            said = await reload(house, tenants=floors)
            assert "not taken over" in said and "floors" in said
            assert house.gateway.settings is before
            assert (await ask(house, body=chat())).status == 200

    run(work())


def test_only_a_restart_changes_where_it_listens() -> None:
    async def work() -> None:
        async with serving(Fake()) as house:
            said = await reload(house, port=1, host="1.2.3.4", log="debug", traces="http://x")
            assert "port stays 0" in said and "host stays '127.0.0.1'" in said
            assert "log stays 'warning'" in said and "traces stays as it is" in said
            assert house.gateway.settings.log == "warning"
            assert (await ask(house, body=chat())).status == 200

    run(work())


def test_the_administration_that_is_served_on_keeps_its_key() -> None:
    async def work() -> None:
        async with serving(Fake(), admin=0, admin_key="secret") as house:
            inside = house.service.address(1)

            async def status(key: str) -> int:
                return reply_of(await told(inside, asks("/admin/tenants", key=key))).status

            said = await reload(house, admin=None, admin_key="")
            assert "admin stays 0" in said and "secret" not in said
            assert [await status(key) for key in ("", "secret")] == [401, 200]
            said = await reload(house, admin_key="another")
            assert "another" not in said
            assert [await status(key) for key in ("secret", "another")] == [401, 200]

    run(work())


@pytest.mark.parametrize("given", ["Bearer ", "Bearer", "Basic Og==", ""])
def test_no_key_opens_an_administration_without_one(given: str) -> None:
    scope = {"method": "GET", "headers": [(b"authorization", given.encode())]}
    with pytest.raises(Refusal, match="needs its key"):
        admit(scope, "")


def test_what_is_said_anew_of_an_engine_counts() -> None:
    async def work() -> None:
        fake = Fake()
        async with serving(fake) as house:
            (engine,) = house.gateway.engines.values()
            assert engine.silent and engine.room == UNBOUNDED
            fake.metrics = VLLM
            settings = replace(engine.settings, metrics="/metrics", slots=3)
            patience = replace(house.gateway.settings.patience, connect=0.5)
            said = await reload(house, engines=(settings,), patience=patience)
            assert "engine e0 changed" in said and "patience changed" in said
            await until(lambda: engine.metered and engine.room == 16 * 24188)
            assert engine.wire.connect == 0.5 and engine.capacity.limit == 3
            await reload(house, engines=(replace(settings, room=5000),))
            assert engine.room == 5000
            said = await reload(house, engines=(replace(settings, metrics=""),))
            assert engine.room == UNBOUNDED and not engine.metered and engine.inside == 0
            assert "patience" not in said and "nothing that counts" in await reload(house)

    run(work())


def test_keys_and_limits_count_at_once() -> None:
    one = Limit(what="requests", amount=1.0)
    tenant = Tenant(name="a", keys=(hashed("k"),), limits=(one,))

    async def work() -> None:
        async with serving(Fake(), tenants=(tenant,), open=False) as house:
            assert (await ask(house, CHAT, chat(), "k")).status == 200
            assert (await ask(house, CHAT, chat(), "k")).status == 429
            more = replace(tenant, limits=(replace(one, amount=2.0),))
            await reload(house, tenants=(more,))
            assert (await ask(house, CHAT, chat(), "k")).status == 200
            assert (await ask(house, CHAT, chat(), "k")).status == 429
            await reload(house, tenants=(replace(more, keys=(hashed("other"),)),))
            assert (await ask(house, CHAT, chat(), "k")).status == 401
            assert (await ask(house, CHAT, chat(), "other")).status == 429  # it is the same tenant

    run(work())


def test_a_model_is_asked_for_only_where_it_is() -> None:
    """An engine that comes later serves one of the two models of the engine before it."""

    async def work() -> None:
        one, two = Fake(models=["a", "b"]), Fake(models=["a"])
        async with serving(one) as house:
            await two.start()
            gate = asyncio.Event()
            one.script = talk(gate=gate)
            going = [asyncio.ensure_future(ask(house, body=chat(model=name))) for name in "ab" * 4]
            await until(lambda: one.running == 8)
            waiting = [
                asyncio.ensure_future(ask(house, body=chat(model=name))) for name in "ab" * 3
            ]
            await until(lambda: house.gateway.queued() == 6)
            await reload(house, engines=(*house.gateway.settings.engines, engine(two, "new")))
            await until(lambda: len(house.gateway.all_desks()) == 2)
            later = [asyncio.ensure_future(ask(house, body=chat(model=name))) for name in "ab" * 4]
            gate.set()
            await all_answered(house, [*going, *waiting, *later])
            assert {got.json()["model"] for got in two.got} == {"a"}
            assert [got.json()["model"] for got in one.got].count("b") == 11
            one.models = ["a"]  # and then it serves no more than the other
            await until(lambda: house.gateway.engines[0].models == {"a": "a"})
            assert (await ask(house, body=chat(model="a"))).status == 200
            await two.stop()

    run(work())
