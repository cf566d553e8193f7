"""Who waits is told as it was counted, whatever becomes of the desks meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.gateways import run

from eke.gateway.api import queue
from eke.gateway.api.routes import Routes
from eke.gateway.call import Call
from eke.gateway.gateway import Gateway
from eke.gateway.seeing.metrics import metrics
from eke.gateway.seeing.seeing import Seeing
from eke.gateway.seeing.status import status
from eke.gateway.settings import EngineSettings, Settings, Tenant
from eke.types.request import Request


def wait(gateway: Gateway, model: str, many: int) -> list[Call]:
    """Some who wait for a model, without clients."""
    desk, calls = gateway.desks[model], []
    for _ in range(many):
        plain = (gateway.number(), gateway.clock.now(), 10, 5.0, 50, "ann", "chat", 0)
        calls.append(Call(Request(*plain)))
        desk.arrive(calls[-1])
    return calls


async def told(seeing: Seeing) -> Any:
    """What a tenant hears of its own."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    nobody: Any = None
    scope = {"method": "GET", "path": "/eke/queue", "query_string": b"", "headers": []}
    handler = Routes(queue.routes(seeing))
    await handler(seeing.gateway, Tenant(name="ann"), scope, nobody, send)
    return sent


def test_a_desk_that_goes_while_it_is_told_is_told_by_its_name() -> None:
    async def work() -> None:
        engines = tuple(
            EngineSettings(name=name, url=f"http://127.0.0.1:{port}/v1", models={name: name})
            for port, name in enumerate("abc", 1)
        )
        gateway = Gateway(Settings(engines=engines, policy="fcfs"), asyncio.get_running_loop())
        gateway.found_models()
        seeing = Seeing(gateway)
        waiting = {name: wait(gateway, name, many) for name, many in (("a", 3), ("b", 5), ("c", 2))}
        census = await seeing.counting.now()
        census.at += 1e6  # nobody counts anew
        for engine in gateway.engines.values():
            engine.models = {name: name for name in "ac"}
        gateway.found_models()
        gone = [desk for desk in gateway.all_desks() if desk not in gateway.desks.values()]
        for desk in gone:
            for calls in waiting.values():
                for call in calls:
                    desk.left(call)
        assert len(gateway.all_desks()) < 3
        text = (await metrics(seeing)).decode()
        for name, calls in waiting.items():
            line = f'eke_waiting_requests{{models="{name}",tenant="ann"}} {len(calls)}'
            assert line in text.splitlines()
        told_of = {each.models: each.waiting for each in status(seeing, census, True).queues}
        assert told_of == {"a": 3, "b": 5, "c": 2}
        assert (await told(seeing))[0]["status"] == 200

    run(work())
