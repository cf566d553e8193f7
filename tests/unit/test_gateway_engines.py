"""Looks at engines: whether they are there, what they serve, and how full they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.gateways import Fake, ask, chat, http, run, serving, until
from tests.unit.test_gateway_faults import looks_often  # noqa: F401
from tests.unit.test_gateway_parts import VLLM

from eke.gateway.engines.engine import Engine
from eke.gateway.engines.health import look
from eke.gateway.settings import EngineSettings, Patience


def looked(answers: Callable[[str], bytes], **facts: Any) -> tuple[bool, Engine, list[str]]:
    """What comes of two looks at an engine that answers so: whether it is there, and the paths it
    was asked for."""
    paths: list[str] = []

    def answer(path: str) -> bytes:
        paths.append(path)
        return answers(path)

    async def work() -> tuple[bool, Engine, list[str]]:
        fake = await Fake().start()
        fake._looked_at = answer  # type: ignore[method-assign]
        engine = Engine(0, EngineSettings(name="e", url=fake.url, **facts), Patience(), 0.0)
        healthy = [await look(engine, 0.0) for _ in range(2)]
        engine.wire.close()
        await fake.stop()
        assert healthy[0] == healthy[1]
        return healthy[0], engine, paths

    return run(work())


def models(*served: Any) -> dict[str, Any]:
    return {"object": "list", "data": list(served)}


@pytest.mark.parametrize(
    "status,body,healthy",
    [
        (200, models({"id": "a"}), True),
        (200, models({"id": "a"}, {"id": "b", "more": [1]}), True),
        (200, models(), False),
        (200, {"data": []}, False),
        (200, {}, False),
        (200, b"garbage", False),
        (200, b"[" * 100_000, False),
        (200, b'{"data": [{"x": ' + b"[" * 100_000, False),
        (200, b'{"data": [{"id": "\xff"}]}', False),
        (200, models({"id": 5}), False),
        (200, b"x" * (9 << 20), False),
        (404, {}, False),
        (401, {}, False),
        (500, models({"id": "a"}), False),
    ],
)
def test_what_an_engine_serves_is_what_it_says(status: int, body: Any, healthy: bool) -> None:
    found, engine, _ = looked(lambda path: http(status, body))
    assert found is healthy
    assert bool(engine.models) is healthy and (healthy or engine.trouble)


@pytest.mark.parametrize(
    "status,body,healthy",
    [
        (200, models({"id": "there"}), True),
        (200, b"garbage", True),
        (401, b"", True),
        (404, b"", True),
        (503, b"", False),
    ],
)
def test_an_engine_whose_models_are_said_need_not_list_them(
    status: int, body: Any, healthy: bool
) -> None:
    found, engine, _ = looked(lambda path: http(status, body), models={"here": "there"})
    assert found is healthy and engine.models == {"here": "there"}


def test_the_context_is_that_of_the_models_it_is_used_for() -> None:
    served = models(
        {"id": "a", "max_model_len": 100}, {"id": "b", "max_model_len": 900}, {"id": "c"}
    )
    _, engine, _ = looked(lambda path: http(200, served), models={"x": "b", "y": "c"})
    assert engine.longest == 900
    _, engine, _ = looked(lambda path: http(200, served))
    assert engine.longest == 100


def answering(metrics: bytes) -> Callable[[str], bytes]:
    return lambda path: metrics if path == "/metrics" else http(200, models({"id": "a"}))


def test_metrics_say_how_full_it_is() -> None:
    _, engine, _ = looked(answering(http(200, VLLM.encode())))
    assert (engine.inside, engine.metered, engine.used) == (2, True, 0.25)
    assert engine.room == 16 * 24188 and engine.held == 4 * 24188
    _, engine, _ = looked(answering(http(200, VLLM.encode())), room=1000)
    assert engine.room == 1000


def test_an_engine_without_metrics_is_asked_for_them_once() -> None:
    _, engine, paths = looked(answering(http(404, b"")))
    assert paths == ["/v1/models", "/metrics", "/v1/models"] and not engine.metered
    _, _, paths = looked(answering(http(200, b"")), metrics="")
    assert paths == ["/v1/models"] * 2
    _, _, paths = looked(answering(http(500, b"")), metrics="/elsewhere")
    assert paths == ["/v1/models", "/elsewhere"] * 2


def test_an_idle_engine_that_misses_a_look_now_and_then_is_trusted() -> None:
    async def work() -> None:
        fake, looks = Fake(), [0]
        usual = fake._looked_at

        def often_busy(path: str) -> bytes:
            looks[0] += path == "/v1/models"
            return http(429, b"slow down") if looks[0] % 3 else usual(path)

        async with serving(fake) as house:
            fake._looked_at = often_busy  # type: ignore[method-assign]
            await until(lambda: looks[0] > 12)
            assert house.gateway.engines[0].alive
            assert not [words for words in house.said if "is not there" in words]
            fake._looked_at = lambda path: http(429, b"slow down")  # type: ignore[method-assign]
            await until(lambda: not house.gateway.engines[0].alive)
            assert house.said[-1] == "engine e0 is not there: /models answered 429"

    run(work())


def test_an_engine_that_tells_what_waits_inside_gets_more_until_something_does() -> None:
    async def work() -> None:
        gate = asyncio.Event()

        async def held(got: Any, line: Any) -> None:
            await gate.wait()
            await line.send(http(200, {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}))

        fake = Fake(held, metrics="vllm:num_requests_waiting 0")
        async with serving(fake, policy="fcfs") as house:
            engine = house.gateway.engines[0]
            asking = [asyncio.ensure_future(ask(house, body=chat())) for _ in range(100)]
            await until(lambda: engine.capacity.limit >= 64 and fake.running >= 64)
            fake.metrics = "vllm:num_requests_waiting 44"
            before = engine.capacity.limit
            await until(lambda: engine.capacity.limit < before)
            fake.metrics = "vllm:num_requests_waiting 0"
            gate.set()
            assert {reply.status for reply in await asyncio.gather(*asking)} == {200}

    run(work())
