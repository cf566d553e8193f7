"""JSON lines, checked while they come in."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import msgspec

from eke.types.record import Message

SHOWN = 100  # mistakes of one file that are told


class Mistake(Message):
    """What is wrong with a line, as OpenAI tells it. line: its number, from 1; None for the whole
    file."""

    code: str
    line: int | None
    message: str
    param: str | None = None


Check = Callable[[int, bytes], Mistake | None]


class Lines:
    """Cuts bytes into lines and has each checked.

    check: is given the number and the text of a line.  longest: of a line [B].  most: lines there
    may be; nothing is read behind one more.
    count: lines that are not empty.  mistakes: the first SHOWN.
    """

    def __init__(self, check: Check, longest: int, most: float = inf) -> None:
        self.check, self.longest, self.most = check, longest, most
        self.count = 0
        self.mistakes: list[Mistake] = []
        self._number = 0
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Some more bytes."""
        if self._enough:
            return
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._add(line)
            self._end()
        self._add(rest)

    def end(self) -> list[Mistake]:
        """No more bytes come; the mistakes."""
        if self._size:
            self._end()
        if not self.count and not self.mistakes:
            self.mistakes.append(Mistake("empty_file", None, "The file has no lines."))
        return self.mistakes

    @property
    def _enough(self) -> bool:
        """Whether the rest tells nothing."""
        return self.count > self.most or len(self.mistakes) >= SHOWN

    def _add(self, part: bytes) -> None:
        if self._enough:
            return
        self._size += len(part)
        if self._size <= self.longest:
            self._parts.append(part)

    def _end(self) -> None:
        """A line is complete."""
        self._number += 1
        line, size = b"".join(self._parts), self._size
        self._parts, self._size = [], 0
        long = size > self.longest
        if self._enough or not (long or line.strip()):
            return
        self.count += 1
        if self.count > self.most:
            words = f"The file has more than {self.most:,} lines, which is the most of a batch."
            self.mistakes = [Mistake("too_many_tasks", None, words)]
            return
        found = self._too_long() if long else self.check(self._number, line)
        if found is not None:
            self.mistakes.append(found)

    def _too_long(self) -> Mistake:
        words = f"This line is longer than {self.longest:,} bytes."
        return Mistake("line_too_long", self._number, words)


def object_of(number: int, line: bytes) -> dict[str, Any] | Mistake:
    """The JSON object in a line, or what is wrong with it."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        found = None
    if isinstance(found, dict):
        return found
    return Mistake("invalid_json_line", number, "This line is not parseable as a JSON object.")


def example(number: int, line: bytes) -> Mistake | None:
    """What is wrong with an example to learn from: a chat, a prompt with what completes it, or
    two answers of which one is better."""
    found = object_of(number, line)
    if isinstance(found, Mistake):
        return found
    if {"preferred_output", "non_preferred_output"} & found.keys():
        return _lists(number, found, ("preferred_output", "non_preferred_output"))
    if "messages" in found:
        return _lists(number, found, ("messages",))
    if isinstance(found.get("prompt"), str) and isinstance(found.get("completion"), str):
        return None
    words = "An example has 'messages', 'prompt' and 'completion', or two outputs to compare."
    return Mistake("invalid_example", number, words)


def _lists(number: int, found: dict[str, Any], names: tuple[str, ...]) -> Mistake | None:
    for name in names:
        if not (isinstance(found.get(name), list) and found[name]):
            return Mistake("invalid_example", number, f"'{name}' is a list of messages.", name)
    return None
