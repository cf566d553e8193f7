"""Responses that run on by themselves: queued, followed, cancelled, and made after a restart."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError
from openai.types.responses import Response
from tests.gateways import (
    Fake,
    ask,
    run,
    talk,
    until,
)
from tests.responding import (
    BODY,
    all_of,
    echoes,
    over,
    responding,
    state_of,
    steps,
    told_in,
)
from tests.states import address

from eke.gateway.api import following
from eke.gateway.responses import kept, making, makings
from eke.gateway.settings import Tenant
from eke.gateway.state import standing
from eke.gateway.tenants import hashed


@pytest.fixture
def state(tmp_path: Path) -> str:
    return address("sqlite", tmp_path)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are often, and claims are short."""
    monkeypatch.setattr(makings, "LOOK", 0.02)
    monkeypatch.setattr(makings, "LEASE", 0.3)
    monkeypatch.setattr(making, "OFTEN", 0.01)


def test_it_runs_on_by_itself(state: str) -> None:
    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(steps(gate))
        async with responding(fake, state=state, facts={"slots": 1}) as home:
            create, retrieve = home.client.responses.create, home.client.responses.retrieve
            first = await create(model="m", input="a", background=True)
            second = await create(model="m", input="b", background=True)
            third = await create(model="m", input="c", background=True)
            assert [each.status for each in (first, second, third)] == ["queued"] * 3
            await until(lambda: fake.running == 1)
            await until(lambda: home.makings.live[first.id].answer["status"] == "in_progress")
            assert (await retrieve(first.id)).status == "in_progress"
            places = [(await retrieve(id)).model_dump()["eke"] for id in (second.id, third.id)]
            assert [place["place"] for place in places] == [0, 1]
            assert set(places[0]) == {"place", "eta"}
            gate.set()
            for each in (first, second, third):
                made = await over(home, each.id)
                assert made.status == "completed" and made.output_text == "0 "
                assert made.background and made.usage is not None
            again = await create(model="m", input="d", previous_response_id=third.id)
            assert len(fake.got[-1].json()["messages"]) == 3 and again.status == "completed"
            assert {row.kind for row in home.house.rows} == {"background", "chat"}

    run(work())


def test_a_stream_is_resumed_exactly_after_any_event(state: str) -> None:
    async def work() -> None:
        gates = [asyncio.Event() for _ in range(3)]
        async with responding(Fake(steps(*gates)), state=state) as home:
            first = []
            async for each in await home.client.responses.create(**BODY):
                first.append(each)
                if each.type == "response.output_text.delta":
                    break
            id = first[0].response.id  # type: ignore[union-attr]
            assert first[0].response.status == "queued"  # type: ignore[union-attr]
            other = home.client.with_options(api_key="bob").responses
            with pytest.raises(NotFoundError):
                await other.retrieve(id, stream=True)
            retrieve = home.client.responses.retrieve
            resumed = asyncio.ensure_future(
                all_of(await retrieve(id, stream=True, starting_after=first[-1].sequence_number))
            )
            for gate in gates:
                gate.set()
                await asyncio.sleep(0.005)
            events = [*first, *await resumed]
            assert [each.sequence_number for each in events] == list(range(len(events)))
            assert events[-1].type == "response.completed"
            assert events[-1].response.output_text == "0 1 2 "  # type: ignore[union-attr]
            for after in (-1, 0, 3, len(events) - 2, len(events) - 1, len(events) + 5):
                later = [] if after < 0 else [("starting_after", after)]
                again = await all_of(await retrieve(id, stream=True, **dict(later)))  # type: ignore[call-overload]
                assert again == events[after + 1 :]
            async with home.client.responses.stream(response_id=id, starting_after=4) as stream:
                assert (await stream.get_final_response()).output_text == "0 1 2 "

    run(work())


def test_only_what_was_streamed_is_streamed_again(state: str) -> None:
    async def work() -> None:
        gate = asyncio.Event()
        async with responding(Fake(steps(gate)), state=state) as home:
            responses = home.client.responses
            made = await responses.create(model="m", input="a", background=True)
            for _ in range(2):  # while it runs, and when it is over
                with pytest.raises(BadRequestError, match="without 'stream'"):
                    await responses.retrieve(made.id, stream=True)
                gate.set()
                await over(home, made.id)
            with pytest.raises(NotFoundError):
                await responses.retrieve("resp_1", stream=True)

    run(work())


def test_cancelling_twice_is_as_once(state: str) -> None:
    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(steps(asyncio.Event()))
        async with responding(fake, state=state, facts={"slots": 1}) as home:
            responses = home.client.responses
            runs = await responses.create(model="m", input="a", background=True)
            waits = await responses.create(model="m", input="b", background=True)
            await until(lambda: fake.running == 1)
            for each in (waits, runs):
                for _ in range(2):
                    assert (await responses.cancel(each.id)).status == "cancelled"
                assert (await responses.retrieve(each.id)).status == "cancelled"
            await until(lambda: fake.left == 1)
            with pytest.raises(BadRequestError, match="cancelled; only"):
                await responses.create(model="m", input="c", previous_response_id=runs.id)
            fake.script = echoes()
            done = await responses.create(model="m", input="d", background=True)
            made = await over(home, done.id)
            assert (await responses.cancel(done.id)) == made
            plain = await responses.create(model="m", input="e")
            with pytest.raises(BadRequestError, match="background"):
                await responses.cancel(plain.id)
            gate.set()

    run(work())


