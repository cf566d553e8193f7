"""Every event and what the policy answered, so that it can be told again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from eke.errors import BadFile
from eke.gateway.shares import Shares
from eke.policy.naming import make
from eke.policy.protocol import Action, Event, Policy, Tick
from eke.types.record import Message

Record = Callable[[float, Event, Sequence[Action]], None]


class Began(Message, tag=True):
    """A desk has a fresh policy from here on. shares: of tenants."""

    desk: int
    policy: str
    shares: Shares


class Told(Message, tag=True):
    """One event. now: of it [s]."""

    desk: int
    now: float
    event: Event
    actions: list[Action]


class Recorder:
    """Writes a line per event, as JSON."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._encoder = msgspec.json.Encoder()

    def desk(self, number: int, policy: str, shares: Shares) -> Record:
        """What a desk with a fresh policy is to tell."""
        self._write(Began(number, policy, shares))

        def record(now: float, event: Event, actions: Sequence[Action]) -> None:
            self._write(Told(number, now, event, list(actions)))

        return record

    def _write(self, entry: Began | Told) -> None:
        self._file.write(self._encoder.encode(entry) + b"\n")


@contextlib.contextmanager
def recorder(path: str) -> Iterator[Recorder | None]:
    """A recorder that adds to a file; None where there is no path. Raises BadFile."""
    if not path:
        yield None
        return
    try:
        file = open(path, "ab", buffering=1 << 16)  # noqa: SIM115  (closed below)
    except OSError as error:
        raise BadFile(f"{path}: cannot be written: {error.strerror or error}.") from None
    with file:
        yield Recorder(file)


def told_again(path: Path) -> int:
    """Tell fresh policies what was recorded; how many events there were.

    Raises BadFile where a policy answers differently, naming the line.
    """
    decoder = msgspec.json.Decoder(Began | Told)
    policies: dict[int, Policy] = {}
    events = line = 0
    try:
        with open(path, "rb") as file:
            for text in file:
                line += 1
                if not text.endswith(b"\n"):
                    break  # the gateway was killed as it wrote this
                entry = decoder.decode(text)
                if isinstance(entry, Began):
                    policies[entry.desk] = make(entry.policy, **entry.shares)
                    continue
                events += 1
                _compare(policies[entry.desk], entry)
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error.strerror or error}.") from None
    except (msgspec.MsgspecError, KeyError) as error:
        raise BadFile(f"{path}, line {line}: is no record of a gateway: {error}.") from None
    except AssertionError as error:
        raise BadFile(f"{path}, line {line}: {error}") from None
    return events


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
