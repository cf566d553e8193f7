"""A line per request and what else is worth telling, through `logging`: JSON for machines, plain
words on a terminal. Lines have numbers and names; nothing that was sent or answered is in them.
"""

from __future__ import annotations

import logging
import sys
from asyncio import sleep
from collections import deque
from collections.abc import Callable
from time import gmtime, strftime
from typing import Any

import msgspec

from eke.errors import BadFile, BadInput
from eke.gateway.row import Row
from eke.gateway.seeing.labels import reason_of
from eke.gateway.settings import LEVELS, Form

NAME = "eke.gateway"
OTHERS = ("uvicorn.error", "python_multipart")  # of libraries, which warn of what strangers send
requests = logging.getLogger(f"{NAME}.requests")

SLICE = 64  # lines written before others have their turn
MOST = 20_000  # lines that wait to be written; what comes then is only counted

_encode = msgspec.json.Encoder().encode


class RequestLog:
    """Lines of requests, written between beats rather than while somebody waits for an answer.

    dropped: requests that ended faster than lines could be written.
    number: gives the number of a request as clients see it.
    """

    __slots__ = ("_rows", "dropped", "number")

    def __init__(self, number: Callable[[int], str]) -> None:
        self._rows: deque[Row] = deque()
        self.number, self.dropped = number, 0

    def over(self, row: Row) -> None:
        """A request is over."""
        if len(self._rows) < MOST:
            self._rows.append(row)
        else:
            self.dropped += 1

    async def write(self) -> None:
        """Write what there is now, in slices."""
        for _ in range(len(self._rows) // SLICE + 1):
            self._write(SLICE)
            await sleep(0)

    def close(self) -> None:
        """Write what is left."""
        self._write(len(self._rows))

    def _write(self, most: int) -> None:
        """Write some lines, as one record: one for each takes four times as long."""
        rows = [self._rows.popleft() for _ in range(min(most, len(self._rows)))]
        if rows and requests.isEnabledFor(logging.INFO):
            told = [about(row, self.number) for row in rows]
            requests.info("requests ended", extra={"about": told})
        if self.dropped:
            requests.warning("%d more requests ended; there are no lines of them", self.dropped)
            self.dropped = 0


def about(row: Row, number: Callable[[int], str]) -> dict[str, Any]:
    """What a line tells of a request. Times in seconds; what never happened is left out."""
    arrived = row.arrived
    told: dict[str, Any] = {
        "time": _utc(row.arrived_at + row.finished - arrived),
        "level": "info",
        "logger": requests.name,
        "message": row.outcome,
        "request": number(row.number),
        "tenant": row.tenant,
        "model": row.model,
        "kind": row.kind,
        "tier": row.tier,
        "prompt_tokens": row.prompt,
        "cached_tokens": row.cached,
        "answer_tokens": row.tokens,
        "seconds": round(row.finished - arrived, 6),
    }
    if row.started is not None:
        told["wait_seconds"] = round(row.started - arrived, 6)
        told["engine"] = row.engine
    if row.first is not None:
        told["first_seconds"] = round(row.first - arrived, 6)
    if row.reason:
        told["reason"] = reason_of(row)
    if row.tries:
        told["retries"] = row.tries
    if row.cost or row.energy:
        told["cost_usd"], told["energy_joules"] = round(row.cost, 12), round(row.energy, 6)
    return told


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        rows = getattr(record, "about", None)
        if rows is not None:
            return b"\n".join([_encode(each) for each in rows]).decode()
        told: dict[str, Any] = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["error"] = _where(record)
        return _encode(told).decode()


class Words(logging.Formatter):
    """Plain words, for people."""

    def format(self, record: logging.LogRecord) -> str:
        rows = getattr(record, "about", None)
        if rows is not None:
            return "\n".join([f"{each['time'][11:19]} {_line(each)}" for each in rows])
        line = f"{_utc(record.created)[11:19]} {record.levelname.lower()}: {record.getMessage()}"
        return f"{line}\n{_where(record)}" if record.exc_info else line


def begin_logging(level: str = "info", form: Form = "auto", to: str = "") -> logging.Handler:
    """Send what the gateway logs somewhere; the handler, to be closed at the end.

    level: least that is told.  form: "auto" is words on a terminal, else JSON.
    to: path of a file that lines are added to; "" for stderr.
    Raises BadInput for a level that is none, BadFile for a file that cannot be written.
    """
    if level.lower() not in LEVELS:
        raise BadInput(f"no level of logs {level!r:.40}; there are {', '.join(LEVELS)}.")
    try:
        handler = logging.FileHandler(to, encoding="utf-8") if to else logging.StreamHandler()
    except OSError as error:
        raise BadFile(f"{to}: no logs can be written there: {error.strerror or error}.") from None
    people = form == "words" or (form == "auto" and not to and sys.stderr.isatty())
    handler.setFormatter(Words() if people else JsonLines())
    for name in (NAME, *OTHERS):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper() if name == NAME else logging.ERROR)
    return handler


def _line(told: dict[str, Any]) -> str:
    """One request in words."""
    words = [told["message"], told["tenant"], told["model"], told["kind"], told["tier"]]
    words.append(f"{told['prompt_tokens']}→{told['answer_tokens']} tokens")
    if told["cached_tokens"]:
        words.append(f"({told['cached_tokens']} cached)")
    words.append(f"in {told['seconds']:.3g} s")
    if told.get("wait_seconds", 0.0) >= 0.001:
        words.append(f"after {told['wait_seconds']:.3g} s in the queue")
    if "reason" in told:
        words.append(f"· {told['reason']}")
    return " ".join(words)


def _where(record: logging.LogRecord) -> str:
    """The kind of an error and the lines of code it came through; its words may quote a request."""
    assert record.exc_info is not None
    kind, _, trace = record.exc_info
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{kind.__name__ if kind else 'error'} at {' < '.join(reversed(places))}"


def _utc(seconds: float) -> str:
    """Such as 2026-11-30T15:38:42.303Z."""
    whole = int(seconds)
    head = strftime("%Y-%m-%dT%H:%M:%S", gmtime(whole))
    return f"{head}.{int(1e3 * (seconds - whole)):03d}Z"
