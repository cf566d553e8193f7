"""A gateway at work, and its run again: what the same policy does on engines fitted to that run,
beside what happened.

A stand-in engine answers some hundred requests in a quarter of a minute, a few times as fast as its
chips would, behind a gateway with a queue. `python tests/oracles/replayed_gateway.py` writes the
run to tests/data/replay, where a test plays it again, and what was found to
record/replayed_gateway.json. On a machine that is busy with other things engines stall, which no
fit foresees.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.gateways import CHAT, ask, chat, serving  # noqa: E402

from eke.observing.engines import fit_words  # noqa: E402
from eke.observing.gathering import observed  # noqa: E402
from eke.observing.replaying import again, play, replay  # noqa: E402
from eke.policy.naming import make  # noqa: E402
from eke.simulation.files import write_run  # noqa: E402
from eke.simulation.statistics import summary  # noqa: E402
from eke.simulation.watch import Watch  # noqa: E402
from eke.standin.app import StandIn  # noqa: E402
from eke.standin.manner import Manner  # noqa: E402
from eke.standin.speed import speed  # noqa: E402

RECORD = HERE / "record" / "replayed_gateway.json"
RUN = HERE.parent / "data" / "replay" / "gateway.csv.gz"
MODEL, CHIPS = "llama-3.1-8b", "1xh100-sxm"
PACE = 2.0  # times as fast as the chips
MANY, RATE, SLOTS = 300, 9.0, 8
STREAMED = 0.8  # share of requests
POLICY = "fcfs"
WORDS = ("chips", "are", "scarce", "and", "demand", "is", "high", "so", "we", "wait")
PLAIN = {"lifespan": "off", "access_log": False, "log_config": None, "interface": "asgi3"}
POINTS = ("p50", "p90")


class Served:
    """A stand-in on a port of its own. Its answers begin with their first token, as those of
    engines do that look at it before they say that all is well."""

    def __init__(self) -> None:
        self.app = StandIn(speed(MODEL, CHIPS), Manner(pace=PACE, faults=True))
        self.socket = socket.socket(proto=socket.IPPROTO_TCP)  # else small writes wait 40 ms
        self.socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/v1"
        config = uvicorn.Config(self._answer, **PLAIN)
        self.server = uvicorn.Server(config)
        self.server.capture_signals = contextlib.nullcontext  # they are the gateway's

    async def start(self) -> None:
        self.task = asyncio.ensure_future(self.server.serve(sockets=[self.socket]))
        while not self.server.started:
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        self.server.should_exit = True
        await self.task

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        held: list[Any] = []

        async def later(event: Any) -> None:
            if event["type"] == "http.response.start":
                held.append(event)
                return
            while held:
                await send(held.pop())
            await send(event)

        await self.app(scope, receive, later)


async def live(state: str) -> None:
    """Requests at random times, of three tenants."""
    dice = random.Random(3)
    async with serving(
        Served(), facts={"slots": SLOTS, "power": 700.0}, state=state, policy=POLICY
    ) as house:

        async def one(number: int) -> None:
            words = int(min(dice.lognormvariate(5.5, 1), 6000))
            tokens = int(min(dice.lognormvariate(5, 0.8), 1500)) + 2
            body = chat(
                " ".join(dice.choice(WORDS) for _ in range(words)) + f" !len {tokens}",
                model=MODEL,
                stream=dice.random() < STREAMED,
                max_tokens=tokens,
            )
            await ask(house, CHAT, body, f"tenant-{number % 3}")

        coming = []
        for number in range(MANY):
            coming.append(asyncio.ensure_future(one(number)))
            await asyncio.sleep(dice.expovariate(RATE))
        await asyncio.gather(*coming)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        state = str(Path(folder) / "eke.db")
        asyncio.run(live(state))
        run = observed(state)
    RUN.parent.mkdir(exist_ok=True)
    write_run(RUN, run)
    engines = again(replay(run))
    made = play(engines, make(POLICY), Watch(), label=POLICY)
    found: dict[str, Any] = {"requests": len(run), "fit": fit_words(engines.found)}
    for name in ("ttft", "tpot", "end_to_end", "queueing"):
        for point in POINTS:
            seen, again_ = (getattr(summary(each).times[name], point) for each in (run, made))
            found[f"{name} {point}"] = {"observed": seen, "replayed": again_}
    RECORD.write_text(json.dumps(found, indent=1, default=np.float64) + "\n")
    print(RECORD.read_text())


if __name__ == "__main__":
    main()
