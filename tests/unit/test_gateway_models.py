"""Which engines answer for a model: smaller ones only where the policy says so, and none where
nobody serves it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from tests.gateways import CHAT, Fake, House, ask, chat, run, serving, talk, until
from tests.unit.test_gateway_faults import looks_often  # noqa: F401
from tests.unit.test_gateway_reload import reload

from eke.gateway.call import Call
from eke.gateway.gateway import Gateway
from eke.gateway.recording import told_again
from eke.gateway.settings import EngineSettings, ModelSettings, Price, Settings
from eke.types.record import replace
from eke.types.request import Request

BIG = ModelSettings(name="big", smaller="small")
LADDER = "fcfs+ladder(small,step=20ms)"


def engine(fake: Fake, name: str, slots: int | None = 1) -> EngineSettings:
    return EngineSettings(name=name, url=fake.url, slots=slots)


def asking(house: House, count: int, model: str = "big") -> list[asyncio.Future[Any]]:
    return [asyncio.ensure_future(ask(house, body=chat(model=model))) for _ in range(count)]


@pytest.mark.parametrize("policy", ["fcfs", "fair+ladder(short:64,small:tiny)", "direct"])
def test_a_smaller_model_answers_for_none_where_the_policy_has_no_step_for_it(policy: str) -> None:
    async def work() -> None:
        big, small = await Fake(models=["big"]).start(), await Fake(models=["small"]).start()
        engines = (engine(small, "small", None), engine(big, "big", None))
        async with serving(engines=engines, models=(BIG,), policy=policy) as house:
            replies = await asyncio.gather(*asking(house, 20))
            assert {each.status for each in replies} == {200}
            assert not any("x-eke-degraded" in each.headers for each in replies)
            assert len(big.got) == 20 and not small.got
        await asyncio.gather(big.stop(), small.stop())

    run(work())


def test_the_ladder_goes_down_from_the_model_that_is_asked_for(tmp_path: Path) -> None:
    """Though the smaller one's engine was there first; and the record can be told again."""

    async def work() -> None:
        gate = asyncio.Event()
        big, small = Fake(talk(gate=gate), models=["big"]), Fake(models=["other", "small"])
        await asyncio.gather(big.start(), small.start())
        engines = (engine(small, "small"), engine(big, "big"))
        record = str(tmp_path / "events")
        dear, cheap = Price(prompt=1.0, answer=1.0), Price(prompt=1e-3, answer=1e-3)
        priced = (replace(BIG, price=dear), ModelSettings(name="small", price=cheap))
        facts = {"models": priced, "policy": LADDER, "record": record}
        async with serving(engines=engines, **facts) as house:
            first = asking(house, 1)
            await until(lambda: big.running == 1)
            (second,) = await asyncio.gather(*asking(house, 1))
            assert second.headers["x-eke-degraded"] == "model small"
            assert [got.json()["model"] for got in small.got] == ["small"]
            gate.set()
            (first_one,) = await asyncio.gather(*first)
            assert first_one.status == 200 and "x-eke-degraded" not in first_one.headers
            assert (await asyncio.gather(*asking(house, 1, "small")))[0].status == 200
            assert len(big.got) == 1 and len(small.got) == 2
            assert [row.charged for row in house.rows] == pytest.approx([0.01, 10.0, 0.01])
        assert told_again(Path(record)).ends == []
        await asyncio.gather(big.stop(), small.stop())

    run(work())


def test_another_policy_takes_smaller_engines_in_and_lets_them_go() -> None:
    async def work() -> None:
        gate = asyncio.Event()
        big = await Fake(talk(gate=gate), models=["big"]).start()
        small = await Fake(talk(gate=gate), models=["small"]).start()
        engines = (engine(small, "small"), engine(big, "big"))
        async with serving(engines=engines, models=(BIG,), policy=LADDER) as house:
            going = asking(house, 2)
            await until(lambda: big.running == small.running == 1)
            await reload(house, policy="fair")
            going += asking(house, 2)
            await until(lambda: house.gateway.queued() == 2)
            gate.set()
            assert {each.status for each in await asyncio.gather(*going)} == {200}
            assert (len(big.got), len(small.got)) == (3, 1)
            assert [each.strangers for each in house.gateway.engines.values()] == [0, 0]
            gate.clear()
            await reload(house, policy=LADDER)
            going = asking(house, 2)
            await until(lambda: big.running == small.running == 1)
            gate.set()
            await asyncio.gather(*going)
        await asyncio.gather(big.stop(), small.stop())

    run(work())


