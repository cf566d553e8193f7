"""Pictures and sounds inside messages, which are not counted as text."""

from __future__ import annotations

from typing import Any

import msgspec


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
