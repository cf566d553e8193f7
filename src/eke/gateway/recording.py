"""Every event and what the policy answered, so that it can be told again."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from mmap import ACCESS_READ, mmap
from os import SEEK_END
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from eke.errors import BadFile
from eke.gateway.shares import Shares
from eke.policy.naming import make
from eke.policy.protocol import Action, Event, Policy, Tick
from eke.types.record import Message

log = logging.getLogger("eke.gateway")

BUFFER = 1 << 16  # bytes that are written at once
HEAD = b'{"type":'  # of each line

Record = Callable[[float, Event, Sequence[Action]], None]


class Began(Message, tag=True):
    """A desk has a fresh policy from here on. shares: of tenants.  model: as for `make`."""

    desk: int
    policy: str
    shares: Shares
    model: str | None = None


class Told(Message, tag=True):
    """One event. now: of it [s]."""

    desk: int
    now: float
    event: Event
    actions: list[Action]


class Ended(Message, tag=True):
    """Nothing more was recorded until a desk has a fresh policy. why: in words."""

    why: str


class Retold(NamedTuple):
    """What came of telling a record again. events: told.  ends: where the record ends before the
    gateway did, in words."""

    events: int
    ends: list[str]


class Recorder:
    """Writes a line per event, as JSON, for as long as its file takes them.

    ended: why it takes no more; "" while it does.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self.ended = path, ""
        self._file = file
        self._encoder = msgspec.json.Encoder()

    def desk(self, number: int, policy: str, shares: Shares, model: str | None = None) -> Record:
        """What a desk with a fresh policy is to tell."""
        self._write(Began(number, policy, shares, model))

        def record(now: float, event: Event, actions: Sequence[Action]) -> None:
            self._write(Told(number, now, event, list(actions)))

        return record

    def close(self) -> None:
        """Write what is still to be written."""
        if self.ended:
            log.error("%s: the record ended before the gateway did: %s", self.path, self.ended)
            return
        try:
            self._file.close()
            self.ended = "the gateway stopped"
        except OSError as error:
            self._end(error)

    def _write(self, entry: Began | Told) -> None:
        if self.ended:
            return
        try:
            self._file.write(self._encoder.encode(entry) + b"\n")
        except OSError as error:
            self._end(error)

    def _end(self, error: OSError) -> None:
        """Record no more, and say so, in the file too: in the place of its last lines, since there
        may be room for no others."""
        self.ended = error.strerror or str(error)
        log.error("%s: the record ends here: %s", self.path, self.ended)
        line = self._encoder.encode(Ended(self.ended)) + b"\n"
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            _cut(self.path, len(line))
            with open(self.path, "ab", buffering=0) as file:
                file.write(line)


@contextlib.contextmanager
def recorder(path: str) -> Iterator[Recorder | None]:
    """A recorder that adds to a file; None where there is no path. Raises BadFile."""
    if not path:
        yield None
        return
    try:
        if Path(path).is_file():  # and no device
            _cut(Path(path))
        file = open(path, "ab", buffering=BUFFER)  # noqa: SIM115  (closed below)
    except OSError as error:
        raise BadFile(f"{path}: cannot be written: {error.strerror or error}.") from None
    found = Recorder(Path(path), file)
    try:
        yield found
    finally:
        found.close()


def _cut(path: Path, less: int = 0) -> None:
    """Cut a record behind a whole line: the last, or the last that leaves so many bytes free.
    Raises BadFile where what would be cut off is no part of a record."""
    with open(path, "r+b") as file:
        size = file.seek(0, SEEK_END)
        if not size:
            return  # nothing cannot be mapped
        with mmap(file.fileno(), 0, access=ACCESS_READ) as text:
            end = text.rfind(b"\n", 0, max(size - less, 0)) + 1
            rest = text[end : end + len(HEAD)]
        if not HEAD.startswith(rest):
            raise BadFile(f"{path}: is no record of a gateway; name another file.")
        file.truncate(end)


def told_again(path: Path) -> Retold:
    """Tell fresh policies what was recorded.

    Raises BadFile where a policy answers differently, naming the line.
    """
    decoder = msgspec.json.Decoder(Began | Told | Ended)
    policies: dict[int, Policy] = {}
    events = line = 0
    ends = []
    try:
        with open(path, "rb") as file:
            for text in file:
                line += 1
                if not text.endswith(b"\n"):
                    ends.append(f"line {line} is half a line: the gateway was killed, or writes on")
                    break
                entry = decoder.decode(text)
                if isinstance(entry, Ended):
                    ends.append(f"line {line}: the record ended before the gateway: {entry.why}")
                elif isinstance(entry, Began):
                    policies[entry.desk] = make(entry.policy, entry.model, **entry.shares)
                else:
                    events += 1
                    _compare(policies[entry.desk], entry)
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error.strerror or error}.") from None
    except (msgspec.MsgspecError, KeyError) as error:
        raise BadFile(f"{path}, line {line}: is no record of a gateway: {error}.") from None
    except AssertionError as error:
        raise BadFile(f"{path}, line {line}: {error}") from None
    return Retold(events, ends)


def _compare(policy: Policy, entry: Told) -> None:
    """Assert that a policy answers an event as it did."""
    alarm = policy.alarm
    actions = list(policy.on(entry.event, entry.now))
    if isinstance(entry.event, Tick) and policy.alarm == alarm:
        policy.alarm = None
    if actions != entry.actions:
        raise AssertionError(
            f"told again of {entry.event!r:.80} at {entry.now:g} s, the policy answers "
            f"{actions!r:.120} and not {entry.actions!r:.120}."
        )
