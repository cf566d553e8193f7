"""What the gateway reads of a request; everything else goes to the engine as it came."""

from __future__ import annotations

from typing import Any

import msgspec

from eke.gateway.refusal import bad, mismatched, missing

# service_tier of a request → the one that is served, lower classes first
CLASSES = {"priority": -1, "default": 0, "flex": 1, "batch": 2}
SAME = {"fast": "priority", "ultrafast": "priority", "scale": "priority", "standard": "default"}
HEAD = 2048  # bytes of a prompt that requests with the same beginning share
COPIES = 128  # answers that may be asked for at once


class Asked(msgspec.Struct):
    """The fields that decide where a request goes and what it may take."""

    model: str
    messages: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()
    input: msgspec.Raw = msgspec.Raw()
    stream: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    stream_options: dict[str, Any] | None = None
    tools: msgspec.Raw = msgspec.Raw()
    functions: msgspec.Raw = msgspec.Raw()
    response_format: msgspec.Raw = msgspec.Raw()
    service_tier: str | None = None
    prompt_cache_key: str | None = None


class Endpoint(msgspec.Struct, frozen=True):
    """One way of asking an engine. path: after /v1.  text: field that holds the prompt.
    bounds: fields that bound its answer, the first that is given; none where there is none."""

    path: str
    kind: str
    text: str
    bounds: tuple[str, ...] = ("max_tokens",)

    @property
    def answers(self) -> bool:
        """Whether it gives tokens."""
        return bool(self.bounds)


CHAT = Endpoint("/chat/completions", "chat", "messages", ("max_completion_tokens", "max_tokens"))
COMPLETION = Endpoint("/completions", "completion", "prompt")
EMBEDDING = Endpoint("/embeddings", "embedding", "input", ())
ENDPOINTS = {f"/v1{each.path}": each for each in (CHAT, COMPLETION, EMBEDDING)}

_decoder = msgspec.json.Decoder(Asked)


def read(body: bytes, endpoint: Endpoint) -> Asked:
    """The fields of a body. Raises Refusal 400 saying which is wrong."""
    try:
        asked = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise mismatched(error, Asked) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise bad(
            "We could not parse the JSON body of your request. It must be a JSON object, such as "
            '{"model": "…", "messages": […]}.'
        ) from None
    if bytes(memoryview(getattr(asked, endpoint.text))[:5]) in (b"", b"null"):
        raise missing(endpoint.text)
    for name in ("max_tokens", "max_completion_tokens", "n", "best_of"):
        value = getattr(asked, name)
        if value is not None and value < 1:
            raise bad(f"Invalid '{name}': {value} is below 1.", name, "integer_below_min_value")
    for name in ("n", "best_of"):
        value = getattr(asked, name) or 1
        if value > COPIES:
            words = f"Invalid '{name}': {value} is above {COPIES}."
            raise bad(words, name, "integer_above_max_value")
    return asked


def tier_of(asked: Asked, allowed: tuple[str, ...]) -> str:
    """The service tier to serve a request by; "auto" is the tenant's first. A tier that the tenant
    has no right to is served as the default, as OpenAI does with fast ones. Raises Refusal 400."""
    given = asked.service_tier
    if given is None or given == "auto":
        return allowed[0]
    tier = SAME.get(given, given)
    if tier not in CLASSES or tier == "batch":
        raise bad(
            f"Invalid 'service_tier': {given!r:.40}. Supported values are auto, default, flex, "
            "priority, fast and scale.",
            "service_tier",
        )
    if tier in allowed:
        return tier
    if tier == "flex":
        raise bad("Your account may not use the service tier 'flex'.", "service_tier")
    return "default" if "default" in allowed else allowed[-1]
