"""The first of an answer: until it is there nothing is lost, and nothing is charged that was never
begun."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.gateways import (
    CHAT,
    EVENTS,
    Fake,
    Got,
    Line,
    ask,
    asks,
    chat,
    event,
    events,
    http,
    piece,
    run,
    says,
    serving,
    talk,
    until,
)
from tests.unit.test_gateway_clients import line_to
from tests.unit.test_gateway_faults import clean, looks_often  # noqa: F401

from eke.gateway.settings import Limit, ModelSettings, Patience, Price, Tenant
from eke.gateway.tenants import hashed

HOUR = 3600.0


def test_a_head_is_not_the_first_of_an_answer() -> None:
    """Engines send it before they compute; one that dies then has given nothing."""

    async def work() -> None:
        bad, good = Fake(says(EVENTS, then="cut")), Fake()
        async with serving(bad, good, policy="fcfs@round-robin") as house:
            replies = [await ask(house, body=chat(stream=True)) for _ in range(2)]
            assert [reply.status for reply in replies] == [200, 200]
            assert all(reply.events()[-1] == "[DONE]" for reply in replies)
            assert len(bad.got) >= 1 and len(good.got) == 2

    run(work())


def test_the_first_may_take_longer_than_the_next() -> None:
    async def script(got: Got, line: Line) -> None:
        await line.send(EVENTS)
        await asyncio.sleep(0.5)
        for each in events(got.json(), got.path, 2, None):
            await line.send(piece(each))
        await line.send(b"0\r\n\r\n")

    async def work() -> None:
        patience = Patience(first=15.0, between=0.1, retries=0)
        async with serving(Fake(script), patience=patience) as house:
            reply = await ask(house, body=chat(stream=True))
            assert reply.status == 200 and reply.events()[-1] == "[DONE]"

    run(work())


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_before_its_turn_pays_nothing(stream: bool) -> None:
    limits = tuple(
        Limit(what=what, amount=amount, period=HOUR)
        for what, amount in (("requests", 10.0), ("tokens", 1e6), ("USD", 100.0))
    )
    tenants = (Tenant(name="a", keys=(hashed("a"),), limits=limits),)
    models = (ModelSettings(name="m", price=Price(prompt=1e-3, answer=1e-3)),)

    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(talk(gate=gate))
        settings = {"tenants": tenants, "models": models}
        async with serving(fake, facts={"slots": 1}, **settings) as house:
            first = asyncio.ensure_future(ask(house, body=chat()))
            await until(lambda: fake.running)
            async with line_to(house, asks(CHAT, chat("x" * 4000, stream=stream), "a")):
                await until(house.gateway.queued)
            await until(lambda: house.rows)
            (row,) = house.rows
            assert (row.outcome, row.started, row.charged) == ("stopped", None, 0.0)
            ledger, wall = house.gateway.ledger, house.gateway.clock.wall()
            windows = [ledger.window(tenants[0].name, each, wall) for each in limits]
            assert [(each.used, each.reserved) for each in windows] == [(0.0, 0.0)] * 3
            gate.set()
            await first

    run(work())


def test_tokens_of_what_an_engine_could_not_do_are_not_taken() -> None:
    limit = Limit(what="tokens", amount=1e6, period=HOUR)
    tenants = (Tenant(name="a", keys=(hashed("a"),), limits=(limit,)),)

    async def work() -> None:
        script = says(http(502, {"error": {"message": "no"}}))
        async with serving(Fake(script), tenants=tenants, patience=Patience(retries=0)) as house:
            assert (await ask(house, CHAT, chat("x" * 4000), "a")).status == 502
            ledger, wall = house.gateway.ledger, house.gateway.clock.wall()
            window = ledger.window(tenants[0].name, limit, wall)
            assert (window.used, window.reserved) == (0.0, 0.0)

    run(work())


@pytest.mark.parametrize("status", [401, 403, 407])
def test_an_engine_that_does_not_know_the_gateway_is_not_the_clients_doing(status: int) -> None:
    error = {"message": "Incorrect API key provided: sk-ab***yz", "code": "invalid_api_key"}

    async def work() -> None:
        bad, good = Fake(says(http(status, {"error": error}))), Fake()
        async with serving(bad) as house:
            reply = await ask(house, body=chat())
            assert reply.status == 502 and b"sk-" not in reply.body
            assert f"answered {status}" in house.gateway.engines[0].trouble
        async with serving(Fake(bad.script), good, policy="fcfs@round-robin") as house:
            assert {(await ask(house, body=chat())).status for _ in range(3)} == {200}

    run(work())


def test_a_request_that_breaks_engines_does_not_take_them_from_others() -> None:
    async def script(got: Got, line: Line) -> None:
        bad = b"poison" in got.body
        await (says(http(500, {"error": {"message": "oh"}})) if bad else talk())(got, line)

    async def work() -> None:
        async with serving(Fake(script), Fake(script)) as house:
            for _ in range(10):
                assert (await ask(house, body=chat("poison"))).status == 500
            assert all(engine.alive for engine in house.gateway.engines.values())
            assert (await ask(house, body=chat())).status == 200

    run(work())


def test_an_engine_that_cannot_do_what_others_can_is_left_alone() -> None:
    async def work() -> None:
        bad, good = Fake(says(http(500, {"error": {"message": "oh"}}))), Fake()
        async with serving(bad, good, policy="fcfs@round-robin") as house:
            asked = [await ask(house, body=chat()) for _ in range(8)]
            assert {reply.status for reply in asked} == {200}
            assert house.gateway.engines[0].breaker.failures >= 3 or len(bad.got) < 8

    run(work())


def test_an_error_after_places_were_told_is_the_last_event() -> None:
    error = {"message": "too\nlong", "type": "t", "param": None, "code": None}

    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(talk(gate=gate))
        async with serving(fake, facts={"slots": 1}) as house:
            first = asyncio.ensure_future(ask(house, body=chat()))
            await until(lambda: fake.running)
            asking = asks(CHAT, chat("second", stream=True), "", "x-eke-progress: 1")
            async with line_to(house, asking) as (reader, _):
                await reader.readuntil(b": queued")
                fake.script = says(http(400, json.dumps({"error": error}, indent=1).encode()))
                gate.set()
                rest = await reader.read()
            await first
            assert b'"too\\nlong"' in rest and rest.endswith(b"0\r\n\r\n")
            await until(lambda: clean(house))
            assert sorted(row.outcome for row in house.rows) == ["failed", "finished"]

    run(work())


def test_who_takes_nothing_for_long_loses_its_place() -> None:
    async def script(got: Got, line: Line) -> None:
        if b"endless" not in got.body:
            await talk()(got, line)
            return
        await line.send(EVENTS)
        words = piece(event({"choices": [{"delta": {"content": "x" * 50_000}}]}))
        while True:
            await line.send(words)

    async def work() -> None:
        patience = Patience(reading=0.3, first=5.0)
        async with serving(Fake(script), facts={"slots": 1}, patience=patience) as house:
            asking = asks(CHAT, chat("endless", stream=True))
            async with line_to(house, asking) as (reader, _):
                reader._limit = 1  # reads nothing ahead
                await until(lambda: house.gateway.engines[0].running)
                assert (await ask(house, body=chat())).status == 200  # the place is free again
            await until(lambda: clean(house))

    run(work())


def test_who_leaves_while_engines_only_fail_pays_nothing() -> None:
    models = (ModelSettings(name="m", price=Price(prompt=1.0, answer=1.0)),)

    async def work() -> None:
        bad = Fake(says(then="cut"))
        patience = Patience(retries=100)
        async with serving(bad, models=models, patience=patience) as house:
            async with line_to(house, asks(CHAT, chat("x" * 2000))):
                await until(lambda: len(bad.got) > 2 and house.gateway.queued())
            await until(lambda: house.rows)
            (row,) = house.rows
            assert (row.outcome, row.started, row.charged) == ("stopped", None, 0.0)
            await until(lambda: clean(house))

    run(work())


def test_an_engine_that_does_not_know_the_gateway_is_faster_than_none() -> None:
    """Where another is asked too, its refusal does not cut off the one that computes."""
    gate = asyncio.Event()

    async def work() -> None:
        slow, bad = Fake(talk(gate=gate)), Fake(says(http(401, {"error": {"message": "no"}})))
        settings = {"policy": "fcfs@round-robin", "patience": Patience(hedge=0.05)}
        async with serving(slow, bad, **settings) as house:
            asked = asyncio.ensure_future(ask(house, body=chat()))
            await until(lambda: bad.got)
            await asyncio.sleep(0.05)
            gate.set()
            assert (await asked).status == 200
            assert len(slow.got) == 1 and slow.left == 0

    run(work())
