"""What is left out of a conversation that is longer than its tenant's context."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from eke.gateway.parts import characters_of
from eke.gateway.responses.messages import Message

Count = Callable[[int, int], float]  # tokens of so many characters, and so many pictures


def trimmed(messages: list[Message], room: float, count: Count) -> list[Message]:
    """The newest turns that fit, beside all that is said for the system; the last always stays.

    A turn is what a user says and all that follows it, so that no call is parted from its answer.
    room: for all of it [tokens].
    """
    sizes = [count(*characters_of(msgspec.json.encode([message]))) for message in messages]
    fixed = [message["role"] == "system" for message in messages]
    room -= sum(size for size, stays in zip(sizes, fixed, strict=True) if stays)
    starts = [place for place, message in enumerate(messages) if message["role"] == "user"]
    begin = end = len(messages)
    for start in reversed([0, *starts]):
        room -= sum(sizes[place] for place in range(start, end) if not fixed[place])
        if room < 0 and begin < len(messages):
            break
        begin = end = start
    return [each for place, each in enumerate(messages) if place >= begin or fixed[place]]
