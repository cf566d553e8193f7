"""The gateway's endpoints met with whatever their description allows, and with what it does not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests.gateways import EVENTS, Fake, Got, Line, event, http, piece, serving

schemathesis = pytest.importorskip("schemathesis")

DESCRIBED = Path(__file__).parents[1] / "data" / "gateway_openapi.json"
SCHEMA = schemathesis.openapi.from_dict(json.loads(DESCRIBED.read_text()))


async def anything(got: Got, line: Line) -> None:
    """An engine that takes whatever comes."""
    if got.json().get("stream") is True and "embeddings" not in got.path:
        last = event({"choices": [{"delta": {}, "finish_reason": "stop"}]}) + event(b"[DONE]")
        await line.send(EVENTS + piece(last) + b"0\r\n\r\n")
    else:
        await line.send(http(200, {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A gateway at work in a thread of its own."""
    found: dict[str, Any] = {}
    ready = threading.Event()

    async def work() -> None:
        found["loop"], found["over"] = asyncio.get_running_loop(), asyncio.Event()
        async with serving(Fake(anything)) as house:
            found["url"] = house.url.removesuffix("/v1")
            ready.set()
            await found["over"].wait()

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    assert ready.wait(20)
    yield found["url"]
    found["loop"].call_soon_threadsafe(found["over"].set)
    thread.join(20)


@SCHEMA.parametrize()
@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_breaks_the_gateway(case: Any, url: str) -> None:
    reply = case.call(base_url=url, timeout=10)
    assert reply.status_code < 500, reply.text
    if reply.status_code >= 400:
        error = reply.json()["error"]
        assert {"message", "type", "param", "code"} <= set(error) and error["message"]
        if reply.status_code == 405:
            assert reply.headers["allow"]
    elif reply.headers["content-type"][0].startswith("text/event-stream"):
        assert reply.text.endswith("data: [DONE]\n\n")
    else:
        assert isinstance(reply.json(), dict)
