"""One streamed request to an OpenAI-compatible engine, with the times of its tokens."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from eke.errors import BadEngine
from eke.types.record import Record

LONGEST = 1_000_000  # bytes of one line or of a whole answer that is not streamed
Clock = Callable[[], float]


class Engine(Record):
    """Where an engine listens. path: before /chat/completions.  timeout [s]."""

    secure: bool
    host: str
    port: int
    path: str
    timeout: float = 60.0

    @property
    def address(self) -> str:
        """As an error names it."""
        return f"http{'s' if self.secure else ''}://{self.host}:{self.port}{self.path}"


class Answer(Record):
    """One answered request. begin, first, last: when it was sent and its tokens came [s].

    prompt, tokens: as the engine counts them; where it does not say, tokens are chunks and prompt
    is 0.
    """

    begin: float
    first: float
    last: float
    prompt: int
    tokens: int
    counted: bool


def engine_at(url: str, timeout: float = 60.0) -> Engine:
    """The engine a URL names; "/v1" is added where it has no path. Raises BadEngine."""
    parts = urlsplit(url if "//" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise BadEngine(f"{url[:80]!r} is no address; expected such as http://127.0.0.1:8000/v1.")
    secure = parts.scheme == "https"
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return Engine(
        secure=secure,
        host=parts.hostname,
        port=port or (443 if secure else 80),
        path=path,
        timeout=timeout,
    )


def models(engine: Engine) -> list[dict[str, Any]]:
    """What GET /models lists. Raises BadEngine."""
    with _asked(engine, "GET", "/models", None) as response:
        try:
            listed = json.loads(_read(engine, response))["data"]
            return [each for each in listed if isinstance(each["id"], str)]
        except (ValueError, KeyError, TypeError):
            raise BadEngine(
                f"{engine.address}/models does not list models as the OpenAI API does; "
                "name one with --model."
            ) from None


def stream(engine: Engine, body: dict[str, Any], clock: Clock, until: float) -> Answer | None:
    """One chat completion, streamed. None when `until` passes first. Raises BadEngine."""
    begin = clock()
    with _asked(engine, "POST", "/chat/completions", body) as response:
        kind = response.headers.get_content_type()
        if kind != "text/event-stream":
            said = _read(engine, response)[:200].decode("utf-8", "replace")
            raise BadEngine(f"{engine.address} answers {kind}, not text/event-stream: {said!r}.")
        return _collect(engine, response, clock, begin, until)


def _collect(
    engine: Engine, response: Any, clock: Clock, begin: float, until: float
) -> Answer | None:
    """The chunks of one stream, up to its end."""
    first = last = None
    chunks, usage, ended = 0, None, False
    for chunk in _events(engine, response):
        now = clock()
        if now > until:
            return None
        usage = chunk.get("usage") or usage
        choice = (chunk.get("choices") or [{}])[0]
        delta = choice.get("delta") or {}
        if _is_token(delta):
            first, last, chunks = now if first is None else first, now, chunks + 1
        ended = ended or bool(choice.get("finish_reason")) or bool(chunk.get("done"))
    if not ended:
        raise BadEngine(f"{engine.address}: the stream broke off after {chunks} chunks.")
    if first is None or last is None:
        raise BadEngine(f"{engine.address} answered without a single token.")
    told = usage if isinstance(usage, dict) else {}
    tokens = told.get("completion_tokens")
    return Answer(
        begin=begin,
        first=first,
        last=last,
        prompt=int(told.get("prompt_tokens") or 0),
        tokens=int(tokens or chunks),
        counted=bool(tokens),
    )


def _is_token(delta: dict[str, Any]) -> bool:
    """Whether a chunk brings a token: special ones have no text, but the opening has a role."""
    if any(delta.get(name) for name in ("content", "reasoning_content", "reasoning")):
        return True
    return delta.get("content") == "" and "role" not in delta


def _events(engine: Engine, response: Any) -> Iterator[dict[str, Any]]:
    """The data of each server-sent event; {"done": True} for "[DONE]"."""
    while line := _guarded(engine, lambda: response.readline(LONGEST)):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            yield {"done": True}
            continue
        try:
            found = json.loads(data)
            if not isinstance(found, dict) or not isinstance(found.get("choices", []), list):
                raise ValueError
        except ValueError:
            said = data[:80].decode("utf-8", "replace")
            raise BadEngine(f"{engine.address} streams {said!r}, which is no chunk.") from None
        if "error" in found:
            raise BadEngine(f"{engine.address} gave up in its stream: {str(found['error'])[:200]}.")
        yield found


@contextmanager
def _asked(
    engine: Engine, method: str, path: str, body: dict[str, Any] | None
) -> Iterator[http.client.HTTPResponse]:
    """The response to a request, where its status is 200. Raises BadEngine."""
    kind = http.client.HTTPSConnection if engine.secure else http.client.HTTPConnection
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}
    if key := os.environ.get("EKE_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    data = json.dumps(body) if body is not None else None
    with closing(kind(engine.host, engine.port, timeout=engine.timeout)) as connection:

        def sent() -> http.client.HTTPResponse:
            connection.request(method, engine.path + path, data, headers)
            return connection.getresponse()

        with closing(_guarded(engine, sent)) as response:
            if response.status != 200:
                said = _read(engine, response)[:200].decode("utf-8", "replace")
                unknown = response.status in (404, 405)
                hint = " (is it an OpenAI-compatible engine?)" if unknown else ""
                raise BadEngine(
                    f"{engine.address}{path} answers {response.status}{hint}: {said!r}."
                )
            yield response


def _read(engine: Engine, response: Any) -> bytes:
    data: bytes = _guarded(engine, lambda: response.read(LONGEST))
    return data


def _guarded(engine: Engine, work: Callable[[], Any]) -> Any:
    """Network mishaps as errors that say what happened."""
    try:
        return work()
    except TimeoutError:
        raise BadEngine(f"{engine.address} said nothing for {engine.timeout:g} s.") from None
    except ConnectionRefusedError:
        raise BadEngine(f"nothing listens at {engine.address}; is the engine up?") from None
    except http.client.IncompleteRead:
        raise BadEngine(f"{engine.address}: the stream broke off.") from None
    except http.client.HTTPException as error:
        name = type(error).__name__
        raise BadEngine(f"{engine.address} does not speak HTTP: {name}.") from None
    except (OSError, ValueError) as error:
        raise BadEngine(f"{engine.address} cannot be reached: {error}.") from None
