"""What engines fail at: relayed in their own words, or tried again elsewhere, and how often."""

from __future__ import annotations

import asyncio

import pytest
from tests.gateways import (
    EVENTS,
    Fake,
    Got,
    Line,
    ask,
    asks,
    chat,
    event,
    http,
    reply_of,
    run,
    says,
    serving,
    talk,
    until,
)
from tests.unit.test_gateway_faults import (  # noqa: F401
    CHUNK,
    HEAD,
    asked,
    clean,
    looks_often,
    refused,
)

from eke.gateway.settings import Patience


@pytest.mark.parametrize("status", [400, 404, 413, 422])
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
            assert not engine.alive and engine.trouble
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
            refused(reply, "did not answer yet", 503)
            assert int(reply.headers["retry-after"]) >= 1
            words = "engine e0 is not there yet: no answer"
            await until(lambda: any(words in each for each in house.said))

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
    assert asks("/x").startswith(b"GET /x HTTP/1.1\r\n")
