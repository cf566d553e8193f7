"""A second engine asked where the first says nothing: off unless settings say so."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.gateways import Fake, ask, chat, run, says, serving, talk, until

from eke.gateway.recording import told_again
from eke.gateway.settings import Patience

SLOW = says(then="hang")
QUICK = Patience(hedge=0.02, first=0.5)


def test_another_engine_answers_for_one_that_hangs(tmp_path: Path) -> None:
    async def work() -> None:
        record = tmp_path / "record"
        slow, quick = Fake(SLOW), Fake(talk(tokens=2))
        settings = {"policy": "fcfs@round-robin", "record": str(record)}
        async with serving(slow, quick, patience=QUICK, facts={"slots": 2}, **settings) as house:
            got = [await ask(house, body=chat()) for _ in range(4)]
            assert {each.status for each in got} == {200}
            assert len(quick.got) == 4 and len(slow.got) >= 1
            await until(lambda: slow.left == len(slow.got))  # nobody waits for those any more
            assert not house.gateway.engines[0].flights and not house.gateway.queued()
            assert [row.outcome for row in house.rows] == ["finished"] * 4
        assert told_again(record).events > 8

    run(work())


def test_it_is_not_asked_while_others_wait_or_where_there_is_none() -> None:
    async def work() -> None:
        gate = asyncio.Event()
        only = Fake(talk(gate=gate))
        async with serving(only, patience=QUICK, facts={"slots": 1}) as house:
            both = asyncio.gather(ask(house, body=chat()), ask(house, body=chat()))
            await asyncio.sleep(0.1)
            assert only.running == 1
            gate.set()
            assert {each.status for each in await both} == {200}
            assert len(only.got) == 2

    run(work())


def test_it_is_off_unless_settings_say_so() -> None:
    async def work() -> None:
        slow, quick = Fake(SLOW), Fake()
        patience = Patience(first=0.1, retries=0)
        async with serving(
            slow, quick, patience=patience, policy="fcfs@round-robin", facts={"slots": 2}
        ) as house:
            got = [await ask(house, body=chat()) for _ in range(2)]
            assert sorted(each.status for each in got) == [200, 502]

    run(work())
