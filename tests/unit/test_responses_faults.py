"""What clients see when engines, the state or they themselves break off."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from openai import APIStatusError, BadRequestError, InternalServerError, NotFoundError
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter
from tests.gateways import EVENTS, Fake, Script, ask, event, http, piece, run, says, until
from tests.responding import call, delta, echoes, over, responding, steps, told_in

from eke.errors import StateFull
from eke.gateway.responses import kept

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
STREAM = {"model": "m", "input": "x", "stream": True}
BEGUN = [
    delta(content="so "),
    delta(content="far"),
    delta(tool_calls=[call(0, "{", id="c", name="n")]),
]


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state.db")


def dies(*deltas: bytes) -> Script:
    """An engine that breaks off."""
    return says(EVENTS, *[piece(each) for each in deltas], then="cut")


ENDS = (
    ("cut", dies(*BEGUN), "broke off"),
    (
        "error",
        says(
            EVENTS,
            *[piece(each) for each in (*BEGUN, event({"error": {"message": "no memory"}}))],
            b"0\r\n\r\n",
        ),
        "no memory",
    ),
    (
        "nonsense",
        says(EVENTS, *[piece(each) for each in (*BEGUN, b"data: {broken\n\n")], b"0\r\n\r\n"),
        "no chunk",
    ),
    ("half", says(EVENTS, *[piece(each) for each in BEGUN], b"0\r\n\r\n"), "before the answer did"),
)


@pytest.mark.parametrize("name,script,words", ENDS, ids=[each[0] for each in ENDS])
def test_an_engine_that_dies_leaves_a_failed_response(
    name: str, script: Script, words: str, state: str
) -> None:
    async def work() -> None:
        fake = Fake(script)
        async with responding(fake, state=state) as home:
            events = told_in((await ask(home.house, "/v1/responses", STREAM, "alice")).body)
            for each in events:
                EVENT.validate_python(each)
            assert [each["sequence_number"] for each in events] == list(range(len(events)))
            last = events[-1]
            assert last["type"] == "response.failed"
            made = last["response"]
            assert made["status"] == "failed" and made["error"]["code"] == "server_error"
            assert words in made["error"]["message"]
            assert made["usage"]["output_tokens"] >= 2 and made["usage"]["input_tokens"] > 0
            done = [each["item"] for each in events if each["type"] == "response.output_item.done"]
            assert done == made["output"]
            assert [each["status"] for each in done] == ["completed", "incomplete"]
            got = await home.client.responses.retrieve(made["id"])
            assert got.status == "failed" and got.output[0].content[0].text == "so far"  # type: ignore[union-attr]
            with pytest.raises(BadRequestError, match="failed; only"):
                await home.client.responses.create(
                    model="m", input="y", previous_response_id=made["id"]
                )
            with pytest.raises(InternalServerError, match="broke off") as error:
                await home.client.responses.create(model="m", input="x")
            assert error.value.status_code == 502
            later = await home.client.responses.create(model="m", input="x", background=True)
            assert (await over(home, later.id)).status == "failed"
            assert {row.outcome for row in home.house.rows} == {"failed"}
            assert {row.reason.partition(",")[0] for row in home.house.rows} == {"broke off"}
            assert not any("memory" in row.reason for row in home.house.rows)

    run(work())


def test_what_an_engine_refuses_is_refused_before_the_stream(state: str) -> None:
    async def work() -> None:
        error = {"message": "too long", "type": "BadRequestError", "param": "messages", "code": 400}
        fake = Fake(says(http(400, {"error": error})))
        async with responding(fake, state=state) as home:
            for stream in (False, True):
                with pytest.raises(BadRequestError, match="too long") as refused:
                    await home.client.responses.create(model="m", input="x", stream=stream)
                assert refused.value.param == "input" and refused.value.type == "BadRequestError"
            made = await home.client.responses.create(model="m", input="x", background=True)
            found = await over(home, made.id)
            assert found.status == "failed" and found.error is not None
            assert (found.error.code, found.error.message) == ("invalid_prompt", "too long")
            assert {row.reason for row in home.house.rows} == {"the engine answered 400"}
            assert home.house.gateway.errors == {("400", "upstream_error"): 2}

    run(work())


def test_what_is_no_stream_is_no_answer(state: str) -> None:
    async def work() -> None:
        async with responding(Fake(says(http(200, {"choices": []}))), state=state) as home:
            with pytest.raises(InternalServerError, match="something else"):
                await home.client.responses.create(model="m", input="x", stream=True)

    run(work())


def test_a_client_that_leaves_ends_its_response(state: str) -> None:
    async def work() -> None:
        fake = Fake(steps(asyncio.Event()))
        async with responding(fake, state=state) as home:
            stream = await home.client.responses.create(model="m", input="x", stream=True)
            first = await anext(aiter(stream))
            id = first.response.id  # type: ignore[union-attr]
            assert (await home.client.responses.retrieve(id)).status == "in_progress"
            with pytest.raises(BadRequestError, match="background"):
                await home.client.responses.cancel(id)
            await stream.close()
            await until(lambda: fake.left == 1)
            await until(lambda: not home.makings.live)
            made = await home.client.responses.retrieve(id)
            assert made.status == "cancelled" and made.usage is not None
            assert home.house.rows[-1].outcome == "stopped"
            asked = asyncio.ensure_future(home.client.responses.create(model="m", input="y"))
            await until(lambda: fake.running == 1)
            asked.cancel()
            await until(lambda: fake.left == 2)
            await until(lambda: not home.makings.live)

    run(work())


def test_deleting_what_is_streamed_ends_it_and_keeps_nothing(state: str) -> None:
    async def work() -> None:
        fake = Fake(steps(asyncio.Event()))
        async with responding(fake, state=state) as home:
            stream = await home.client.responses.create(model="m", input="x", stream=True)
            first = await anext(aiter(stream))
            id = first.response.id  # type: ignore[union-attr]
            await home.client.responses.delete(id)
            rest = [each async for each in stream]
            assert rest[-1].response.status == "cancelled"  # type: ignore[union-attr]
            with pytest.raises(NotFoundError):
                await home.client.responses.retrieve(id)

    run(work())


def test_an_answer_that_cannot_be_stored_is_told_so(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StateFull("no room")

    async def work() -> None:
        async with responding(Fake(echoes()), state=state) as home:
            monkeypatch.setattr(kept, "store", full)
            made = await home.client.responses.create(model="m", input="x")
            assert made.output_text == "1: x" and made.model_dump()["store"] is False
            monkeypatch.setattr(kept, "queue", full)
            with pytest.raises(APIStatusError) as error:
                await home.client.responses.create(model="m", input="x", background=True)
            assert error.value.status_code == 503
            assert not home.makings.live and not home.makings.held
            assert not home.gateway.desks["m"].calls

    run(work())
