"""Engines that do everything wrong; what clients are told, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from tests.gateways import (
    CHAT,
    EVENTS,
    Fake,
    Got,
    House,
    Line,
    Script,
    ask,
    chat,
    events,
    http,
    piece,
    run,
    says,
    serving,
    talk,
    until,
)

from eke.gateway.settings import Patience


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines are looked at so often that no test waits for it."""
    monkeypatch.setattr("eke.gateway.looking.OFTEN", 0.02)
    monkeypatch.setattr("eke.gateway.looking.SOON", 0.02)
    monkeypatch.setattr("eke.gateway.engines.breaker.FIRST", 0.02)


LOOPS = [None, uvloop.new_event_loop]
SHORT = Patience(first=0.05, between=0.05, retries=0)
LONG = Patience(retries=0)
WORDS = events(chat(), CHAT, 3, None)
CHUNK = piece(WORDS[0])


def clean(house: House) -> bool:
    """Nothing is left behind: no request, no place taken."""
    gateway = house.gateway
    engines = gateway.engines.values()
    return (
        all(each.level == 0 and not each.flights for each in engines)
        and all(not desk.calls and desk.waiting == 0 for desk in gateway.all_desks())
        and gateway.open_calls == 0
        and gateway.held == 0
    )


async def asked(
    script: Script, body: Any = None, patience: Patience = LONG, **facts: Any
) -> tuple[Any, House, Fake]:
    """What a client gets from an engine that does as a script says."""
    fake = Fake(script)
    async with serving(fake, patience=patience, facts=facts) as house:
        reply = await ask(house, body=chat() if body is None else body)
        await until(lambda: clean(house))
        assert len(house.rows) == 1
        return reply, house, fake


def refused(reply: Any, words: str, status: int = 502) -> None:
    """It is an error as OpenAI has them, that says so."""
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert reply.status == status and words in error["message"], error


