"""What a request says to the model: its tokens, the keys of its blocks, and a number to answer."""

from __future__ import annotations

from typing import Any

import msgspec

from eke.standin.bodies import Chat, Refused, Turn
from eke.standin.cache import keys_of
from eke.standin.english import number_of
from eke.standin.speed import Speed
from eke.standin.tokens import pieces
from eke.types.record import Message

SOUND = {"wav": 32_000.0, "pcm16": 48_000.0}  # bytes per second: 16 bit at 16 kHz, and at 24 kHz
PACKED = 16_000.0  # of mp3 and the like, about


class Item(Message):
    """An image or a sound. kind: "image" or "sound".  size: images, or seconds."""

    kind: str
    size: float
    number: int


Part = str | Item


class Prompt(Message):
    """tokens: all of it.  keys: of its full blocks.  tail: its last tokens beyond them.  number:
    stands for all it says.  said: the user's last words.  encoding: of images and sound [s]."""

    tokens: int
    keys: list[int]
    tail: list[str]
    number: int
    said: str
    encoding: float


def chat_prompt(body: Chat, speed: Speed) -> Prompt:
    """A conversation, one message after another, each under its role."""
    parts: list[Part] = []
    if body.tools:
        parts.append(f"tools:\n{msgspec.json.encode(body.tools).decode()}\n")
    said = ""
    for turn in body.messages:
        own = _parts(turn)
        parts += [f"{turn.role}:\n", *own, "\n"]
        if turn.role == "user":
            said = " ".join(part for part in own if isinstance(part, str))
    return _prompt([*parts, "assistant:\n"], said, speed)


def text_prompt(given: Any, speed: Speed) -> Prompt:
    """A text, or the numbers of its tokens. Raises Refused for anything else."""
    if isinstance(given, str):
        return _prompt([given], given, speed)
    if not (isinstance(given, list) and given and all(isinstance(each, int) for each in given)):
        raise Refused(400, "a prompt is a text, or the numbers of its tokens; one for each request")
    numbers = [f"{each}" for each in given]
    return _made(numbers, " ".join(numbers), "", speed, 0.0)


def _parts(turn: Turn) -> list[Part]:
    """What a message holds."""
    if isinstance(turn.content, str):
        return [turn.content]
    found: list[Part] = [_part(part) for part in turn.content or ()]
    if turn.tool_calls:
        found.append(msgspec.json.encode(turn.tool_calls).decode())
    return found


def _part(part: dict[str, Any]) -> Part:
    kind = part.get("type")
    said = part.get(str(kind))
    if kind in ("text", "refusal") and isinstance(said, str):
        return said
    if kind == "image_url":
        url = said.get("url") if isinstance(said, dict) else said
        if isinstance(url, str):
            return Item("image", 1.0, number_of(url))
    if kind == "input_audio" and isinstance(said, dict) and isinstance(said.get("data"), str):
        speed = SOUND.get(str(said.get("format")), PACKED)
        return Item("sound", len(said["data"]) * 0.75 / speed, number_of(said["data"]))
    raise Refused(400, f"a part of type {kind!r:.40} is not understood here.", param="messages")


def _prompt(parts: list[Part], said: str, speed: Speed) -> Prompt:
    """A prompt out of texts, images and sounds."""
    items = [part for part in parts if isinstance(part, Item)]
    if not items:
        text = "".join(part for part in parts if isinstance(part, str))
        return _made(pieces(text), text, said, speed, 0.0)
    seen: list[str] = []
    for part in parts:
        seen += pieces(part) if isinstance(part, str) else _tokens(part, speed)
    text = "".join(part if isinstance(part, str) else f"<{part.number}>" for part in parts)
    return _made(seen, text, said, speed, _encoding(items, speed))


def _tokens(item: Item, speed: Speed) -> list[str]:
    """The tokens that an image or a sound is to the model."""
    encoding = speed.image if item.kind == "image" else speed.sound
    if encoding is None:
        raise Refused(400, f"{speed.model} has no encoder for {item.kind}.", param="messages")
    return [f"<{item.number}>"] * round(item.size * encoding.tokens)


def _encoding(items: list[Item], speed: Speed) -> float:
    """Time to encode all of them [s]."""
    total = 0.0
    for kind, encoding in (("image", speed.image), ("sound", speed.sound)):
        size = sum(item.size for item in items if item.kind == kind)
        total += encoding.time(size) if encoding is not None else 0.0
    return total


def _made(seen: list[str], text: str, said: str, speed: Speed, encoding: float) -> Prompt:
    block = speed.limits.block
    keys = keys_of(seen, block)
    tail = seen[len(keys) * block :]
    return Prompt(max(len(seen), 1), keys, tail, number_of(text), said, encoding)