def test_deleting_ends_what_runs(state: str) -> None:
    async def work() -> None:
        fake = Fake(steps(asyncio.Event()))
        async with responding(fake, state=state) as home:
            made = await home.client.responses.create(model="m", input="a", background=True)
            await until(lambda: fake.running == 1)
            await home.client.responses.delete(made.id)
            await until(lambda: fake.left == 1)
            with pytest.raises(NotFoundError):
                await home.client.responses.retrieve(made.id)
            assert not home.makings.live and not home.makings.held

    run(work())


def test_place_in_the_queue_is_told_whenever_it_changes(state: str) -> None:
    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(talk(gate=gate))
        async with responding(fake, state=state, facts={"slots": 1}) as home:
            body = {"model": "m", "input": "x", "stream": True}
            path = "/v1/responses"
            asked = []
            for name in ("first", "second", "third"):
                asked.append(asyncio.ensure_future(ask(home.house, path, body, name)))
                await until(lambda: len(home.makings.live) == len(asked))
            await asyncio.sleep(0.03)
            gate.set()
            replies = [told_in((await each).body) for each in asked]
            places = [
                [each["eke"]["place"] for each in events if each["type"] == "response.queued"]
                for events in replies
            ]
            assert places[0] == [] and places[1] == [0] and places[2][0] == 1
            assert places[2] == sorted(places[2], reverse=True)
            for events in replies[1:]:
                kinds = [each["type"] for each in events]
                assert kinds[:2] == ["response.created", "response.queued"]
                assert events[0]["response"]["status"] == "queued"
                running = kinds.index("response.in_progress")
                assert set(kinds[1:running]) == {"response.queued"}
                assert events[running]["response"]["status"] == "in_progress"
                assert [each["sequence_number"] for each in events] == list(range(len(events)))

    run(work())


def test_what_is_told_to_be_complete_can_be_followed(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where it takes the state a while to store it."""
    finish, gate = kept.finish, threading.Event()

    def slow(*given: Any) -> bool:
        gate.wait(10.0)
        return finish(*given)

    async def work() -> None:
        monkeypatch.setattr(kept, "finish", slow)
        async with responding(Fake(echoes()), state=state) as home:
            create = home.client.responses.create

            async def followed() -> Response:
                made = await create(model="m", input="a", background=True)
                await over(home, made.id)
                return await create(model="m", input="b", previous_response_id=made.id)

            asked = asyncio.ensure_future(followed())
            await until(lambda: home.makings.live)
            (first,) = home.makings.live.values()
            await until(lambda: first.answer["status"] == "completed")
            await asyncio.sleep(0.05)
            gate.set()
            assert (await asked).output_text == "3: b"

    run(work())


def test_without_store_it_is_kept_for_a_while(state: str) -> None:
    async def work() -> None:
        async with responding(Fake(echoes()), state=state) as home:
            create = home.client.responses.create
            made = await create(model="m", input="x", background=True, store=False)
            assert (await over(home, made.id)).output_text == "1: x"
            with pytest.raises(NotFoundError):
                await create(model="m", input="y", previous_response_id=made.id)
            home.gateway.clock._offset += 590.0
            assert (await over(home, made.id)).output_text == "1: x"
            home.gateway.clock._offset += 20.0
            with pytest.raises(NotFoundError):
                await home.client.responses.retrieve(made.id)

    run(work())


@pytest.mark.parametrize("how", ("tenant", "gateway"))
def test_where_nothing_may_be_kept_nothing_runs_on(how: str, state: str) -> None:
    async def work() -> None:
        mute = Tenant(name="mute", keys=(hashed("mute-key"),), store=False)
        settings: Any = {"state": state} if how == "tenant" else {}
        async with responding(Fake(), key="mute-key", tenants=(mute,), **settings) as home:
            with pytest.raises(BadRequestError) as error:
                await home.client.responses.create(model="m", input="x", background=True)
            assert error.value.param == "background"

    run(work())


def test_more_than_a_gateway_takes_wait_in_the_state(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        monkeypatch.setattr(makings, "AT_ONCE", 1)
        monkeypatch.setattr(following, "LOOK", 0.01)
        gate = asyncio.Event()
        fake = Fake(steps(gate))
        async with responding(fake, state=state) as home:
            first = await home.client.responses.create(model="m", input="a", background=True)
            await until(lambda: fake.running == 1)
            second = await home.client.responses.create(model="m", input="b", background=True)
            third = asyncio.ensure_future(all_of(await home.client.responses.create(**BODY)))
            unwanted = await home.client.responses.create(**BODY)
            queued = await state_of(home).read(standing.open_ones, "response", ["queued"])
            count = "SELECT count(*) FROM works WHERE state = 'queued'"
            assert await state_of(home).read(lambda t: t.one(count)) == (3,) and not third.done()
            for each in queued:
                if each.id not in (first.id, second.id):
                    newest = each.id
            assert (await home.client.responses.cancel(newest)).status == "cancelled"
            rest = await all_of(unwanted)
            assert [each.type for each in rest] == ["response.incomplete"]
            assert rest[0].response.status == "cancelled"
            assert (await home.client.responses.retrieve(second.id)).status == "queued"
            gate.set()
            for each in (first, second):
                assert (await over(home, each.id)).status == "completed"
            assert (await third)[-1].type == "response.completed"
            await until(lambda: not home.makings.live)
            assert home.gateway.held == 0

    run(work())
