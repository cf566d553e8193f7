"""Names under which things are counted: few enough, and nothing in them that a client wrote."""

from __future__ import annotations

import re
from collections.abc import Callable, Container

OTHER = "other"
STRANGERS = 200  # tenants that no configuration names, before the rest of them are counted as one
REASONS = 60  # different reasons, before the rest of them are counted as one

# What was quoted of a request, to the end where the quote was cut off; and long numbers.
_QUOTED = re.compile(
    r"(?<!\w)(?:'(?:\\.|[^'\\])*'(?!\w)|\"(?:\\.|[^\"\\])*\"(?!\w)|`[^`]*`|['\"`].*)", re.S
)
_NUMBER = re.compile(r"\d[\d,.]{3,}")
_KNOWN = (
    (re.compile(r"The engines are overloaded: (.+?)\. Ask again later.*", re.S), r"\1"),
    (re.compile(r"Resource Unavailable: (.+)\."), r"\1"),
    (re.compile(r"You reached the limit of \S+ (\S+)\..*", re.S), r"limit of \1"),
    (
        re.compile(r"Requests under way may use up the limit of \S+ (\S+)\."),
        r"limit of \1, held by requests under way",
    ),
    (re.compile(r".*context length is .*", re.S), "too long"),
    (re.compile(r"No engine answered; the last one: (no connection).*", re.S), r"\1"),
    (re.compile(r"The engine broke off: (.+)\.", re.S), r"broke off: \1"),
)
LONGEST = 80  # letters of a reason


class Names:
    """Gives each name back while they are few, and OTHER for those that come too late.

    most: names that are told apart.  known: whether a name is always one of them.
    """

    __slots__ = ("_seen", "known", "most")

    def __init__(self, most: int, known: Callable[[], Container[str]] = tuple) -> None:
        self.most, self.known = most, known
        self._seen: set[str] = set()

    def of(self, name: str) -> str:
        """What a name is counted under."""
        if name in self._seen or name in self.known():
            return name
        if len(self._seen) >= self.most:
            return OTHER
        self._seen.add(name)
        return name


def reason_of(text: str) -> str:
    """Why a request was not answered, in few words and without anything that was sent."""
    for pattern, words in _KNOWN:
        match = pattern.fullmatch(text)
        if match is not None:
            text = match.expand(words)
            break
    text = _NUMBER.sub("#", _QUOTED.sub("…", text))
    return text[:LONGEST].strip(" .") or "no reason given"


def escaped(value: str) -> str:
    """A label's value as Prometheus reads it."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
