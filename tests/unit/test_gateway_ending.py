"""A gateway that is to end says what it waits for, and waits no longer where that is said again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.gateways import CHAT, EVENTS, Fake, ask, chat, event, piece, run, says, serving, until
from tests.states import threads
from tests.tuning import came_to, job, said, trains, tuning

from eke.errors import BadInput
from eke.gateway.serving import Service
from eke.gateway.settings import Patience, Settings

LONG = Patience(drain=600.0, checkpoint=600.0)  # longer than any test


def test_who_waits_for_nobody_just_ends() -> None:
    async def check() -> None:
        async with serving(Fake(), patience=LONG) as house:
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: house.said[-1] == "ending")

    run(check())


def test_a_second_interrupt_waits_for_no_answer() -> None:
    begun = EVENTS + piece(event({"choices": [{"index": 0, "delta": {"content": "a"}}]}))

    async def check() -> None:
        fake = Fake(says(begun, then="hang"))
        async with serving(fake, patience=LONG) as house:
            asked = asyncio.ensure_future(ask(house, CHAT, chat(stream=True)))
            await until(lambda: fake.running == 1)
            os.kill(os.getpid(), signal.SIGINT)
            words = "ending: 1 request under way, at most 600 s; again ends now"
            await until(lambda: house.said[-1] == words)
            os.kill(os.getpid(), signal.SIGINT)
            assert (await asked).status in (0, 200)

    run(check())


def test_a_second_interrupt_waits_for_no_checkpoint(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def check() -> None:
        async with tuning(Fake(), folder=tmp_path, patience=LONG) as bench:
            made = await job(bench, steps=2, gate=str(gate), deaf=True)
            await said(bench, made, "learning from")
            house = bench.house
            await bench.client().close()
            os.kill(os.getpid(), signal.SIGINT)
            await until(lambda: "1 trainer writes its checkpoint, at most 600 s" in house.said[-1])
            assert trains(tmp_path, made)
            os.kill(os.getpid(), signal.SIGINT)
            await until(lambda: not trains(tmp_path, made))
        gate.touch()
        async with tuning(Fake(), folder=tmp_path) as bench:
            assert (await came_to(bench, made)).status == "succeeded"

    run(check())


@pytest.mark.parametrize("which", ["port", "admin"])
def test_a_gateway_that_cannot_begin_lets_go_of_its_state(which: str, tmp_path: Path) -> None:
    before = threads()

    async def check(taken: socket.socket) -> None:
        usual: dict[str, Any] = {"engines": (), "port": 0, "state": str(tmp_path / "s.db")}
        settings = Settings(**{**usual, which: taken.getsockname()[1]})
        with pytest.raises(BadInput, match="Give another port"):
            await Service(settings, lambda words: None).run()

    with socket.create_server(("127.0.0.1", 0)) as taken:
        run(check(taken))
    assert threads() <= before
