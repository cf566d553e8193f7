"""Whose trace a request belongs to: the headers traceparent and tracestate. Source: W3C, Trace
Context, level 1.
"""

from __future__ import annotations

import re
from random import getrandbits
from typing import NamedTuple

_SHAPE = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(rb"[\x20-\x7e]{1,512}")
SAMPLED = 1


class Context(NamedTuple):
    """A place in a trace. parent: number of the span that asks, 0 for none.  own: of the request's
    span.  engine: of the span that its engine is told.  state: others' notes, passed on."""

    trace: int
    parent: int
    own: int
    engine: int
    sampled: bool
    state: bytes = b""

    def lines(self) -> bytes:
        """Header lines for the engine."""
        head = f"{self.trace:032x}-{self.engine:016x}-{int(self.sampled):02x}"
        state = b"tracestate: %b\r\n" % self.state if self.state else b""
        return b"traceparent: 00-%b\r\n%b" % (head.encode(), state)


def context_of(traceparent: bytes, tracestate: bytes = b"") -> Context:
    """The place of a request in its client's trace, or in one of its own where it came without, or
    with one that makes no sense."""
    match = _SHAPE.fullmatch(traceparent.strip())
    own, engine = _number(64), _number(64)
    if match is None or not _sensible(match):
        return Context(_number(128), 0, own, engine, True)
    state = tracestate.strip() if _STATE.fullmatch(tracestate.strip()) else b""
    trace, parent, flags = (int(each, 16) for each in match.group(2, 3, 4))
    return Context(trace, parent, own, engine, bool(flags & SAMPLED), state)


def _sensible(match: re.Match[bytes]) -> bool:
    version, trace, parent, _, more = match.groups()
    return (
        version != b"ff"
        and (more is None or version != b"00")
        and bool(int(trace, 16))
        and bool(int(parent, 16))
    )


def _number(bits: int) -> int:
    return getrandbits(bits) or 1
