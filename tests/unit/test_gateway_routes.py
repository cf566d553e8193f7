"""Which handler a path has, and what it is given."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from eke.gateway.api.reading import Departed, body_of
from eke.gateway.api.routes import Asking, Route, Routes, decoded
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import Refusal
from eke.gateway.settings import EngineSettings, Settings, Tenant

ENGINE = EngineSettings(name="a", url="http://127.0.0.1:9/v1")


def heard(name: str, found: list[Any]) -> Any:
    """A handler that notes what it was given."""

    async def handle(asking: Asking) -> None:
        found.append((name, asking.parts, asking.query))

    return handle


def asked(paths: list[tuple[str, str]], method: str, path: str, query: str = "") -> Any:
    """What the handler of a request is given, out of some routes."""
    found: list[Any] = []
    routes = Routes(Route(verb, where, heard(where, found)) for verb, where in paths)
    scope = {"method": method, "path": path, "query_string": query.encode(), "headers": []}

    async def nothing(*message: Any) -> Any:
        return {"type": "http.disconnect"}

    async def work() -> None:
        gateway = Gateway(Settings(engines=(ENGINE,)), asyncio.get_running_loop())
        await routes(gateway, Tenant(name="t"), scope, nothing, nothing)

    asyncio.run(work())
    return found[0]


FILES = [
    ("GET", "/v1/files"),
    ("POST", "/v1/files"),
    ("GET", "/v1/files/{file}"),
    ("DELETE", "/v1/files/{file}"),
    ("GET", "/v1/files/{file}/content"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model...}"),
    ("GET", "/"),
]


@pytest.mark.parametrize(
    "method,path,route,parts",
    [
        ("GET", "/v1/files", "/v1/files", {}),
        ("GET", "/v1/files/", "/v1/files", {}),
        ("POST", "/v1/files", "/v1/files", {}),
        ("GET", "/v1/files/file-1", "/v1/files/{file}", {"file": "file-1"}),
        ("HEAD", "/v1/files/file-1", "/v1/files/{file}", {"file": "file-1"}),
        ("DELETE", "/v1/files/file-1", "/v1/files/{file}", {"file": "file-1"}),
        ("GET", "/v1/files/{}/content", "/v1/files/{file}/content", {"file": "{}"}),
        ("GET", "/v1/models/org/name:tag", "/v1/models/{model...}", {"model": "org/name:tag"}),
        ("GET", "/v1/models/**", "/v1/models/{model...}", {"model": "**"}),
        ("GET", "/", "/", {}),
        ("GET", "", "/", {}),
    ],
)
def test_a_path_finds_its_handler(
    method: str, path: str, route: str, parts: dict[str, str]
) -> None:
    assert asked(FILES, method, path)[:2] == (route, parts)


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/file", "/v1/files/a/b", "/v1/files/a/content/b", "/v2/files", "/None"]
)
def test_a_path_without_handler_is_not_found(path: str) -> None:
    with pytest.raises(Refusal) as caught:
        asked(FILES, "GET", path)
    assert (caught.value.status, caught.value.code) == (404, "unknown_url")


def test_a_method_that_is_not_allowed_is_told_which_are() -> None:
    with pytest.raises(Refusal) as caught:
        asked(FILES, "PATCH", "/v1/files/file-1")
    assert caught.value.status == 405
    assert dict(caught.value.headers())[b"allow"] == b"GET, DELETE"


def test_a_query_is_read() -> None:
    assert asked(FILES, "GET", "/v1/files", "limit=5&order=desc&empty=")[2] == {
        "limit": "5",
        "order": "desc",
    }


class Sample(msgspec.Struct):
    name: str
    count: int = 0


@pytest.mark.parametrize(
    "body,param,words",
    [
        (b"{", None, "could not parse"),
        (b"{}", "name", "Missing required parameter"),
        (b'{"name": 3}', "name", "expected a string"),
        (b'{"name": "a", "count": "b"}', "count", "expected an integer"),
        (b"[]", None, "expected an object"),
    ],
)
def test_a_record_that_is_wrong_is_refused_for_its_field(
    body: bytes, param: str | None, words: str
) -> None:
    with pytest.raises(Refusal) as caught:
        decoded(body, Sample)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert words in caught.value.message


def received(pieces: list[Any], longest: int = 10, length: bytes = b"") -> bytes:
    """A body that comes in pieces; what comes of it. None: nothing more comes.  "gone": the client
    leaves."""
    scope = {"headers": [(b"content-length", length)] if length else []}
    left = list(pieces)

    async def receive() -> Any:
        piece = left.pop(0)
        if piece is None:
            await asyncio.Event().wait()
        if piece == "gone":
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    return asyncio.run(body_of(scope, receive, longest, 0.02))


def test_a_body_comes_in_pieces() -> None:
    assert received([b"hello"]) == b"hello"
    assert received([b"hel", b"", b"lo"]) == b"hello"
    assert received([b""]) == b""


@pytest.mark.parametrize("pieces", [[b"x" * 11], [b"x" * 6, b"x" * 6, b""], [b"", b"x" * 11]])
def test_a_body_that_is_too_large_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(Refusal) as caught:
        received(pieces)
    assert caught.value.status == 413


def test_a_body_that_says_it_is_too_large_is_refused_unread() -> None:
    with pytest.raises(Refusal) as caught:
        received([None], length=b"11")
    assert caught.value.status == 413
    assert json.loads(caught.value.body())["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("pieces", [[None], [b"x", None], [b"x", b"", None]])
def test_a_body_that_takes_too_long_is_refused(pieces: list[Any]) -> None:
    with pytest.raises(Refusal) as caught:
        received(pieces)
    assert caught.value.status == 408


@pytest.mark.parametrize("pieces", [["gone"], [b"x", "gone"]])
def test_a_client_that_leaves_while_it_sends_is_gone(pieces: list[Any]) -> None:
    with pytest.raises(Departed):
        received(pieces)
