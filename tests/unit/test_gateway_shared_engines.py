"""Models that share some engines and not others: each has its part, and no engine gets too much."""

from __future__ import annotations

import asyncio

from tests.gateways import Fake, ask, chat, run, serving, talk, until

from eke.gateway.settings import EngineSettings


def test_an_engine_of_two_models_gets_no_more_than_it_takes() -> None:
    async def work() -> None:
        gate = asyncio.Event()
        both = await Fake(talk(gate=gate), models=("m", "n")).start()
        one = Fake(talk(gate=gate), models=("m",))
        await one.start()
        engines = (
            EngineSettings(name="both", url=both.url, slots=8),
            EngineSettings(name="one", url=one.url, slots=8),
        )
        async with serving(engines=engines) as house:
            assert house.gateway.desks["m"] is not house.gateway.desks["n"]
            for name in ("m", "n"):
                assert house.gateway.desks[name].share(house.gateway.engines[0]) == 0.5
            going = [ask(house, body={**chat(), "model": name}) for name in "mn" for _ in range(20)]
            done = asyncio.gather(*going)
            await until(lambda: both.running >= 8 and one.running == 8)
            assert both.running == 8
            gate.set()
            assert {got.status for got in await done} == {200}
            assert one.most <= 8
        await asyncio.gather(both.stop(), one.stop())

    run(work())


def test_models_of_the_same_engines_share_a_desk() -> None:
    async def work() -> None:
        async with serving(Fake(models=("m", "n"))) as house:
            assert house.gateway.desks["m"] is house.gateway.desks["n"]
            assert (await ask(house, body={**chat(), "model": "n"})).status == 200

    run(work())
