"""GET /eke/queue: a tenant's own place in the queue, at bounded cost however long that is."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.gateways import Fake, House, Reply, ask, chat, run, serving, talk

from eke.gateway.api import queue
from eke.gateway.api.routes import Routes
from eke.gateway.call import Call
from eke.gateway.seeing.census import KEPT, SLICE
from eke.gateway.seeing.seeing import Seeing
from eke.policy.protocol import Arrived
from eke.types.request import Request

MANY = 20 * SLICE


class Watched(Seeing):
    """Seeing, and a gateway that tells of its queue."""

    def __init__(self, house: House) -> None:
        super().__init__(house.gateway)
        house.gateway.write = self.over
        house.service.servers[0].config.app.rest = Routes(queue.routes(self))


def waiting(house: House, number: int, tenant: str, priority: int = 0) -> Call:
    """A request that waits, without a client."""
    desk = house.gateway.desks["m"]
    request = Request(
        house.gateway.number(), number * 1e-6, 10, 10.0, 100, tenant, "chat", priority
    )
    call = Call(request)
    desk.calls[request.id] = call
    desk.waiting += 1
    desk.policy.on(Arrived(request), house.gateway.clock.now())
    return call


def told(reply: Reply) -> Any:
    assert reply.status == 200, reply
    return reply.json()


def among(work: Any, **settings: Any) -> Any:
    """What some work finds at a gateway whose only place is taken."""

    async def whole() -> Any:
        gate = asyncio.Event()
        policy = settings.pop("policy", "fcfs")
        async with serving(
            Fake(talk(gate=gate)), facts={"slots": 1}, policy=policy, **settings
        ) as house:
            seeing = Watched(house)
            first = asyncio.ensure_future(ask(house, body=chat(), key="first"))
            while not house.gateway.engines[0].running:
                await asyncio.sleep(0.002)
            try:
                return await work(house, seeing)
            finally:
                house.gateway.desks["m"].calls = {
                    number: call
                    for number, call in house.gateway.desks["m"].calls.items()
                    if call.engine is not None
                }
                gate.set()
                await asyncio.gather(first)

    return run(whole())


def test_a_tenant_sees_its_own_requests_and_no_others() -> None:
    async def work(house: House, seeing: Seeing) -> Any:
        for number, tenant in enumerate(("ann", "bob", "ann", "bob")):
            waiting(house, number, tenant)
        return [told(await ask(house, "/eke/queue", key=key)) for key in ("ann", "bob", "cid")]

    ann, bob, cid = among(work)
    assert [each["before"] for each in ann["data"]] == [0, 2]
    assert [each["before"] for each in bob["data"]] == [1, 3]
    assert (ann["waiting"], bob["waiting"], cid["waiting"]) == (2, 2, 0)
    assert cid["data"] == [] and cid["queues"] == [
        {"models": ["m"], "waiting": 4, "before_newest": None, "engines": 1, "engines_alive": 1}
    ]
    assert bob["queues"][0]["before_newest"] == 3
    first = ann["data"][0]
    assert (first["models"], first["service_tier"], first["kind"]) == (["m"], "default", "chat")
    assert first["waited_seconds"] > 0 and not ann["has_more"]
    assert not {each["request_id"] for each in ann["data"]} & {
        each["request_id"] for each in bob["data"]
    }


def test_one_request_is_asked_for_by_its_id() -> None:
    async def work(house: House, seeing: Seeing) -> Any:
        waiting(house, 0, "bob")
        call = waiting(house, 1, "ann")
        id = house.gateway.request_id(call.request.id)
        running = house.gateway.request_id(call.request.id - 2)
        ids = (id, running, "req_1_1", "nonsense", id + "0")
        found = [await ask(house, f"/eke/queue?request_id={each}", key="ann") for each in ids]
        others = await ask(house, f"/eke/queue?request_id={id}", key="bob")
        return id, found, others

    id, found, others = among(work)
    assert told(found[0])["request_id"] == id and told(found[0])["before"] == 1
    assert [each.status for each in found[1:]] == [404] * 4
    assert others.status == 404 and others.json()["error"]["param"] == "request_id"


def test_tiers_stand_by_themselves() -> None:
    async def work(house: House, seeing: Seeing) -> Any:
        for number in range(6):
            waiting(house, number, "ann", priority=-(number % 2))
        return told(await ask(house, "/eke/queue", key="ann"))

    found = among(work, policy="priority")
    assert [each["service_tier"] for each in found["data"]] == ["default", "priority"] * 3
    places = {each["service_tier"]: [] for each in found["data"]}  # type: ignore[var-annotated]
    for each in found["data"]:
        places[each["service_tier"]].append(each["before"])
    assert places == {"priority": [0, 1, 2], "default": [3, 4, 5]}


def test_a_long_queue_is_looked_at_in_slices_and_told_in_part() -> None:
    """A hundred of many by name, two looks at the whole queue, and others have their turn."""

    async def work(house: House, seeing: Watched) -> Any:
        desk = house.gateway.desks["m"]
        for number in range(MANY):
            waiting(house, number, "ann" if number % 2 else f"t{number % 50}")
        looks, turns = 0, 0
        place = desk.place

        def counted(call: Call) -> Any:
            nonlocal looks
            looks += 1
            return place(call)

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        desk.place = counted  # type: ignore[method-assign]
        task = asyncio.ensure_future(others())
        census = await seeing.counting.now()
        task.cancel()
        census.at = house.gateway.clock.now()
        assert await seeing.counting.now() is census  # nobody counts anew at once
        census.at -= 1.0
        assert await seeing.counting.now() is not census
        found = told(await ask(house, "/eke/queue", key="ann"))
        return found, looks, turns

    found, looks, turns = among(work)
    assert found["waiting"] == MANY // 2 and found["has_more"]
    assert len(found["data"]) == KEPT and looks == 2
    places = [each["before"] for each in found["data"]]
    assert places == list(range(1, 2 * KEPT, 2))
    assert turns >= MANY // SLICE


def test_who_is_started_while_it_is_told_is_left_out() -> None:
    async def work(house: House, seeing: Watched) -> Any:
        calls = [waiting(house, number, "ann") for number in range(3)]
        await seeing.counting.now()
        calls[1].left = True
        return told(await ask(house, "/eke/queue", key="ann"))

    found = among(work)
    assert len(found["data"]) == 2
