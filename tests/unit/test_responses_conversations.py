"""Conversations as OpenAI's own client makes them, and what responses add to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError
from tests.gateways import EVENTS, Fake, piece, run, says
from tests.responding import call, delta, echoes, over, responding, streams

from eke.gateway.settings import Tenant
from eke.gateway.tenants import hashed


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state.db")


def said(text: str, role: str = "user") -> Any:
    return {"type": "message", "role": role, "content": text}


async def texts(pages: Any) -> list[str]:
    return [item.content[0].text async for item in pages]


def test_a_conversation_is_made_changed_and_deleted(state: str) -> None:
    async def work() -> None:
        async with responding(Fake(), state=state) as home:
            conversations = home.client.conversations
            made = await conversations.create(items=[said("hello")], metadata={"topic": "a"})
            assert made.object == "conversation" and made.metadata == {"topic": "a"}
            assert await conversations.retrieve(made.id) == made
            changed = await conversations.update(made.id, metadata={"topic": "b"})
            assert changed.metadata == {"topic": "b"} and changed.created_at == made.created_at
            assert await texts(conversations.items.list(made.id)) == ["hello"]
            gone = await conversations.delete(made.id)
            assert gone.deleted and gone.object == "conversation.deleted"
            for lost in (
                conversations.retrieve(made.id),
                conversations.delete(made.id),
                conversations.update(made.id, metadata={}),
                conversations.items.list(made.id),
                conversations.items.create(made.id, items=[said("x")]),
            ):
                with pytest.raises(NotFoundError, match=made.id):
                    await lost

    run(work())


def test_items_are_added_listed_and_deleted(state: str) -> None:
    async def work() -> None:
        async with responding(Fake(), state=state) as home:
            conversations = home.client.conversations
            made = await conversations.create()
            items = conversations.items
            given = [said(f"n{number}") for number in range(20)]
            added = await items.create(made.id, items=given)
            assert len(added.data) == 20 and added.first_id == added.data[0].id
            assert await texts(items.list(made.id, order="asc", limit=7)) == [
                f"n{number}" for number in range(20)
            ]
            newest = await items.list(made.id)
            assert newest.data[0].content[0].text == "n19"  # type: ignore[union-attr]
            third: Any = await items.retrieve(added.data[3].id, conversation_id=made.id)
            assert third.content[0].text == "n3"
            left = await items.delete(third.id, conversation_id=made.id)
            assert left.id == made.id
            assert "n3" not in await texts(items.list(made.id))
            for lost in (
                items.retrieve(third.id, conversation_id=made.id),
                items.delete(third.id, conversation_id=made.id),
            ):
                with pytest.raises(NotFoundError, match=third.id):
                    await lost
            with pytest.raises(BadRequestError, match="20 is the most"):
                await items.create(made.id, items=[*given, said("more")])
            with pytest.raises(BadRequestError) as error:
                await items.create(made.id, items=[{"type": "shell"}])  # type: ignore[list-item]
            assert error.value.param == "items[0].type"

    run(work())


def test_a_response_reads_its_conversation_and_adds_to_it(state: str) -> None:
    async def work() -> None:
        fake = Fake(echoes())
        async with responding(fake, state=state) as home:
            create, items = home.client.responses.create, home.client.conversations.items
            talked = await home.client.conversations.create(items=[said("one"), said("two")])
            made = await create(model="m", input="three", conversation=talked.id)
            assert made.output_text == "3: three"
            assert made.conversation is not None and made.conversation.id == talked.id
            more = await create(
                model="m", input="four", conversation={"id": talked.id}, store=False
            )
            assert more.output_text == "5: four"
            later = await create(
                model="m", input="five", conversation=talked.id, store=False, background=True
            )
            assert (await over(home, later.id)).output_text == "5: five"
            found = await texts(items.list(talked.id, order="asc"))
            assert found == ["one", "two", "three", "3: three"]  # what is not stored is not added
            listed = await items.list(talked.id, order="asc")
            assert listed.data[3].id == made.output[0].id
            refer: Any = [{"type": "item_reference", "id": listed.data[0].id}]
            again = await create(model="m", input=refer, conversation=talked.id)
            assert again.output_text == "5: one"
            with pytest.raises(BadRequestError, match="send 'conversation'"):
                await create(model="m", input="x", previous_response_id=made.id)
            await home.client.responses.delete(made.id)
            assert "3: three" in await texts(items.list(talked.id))
            assert len({row.session for row in home.house.rows}) == 1

    run(work())


def test_calls_and_thoughts_stay_in_a_conversation(state: str) -> None:
    async def work() -> None:
        calls = [delta(reasoning="hm"), delta(tool_calls=[call(0, "{}", id="c1", name="f")])]
        fake = Fake(streams(*calls, delta("tool_calls")))
        async with responding(fake, state=state) as home:
            create, items = home.client.responses.create, home.client.conversations.items
            talked = await home.client.conversations.create()
            tools: Any = [{"type": "function", "name": "f"}]
            await create(model="m", input="go", conversation=talked.id, tools=tools)
            fake.script = echoes()
            output: Any = [{"type": "function_call_output", "call_id": "c1", "output": "done"}]
            made = await create(model="m", input=output, conversation=talked.id, tools=tools)
            assert made.output_text == "3: done"
            kinds = [item.type async for item in items.list(talked.id, order="asc")]
            assert kinds == [
                "message", "reasoning", "function_call", "function_call_output", "message",
            ]  # fmt: skip

    run(work())


def test_what_came_to_nothing_is_not_in_the_conversation(state: str) -> None:
    async def work() -> None:
        fake = Fake(says(EVENTS, piece(delta(content="half")), then="cut"))
        async with responding(fake, state=state) as home:
            talked = await home.client.conversations.create()
            stream = await home.client.responses.create(
                model="m", input="x", conversation=talked.id, stream=True
            )
            assert [each async for each in stream][-1].type == "response.failed"
            assert await texts(home.client.conversations.items.list(talked.id)) == []

    run(work())


def test_conversations_of_others_are_not_there(state: str) -> None:
    async def work() -> None:
        mute = Tenant(name="mute", keys=(hashed("mute-key"),), store=False)
        async with responding(Fake(echoes()), state=state, tenants=(mute,), open=True) as home:
            made = await home.client.conversations.create(items=[said("mine")])
            other = home.client.with_options(api_key="bob")
            for lost in (
                other.conversations.retrieve(made.id),
                other.conversations.delete(made.id),
                other.conversations.items.list(made.id),
                other.responses.create(model="m", input="x", conversation=made.id),
            ):
                with pytest.raises(NotFoundError):
                    await lost
            with pytest.raises(BadRequestError, match="stored"):
                await home.client.with_options(api_key="mute-key").conversations.create()

    run(work())