HEAD = b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\n"
PLAIN = [
    (says(then="cut"), "closed the connection"),
    (says(then="close"), "closed the connection"),
    (says(then="hang"), "nothing came for 0.05 s"),
    (says(HEAD + b"content-length: 99\r\n\r\n{", then="cut"), "closed the connection"),
    (says(HEAD + b"content-length: 99\r\n\r\n{", then="hang"), "nothing came for 0.05 s"),
    (says(HEAD, then="cut"), "closed the connection"),
    (says(HEAD, then="hang"), "nothing came for 0.05 s"),
    (says(b"garbage\r\n\r\n", then="hang"), "does not speak HTTP"),
    (says(b"\x16\x03\x01\x02\x00\x01\x00", then="hang"), "does not speak HTTP"),
    (says(b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", then="hang"),
     "does not speak HTTP"),
    (says(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n", then="hang"), "does not speak HTTP"),
    (says(HEAD + b"content-length: -5\r\n\r\n{}", then="hang"), "does not speak HTTP"),
    (says(http(200, b"")), "not JSON"),
    (says(http(200, b"{")), "not JSON"),
    (says(http(200, b"<html></html>")), "not JSON"),
    (says(http(200, b"[]")), "not JSON"),
    (says(http(204, b"")), "not JSON"),
    (says(http(302, b"", "location: http://elsewhere/")), "not JSON"),
    (says(HEAD + b"x: " + b"y" * 70_000, then="hang"), "head of its answer is too long"),
    (says(HEAD, *[b"x: %b\r\n" % (b"y" * 9999)] * 8, then="hang"), "head of its answer"),
    (says(*[b"HTTP/1.1 102 x\r\n\r\n"] * 5000, then="hang"), "head of its answer is too long"),
]  # fmt: skip


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("script,words", PLAIN)
def test_an_engine_that_breaks_is_told_of(
    script: Script, words: str, loop: Callable[[], Any] | None
) -> None:
    async def work() -> None:
        reply, house, _ = await asked(script, patience=SHORT if "nothing" in words else LONG)
        refused(reply, words)
        assert (house.rows[0].outcome, house.rows[0].charged) == ("failed", 0.0)

    run(work(), loop)


STREAMS = [
    (says(EVENTS + CHUNK, then="cut"), "closed the connection"),
    (says(EVENTS + CHUNK, then="hang"), "nothing came for 0.05 s"),
    (says(EVENTS + CHUNK + b"0\r\n\r\n"), "ended before the answer did"),
    (says(EVENTS + CHUNK + piece(b"data: {") + b"0\r\n\r\n"), "ended inside an event"),
    (says(EVENTS + CHUNK + b"zz\r\n", then="hang"), "does not speak HTTP"),
    (
        says(EVENTS + CHUNK + piece(b'data: {"usage": {"prompt_tokens": 1}\n\n'), then="hang"),
        "not JSON",
    ),
]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("script,words", STREAMS)
def test_a_stream_that_breaks_ends_in_an_error(
    script: Script, words: str, loop: Callable[[], Any] | None
) -> None:
    async def work() -> None:
        patience = SHORT if "nothing" in words else LONG
        reply, house, _ = await asked(script, chat(stream=True), patience)
        assert reply.status == 200 and not reply.cut
        *_, last = reply.events()
        assert set(last["error"]) == {"message", "type", "param", "code"}
        assert words in last["error"]["message"]
        assert b"[DONE]" not in reply.body
        assert house.rows[0].outcome == "failed"

    run(work(), loop)


@pytest.mark.parametrize(
    "script,words",
    [
        (says(http(200, b"{}")), "was asked for a stream and sent 'application/json'"),
        (says(http(200, b"hello", "content-type: text/html")), "sent 'text/html'"),
        (says(EVENTS + b"0\r\n\r\n"), "was asked for a stream"),
        (says(then="cut"), "closed the connection"),
        (says(then="hang"), "nothing came"),
    ],
)
def test_a_stream_that_never_begins_is_an_error(script: Script, words: str) -> None:
    async def work() -> None:
        patience = SHORT if "nothing" in words else LONG
        reply, _, _ = await asked(script, chat(stream=True), patience)
        refused(reply, words)

    run(work())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_trickles_is_an_answer(stream: bool, loop: Callable[[], Any] | None) -> None:
    async def script(got: Got, line: Line) -> None:
        whole = EVENTS + b"".join(map(piece, WORDS)) + b"0\r\n\r\n" if stream else answer
        for letter in range(len(whole)):
            await line.send(whole[letter : letter + 1])
            await asyncio.sleep(0)

    answer = b"HTTP/1.1 100 Continue\r\n\r\n" + http(200, {"usage": {"prompt_tokens": 2}})

    async def work() -> None:
        reply, _, _ = await asked(script, chat(stream=stream))
        assert reply.status == 200
        assert reply.body == (b"".join(WORDS) if stream else b'{"usage": {"prompt_tokens": 2}}')

    run(work(), loop)


def test_an_answer_without_length_ends_with_its_connection() -> None:
    async def work() -> None:
        script = says(HEAD + b"\r\n", b'{"a":', b" 1}", then="close")
        reply, _, _ = await asked(script)
        assert (reply.status, reply.body) == (200, b'{"a": 1}')

    run(work())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_large_answer_passes_and_its_connection_is_of_use_again(
    loop: Callable[[], Any] | None,
) -> None:
    data = json.dumps({"data": "x" * 30_000_000}).encode()

    async def work() -> None:
        fake = Fake(says(http(200, data)))
        async with serving(fake) as house:
            assert (await ask(house, body=chat())).body == data
            fake.script = talk()
            assert (await ask(house, body=chat())).json()["usage"]["total_tokens"] == 10
            assert clean(house)

    run(work(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_that_was_idle_too_long_is_nobodys_failure(
    loop: Callable[[], Any] | None,
) -> None:
    async def once(got: Got, line: Line) -> None:
        if len(fake.got) == 2:
            line.cut()  # it was being closed when it was used
        else:
            await talk()(got, line)

    fake = Fake(once)

    async def work() -> None:
        async with serving(fake, patience=LONG) as house:
            assert (await ask(house, body=chat())).status == 200
            assert (await ask(house, body=chat())).status == 200
            assert len(fake.got) == 3 and fake.got[1].body == fake.got[2].body
            engine = house.gateway.engines[0]
            assert engine.breaker.failures == 0 and [row.tries for row in house.rows] == [0, 0]
            assert clean(house)

    run(work(), loop)


def test_who_leaves_while_it_is_sent_again_is_not_asked_for() -> None:
    """The engine closes a kept connection, and is slow to take the next."""

    async def script(got: Got, line: Line) -> None:
        if len(fake.got) == 2:
            fake.server.close()  # nobody else gets in
            house.append(line)
            line.cut()
        else:
            await talk()(got, line)

    fake, house = Fake(script), list[Any]()

    async def work() -> None:
        async with serving(fake, patience=Patience(retries=0)) as here:
            assert (await ask(here, body=chat())).status == 200
            refused(await ask(here, body=chat()), "does not listen")
            assert clean(here)

    run(work())


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\n{}", b"x" * 99])
@pytest.mark.parametrize("later", [False, True])
def test_what_nobody_asked_for_is_given_to_nobody(extra: bytes, later: bool) -> None:
    async def script(got: Got, line: Line) -> None:
        whole = http(200, {"number": len(fake.got)})
        await line.send(whole if later else whole + extra)
        if later:
            await asyncio.sleep(0.01)
            await line.send(extra)

    fake = Fake(script)

    async def work() -> None:
        async with serving(fake) as house:
            for number in range(1, 5):
                reply = await ask(house, body=chat())
                assert reply.json() == {"number": number}
                await asyncio.sleep(0.02 * later)
            assert clean(house)

    run(work())
