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
    asks,
    chat,
    event,
    events,
    http,
    piece,
    reply_of,
    run,
    says,
    serving,
    talk,
    told,
    until,
)

from eke.gateway.settings import Patience


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines are looked at so often that no test waits for it."""
    monkeypatch.setattr("eke.gateway.serving.OFTEN", 0.02)
    monkeypatch.setattr("eke.gateway.serving.SOON", 0.02)
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
        all(each.running == 0 and not each.flights for each in engines)
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


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_the_engine_refuses_is_refused_in_its_own_words(status: int) -> None:
    error = {"message": "no", "type": "t", "param": "p", "code": 400, "more": [1]}

    async def work() -> None:
        reply, house, fake = await asked(says(http(status, {"error": error})))
        assert (reply.status, reply.json()) == (status, {"error": error})
        assert len(fake.got) == 1 and house.rows[0].outcome == "failed"
        assert house.gateway.engines[0].breaker.failures == 0

    run(work())


@pytest.mark.parametrize(
    "body,words",
    [
        (b"no such thing", "no such thing"),
        (b"", "gave no reason"),
        (b'{"detail": [{"msg": "too long"}]}', "too long"),
        (b'{"object": "error", "message": "too long", "code": 400}', "too long"),
        (b'{"error": "too long", "error_type": "validation"}', "too long"),
        (b'{"error": {"message": "too long", "code": 400}}', "too long"),
        (b'["too long"]', "too long"),
    ],
)
def test_errors_of_other_shapes_have_the_four_keys(body: bytes, words: str) -> None:
    async def work() -> None:
        reply, _, _ = await asked(says(http(400, body)))
        error = reply.json()["error"]
        assert reply.status == 400
        assert set(error) >= {"message", "type", "param", "code"} and words in error["message"]

    run(work())


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_what_another_engine_may_do_is_tried_there(status: int) -> None:
    async def work() -> None:
        bad, good = Fake(says(http(status, {"error": {"message": "busy"}}))), Fake()
        async with serving(bad, good, policy="fcfs@round-robin") as house:
            replies = [await ask(house, body=chat()) for _ in range(2)]
            assert {reply.status for reply in replies} == {200}
            assert len(bad.got) >= 1 and len(good.got) == 2
            assert max(row.tries for row in house.rows) == 1
            assert {row.engine for row in house.rows} == {"e1"}
            assert clean(house)

    run(work())


@pytest.mark.parametrize("retries", [0, 1, 3])
@pytest.mark.parametrize("status", [0, 429, 503, 500])
def test_nothing_is_tried_more_often_than_settings_say(retries: int, status: int) -> None:
    busy = http(status, {"error": {"message": "own words"}}, "retry-after: 7")
    script = says(busy) if status else says(then="cut")

    async def work() -> None:
        fakes = [Fake(script) for _ in range(5)]
        patience = Patience(retries=retries)
        async with serving(*fakes, policy="fcfs@round-robin", patience=patience) as house:
            reply = await ask(house, body=chat())
            assert reply.status == (status or 502)
            words = reply.json()["error"]["message"]
            assert ("own words" if status else "closed the connection") in words
            if status in (429, 503):
                assert reply.headers["retry-after"] == "7"
            tries = sum(len(fake.got) for fake in fakes)
            assert tries == retries + 1 or (status == 0 and tries == 2 * (retries + 1))
            assert [row.tries for row in house.rows] == [retries + 1]
            assert clean(house)

    run(work())


def test_nothing_is_tried_again_after_the_first_byte() -> None:
    async def work() -> None:
        bad = Fake(says(HEAD + b"content-length: 99\r\n\r\n{", then="cut"))
        good = Fake()
        async with serving(bad, good, policy="fcfs@round-robin") as house:
            replies = [await ask(house, body=chat()) for _ in range(2)]
            assert sorted(reply.status for reply in replies) == [200, 502]
            assert (len(bad.got), len(good.got)) == (1, 1)

    run(work())


def test_an_engine_that_dies_is_left_alone_and_tried_again_when_it_is_back() -> None:
    async def work() -> None:
        one, two = Fake(), Fake()
        async with serving(one, two, policy="fcfs@round-robin") as house:
            await one.stop()
            replies = [await ask(house, body=chat()) for _ in range(12)]
            assert {reply.status for reply in replies} == {200} and len(two.got) == 12
            engine = house.gateway.engines[0]
            engine.breaker.open(house.gateway.clock.now())
            assert not engine.alive and "connection" in engine.trouble
            await one.start()
            await until(lambda: engine.alive)  # at the next look
            before = len(one.got)
            for _ in range(4):
                assert (await ask(house, body=chat())).status == 200
            assert len(one.got) > before
            assert clean(house)

    run(work())


def test_an_engine_that_always_breaks_off_is_left_alone() -> None:
    async def work() -> None:
        bad, good = Fake(says(EVENTS + CHUNK, then="cut")), Fake()
        async with serving(bad, good, policy="fcfs@round-robin") as house:
            engine = house.gateway.engines[0]
            while engine.breaker.closed:
                assert len(bad.got) < 4
                await ask(house, body=chat(stream=True))
            assert not engine.alive and "closed the connection" in engine.trouble
            assert engine.failed == 3 and clean(house)

    run(work())


def test_an_answer_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eke.gateway.api.proxy.LONGEST", 10**6)

    async def script(got: Got, line: Line) -> None:
        await line.send(HEAD + b"\r\n")
        while True:
            await line.send(b"x" * 10_000)

    async def work() -> None:
        reply, _, fake = await asked(script)
        refused(reply, "is longer than 1,000,000 bytes")
        await until(lambda: fake.running == 0)

    run(work())


def test_who_waits_for_engines_that_are_gone_is_told_in_time() -> None:
    async def work() -> None:
        fake = Fake()
        patience = Patience(alone=0.1, connect=0.1)
        async with serving(fake, patience=patience, facts={"slots": 1}) as house:
            await fake.stop()
            house.gateway.engines[0].breaker.open(house.gateway.clock.now())
            house.gateway.report(house.gateway.engines[0])
            replies = await asyncio.gather(*[ask(house, body=chat()) for _ in range(5)])
            assert {reply.status for reply in replies} == {503}
            assert all(
                "no engine is there" in reply.json()["error"]["message"] for reply in replies
            )
            assert all(int(reply.headers["retry-after"]) >= 1 for reply in replies)
            assert [row.outcome for row in house.rows] == ["refused"] * 5
            assert clean(house)

    run(work())


def test_an_engine_that_is_not_there_yet_is_waited_for() -> None:
    async def work() -> None:
        fake = Fake()
        await fake.start()
        await fake.stop()  # its port is known, and nobody listens
        facts = {"models": {"m": "m"}, "url": fake.url}
        other = Fake(models=["other"])
        async with serving(other, ready=False, facts=facts) as house:
            await until(lambda: house.gateway.desks)
            waits = asyncio.ensure_future(ask(house, body=chat()))
            await until(house.gateway.queued)
            await fake.start()
            assert (await waits).status == 200
            await fake.stop()

    run(work())


def test_models_are_not_known_to_be_unknown_while_engines_start() -> None:
    async def work() -> None:
        fake = Fake()
        await fake.start()
        await fake.stop()
        async with serving(Fake(), ready=False, facts={"url": fake.url}) as house:
            reply = await ask(house, body=chat(model="n"))
            refused(reply, "starting", 503)
            assert int(reply.headers["retry-after"]) >= 1

    run(work())


def test_a_hundred_requests_meet_engines_that_fail_at_random() -> None:
    """Each gets one answer, and nothing is left behind."""

    async def fails(got: Got, line: Line) -> None:
        number = len(one.got) + len(two.got)
        ways = [talk(), says(then="cut"), says(http(503, {})), says(EVENTS + CHUNK, then="cut")]
        await ways[number * 7 % 11 % len(ways)](got, line)

    one, two = Fake(fails), Fake(fails)

    async def work() -> None:
        async with serving(one, two, facts={"slots": 4}, patience=Patience(first=1.0)) as house:
            asking = [ask(house, body=chat(stream=each % 2 == 0)) for each in range(100)]
            replies = await asyncio.gather(*asking)
            assert {reply.status for reply in replies} <= {200, 502, 503}
            assert not any(reply.cut for reply in replies)
            await until(lambda: clean(house))
            assert len(house.rows) == 100 and len({row.number for row in house.rows}) == 100

    run(work())


def test_a_raw_answer_can_be_told_from_its_bytes() -> None:
    """The client of these tests itself: what is cut short is seen to be."""
    assert reply_of(http(200, b"{}")[:-1]).cut and not reply_of(http(200, b"{}")).cut
    assert reply_of(b"").status == 0
    assert event({"a": 1}) == b'data: {"a": 1}\n\n'
    assert asks("/x").startswith(b"GET /x HTTP/1.1\r\n") and told
