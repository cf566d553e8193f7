"""The gateway's description of itself, and its endpoints met with whatever that allows, and with
what it does not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests.gateways import EVENTS, Fake, Got, Line, ask, event, http, piece, run, serving

from eke.gateway.api.describing import PART, described
from eke.gateway.asked import ENDPOINTS
from eke.gateway.serving import PUBLIC

schemathesis = pytest.importorskip("schemathesis")

SCHEMA = schemathesis.openapi.from_dict(described(PUBLIC, "0"))


async def anything(got: Got, line: Line) -> None:
    """An engine that takes whatever comes."""
    if got.json().get("stream") is True and "embeddings" not in got.path:
        last = event({"choices": [{"delta": {}, "finish_reason": "stop"}]}) + event(b"[DONE]")
        await line.send(EVENTS + piece(last) + b"0\r\n\r\n")
    else:
        await line.send(http(200, {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}))


def test_everything_that_is_served_is_described() -> None:
    async def work() -> None:
        async with serving(Fake()) as house:
            found = (await ask(house, "/openapi.json")).json()
            schemathesis.openapi.from_dict(found).validate()
            told = {(path, kind) for path, kinds in found["paths"].items() for kind in kinds}
            served = {(PART.sub(r"{\1}", each.path), each.method.lower()) for each in PUBLIC}
            assert told >= served | {(path, "post") for path in ENDPOINTS}
            assert ("/eke/queue", "get") in told
            create = found["paths"]["/v1/conversations"]["post"]["requestBody"]["content"]
            name = create["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert "metadata" in found["components"]["schemas"][name]["properties"]

    run(work())


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway at work in a thread of its own."""
    found: dict[str, Any] = {}
    ready = threading.Event()

    async def work() -> None:
        found["loop"], found["over"] = asyncio.get_running_loop(), asyncio.Event()
        folder = tmp_path_factory.mktemp("state")
        kept: dict[str, Any] = {"state": str(folder / "eke.db"), "trainer": "true"}
        async with serving(Fake(anything), jobs=str(folder / "jobs"), **kept) as house:
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
        chats = "/responses" not in case.path
        assert reply.text.endswith("data: [DONE]\n\n" if chats else "\n\n")
    else:
        assert isinstance(reply.json(), dict)