def test_who_asks_for_a_model_before_its_engine_was_looked_at_waits() -> None:
    async def work() -> None:
        fake = await Fake().start()
        await fake.stop()
        configured = EngineSettings(name="e", url=fake.url, models={"n": "m"})
        async with serving(engines=(configured,), ready=False) as house:
            going = asking(house, 1, "n")
            await until(lambda: house.gateway.queued() == 1)
            later = EngineSettings(name="later", url=fake.url, models={"k": "m"})
            await reload(house, engines=(configured, later))
            going += asking(house, 1, "k")
            await until(lambda: house.gateway.queued() == 2)
            await fake.start()
            assert {each.status for each in await asyncio.gather(*going)} == {200}
            assert [got.json()["model"] for got in fake.got] == ["m", "m"]
            assert (await ask(house, CHAT, chat(model="m"))).status == 404
        await fake.stop()

    run(work())


def test_a_model_that_no_engine_serves_any_more_is_not_there() -> None:
    async def work() -> None:
        one, two = Fake(models=["m"]), Fake(models=["k"])
        async with serving(one, two) as house:
            await reload(house, engines=house.gateway.settings.engines[1:])
            await until(lambda: len(house.gateway.engines) == 1)
            reply = await ask(house, body=chat())
            assert (reply.status, reply.json()["error"]["code"]) == (404, "model_not_found")
            two.models = ["l"]
            await until(lambda: house.gateway.names() == ["l"])
            assert (await ask(house, body=chat(model="k"))).status == 404
            assert (await ask(house, body=chat(model="l"))).status == 200

    run(work())


def test_a_model_is_there_while_its_next_engine_starts() -> None:
    async def work() -> None:
        one, two = Fake(), await Fake().start()
        await two.stop()
        async with serving(one) as house:
            await reload(house, engines=(engine(two, "new"),))
            await until(lambda: [e.name for e in house.gateway.engines.values()] == ["new"])
            going = asking(house, 1, "m")
            await until(lambda: house.gateway.queued() == 1)
            await two.start()
            assert (await going[0]).status == 200
        await two.stop()

    run(work())


def test_who_was_let_in_before_its_model_was_gone_is_told_and_then_nothing_is_kept() -> None:
    engine = EngineSettings(name="e", url="http://127.0.0.1:9/v1", models={"k": "k"})
    with asyncio.Runner() as runner:
        gateway = Gateway(Settings(engines=(engine,)), runner.get_loop())
        desk = gateway.desks["k"]
        gateway.remove_engine(gateway.engines[0])
        assert not gateway.desks and not gateway.all_desks()
        call = Call(Request(0, 0.0, 10, 10.0, 10))
        desk.arrive(call)
        assert gateway.all_desks() == [desk] and gateway.queued() == 1
        gateway.orphaned(0.0)
        assert call.refusal is not None and not gateway.all_desks()
        gone = ref(desk)
        del desk
        assert gone() is None


def test_nothing_is_kept_of_strangers_but_so_many_names() -> None:
    with asyncio.Runner() as runner:
        settings = Settings(engines=(), contexts={8192.0: ("all",), 32768.0: ("gold",)})
        gateway = Gateway(settings, runner.get_loop())

    def kept() -> dict[str, int]:
        return {name: len(each) for name, each in vars(gateway).items() if hasattr(each, "__len__")}

    before = kept()
    for number in range(100):
        tenant = gateway.tenants.of(b"Bearer sk-%d" % number)
        assert gateway.context(tenant, "m") == 8192.0
    assert gateway.context(gateway.tenants.of(b"Bearer gold"), "m") == 32768.0
    assert kept() == before


def test_gateways_that_start_in_the_same_second_number_their_requests_apart() -> None:
    with asyncio.Runner() as runner:
        many = [Gateway(Settings(engines=()), runner.get_loop()) for _ in range(50)]
    assert len({each.request_id(0) for each in many}) == 50
