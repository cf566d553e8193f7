"""How long prompts look, before anybody has counted their tokens."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from eke.gateway.asked import Asked, Endpoint


class Size(NamedTuple):
    """Of a prompt.

    characters: bytes of JSON that become tokens; 0 where tokens were sent.  media: pictures and
    sounds.  tokens: that were sent as numbers.  prompts: how many there are in one request.
    longest: share of it that the longest of them is.
    """

    characters: int
    media: int = 0
    tokens: int = 0
    prompts: int = 1
    longest: float = 1.0


def size_of(asked: Asked, endpoint: Endpoint) -> Size:
    """The size of a request's prompt; tools and forms are told to the model, so they count."""
    raw = bytes(getattr(asked, endpoint.text))
    if endpoint.text != "messages":
        return _of_texts(raw) if raw[:1] == b"[" else Size(len(raw))
    characters, media = characters_of(raw)
    more = sum(len(bytes(each)) for each in (asked.tools, asked.functions, asked.response_format))
    return Size(characters + more, media)


def characters_of(raw: bytes) -> tuple[int, int]:
    """Characters of messages that are text, and how many pictures and sounds are among them."""
    if b'"image_url"' not in raw and b'"input_audio"' not in raw and b"base64," not in raw:
        return len(raw), 0
    data, count = _media(raw)
    return max(len(raw) - data, 1), count


def _media(raw: bytes) -> tuple[int, int]:
    """Bytes of data in pictures and sounds of some messages, and how many there are."""
    try:
        messages = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0, 0
    size = count = 0
    for part in _parts(messages):
        kind = part.get("type")
        if kind in ("image_url", "input_image", "input_audio", "audio_url", "video_url"):
            count += 1
            size += _size(part)
    return size, count


def _parts(messages: Any) -> list[dict[str, Any]]:
    """All parts of all messages."""
    found: list[dict[str, Any]] = []
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            found += [each for each in content if isinstance(each, dict)]
    return found


def _size(part: Any) -> int:
    """Bytes of the texts inside a part."""
    if isinstance(part, str):
        return len(part)
    if isinstance(part, dict):
        return sum(_size(each) for each in part.values())
    return 0


def _of_texts(raw: bytes) -> Size:
    """The size of a list of texts, of tokens, or of lists of tokens; an engine refuses others.
    Tokens may be a million, so they are counted by their commas."""
    inside = raw[1:].lstrip()
    if inside[:1].isdigit():
        return Size(0, tokens=inside.count(b",") + 1)
    if inside[:1] == b"[":
        pieces = [each.rpartition(b"[")[2] for each in inside.split(b"]")[:-2]]
        return _of_many([each.count(b",") + 1 if each.strip() else 0 for each in pieces])
    try:
        found: list[Any] = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Size(len(raw))
    many = _of_many([len(each) for each in found if isinstance(each, str)])
    return many._replace(characters=len(raw), tokens=0)


def _of_many(lengths: list[int]) -> Size:
    """The size of several prompts of such lengths [tokens]."""
    whole, count = max(sum(lengths), 1), max(len(lengths), 1)
    return Size(0, 0, whole, count, max(lengths, default=1) / whole)
