"""Responses as OpenAI's own client makes, streams, follows, lists and deletes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, omit
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.gateways import Fake, ask, run, usage_of
from tests.responding import WEATHER, call, delta, echoes, responding, streams, told_in

from eke.gateway.settings import Tenant
from eke.gateway.tenants import hashed

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
CALLS = [
    delta(role="assistant", content=""),
    delta(reasoning_content="two "),
    delta(reasoning_content="towns"),
    delta(content="Let me see."),
    delta(tool_calls=[call(0, id="call_a", name="weather")]),
    delta(tool_calls=[call(0, '{"town":')]),
    delta(tool_calls=[call(0, '"Rome"}')]),
    delta(tool_calls=[call(1, '{"town":"Oslo"}', id="call_b", name="weather")]),
    delta("tool_calls"),
]


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state.db")


def test_a_response_has_every_key_that_clients_know(state: str) -> None:
    async def work() -> None:
        usage = usage_of(11, 5, cached=4)
        usage["completion_tokens_details"] = {"reasoning_tokens": 2}
        fake = Fake(streams(delta(content="Hello"), delta("stop"), usage=usage))
        async with responding(fake, state=state) as home:
            made = await home.client.responses.create(
                model="m", input="hi", metadata={"a": "b"}, service_tier="fast", temperature=0.5
            )
            assert made.output_text == "Hello" and made.status == "completed"
            sent = made.model_dump(by_alias=True)
            assert set(Response.model_fields) <= set(made.model_fields_set)
            assert made.metadata == {"a": "b"} and made.temperature == 0.5 and made.top_p == 1.0
            assert made.service_tier == "priority"
            assert made.usage is not None and made.usage.total_tokens == 16
            assert made.usage.input_tokens_details.cached_tokens == 4
            assert made.usage.output_tokens_details.reasoning_tokens == 2
            assert sent["store"] is True and sent["eke"]["cached_tokens"] == 4
            kept_until = sent["eke"]["kept_until"] - home.gateway.clock.wall()
            assert 290 < kept_until <= 300
            got = await home.client.responses.retrieve(made.id)
            assert got.model_dump(by_alias=True) == sent
            asked = fake.got[0].json()
            assert asked["messages"] == [{"role": "user", "content": "hi"}]
            assert asked["stream"] and asked["stream_options"] == {"include_usage": True}
            assert "top_p" not in asked and "metadata" not in asked and "store" not in asked

    run(work())


def test_all_that_was_asked_for_reaches_the_engine(state: str) -> None:
    async def work() -> None:
        fake = Fake(echoes())
        schema = {"type": "object", "properties": {}}
        form: Any = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
        async with responding(fake, state=state) as home:
            made = await home.client.responses.create(
                model="m",
                instructions="Be brief.",
                input=[
                    {"role": "developer", "content": "In rhymes."},
                    {
                        "role": "user",
                        "content": [
                            {"type": "input_text", "text": "What is it?"},
                            {"type": "input_image", "image_url": "http://x/y", "detail": "low"},
                        ],
                    },
                ],
                tools=[WEATHER],
                tool_choice={"type": "function", "name": "weather"},
                parallel_tool_calls=False,
                text={"format": form, "verbosity": "low"},
                reasoning={"effort": "low"},
                max_output_tokens=50,
                top_p=0.5,
                top_logprobs=2,
                include=["message.output_text.logprobs"],
                safety_identifier="s",
                user="u",
                extra_body={"top_k": 4, "chat_template_kwargs": {"think": False}},
            )
            asked = fake.got[0].json()
            assert asked == {
                "model": "m",
                "messages": [
                    {"role": "system", "content": "Be brief.\n\nIn rhymes."},
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "What is it?"},
                            {
                                "type": "image_url",
                                "image_url": {"url": "http://x/y", "detail": "low"},
                            },
                        ],
                    },
                ],
                "tools": [
                    {"type": "function", "function": {k: WEATHER[k] for k in list(WEATHER)[1:]}}
                ],
                "tool_choice": {"type": "function", "function": {"name": "weather"}},
                "parallel_tool_calls": False,
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": schema, "strict": True},
                },
                "verbosity": "low",
                "reasoning_effort": "low",
                "max_tokens": 50,
                "top_p": 0.5,
                "logprobs": True,
                "top_logprobs": 2,
                "top_k": 4,
                "chat_template_kwargs": {"think": False},
                "stream": True,
                "stream_options": {"include_usage": True},
            }
            assert made.instructions == "Be brief." and made.text is not None
            assert made.text.format is not None and made.text.format.type == "json_schema"

    run(work())


def test_thoughts_words_and_parallel_calls_are_streamed_and_followed(state: str) -> None:
    async def work() -> None:
        fake = Fake(streams(*CALLS))
        async with responding(fake, state=state) as home:
            async with home.client.responses.stream(
                model="m", input="Rome? Oslo?", tools=[WEATHER]
            ) as stream:
                events = [event async for event in stream]
                made = await stream.get_final_response()
            assert [event.sequence_number for event in events] == list(range(len(events)))
            kinds = [event.type.removeprefix("response.") for event in events]
            assert kinds == [
                "created",
                "in_progress",
                "output_item.added",
                "content_part.added",
                "reasoning_text.delta",
                "reasoning_text.delta",
                "reasoning_text.done",
                "content_part.done",
                "output_item.done",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
                "output_item.done",
                "output_item.added",
                "function_call_arguments.delta",
                "function_call_arguments.delta",
                "output_item.added",
                "function_call_arguments.delta",
                "function_call_arguments.done",
                "output_item.done",
                "function_call_arguments.done",
                "output_item.done",
                "completed",
            ]
            body = {"model": "m", "input": "x", "tools": [WEATHER], "stream": True}
            raw = told_in((await ask(home.house, "/v1/responses", body, "alice")).body)
            assert [event["type"] for event in raw] == [event.type for event in events]
            for event in raw:
                EVENT.validate_python(event)
            calls = [item for item in made.output if item.type == "function_call"]
            assert [json.loads(each.arguments)["town"] for each in calls] == ["Rome", "Oslo"]
            fake.script = echoes()
            outputs: Any = [
                {"type": "function_call_output", "call_id": each.call_id, "output": "sun"}
                for each in calls
            ]
            next = await home.client.responses.create(
                model="m", input=outputs, previous_response_id=made.id, tools=[WEATHER]
            )
            assert next.output_text == "4: sun"
            messages = fake.got[-1].json()["messages"]
            assert messages[1]["reasoning_content"] == "two towns"
            assert messages[1]["content"] == "Let me see."
            assert [each["id"] for each in messages[1]["tool_calls"]] == ["call_a", "call_b"]
            assert [each.get("tool_call_id") for each in messages[2:]] == ["call_a", "call_b"]

    run(work())


def test_a_chain_asks_the_engine_what_one_request_asks(state: str) -> None:
    async def work() -> None:
        fake = Fake(echoes())
        async with responding(fake, state=state) as home:
            previous: Any = omit
            said: list[Any] = []
            for turn in range(5):
                text = f"turn {turn}"
                made = await home.client.responses.create(
                    model="m", input=text, previous_response_id=previous, instructions=text
                )
                said += [{"role": "user", "content": text}, *made.output]
                previous = made.id
            last = fake.got[-1].json()["messages"]
            whole = [each if isinstance(each, dict) else each.model_dump() for each in said[:-1]]
            await home.client.responses.create(model="m", input=whole, instructions="turn 4")
            assert fake.got[-1].json()["messages"] == last
            assert len(last) == 10 and last[0] == {"role": "system", "content": "turn 4"}
            sessions = [row.session for row in home.house.rows]
            assert len(set(sessions[:5])) == 1 and sessions[0] is not None
            assert sessions[5] is None  # it brings its history: its beginning tells what it is
            for _ in range(2):
                await home.client.responses.create(model="m", input="a", store=False)
                await home.client.responses.create(model="m", input="a")
            lone, own, again, other = [row.session for row in home.house.rows][6:]
            assert lone is again is None and own != other

    run(work())


def test_branches_of_a_chain_share_what_they_have_in_common(state: str) -> None:
    async def work() -> None:
        fake = Fake(echoes())
        async with responding(fake, state=state) as home:
            create = home.client.responses.create
            first = await create(model="m", input="a", prompt_cache_key="key")
            one = await create(model="m", input="b", previous_response_id=first.id)
            other = await create(model="m", input="c", previous_response_id=first.id)
            assert (one.output_text, other.output_text) == ("3: b", "3: c")
            keyed = await create(model="m", input="d", prompt_cache_key="key")
            assert keyed.prompt_cache_key == "key"
            assert len({row.session for row in home.house.rows}) == 1

    run(work())


@pytest.mark.parametrize(
    "reason,status,cut",
    (
        ("stop", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
    ),
)
def test_why_an_answer_ended_is_told(reason: str, status: str, cut: str, state: str) -> None:
    async def work() -> None:
        fake = Fake(streams(delta(content="so"), delta(reason)))
        async with responding(fake, state=state) as home:
            made = await home.client.responses.create(model="m", input="x")
            assert made.status == status
            details = made.incomplete_details
            assert (details and details.reason) == cut
            assert made.output[0].status == status  # type: ignore[union-attr]
            assert (made.completed_at is None) == (status == "incomplete")
            events = [
                event
                async for event in await home.client.responses.create(
                    model="m", input="x", stream=True
                )
            ]
            assert events[-1].type == f"response.{status}"

    run(work())


def test_a_refusal_is_a_part_of_its_own(state: str) -> None:
    async def work() -> None:
        fake = Fake(streams(delta(refusal="I "), delta(refusal="won't"), delta("stop")))
        async with responding(fake, state=state) as home:
            made = await home.client.responses.create(model="m", input="x")
            assert made.output[0].content[0].refusal == "I won't"  # type: ignore[union-attr]

    run(work())


def test_reasoning_goes_out_packed_and_comes_back(state: str) -> None:
    async def work() -> None:
        fake = Fake(streams(delta(reasoning="hm"), delta(content="yes"), delta("stop")))
        async with responding(fake, state=state) as home:
            create = home.client.responses.create
            made = await create(
                model="m", input="x", store=False, include=["reasoning.encrypted_content"]
            )
            thought = made.output[0].model_dump()
            assert thought["encrypted_content"] and thought["type"] == "reasoning"
            given: Any = [
                {"role": "user", "content": "x"},
                {key: thought[key] for key in ("type", "id", "encrypted_content")}
                | {"summary": []},
                {"role": "assistant", "content": "yes"},
                {"role": "user", "content": "y"},
            ]
            await create(model="m", input=given, store=False)
            said = fake.got[-1].json()["messages"][1]
            assert said == {"role": "assistant", "content": "yes", "reasoning_content": "hm"}

    run(work())


def test_the_oldest_turns_go_when_a_context_is_too_short(state: str) -> None:
    async def work() -> None:
        fake = Fake(echoes())
        short = Tenant(name="short", keys=(hashed("short-key"),), context=100)
        async with responding(fake, key="short-key", tenants=(short,), state=state) as home:
            create = home.client.responses.create
            many: Any = [
                {"role": role, "content": f"{place} " * 40}
                for place in range(6)
                for role in ("user", "assistant")
            ]
            many.append({"role": "user", "content": "now"})
            with pytest.raises(BadRequestError) as error:
                await create(model="m", input=many, instructions="Hm.")
            assert error.value.code == "context_length_exceeded" and error.value.param == "input"
            made = await create(model="m", input=many, instructions="Hm.", truncation="auto")
            messages = fake.got[-1].json()["messages"]
            assert messages[0]["content"] == "Hm." and messages[-1]["content"] == "now"
            assert 2 <= len(messages) < len(many) and made.truncation == "auto"

    run(work())
