"""How long requests took, and whether that was as promised: one element per request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eke.types.record import Record
from eke.types.run import FINISHED, RUNNING, WAITING, Run

Columns = dict[str, Any]  # of requests, as eke.types.run.COLUMNS says


class Promise(Record):
    """What is promised to requests that carry no promise of their own; None for nothing.

    ttft: time to first token [s].  tpot: time per token after the first [s].
    """

    ttft: float | None = None
    tpot: float | None = None


def ttft(requests: Columns) -> Any:
    """Time from arrival to the first token [s]; NaN where there was none."""
    return requests["first"] - requests["arrived"]


def tpot(requests: Columns) -> Any:
    """Time per token after the first [s], of finished answers of two tokens or more."""
    gaps = requests["tokens"] - 1
    counts = (requests["outcome"] == FINISHED) & (gaps >= 1)
    span = requests["finished"] - requests["first"]
    return np.divide(span, gaps, out=np.full(len(gaps), np.nan), where=counts)


def end_to_end(requests: Columns) -> Any:
    """Time from arrival to the last token [s], of finished answers."""
    span = requests["finished"] - requests["arrived"]
    return np.where(requests["outcome"] == FINISHED, span, np.nan)


def queueing(requests: Columns) -> Any:
    """Time from arrival until an engine first took it into a step [s]; NaN where none did."""
    return requests["scheduled"] - requests["arrived"]


TIMES: dict[str, Callable[[Columns], Any]] = {
    "ttft": ttft,
    "tpot": tpot,
    "end_to_end": end_to_end,
    "queueing": queueing,
}


def taken(run: Run) -> Any:
    """When the waiting of each request ended [s]: taken into a step, or else handed over or
    answered, or else refused, or else never while anybody watched."""
    requests = run.requests
    found = np.array(requests["scheduled"], dtype=float)
    for name in ("started", "first", "finished"):
        found = np.where(np.isnan(found), requests[name], found)
    return np.where(np.isnan(found), run.end, found)


def promised(requests: Columns, promise: Promise) -> bool:
    """Whether any request was promised anything."""
    own = np.isfinite(requests["ttft"]).any() or np.isfinite(requests["deadline"]).any()
    return promise.ttft is not None or promise.tpot is not None or bool(own)


def kept(requests: Columns, end: float, promise: Promise) -> tuple[Any, Any]:
    """Who got all that was promised, and of whom that cannot be said yet.

    A request's own promises come first: its `ttft` before that of `promise`, its `deadline` before
    the time per token of `promise`. Undecided are those in flight at `end` [s] that are not late.
    """
    flying = (requests["outcome"] == WAITING) | (requests["outcome"] == RUNNING)
    late = _late(requests, "ttft", "first", end, promise.ttft)
    late |= _late(requests, "deadline", "finished", end, None)
    if promise.tpot is not None:
        late |= ~np.isfinite(requests["deadline"]) & (tpot(requests) > promise.tpot)
    return (requests["outcome"] == FINISHED) & ~late, flying & ~late


def _late(requests: Columns, bound: str, what: str, end: float, general: float | None) -> Any:
    """Who did not get it in time. What has not come by the end is as late as the end, at least."""
    limit = np.asarray(requests[bound], dtype=float)
    limit = np.where(np.isfinite(limit), limit, np.inf if general is None else general)
    came = np.where(np.isnan(requests[what]), end, requests[what])
    return came - requests["arrived"] > limit
