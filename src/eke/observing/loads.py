"""What engines had to do over time, read from a run: who was on them, and what was taken in."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.types.record import Record
from eke.types.run import FINISHED, Run


class Taken(Record):
    """The requests that engines took, an element each, as they are numbered in the run by `row`.

    Times of replicas lie one behind the other on one axis, so that one look answers for all.
    came, handed, taken, first, ended: when [s]; an end nobody saw is that of the run.
    fresh: tokens of the prompt that were computed.  whole: answered, and never without its place.
    span: from one replica's zero to the next [s].
    """

    row: Any
    replica: Any
    came: Any
    handed: Any
    taken: Any
    first: Any
    ended: Any
    prompt: Any
    cached: Any
    fresh: Any
    tokens: Any
    whole: Any
    span: float


def taken_by(run: Run) -> Taken:
    """The requests that an engine took, those it took first first."""
    requests = run.requests
    taken = np.where(np.isnan(requests["scheduled"]), requests["started"], requests["scheduled"])
    row = np.flatnonzero((requests["replica"] >= 0) & np.isfinite(taken))
    columns = {name: column[row] for name, column in requests.items()}
    taken, replica = taken[row], np.unique(columns["replica"], return_inverse=True)[1]
    ended = np.where(np.isnan(columns["finished"]), run.end, columns["finished"])
    span = max(float(ended.max(initial=0.0)), run.end) + 1.0
    behind = replica * span
    whole = (columns["outcome"] == FINISHED) & (columns["preempted"] == 0)
    order = np.argsort(taken + behind, kind="stable")
    found = {
        "row": row,
        "replica": replica,
        "came": columns["arrived"] + behind,
        "handed": columns["started"] + behind,
        "taken": taken + behind,
        "first": columns["first"] + behind,
        "ended": ended + behind,
        "prompt": columns["prompt"].astype(np.float64),
        "cached": columns["cached"].astype(np.float64),
        "fresh": np.maximum(columns["prompt"] - columns["cached"], 1).astype(np.float64),
        "tokens": columns["tokens"].astype(np.float64),
        "whole": whole & np.isfinite(columns["first"]),
    }
    return Taken(span=span, **{name: values[order] for name, values in found.items()})


class Course(Record):
    """A number that changes at some times. at: when, rising [s].  value: from then on."""

    at: Any
    value: Any

    def between(self, start: Any, end: Any, of: Any = None) -> Any:
        """Its integrals from `start` to `end`. of: other values, those of a function of it."""
        values = self.value if of is None else of
        total = np.concatenate(([0.0], np.cumsum(values[:-1] * np.diff(self.at))))
        return np.interp(end, self.at, total) - np.interp(start, self.at, total)

    def just_after(self, times: Any) -> Any:
        """Its value once all that happens at these times has happened."""
        return self.value[np.searchsorted(self.at, times, side="right") - 1]


def course(begin: Any, end: Any, amount: Any = 1.0) -> Course:
    """How much is there, when each amount comes at its `begin` and goes at its `end`."""
    amounts = np.broadcast_to(np.asarray(amount, np.float64), len(begin))
    at = np.concatenate((begin, end))
    order = np.argsort(at, kind="stable")
    return Course(at=at[order], value=np.cumsum(np.concatenate((amounts, -amounts))[order]))


class Events(Record):
    """Amounts that happen at some times. at: when, rising [s].  totals: of each amount so far, a
    row per kind of amount."""

    at: Any
    totals: Any

    def between(self, start: Any, end: Any) -> Any:
        """What happens after `start` up to and with `end`, a row per kind of amount."""
        first, last = (np.searchsorted(self.at, each, side="right") for each in (start, end))
        return self.totals[:, last] - self.totals[:, first]


def events(at: Any, *amounts: Any) -> Events:
    """Amounts of several kinds, each with its time."""
    order = np.argsort(at, kind="stable")
    rows = np.stack([np.broadcast_to(each, len(at))[order] for each in amounts])
    totals = np.concatenate((np.zeros((len(amounts), 1)), np.cumsum(rows, axis=1)), axis=1)
    return Events(at=at[order], totals=totals)
