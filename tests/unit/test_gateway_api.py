"""Chat, completions, embeddings and models through the gateway, as clients see them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.gateways import CHAT, Fake, Reply, ask, chat, run, serving, talk, usage_of, whole

from eke.gateway.settings import Limit, ModelSettings, Price, Tenant
from eke.gateway.tenants import hashed

TINY = {"prompt": 7, "tokens": 3}


def test_an_answer_is_the_engines_byte_for_byte() -> None:
    async def work() -> None:
        fake = Fake(talk(**TINY))
        async with serving(fake) as house:
            reply = await ask(house, body=chat())
            sent = json.dumps(whole(chat(), CHAT, 3, usage_of(7, 3))).encode()
            assert reply.status == 200 and reply.body == sent
            assert reply.headers["content-type"] == "application/json"
            assert [got.json() for got in fake.got] == [chat()]

    run(work())


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"])
def test_what_the_gateway_does_not_know_reaches_the_engine_unchanged(path: str) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    body = {
        **chat([{"type": "text", "text": "what is this?"}, picture]),
        "prompt": "once",
        "input": ["a", "b"],
        "tools": [tool],
        "tool_choice": "auto",
        "seed": 12345678901234567890,
        "temperature": 0.1,
        "vendor": {"größe": [1, None, "ü"]},
        "response_format": {"type": "json_object"},
        "logit_bias": {"50256": -100},
    }

    async def work() -> None:
        fake = Fake()
        async with serving(fake) as house:
            data = json.dumps(body, indent=1).encode()
            assert (await ask(house, path, data)).status == 200
            assert fake.got[0].body == data
            assert fake.got[0].path == path

    run(work())


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": True}])
def test_usage_ends_a_stream_only_where_it_was_asked_for(path: str, options: Any) -> None:
    async def work() -> None:
        fake = Fake(talk(**TINY))
        body = {**chat(stream=True), "prompt": "once", "stream_options": options}
        async with serving(fake) as house:
            reply = await ask(house, path, body)
            *events, last = reply.events()
            assert last == "[DONE]" and not reply.cut
            assert reply.headers["content-type"].startswith("text/event-stream")
            wanted = bool(options and options.get("include_usage"))
            assert [each for each in events if each.get("usage")] == events[4:]
            assert len(events) == 4 + wanted
            assert fake.got[0].json()["stream_options"]["include_usage"] is True
            assert [(row.prompt, row.tokens) for row in house.rows] == [(7, 3)]

    run(work())


def test_headers_of_an_answer() -> None:
    limits = (
        Limit(what="requests", amount=5.0, period=3600.0),
        Limit(what="tokens", amount=1000.0, period=3600.0),
    )
    tenant = Tenant(name="a", keys=(hashed("k"),), limits=limits)

    async def work() -> None:
        price = Price(prompt=1e-3, answer=1e-2)
        models = (ModelSettings(name="m", price=price),)
        async with serving(Fake(talk(**TINY)), tenants=(tenant,), models=models) as house:
            one = await ask(house, CHAT, chat(), "k")
            two = await ask(house, CHAT, chat(stream=True), "k")
            for reply, left in ((one, 4), (two, 3)):
                head = reply.headers
                assert head["x-ratelimit-limit-requests"] == "5"
                assert head["x-ratelimit-remaining-requests"] == str(left)
                assert head["x-ratelimit-limit-tokens"] == "1000"
                assert head["x-ratelimit-reset-requests"][-1] == "s"
                assert int(head["openai-processing-ms"]) >= 0
                assert head["x-request-id"].startswith("req_")
            assert one.headers["x-ratelimit-remaining-tokens"] == "990"
            assert one.headers["x-request-id"] != two.headers["x-request-id"]
            assert float(one.headers["x-eke-cost-usd"]) == pytest.approx(0.037)
            assert [row.charged for row in house.rows] == pytest.approx([0.037, 0.037])

    run(work())


def test_every_answer_has_a_number_and_errors_are_counted() -> None:
    tenant = Tenant(name="a", keys=(hashed("k"),))

    async def work() -> None:
        async with serving(Fake(), tenants=(tenant,), open=False) as house:
            replies = [
                await ask(house, CHAT, chat(), "other"),
                await ask(house, CHAT, b"{", "k"),
                await ask(house, CHAT, chat(model="n"), "k"),
                await ask(house, "/v1/nothing", key="k"),
                await ask(house, "/v1/models/m%252f", key="k"),
                await ask(house, "/v1/models", key="k"),
            ]
            assert [each.status for each in replies] == [401, 400, 404, 404, 404, 200]
            assert "m%2f" in replies[4].json()["error"]["message"]  # decoded once
            assert len({each.headers["x-request-id"] for each in replies}) == len(replies)
            assert house.gateway.errors["401", "invalid_api_key"] == 1
            assert sum(house.gateway.errors.values()) == 5

    run(work())


@pytest.mark.parametrize(
    "given,used,priority",
    [("flex", "flex", 1), ("fast", "priority", -1), ("auto", "default", 0), (None, None, 0)],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_service_tier_that_was_used_is_told(
    given: str | None, used: str | None, priority: int, stream: bool
) -> None:
    async def work() -> None:
        fake = Fake()
        async with serving(fake, facts={"ordered": True}) as house:
            body = chat(stream=stream, **({"service_tier": given} if given else {}))
            reply = await ask(house, body=body)
            answers = reply.events()[:-1] if stream else [reply.json()]
            assert {each.get("service_tier") for each in answers} == {used}
            assert fake.got[0].json()["priority"] == priority
            assert [row.priority for row in house.rows] == [priority]

    run(work())


def test_models_have_the_names_that_clients_use() -> None:
    async def work() -> None:
        facts = {"models": {"big": "org/Served-7B", "small": "small"}}
        fake = Fake(models=["org/Served-7B", "small"])
        tenant = Tenant(name="a", keys=(hashed("k"),), models=("small",))
        async with serving(fake, facts=facts, tenants=(tenant,)) as house:
            listed = (await ask(house, "/v1/models")).json()["data"]
            assert [each["id"] for each in listed] == ["big", "small"]
            own = (await ask(house, "/v1/models", None, "k")).json()["data"]
            assert [each["id"] for each in own] == ["small"]
            assert (await ask(house, "/v1/models/big")).json()["id"] == "big"
            assert (await ask(house, "/v1/models/big", None, "k")).status == 404
            assert (await ask(house, body=chat(model="big"))).status == 200
            assert fake.got[-1].json()["model"] == "org/Served-7B"
            refused = await ask(house, CHAT, chat(model="big"), "k")
            assert error_of(refused) == (404, "invalid_request_error", "model", "model_not_found")

    run(work())


def test_each_has_the_context_of_its_tier() -> None:
    tenants = (
        Tenant(name="gold", keys=(hashed("g"),), group="paying"),
        Tenant(name="free", keys=(hashed("f"),)),
    )
    contexts = {1000.0: ("all",), 4000.0: ("paying",)}
    models = (ModelSettings(name="m", context=8000),)

    async def work() -> None:
        fake = Fake(talk(prompt=0))
        settings = {"tenants": tenants, "contexts": contexts, "models": models}
        async with serving(fake, **settings) as house:
            long = chat("word " * 1500)
            assert (await ask(house, CHAT, long, "g")).status == 200
            refused = await ask(house, CHAT, long, "f")
            assert error_of(refused)[::3] == (400, "context_length_exceeded")
            assert "your plan" in refused.json()["error"]["message"]
            most = fake.got[0].json()["max_tokens"]
            assert 500 < most < 4000  # what is left of its context
            answer = await ask(house, CHAT, chat(max_tokens=5000), "g")
            assert answer.status == 400
            for asked, most in (({"max_tokens": None}, 900), ({"max_completion_tokens": 50}, 50)):
                assert (await ask(house, CHAT, chat(**asked), "f")).status == 200
                sent = fake.got[-1].json()
                bound = sent.get("max_completion_tokens") or sent["max_tokens"]
                assert 0.9 * most < bound <= 1.1 * most
            assert (await ask(house, CHAT, chat(n=3), "f")).status == 200
            assert fake.got[-1].json()["max_tokens"] <= 1000  # each of the three
            listed = (await ask(house, "/v1/models", None, "f")).json()["data"]
            assert listed[0]["max_model_len"] == 1000

    run(work())


def test_the_engine_gets_its_own_key_and_not_the_clients() -> None:
    async def work() -> None:
        fake = Fake()
        async with serving(fake, facts={"key": "engine-key"}) as house:
            assert (await ask(house, CHAT, chat(), "sk-client")).status == 200
            assert fake.got[0].headers["authorization"] == "Bearer engine-key"
            assert "sk-client" not in str(fake.got[0])

    run(work())


def error_of(reply: Reply) -> tuple[int, str, str | None, str | None]:
    """Status, type, param and code; all four keys are there."""
    error = reply.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"} and error["message"]
    return reply.status, error["type"], error["param"], error["code"]


MISSING = "missing_required_parameter"


@pytest.mark.parametrize(
    "path,body,wanted",
    [
        (CHAT, b"{", (400, "invalid_request_error", None, None)),
        (CHAT, {"messages": []}, (400, "invalid_request_error", "model", MISSING)),
        (CHAT, {"model": "m"}, (400, "invalid_request_error", "messages", MISSING)),
        ("/v1/completions", chat(), (400, "invalid_request_error", "prompt", MISSING)),
        ("/v1/embeddings", chat(), (400, "invalid_request_error", "input", MISSING)),
        (CHAT, chat(model="n"), (404, "invalid_request_error", "model", "model_not_found")),
        (CHAT, chat(service_tier="x"), (400, "invalid_request_error", "service_tier", None)),
        ("/v1/threads", {}, (404, "invalid_request_error", None, "unknown_url")),
        ("/v1/models/n", None, (404, "invalid_request_error", "model", "model_not_found")),
        (CHAT, None, (405, "invalid_request_error", None, None)),
    ],
)
def test_mistakes_of_clients_are_told_as_openai_does(path: str, body: Any, wanted: Any) -> None:
    async def work() -> None:
        fake = Fake()
        async with serving(fake) as house:
            reply = await ask(house, path, body)
            assert error_of(reply) == wanted
            assert reply.headers["content-type"] == "application/json"
            assert "retry-after" not in reply.headers
            assert not fake.got

    run(work())


def test_who_has_no_key_or_a_bad_one_is_not_served() -> None:
    async def work() -> None:
        tenant = Tenant(name="a", keys=(hashed("k"),))
        async with serving(Fake(), tenants=(tenant,), open=False) as house:
            for key, code in (("", None), ("wrong", "invalid_api_key")):
                for path, body in ((CHAT, chat()), ("/v1/models", None)):
                    reply = await ask(house, path, body, key)
                    assert error_of(reply) == (401, "invalid_request_error", None, code)
                    assert "wrong" not in reply.body.decode()
            assert (await ask(house, CHAT, chat(), "k")).status == 200

    run(work())


def test_budgets_and_rates_are_told_apart() -> None:
    def tenant(name: str, limit: Limit) -> Tenant:
        return Tenant(name=name, keys=(hashed(name),), limits=(limit,))

    tenants = (
        tenant("rate", Limit(what="requests", amount=1.0, period=3600.0)),
        tenant("budget", Limit(what="USD", amount=0.03, period=86400.0)),
    )
    models = (ModelSettings(name="m", price=Price(prompt=1e-3, answer=1e-2)),)

    async def work() -> None:
        async with serving(Fake(talk(**TINY)), tenants=tenants, models=models) as house:
            assert (await ask(house, CHAT, chat(), "rate")).status == 200
            reply = await ask(house, CHAT, chat(), "rate")
            assert error_of(reply) == (429, "rate_limit_error", None, "rate_limit_exceeded")
            assert 1 <= int(reply.headers["retry-after"]) <= 3600
            assert "x-should-retry" not in reply.headers
            assert reply.headers["x-ratelimit-remaining-requests"] == "0"
            assert (await ask(house, CHAT, chat(), "budget")).status == 200
            reply = await ask(house, CHAT, chat(), "budget")
            assert error_of(reply)[::3] == (429, "project_spend_limit_exceeded")
            assert reply.json()["error"]["type"] == "insufficient_quota"
            assert reply.headers["x-should-retry"] == "false"
            assert "retry-after" not in reply.headers
            assert sorted(row.outcome for row in house.rows) == ["finished"] * 2 + ["refused"] * 2

    run(work())


def test_who_is_refused_has_used_nothing() -> None:
    """A full queue is no reason to take tokens of a budget away."""
    limit = Limit(what="tokens", amount=1000.0, period=86400.0)
    tenant = Tenant(name="a", keys=(hashed("k"),), limits=(limit,))

    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(talk(gate=gate, **TINY))
        settings = {"policy": "fcfs+queue(most=0.5)", "facts": {"slots": 1}}
        async with serving(fake, tenants=(tenant,), **settings) as house:
            waits = [asyncio.ensure_future(ask(house, body=chat())) for _ in range(2)]
            while house.gateway.queued() < 1:
                await asyncio.sleep(0.001)
            body = chat("word " * 100, max_tokens=10)
            refused = [await ask(house, CHAT, body, "k") for _ in range(20)]
            assert {each.status for each in refused} == {503}
            assert all(int(each.headers["retry-after"]) >= 1 for each in refused)
            assert {error_of(each)[3] for each in refused} == {"server_is_overloaded"}
            gate.set()
            await asyncio.gather(*waits)
            assert (await ask(house, CHAT, body, "k")).status == 200

    run(work())


openai = pytest.importorskip("openai")


def client(url: str, key: str = "k", **more: Any) -> Any:
    return openai.AsyncOpenAI(base_url=url, api_key=key, **{"max_retries": 0, **more})


def test_the_official_client_is_served() -> None:
    async def work() -> None:
        async with serving(Fake(talk(**TINY))) as house, client(house.url) as ours:
            whole = await ours.chat.completions.create(**chat())
            assert whole.choices[0].message.content == " word word word"
            assert whole.usage.total_tokens == 10
            stream = await ours.chat.completions.create(
                **chat(stream=True, stream_options={"include_usage": True})
            )
            chunks = [chunk async for chunk in stream]
            words = [c.choices[0].delta.content or "" for c in chunks if c.choices]
            assert "".join(words) == " word word word" and chunks[-1].usage.completion_tokens == 3
            text = await ours.completions.create(model="m", prompt="once")
            assert text.choices[0].text == " word word word"
            parts = [c async for c in await ours.completions.create(
                model="m", prompt="once", stream=True)]  # fmt: skip
            assert "".join(part.choices[0].text for part in parts) == " word word word"
            found = await ours.embeddings.create(model="m", input="a", encoding_format="float")
            assert found.data[0].embedding == [0.5, 0.25]
            assert [each.id async for each in ours.models.list()] == ["m"]
            assert (await ours.models.retrieve("m")).id == "m"
            tier = await ours.chat.completions.create(**chat(service_tier="flex"))
            assert tier.service_tier == "flex"

    run(work())


def test_the_official_client_knows_our_errors() -> None:
    tenant = Tenant(
        name="a",
        keys=(hashed("k"),),
        limits=(Limit(what="requests", amount=1.0, period=3600.0),),
    )

    async def work() -> None:
        async with serving(Fake(), tenants=(tenant,), open=False) as house:
            async with client(house.url, "wrong") as ours:
                with pytest.raises(openai.AuthenticationError):
                    await ours.models.list()
            async with client(house.url) as ours:
                with pytest.raises(openai.NotFoundError) as caught:
                    await ours.chat.completions.create(**chat(model="n"))
                assert caught.value.code == "model_not_found"
                with pytest.raises(openai.BadRequestError):
                    await ours.chat.completions.create(**chat(max_tokens=0))
                await ours.chat.completions.create(**chat())
                with pytest.raises(openai.RateLimitError) as limited:
                    await ours.chat.completions.create(**chat())
                assert limited.value.code == "rate_limit_exceeded"

    run(work())
