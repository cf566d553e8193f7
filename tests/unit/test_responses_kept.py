"""What is kept of responses: listed, referred to, deleted, made short; and what is not kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError
from tests.gateways import Fake, ask, run
from tests.responding import WEATHER, delta, echoes, responding, streams

from eke.gateway.responses import makings
from eke.gateway.settings import Tenant
from eke.gateway.tenants import hashed


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state.db")


def test_items_are_listed_page_by_page_and_referred_to(state: str) -> None:
    async def work() -> None:
        fake = Fake(echoes())
        async with responding(fake, state=state) as home:
            responses = home.client.responses
            given: Any = [{"role": "user", "content": f"n{place}"} for place in range(5)]
            made = await responses.create(model="m", input=given)
            texts = [
                item.content[0].text  # type: ignore[union-attr]
                async for item in responses.input_items.list(made.id, limit=2, order="asc")
            ]
            assert texts == ["n0", "n1", "n2", "n3", "n4"]
            page = await responses.input_items.list(made.id, limit=3)
            assert page.has_more and page.data[0].content[0].text == "n4"  # type: ignore[union-attr]
            with pytest.raises(BadRequestError, match="msg_x"):
                await responses.input_items.list(made.id, after="msg_x")
            refer: Any = [
                {"type": "item_reference", "id": made.output[0].id},
                {"role": "user", "content": "and?"},
            ]
            await responses.create(model="m", input=refer)
            assert fake.got[-1].json()["messages"][0] == {"role": "assistant", "content": "5: n4"}
            with pytest.raises(NotFoundError, match="msg_x"):
                refer[0]["id"] = "msg_x"
                await responses.create(model="m", input=refer)

    run(work())


def test_pictures_are_listed_only_where_they_are_wanted(state: str) -> None:
    async def work() -> None:
        async with responding(Fake(echoes()), state=state) as home:
            responses = home.client.responses
            picture: Any = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
            given: Any = [{"role": "user", "content": [picture]}]
            made = await responses.create(model="m", input=given)
            page = await responses.input_items.list(made.id)
            assert page.data[0].content[0].image_url is None  # type: ignore[union-attr]
            wanted = ["message.input_image.image_url"]
            page = await responses.input_items.list(made.id, include=wanted)  # type: ignore[arg-type]
            assert page.data[0].content[0].image_url == picture["image_url"]  # type: ignore[union-attr]

    run(work())


def test_deleting_deletes(state: str, tmp_path: Path) -> None:
    async def work() -> None:
        async with responding(Fake(echoes()), state=state) as home:
            responses = home.client.responses
            secret = "a-word-that-nobody-may-find"
            made = await responses.create(model="m", input=secret)
            after = await responses.create(model="m", input="b", previous_response_id=made.id)
            assert found(tmp_path, secret)
            await responses.delete(made.id)
            assert not found(tmp_path, secret)
            for lost in (
                responses.retrieve(made.id),
                responses.delete(made.id),
                responses.input_items.list(made.id),
                responses.cancel(made.id),
                responses.create(model="m", input="c", previous_response_id=made.id),
                responses.create(model="m", input="c", previous_response_id=after.id),
            ):
                with pytest.raises(NotFoundError, match=made.id):
                    await lost

    run(work())


def found(folder: Path, text: str) -> bool:
    """Whether a text stands in any file of a state."""
    return any(text.encode() in path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("how", ("request", "tenant", "gateway"))
def test_what_is_not_stored_is_not_known(how: str, state: str, tmp_path: Path) -> None:
    async def work() -> None:
        mute = Tenant(name="mute", keys=(hashed("mute-key"),), store=False)
        settings: Any = {"open": True} | ({} if how == "gateway" else {"state": state})
        key = "mute-key" if how == "tenant" else "alice"
        async with responding(Fake(echoes()), key=key, tenants=(mute,), **settings) as home:
            responses = home.client.responses
            store = how != "request"
            made = await responses.create(model="m", input="unheard-of", store=store)
            assert made.output_text == "1: unheard-of"
            assert made.model_dump()["store"] is False
            with pytest.raises(NotFoundError):
                await responses.retrieve(made.id)
            with pytest.raises((NotFoundError, BadRequestError)):
                await responses.create(model="m", input="more", previous_response_id=made.id)
            assert not found(tmp_path, "unheard-of")

    run(work())


def test_nobody_sees_what_is_anothers(state: str) -> None:
    async def work() -> None:
        async with responding(Fake(echoes()), state=state) as home:
            made = await home.client.responses.create(model="m", input="mine")
            other = home.client.with_options(api_key="bob").responses
            for lost in (
                other.retrieve(made.id),
                other.delete(made.id),
                other.cancel(made.id),
                other.input_items.list(made.id),
                other.create(model="m", input="x", previous_response_id=made.id),
            ):
                with pytest.raises(NotFoundError):
                    await lost
            refer: Any = [{"type": "item_reference", "id": made.output[0].id}]
            with pytest.raises(NotFoundError):
                await other.create(model="m", input=refer)
            assert (await home.client.responses.retrieve(made.id)).id == made.id

    run(work())


def test_input_is_counted_and_conversations_are_made_short(state: str) -> None:
    async def work() -> None:
        fake = Fake(streams(delta(content="They said hello."), delta("stop")))
        async with responding(fake, state=state) as home:
            responses = home.client.responses
            count = responses.input_tokens.count
            short = await count(model="m", input="hello")
            long = await count(input="hello " * 100, tools=[WEATHER])
            assert short.object == "response.input_tokens"
            assert 1 <= short.input_tokens < long.input_tokens
            made = await responses.create(model="m", input="hello")
            small = await responses.compact(model="m", input="and me", previous_response_id=made.id)
            assert small.object == "response.compaction" and small.usage.total_tokens == 10
            assert [item.type for item in small.output] == ["message", "message", "compaction"]
            assert fake.got[-1].json()["messages"][-1]["content"].startswith("Summarise")
            body = {"model": "m", "input": "and me", "previous_response_id": made.id}
            raw = (await ask(home.house, "/v1/responses/compact", body, "alice")).json()
            items: Any = [*raw["output"], {"role": "user", "content": "so?"}]
            await responses.create(model="m", input=items)
            messages = fake.got[-1].json()["messages"]
            assert [each["content"] for each in messages] == [
                "hello",
                "and me",
                "Summary of the conversation so far:\nThey said hello.",
                "so?",
            ]

    run(work())


def test_without_store_what_never_began_is_kept_for_a_while(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(makings, "AT_ONCE", 0)

    async def work() -> None:
        async with responding(Fake(), state=state) as home:
            create, retrieve = home.client.responses.create, home.client.responses.retrieve
            made = await create(model="m", input="x", background=True, store=False)
            assert (await home.client.responses.cancel(made.id)).status == "cancelled"
            home.gateway.clock._offset += 590.0
            assert (await retrieve(made.id)).status == "cancelled"
            home.gateway.clock._offset += 20.0
            with pytest.raises(NotFoundError):
                await retrieve(made.id)

    run(work())
