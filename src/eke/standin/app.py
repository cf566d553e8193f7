"""The stand-in as an ASGI application: OpenAI's API as vLLM serves it."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from itertools import count
from traceback import extract_tb
from typing import Any

import msgspec

from eke.standin import vectors
from eke.standin.answer import answer_of
from eke.standin.bodies import B, Chat, Completion, Embedding, Refused, Spoken, read
from eke.standin.driver import Driver, Ticket
from eke.standin.engine import Engine
from eke.standin.faults import NONE, Cut, faults_of
from eke.standin.http import TEXT, Event, Left, Receive, Send, read_body, respond, watched
from eke.standin.manner import Manner
from eke.standin.metrics import Counts, exposition
from eke.standin.prompt import Prompt, chat_prompt, text_prompt
from eke.standin.sequence import Request
from eke.standin.speed import Speed
from eke.standin.talk import Talk, as_stream, at_once

log = logging.getLogger("eke.standin")


class StandIn:
    """The application. One engine, whose steps happen on the event loop that calls it."""

    def __init__(self, speed: Speed, manner: Manner | None = None) -> None:
        self.speed, self.manner = speed, manner or Manner()
        self.names = self.manner.names or (speed.model,)
        self.driver = Driver(Engine(speed.steps, speed.limits), Counts(), self.manner.pace)
        self._began = int(time.time())
        self._number = count(1)
        self._routes = {
            ("POST", "/v1/chat/completions"): self._chat,
            ("POST", "/v1/completions"): self._completion,
            ("POST", "/v1/embeddings"): self._embeddings,
            ("GET", "/v1/models"): self._models,
            ("GET", "/health"): self._health,
            ("GET", "/metrics"): self._metrics,
        }

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"]))
        try:
            if route is None:
                known = any(path == scope["path"] for _, path in self._routes)
                words = f"there is no {scope['method']} {scope['path']:.200} here."
                raise Refused(405 if known else 404, words)
            await route(receive, send)
        except Refused as error:
            await respond(send, error.status, error.body())
        except Left:
            pass
        except Cut:
            raise
        except Exception as error:
            await _failed(send, error)

    async def _health(self, receive: Receive, send: Send) -> None:
        await respond(send, 200, b"")

    async def _metrics(self, receive: Receive, send: Send) -> None:
        await respond(send, 200, exposition(self.driver, self.names[0]), TEXT)

    async def _models(self, receive: Receive, send: Send) -> None:
        models = [
            {
                "id": name,
                "object": "model",
                "created": self._began,
                "owned_by": "eke",
                "root": self.speed.model,
                "max_model_len": self.speed.context,
            }
            for name in self.names
        ]
        await respond(send, 200, msgspec.json.encode({"object": "list", "data": models}))

    async def _chat(self, receive: Receive, send: Send) -> None:
        body = self._known(read(await read_body(receive), Chat))
        await self._answer(body, chat_prompt(body, self.speed), receive, send)

    async def _completion(self, receive: Receive, send: Send) -> None:
        body = self._known(read(await read_body(receive), Completion))
        given: Any = body.prompt
        if isinstance(given, list) and len(given) == 1 and isinstance(given[0], str | list):
            given = given[0]
        await self._answer(body, text_prompt(given, self.speed), receive, send)

    def _known(self, body: B) -> B:
        """The body, where its model is served here. Raises Refused."""
        if body.model not in self.names:
            known = ", ".join(self.names)
            words = f"the model {body.model!r:.120} is not served here; there is {known}."
            raise Refused(404, words, code="model_not_found", param="model")
        return body

    async def _answer(self, body: Spoken, prompt: Prompt, receive: Receive, send: Send) -> None:
        """Let the engine work, and say what it gives."""
        faults = faults_of(prompt.said) if self.manner.faults else NONE
        if faults.status:
            words = f"status {faults.status} was asked for."
            raise Refused(faults.status, words, code="fault", kind="fault")
        answer = answer_of(body, prompt, self.speed.context, self.manner.median, faults.length)
        chat = isinstance(body, Chat)
        request = self._request(prompt, answer.texts, body.priority)
        talk = Talk(
            f"{'chatcmpl' if chat else 'cmpl'}-{next(self._number)}-{prompt.number:016x}",
            body.model,
            chat,
            bool(body.stream_options and body.stream_options.include_usage),
            answer,
            faults,
            Ticket(request, each=bool(body.stream)),
        )
        if not faults.hang:
            self.driver.ask(talk.ticket)
        with watched(receive, lambda: self.driver.leave(talk.ticket)):
            await (as_stream if body.stream else at_once)(talk, send)

    def _request(self, prompt: Prompt, texts: list[str], priority: int = 0) -> Request:
        """What the engine is asked."""
        first = len(prompt.keys) * self.speed.limits.block

        def text(begin: int, end: int) -> list[str]:
            return [*prompt.tail, *texts][begin - first : end - first]

        return Request(
            prompt.tokens,
            len(texts),
            keys=prompt.keys,
            text=text,
            encoding=prompt.encoding,
            priority=priority,
        )

    async def _embeddings(self, receive: Receive, send: Send) -> None:
        body = self._known(read(await read_body(receive), Embedding))
        given: Any = body.input if isinstance(body.input, list) else [body.input]
        if given and isinstance(given[0], int):
            given = [given]
        size = self._size(body)
        prompts = [text_prompt(each, self.speed) for each in given]
        longest = max((prompt.tokens for prompt in prompts), default=self.speed.context)
        if longest >= self.speed.context:
            words = f"inputs may have 1 to {self.speed.context - 1:,} tokens; give at least one."
            raise Refused(400, words, code="context_length_exceeded", param="input")
        tickets = [Ticket(self._request(each, [""]), False, speaks=False) for each in prompts]
        for ticket in tickets:
            self.driver.ask(ticket)
        with watched(receive, lambda: self._leave(tickets)):
            if all([await ticket.more() for ticket in tickets]):
                await respond(send, 200, _embedded(body, prompts, size))

    def _leave(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            self.driver.leave(ticket)

    def _size(self, body: Embedding) -> int:
        """Numbers of a vector. Raises Refused."""
        size = self.speed.width if body.dimensions is None else body.dimensions
        if not 1 <= size <= self.speed.width:
            words = f"dimensions is {size}; it must be from 1 to {self.speed.width}."
            raise Refused(400, words, param="dimensions")
        if body.encoding_format not in (None, "float", "base64"):
            words = f"encoding_format is {body.encoding_format!r:.40}; it is float or base64."
            raise Refused(400, words, param="encoding_format")
        return size


async def _failed(send: Send, error: Exception) -> None:
    """Say that something went wrong in here, and where; not its words, they may be a user's."""
    kind, place = type(error).__name__, extract_tb(error.__traceback__)[-1]
    log.error("a request failed: %s in %s:%s", kind, place.filename, place.lineno)
    refused = Refused(500, f"the engine failed: {kind}.", kind="server_error")
    with suppress(RuntimeError):  # where an answer had begun, its connection is closed
        await respond(send, refused.status, refused.body())


def _embedded(body: Embedding, prompts: list[Prompt], size: int) -> bytes:
    """The body of embeddings."""
    found = [vectors.vector(prompt.number, size) for prompt in prompts]
    packed = body.encoding_format == "base64"
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": vectors.packed(each) if packed else each,
        }
        for i, each in enumerate(found)
    ]
    tokens = sum(prompt.tokens for prompt in prompts)
    used = {"prompt_tokens": tokens, "total_tokens": tokens}
    answer = {"object": "list", "data": data, "model": body.model, "usage": used}
    return msgspec.json.encode(answer)
