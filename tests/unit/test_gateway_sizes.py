"""What a request is taken to be before an engine has counted it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.gateways import (
    CHAT,
    Fake,
    Got,
    Line,
    ask,
    chat,
    http,
    run,
    serving,
    talk,
    usage_of,
    whole,
)

from eke.gateway.asked import CHAT as CHATS
from eke.gateway.asked import COMPLETION, EMBEDDING, Asked, read
from eke.gateway.parts import Size, size_of
from eke.gateway.settings import ModelSettings, Tenant

COMPLETIONS = "/v1/completions"
TOOL = {"type": "function", "function": {"name": "f", "description": "d" * 800, "parameters": {}}}
PICTURE = {"type": "image_url", "image_url": {"url": "http://x/y.png"}}


def asked_of(path_text: str, value: Any) -> Asked:
    body = {"model": "m", path_text: value}
    endpoint = {each.text: each for each in (CHATS, COMPLETION, EMBEDDING)}[path_text]
    return read(json.dumps(body).encode(), endpoint)


@pytest.mark.parametrize(
    "given,size",
    [
        ("hello", Size(7)),
        ([1, 2, 3], Size(0, tokens=3)),
        ([[1, 2, 3], [4]], Size(0, tokens=4, prompts=2, longest=0.75)),
        (["abc", "d"], Size(12, prompts=2, longest=0.75)),
        ([], Size(2)),
        ([{}, 5.0, None], Size(15)),
        ([""], Size(4, longest=0.0)),
    ],
)
def test_prompts_are_texts_or_tokens_one_or_many(given: Any, size: Size) -> None:
    assert size_of(asked_of("prompt", given), COMPLETION) == size
    assert size_of(asked_of("input", given), EMBEDDING) == size


def counts(got: Got) -> int:
    """Tokens of a prompt as an engine counts them: tools and pictures too."""
    body = got.json()
    texts = [body["messages"], body.get("tools", ""), body.get("response_format", "")]
    pictures = got.body.count(b"image_url") // 2
    return sum(len(json.dumps(each)) for each in texts) // 4 + 1200 * pictures


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [TOOL] * 15},
        {"response_format": {"type": "json_schema", "json_schema": {"d": "x" * 9000}}},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}, PICTURE]}]},
    ],
)
def test_what_is_not_text_does_not_make_the_texts_of_others_long(more: dict[str, Any]) -> None:
    async def script(got: Got, line: Line) -> None:
        await line.send(http(200, whole(got.json(), got.path, 3, usage_of(counts(got), 3))))

    async def work() -> None:
        models = (ModelSettings(name="m", context=8192),)
        async with serving(Fake(script), models=models) as house:
            for _ in range(20):
                assert (await ask(house, CHAT, {**chat("hi"), **more}, "alice")).status == 200
            assert (await ask(house, CHAT, chat("word " * 2000), "bob")).status == 200
            expected = house.gateway.lengths_of("m").prompt(10_000)
            assert 2000 < expected < 3500

    run(work())


def test_a_prompt_that_only_seems_too_long_is_asked_all_the_same() -> None:
    """A guess must not refuse what an engine would answer."""

    async def work() -> None:
        models = (ModelSettings(name="m", context=1000),)
        fake = Fake(talk(prompt=0))
        async with serving(fake, models=models) as house:
            assert (await ask(house, body=chat("x" * 4200))).status == 200  # about 1,060 tokens
            assert "max_tokens" not in fake.got[-1].json()  # the engine knows better
            assert (await ask(house, body=chat("x" * 4200, max_tokens=20))).status == 200
            assert fake.got[-1].json()["max_tokens"] == 20
            reply = await ask(house, body=chat("x" * 9000))
            assert reply.json()["error"]["code"] == "context_length_exceeded"
            assert (await ask(house, body=chat("x", max_tokens=1001))).status == 400

    run(work())


def test_completions_are_bounded_by_the_field_they_have() -> None:
    async def work() -> None:
        fake = Fake()
        settings: dict[str, Any] = {
            "tenants": (Tenant(name="everyone", context=100.0),),
            "models": (ModelSettings(name="m", context=100_000),),
        }
        async with serving(fake, **settings) as house:
            body = {"model": "m", "prompt": "x", "max_tokens": 50_000, "max_completion_tokens": 1}
            reply = await ask(house, COMPLETIONS, body)
            assert reply.json()["error"]["code"] == "context_length_exceeded"
            both = chat(max_tokens=50_000, max_completion_tokens=50)
            assert (await ask(house, body=both)).status == 200
            assert fake.got[-1].json()["max_completion_tokens"] == 50

    run(work())


def test_each_of_several_prompts_and_copies_is_reserved_for_and_learnt_as_one() -> None:
    async def script(got: Got, line: Line) -> None:
        body = got.json()
        count = (body.get("n") or 1) * (len(body["prompt"]) if "prompt" in body else 1)
        await line.send(http(200, whole(body, got.path, 3, usage_of(10, 100 * count))))

    async def work() -> None:
        async with serving(Fake(script)) as house:
            body = {"model": "m", "prompt": ["x"] * 30, "max_tokens": 50}
            assert (await ask(house, COMPLETIONS, body)).status == 200
            assert house.rows[-1].asked == 1500
            for _ in range(100):
                assert (await ask(house, body=chat(n=8))).status == 200
            assert house.gateway.lengths_of("m").answer("everyone", "chat") == pytest.approx(100)

    run(work())


def test_many_prompts_that_fit_one_by_one_are_asked_uncut() -> None:
    async def work() -> None:
        fake = Fake(talk(prompt=0))
        async with serving(fake, models=(ModelSettings(name="m", context=4096),)) as house:
            engine = house.gateway.engines[0]
            engine.longest = 4096
            house.gateway.report(engine)
            body = {"model": "m", "prompt": ["x" * 2000] * 20, "max_tokens": 200}
            assert (await ask(house, COMPLETIONS, body)).status == 200
            assert fake.got[-1].json()["max_tokens"] == 200
            several = {"model": "m", "input": ["x" * 2000] * 20}
            assert (await ask(house, "/v1/embeddings", several)).status == 200
            assert (await ask(house, body=chat("x" * 5000, n=8, max_tokens=600))).status == 200
            assert fake.got[-1].json()["max_tokens"] == 600

    run(work())


def test_tokens_are_counted_without_reading_them() -> None:
    rows = [[number] * 512 for number in range(200)]
    size = size_of(asked_of("input", rows), EMBEDDING)
    assert (size.tokens, size.prompts) == (200 * 512, 200)
    assert size_of(asked_of("input", [[1, 2], [], [3]]), EMBEDDING).tokens == 3
