"""What holds of any run of the gateway: whatever clients and engines do, under every policy."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from tests.gateways import (
    CHAT,
    EVENTS,
    Fake,
    Got,
    House,
    Line,
    Reply,
    ask,
    asks,
    chat,
    event,
    http,
    piece,
    run,
    says,
    serving,
    talk,
    until,
)
from tests.unit.test_gateway_faults import clean, looks_often  # noqa: F401

from eke.errors import BadFile
from eke.gateway.engines.engine import Engine
from eke.gateway.recording import told_again
from eke.gateway.settings import Limit, ModelSettings, Patience, Price, Tenant
from eke.gateway.tenants import hashed

POLICIES = [
    "fcfs",
    "fair(prompt=2,answer=3)@round-robin",
    "priority(ageing=10ms)",
    "classes+promise+queue(most=6)@prefix",
    "deadline+promise",
    "deficit",
    "shortest(ageing=5)@sticky",
    "tiers(1k:60%,32k:20%)",
    "fcfs(floors=flex:30%,ceilings=free:50%)",
    "fair+ladder(short:50,small:tiny,refuse,step=20ms)",
    "classes+promise+queue+backfill(spare=5%)+anticipate@prefix",
    "direct",
]
PRICE = Price(prompt=1e-6, cached=5e-7, answer=4e-6)
MODELS = (
    ModelSettings(name="m", price=PRICE, ttft=0.2, smaller="tiny", context=32_000),
    ModelSettings(name="tiny"),
)
TENANTS = tuple(
    Tenant(name=name, keys=(hashed(name),), weight=weight, floor=floor)
    for name, weight, floor in (("gold", 4.0, 0.2), ("free", 1.0, None), ("batch", 1.0, None))
)


def moody(seed: int) -> Any:
    """An engine that mostly answers, and now and then fails, in any way."""
    chance = random.Random(seed)
    bad = [
        says(then="cut"),
        says(http(503, {"error": {"message": "busy"}})),
        says(http(500, b"oh no")),
        says(http(400, {"error": {"message": "no"}})),
        says(http(200, b"{")),
        says(EVENTS + piece(event({"choices": []})), then="cut"),
    ]

    async def script(got: Got, line: Line) -> None:
        await asyncio.sleep(chance.random() * 0.01)
        if chance.random() < 0.15:
            await chance.choice(bad)(got, line)
        else:
            cached = chance.choice([0, 0, 5])
            await talk(tokens=chance.randint(1, 40), prompt=20, cached=cached)(got, line)

    return script


class Ran(NamedTuple):
    """A run that is over. replies: None for clients that left.  most: on any engine at once."""

    house: House
    replies: list[Reply | None]
    most: int


async def left(house: House, data: bytes, seconds: float) -> None:
    """A client that goes away."""
    with suppress(ConnectionError):
        _, writer = await asyncio.open_connection(*house.address)
        writer.write(data)
        await asyncio.sleep(seconds)
        writer.transport.abort()


async def client(house: House, seed: int) -> Reply | None:
    """One client of many, in its own way."""
    chance = random.Random(seed)
    await asyncio.sleep(chance.random() * 0.15)
    fields = {
        "stream": chance.random() < 0.5,
        "max_tokens": chance.choice([None, 10, 100, 2000]),
        "service_tier": chance.choice(["auto", "default", "flex", "priority"]),
        "prompt_cache_key": chance.choice([None, "one", "two"]),
        "model": chance.choice(["m", "m", "m", "tiny"]),
    }
    body = chat("word " * chance.choice([1, 20, 300]), **fields)
    key = chance.choice(["gold", "free", "batch", "", "somebody"])
    if chance.random() < 0.15:
        await left(house, asks(CHAT, body, key), chance.random() * 0.03)
        return None
    return await ask(house, CHAT, body, key)


async def some_run(policy: str, seed: int, count: int, record: Path) -> Ran:
    fakes = [
        Fake(moody(seed), models=["m", "tiny"]),
        Fake(moody(seed + 1), models=["m", "tiny"]),
        Fake(moody(seed + 2), models=["m", "tiny"]),
    ]
    settings = {"tenants": TENANTS, "models": MODELS, "record": str(record), "open": True}
    facts = {"slots": 3, "rate": 0.01, "chips": 2.0, "power": 100.0, "room": 20_000}
    patience = Patience(first=2.0, between=2.0)
    async with serving(*fakes, policy=policy, patience=patience, facts=facts, **settings) as house:
        most = [0]
        for engine in house.gateway.engines.values():
            engine.begin = counted(engine, most)  # type: ignore[method-assign]
        replies = await asyncio.gather(*[client(house, seed * 1000 + n) for n in range(count)])
        await until(lambda: clean(house))
        return Ran(house, list(replies), most[0])


def counted(engine: Engine, most: list[int]) -> Callable[..., None]:
    """What an engine does when a request begins, and a look at how many are there."""
    begin = engine.begin

    def beginning(*nouns: Any) -> None:
        begin(*nouns)
        most[0] = max(most[0], engine.running)

    return beginning


@pytest.mark.parametrize("policy", POLICIES)
def test_any_run_adds_up_and_can_be_told_again(policy: str, tmp_path: Path) -> None:
    record = tmp_path / "events.jsonl"
    seed = POLICIES.index(policy)
    house, replies, most = run(some_run(policy, seed, 70, record))
    rows = house.rows

    # every request ends once; clients that left before they had sent all may never have come
    numbers = [row.number for row in rows]
    came = [reply for reply in replies if reply is not None]
    assert len(set(numbers)) == len(numbers)
    assert len(came) <= len(rows) <= len(replies)
    outcomes = [row.outcome for row in rows]
    assert set(outcomes) <= {"finished", "refused", "stopped", "failed"}
    ended = [reply for reply in came if reply.status == 200 and b'"error"' not in reply.body]
    assert outcomes.count("finished") >= len(ended)
    assert not any(reply.cut for reply in came)

    # every answer says what it was
    for reply in came:
        if reply.status != 200:
            error = reply.json()["error"]
            assert {"message", "type", "param", "code"} <= set(error)
            assert reply.status in (400, 429, 500, 502, 503)

    # no engine was given more than it takes
    if policy != "direct":
        assert 1 <= most <= 3

    # engines' time, and what it costs, is what requests took
    engines = house.gateway.engines.values()
    busy = sum(each.meter.busy for each in engines)
    assert sum(row.seconds for row in rows) == pytest.approx(2.0 * busy, rel=1e-6)
    assert sum(row.cost for row in rows) == pytest.approx(0.01 * busy, rel=1e-6)
    assert sum(row.energy for row in rows) == pytest.approx(100.0 * busy, rel=1e-6)

    # money is tokens by the price list, and nothing for what failed or was never begun
    for row in rows:
        if row.outcome in ("failed", "refused") or row.started is None:
            assert row.charged == 0.0
        elif row.model == "m":
            fresh = (row.prompt - row.cached) * PRICE.prompt + row.cached * PRICE.cached
            assert row.charged == pytest.approx(fresh + row.tokens * PRICE.answer)
        else:
            assert row.charged == row.cost

    assert told_again(record).events > len(rows)


def lines(record: Path) -> list[bytes]:
    return record.read_bytes().splitlines(keepends=True)


def test_a_record_that_was_cut_or_changed_is_noticed(tmp_path: Path) -> None:
    record = tmp_path / "events.jsonl"
    run(some_run("fair+queue(most=3)", 1, 40, record))
    whole = lines(record)
    events = told_again(record).events
    record.write_bytes(b"".join(whole)[:-5])  # killed as it wrote its last line
    assert told_again(record).events == events - 1

    start = next(n for n, line in enumerate(whole) if b'"Start"' in line)
    entry = msgspec.json.decode(whole[start])
    for change in ({"actions": []}, {"desk": 7}, {"now": "soon"}):
        changed = [*whole]
        changed[start] = msgspec.json.encode({**entry, **change}) + b"\n"
        record.write_bytes(b"".join(changed))
        with pytest.raises(BadFile, match=f"line {start + 1}"):
            told_again(record)

    record.write_bytes(b"".join(whole[:start] + whole[start + 1 :]))  # an event is gone
    with pytest.raises(BadFile, match=r"the policy answers|is no record"):
        told_again(record)
    record.write_bytes(b"hello\n")
    with pytest.raises(BadFile, match="line 1"):
        told_again(record)
    with pytest.raises(BadFile, match="cannot be read"):
        told_again(tmp_path / "none")
    record.write_bytes(b"")
    assert told_again(record).events == 0


def test_records_of_two_runs_in_one_file_are_told_one_after_the_other(tmp_path: Path) -> None:
    record = tmp_path / "events.jsonl"
    run(some_run("fcfs", 1, 10, record))
    first = told_again(record).events
    run(some_run("classes", 2, 10, record))
    assert told_again(record).events > first


@pytest.mark.parametrize("stream", [False, True])
def test_limits_are_exact_however_many_ask_at_once(stream: bool) -> None:
    tenants = (
        Tenant(name="n", keys=(hashed("n"),), limits=(Limit(what="requests", amount=30.0),)),
        Tenant(name="t", keys=(hashed("t"),), limits=(Limit(what="tokens", amount=500.0),)),
    )

    async def work() -> None:
        fake = Fake(talk(tokens=20, prompt=10))
        async with serving(fake, tenants=tenants, policy="fcfs") as house:

            async def one(key: str) -> list[int]:
                body = chat(stream=stream, max_tokens=20)
                return [(await ask(house, CHAT, body, key)).status for _ in range(3)]

            found = await asyncio.gather(*[one(key) for key in "nt" * 25])
            statuses = [status for each in found[::2] for status in each]
            assert statuses.count(200) == 30 and set(statuses) == {200, 429}
            rows = [row for row in house.rows if (row.tenant, row.outcome) == ("t", "finished")]
            used = sum(row.prompt + row.tokens for row in rows)
            assert 500 - 30 < used < 500 + 30
            await until(lambda: clean(house))

    run(work())
