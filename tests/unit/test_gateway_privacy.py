"""Nothing that a user wrote, or was answered, is kept anywhere by passing through the gateway."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
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
    http,
    piece,
    run,
    says,
    serving,
    told,
)
from tests.responding import echoes as repeats
from tests.responding import over, responding
from tests.unit.test_gateway_faults import looks_often  # noqa: F401

from eke.gateway.responses.kept import AWHILE
from eke.gateway.settings import Patience, Tenant
from eke.gateway.tenants import hashed

PROMPT, ANSWER, KEY, ENGINE_KEY = "purple-prompt", "amber-answer", "sk-crimson-key", "teal-key"
SECRETS = [PROMPT, ANSWER, KEY, ENGINE_KEY]


def answers(asked: Any) -> bytes:
    said = {"choices": [{"message": {"content": ANSWER}}], "usage": {"prompt_tokens": 3}}
    if asked.get("stream"):
        words = event({"choices": [{"delta": {"content": ANSWER}, "finish_reason": "stop"}]})
        return EVENTS + piece(words) + piece(event(b"[DONE]")) + b"0\r\n\r\n"
    return http(200, said)


async def echoes(got: Got, line: Line) -> None:
    """An engine that answers, or fails with what it was asked in its mouth."""
    asked = got.json()
    way = asked.get("way", "")
    if way == "refuses":
        await line.send(http(400, {"error": {"message": f"no: {got.body!r}"}}))
    elif way == "raves":
        await line.send(http(500, got.body))
    elif way == "breaks":
        await line.send(EVENTS + piece(b"data: {" + got.body + b'"usage"') + b"0\r\n\r\n")
    elif way == "lies":
        await line.send(EVENTS + piece(b'data: {"usage": {"x": 1}, ' + got.body + b"}\n\n"))
    elif way == "babbles":
        await line.send(b"HTTP/1.1 200 x\r\n" + ANSWER.encode() + b"\r\n\r\n")
    else:
        await line.send(answers(asked))


WAYS = ["", "refuses", "raves", "breaks", "lies", "babbles"]


def test_no_words_and_no_keys_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    record = tmp_path / "events.jsonl"
    tenant = Tenant(name="a", keys=(hashed(KEY),))
    whole: list[Any] = []

    async def work() -> None:
        fake = Fake(echoes)
        facts = {"key": ENGINE_KEY}
        patience = Patience(first=0.2, between=0.2, retries=0)
        settings = {"record": str(record), "tenants": (tenant,), "log": "debug"}
        async with serving(fake, facts=facts, patience=patience, **settings) as house:
            for way in WAYS:
                for stream in (False, True):
                    await ask(house, CHAT, chat(PROMPT, way=way, stream=stream), KEY)
            await ask(house, CHAT, chat(PROMPT, max_tokens=0), KEY)
            await ask(house, CHAT, f'{{"model": "{PROMPT}'.encode(), KEY)
            await ask(house, CHAT, chat(PROMPT, service_tier=PROMPT), KEY + "x")
            await ask(house, f"/v1/{PROMPT}", None, KEY)
            await told(house.address, asks(CHAT, PROMPT.encode(), KEY)[:-3] + b"\r\n\r\n garbage")
            monkeypatch.setattr(house.gateway.ledger, "reserve", fails)
            reply = await ask(house, CHAT, chat(PROMPT), KEY)
            assert reply.status == 500 and b"KeyError" in reply.body
            monkeypatch.undo()
            monkeypatch.setattr("eke.gateway.stream.Stream.end", fails)
            reply = await ask(house, CHAT, chat(PROMPT, stream=True), KEY)
            assert reply.status == 200 and reply.cut
            monkeypatch.undo()
            whole.extend(house.rows)
            whole.extend(house.said)

    run(work())
    assert len(whole) >= 2 * len(WAYS)
    kept = msgspec.json.encode(whole).decode() + record.read_text() + caplog.text
    assert "failed inside the gateway: KeyError" in caplog.text and "in fails" in caplog.text
    for secret in SECRETS:
        assert secret not in kept, secret
    for digest in (hashed(KEY), hashed(KEY + "x")):
        assert digest not in record.read_text()


def fails(*nouns: Any) -> None:
    raise KeyError(PROMPT)


def test_an_engines_words_about_a_request_go_to_its_client_alone() -> None:
    async def work() -> None:
        fake = Fake(says(http(400, {"error": {"message": f"bad: {PROMPT}"}})))
        async with serving(fake) as house:
            reply = await ask(house, body=chat(PROMPT))
            assert PROMPT in reply.json()["error"]["message"]
            assert [row.reason for row in house.rows] == ["the engine answered 400"]

    run(work())


def test_who_left_leaves_no_words_behind() -> None:
    """What was held of a request is let go of when it is over."""

    async def work() -> None:
        fake = Fake(says(then="hang"))
        async with serving(fake) as house:
            _, writer = await asyncio.open_connection(*house.address)
            writer.write(asks(CHAT, chat(PROMPT * 1000)))
            while not fake.running:
                await asyncio.sleep(0.001)
            writer.transport.abort()
            while house.gateway.open_calls:
                await asyncio.sleep(0.001)
            assert house.gateway.held == 0 and not house.gateway.desks["m"].calls

    run(work())


@pytest.mark.parametrize("sealed", [False, True])
def test_what_is_answered_in_the_background_and_not_stored_is_sealed_and_soon_gone(
    sealed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SEAL", b64encode(b"s" * 32).decode())
    alice = Tenant(name="alice", keys=(hashed("alice"),), seal="A_SEAL" if sealed else None)

    def lies_there() -> bool:
        return any(PROMPT.encode() in each.read_bytes() for each in tmp_path.iterdir())

    async def work() -> None:
        where = {"state": str(tmp_path / "s.db"), "tenants": (alice,)}
        async with responding(Fake(repeats()), **where) as home:
            create, keeper = home.client.responses.create, home.gateway.keeper
            assert keeper is not None
            made = await create(model="m", input=PROMPT, background=True, store=False)
            assert (await over(home, made.id)).output_text == f"1: {PROMPT}"
            assert lies_there() != sealed
            home.gateway.clock._offset += AWHILE + 1.0
            await keeper.sweep()
            assert await keeper.state.scrub() and not lies_there()

    run(work())
