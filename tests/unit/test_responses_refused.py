"""Requests for responses that make no sense, and what is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError
from tests.gateways import Fake, ask, run
from tests.responding import echoes, responding

from eke.gateway.responses.opaque import packed


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state.db")


WRONG: list[tuple[dict[str, Any], str | None, str]] = [
    ({"model": None}, "model", "str"),
    ({"input": None}, "input", "input"),
    ({"input": 3}, "input", "int"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type", "Supported tools: function"),
    ({"tools": [{"type": "function"}]}, "tools[0].name", "name"),
    ({"tool_choice": "maybe"}, "tool_choice", "maybe"),
    ({"tool_choice": {"type": "function", "name": "x"}}, "tool_choice", "not among"),
    ({"previous_response_id": "a", "conversation": "b"}, "previous_response_id", "exclusive"),
    ({"input": [{"type": "computer_call"}]}, "input[0].type", "function_call_output"),
    ({"input": [{"role": "boss", "content": "x"}]}, "input[0].role", "boss"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        "input[0].content[0].type",
        "input_text",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
        "input[0].content[0].image_url",
        "image_url",
    ),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": ""}]}, "input", "c"),
    (
        {"input": [{"type": "function_call", "call_id": "c", "name": "n", "arguments": ""}]},
        "input",
        "No tool output found for function call c",
    ),
    ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input", "gateway"),
    (
        {"input": [{"type": "reasoning", "summary": [], "encrypted_content": 7}]},
        "input[0].encrypted_content",
        "text",
    ),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "16"),
    ({"metadata": {"k" * 65: ""}}, "metadata", "64"),
    ({"metadata": {"k": "v" * 513}}, "metadata.k", "512"),
    ({"max_tokens": 5}, "max_tokens", "max_output_tokens"),
    ({"max_output_tokens": 0}, "max_output_tokens", "1"),
    ({"temperature": 3}, "temperature", "2"),
    ({"truncation": "some"}, "truncation", "some"),
    ({"prompt": {"id": "p"}}, "prompt", "instructions"),
    ({"include": ["all"]}, "include", "reasoning.encrypted_content"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type", "json_schema"),
    ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema", "schema"),
    ({"service_tier": "gold"}, "service_tier", "priority"),
    ({"prompt_cache_options": {"ttl": "long"}}, "prompt_cache_options.ttl", "regex"),
]


def test_what_makes_no_sense_is_refused_by_name(state: str) -> None:
    async def work() -> None:
        async with responding(Fake(), state=state) as home:
            for fields, param, word in WRONG:
                body = {"model": "m", "input": "x", **fields}
                got = await ask(home.house, "/v1/responses", body, "alice")
                error = got.json()["error"]
                assert got.status == 400, (fields, got.body)
                assert error["param"] == param, (fields, error)
                assert word in error["message"], (fields, error)
                assert error["type"] == "invalid_request_error" and "code" in error
            assert not home.house.rows

    run(work())


def test_unknown_things_are_not_found(state: str) -> None:
    async def work() -> None:
        async with responding(Fake(), state=state) as home:
            create = home.client.responses.create
            with pytest.raises(NotFoundError) as error:
                await create(model="m", input="x", previous_response_id="resp_1")
            assert error.value.code == "previous_response_not_found"
            with pytest.raises(NotFoundError, match="conv_1"):
                await create(model="m", input="x", conversation="conv_1")
            count: Any = home.client.responses.input_tokens.count
            for asked in (create, count):
                with pytest.raises(NotFoundError) as error:
                    await asked(model="nobody", input="x", truncation="auto")
                assert error.value.code == "model_not_found"
            assert "nobody" not in home.gateway.lengths

    run(work())


def test_few_bytes_do_not_stand_for_many(state: str) -> None:
    text = packed("a" * 60_000)
    thoughts = [{"type": "reasoning", "summary": [], "encrypted_content": text}] * 3

    async def work() -> None:
        async with responding(Fake(echoes()), state=state, longest_body=100_000) as home:
            for path in ("/v1/responses", "/v1/responses/input_tokens"):
                asks: Any = {
                    "model": "m",
                    "input": [*thoughts[:1], {"role": "user", "content": ""}],
                }
                assert (await ask(home.house, path, asks, "alice")).status == 200
                got = await ask(home.house, path, {"model": "m", "input": thoughts}, "alice")
                assert got.status == 413 and got.json()["error"]["code"] == "request_too_large"
            made = await home.client.responses.create(model="m", input="x")
            refer: Any = [{"type": "item_reference", "id": made.output[0].id}]
            with pytest.raises(BadRequestError, match="Duplicate item"):
                await home.client.responses.create(model="m", input=refer * 2)

    run(work())
