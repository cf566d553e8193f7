"""Rows of a trace checked and made into requests, whatever format they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from eke.simulation.traffic.names import Names
from eke.simulation.traffic.readers.source import Source
from eke.types.arrivals import NOBODY, Arrivals, arrivals

LONGEST = 10**8  # tokens; no context comes near
TOLERANCE = 1.0  # seconds a time may run back: logs of several machines are merged loosely
LIMITS = {
    "prompt": (0, LONGEST, " tokens"),
    "answer": (0, LONGEST, " tokens"),
    "images": (0, 10**6, ""),
    "priority": (-(10**6), 10**6, ""),
}
NO_SESSION = (b"", b"-1")
PROMISES = ("ttft", "deadline")


class Reading:
    """What is known of a file while it is read: when it began, the latest time, names so far.

    kind: of requests of which the file says none.
    """

    def __init__(self, source: Source, kind: str) -> None:
        self.source = source
        self.start: float | None = None
        self.latest = 0.0
        self.tenants, self.kinds, self.sessions = Names(), Names(), Names()
        self.kind = kind
        self.roots: dict[int, int] = {}  # of conversations, by the number of each turn

    def request(self, columns: Mapping[str, Any], lines: Any) -> tuple[Arrivals, Any]:
        """The good rows as requests, and which they are. Raises BadFile.

        columns: "prompt" and "answer" [tokens] and any of "arrived" [s], "tenant", "kind",
        "session" (names), "priority", "images", "ttft", "deadline" [s], as arrays.
        lines: where each row stands in the file.
        """
        good = np.ones(len(lines), np.bool_)
        for name, (least, most, unit) in LIMITS.items():
            if name in columns:
                column = columns[name]
                fine = (column == np.floor(column)) & (column >= least) & (column <= most)
                why = f"{name} is {{}}; expected {least:,} to {most:,}{unit}"
                self._refuse(good, fine, lines, column, why)
        times = self._times(columns, good, lines)
        columns = {name: column[good] for name, column in columns.items()}
        return self._made(columns, times[good]), np.flatnonzero(good)

    def _refuse(self, good: Any, fine: Any, lines: Any, column: Any, why: str) -> None:
        for row in np.flatnonzero(good & ~fine):
            self.source.bad(int(lines[row]), why.format(f"{column[row]:.12g}"))
        good &= fine

    def _times(self, columns: Mapping[str, Any], good: Any, lines: Any) -> Any:
        """Times from the first on, never falling; rows that run back far are not good."""
        if "arrived" not in columns:
            return np.zeros(len(lines))
        times = columns["arrived"]
        self._refuse(good, np.isfinite(times), lines, times, "the time is {}; expected a number")
        if self.start is None and good.any():
            self.start = float(times[good][0])
        times = np.where(good, times - (self.start or 0.0), -np.inf)
        before = np.maximum.accumulate(np.concatenate(([self.latest], times)))[:-1]
        back = times < before
        far = times < before - TOLERANCE
        why = f"the time runs back by {{}} s; at most {TOLERANCE:g} s is taken for disorder"
        self._refuse(good, ~far, lines, before - times, why)
        self.source.skipped.moved += int((back & good).sum())
        times = np.maximum(times, before)
        if good.any():
            self.latest = float(times[good][-1])
        return times

    def _made(self, columns: dict[str, Any], times: Any) -> Arrivals:
        zero = (columns["prompt"] < 1) | (columns["answer"] < 1)
        self.source.skipped.lifted += int(zero.sum())
        found: dict[str, Any] = {
            name: np.maximum(columns[name], 1).astype(np.int64) for name in ("prompt", "answer")
        }
        found |= {name: columns[name] for name in (*PROMISES, "images") if name in columns}
        if "priority" in columns:
            found["priority"] = columns["priority"].astype(np.int32)
        for name, names in (("tenant", self.tenants), ("kind", self.kinds)):
            if name in columns:
                found[name] = coded(columns[name], names)
        if "session" in columns:
            session = coded(columns["session"], self.sessions)
            found["session"] = np.where(np.isin(columns["session"], NO_SESSION), NOBODY, session)
        return arrivals(
            times,
            found.pop("prompt"),
            found.pop("answer"),
            tenants=tuple(self.tenants.codes) or ("",),
            kinds=tuple(self.kinds.codes) or (self.kind,),
            **found,
        )


def coded(column: Any, names: Names) -> Any:
    """Codes of a column of names, new ones added in the order in which they turn up."""
    known, first, inverse = np.unique(column, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    words = tuple(_word(known[i]) for i in order)
    return names.code(rank[inverse], words) if words else inverse


def _word(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


Block = tuple[dict[str, Any], Any]  # columns, and the line of each row


def requests(reading: Reading, blocks: Iterable[Block], sort: bool = False) -> Iterator[Arrivals]:
    """The requests of blocks of rows. sort: they stand in no order; all are held."""
    if sort:
        blocks = _sorted(blocks)
    for columns, lines in blocks:
        if len(lines):
            yield reading.request(columns, lines)[0]


def that_came(source: Source, blocks: Iterable[Block]) -> Iterator[Block]:
    """The rows of requests that came; one that follows another may never have. They are counted."""
    for columns, lines in blocks:
        came = columns["arrived"] < np.inf
        for line in lines[~came]:
            source.skipped.add(f"{source.unit} {line:,}: never came")
        yield {name: column[came] for name, column in columns.items()}, lines[came]


def in_order(blocks: Iterable[Block]) -> bool:
    """Whether the rows stand in order of time, but for a little disorder."""
    latest = -np.inf
    for columns, _ in blocks:
        times = columns["arrived"]
        before = np.maximum.accumulate(np.concatenate(([latest], times)))
        if (times < before[:-1] - TOLERANCE).any():
            return False
        latest = before[-1]
    return True


def _sorted(blocks: Iterable[Block]) -> Iterator[Block]:
    held = [(columns, lines) for columns, lines in blocks if len(lines)]
    if held:
        lines = np.concatenate([lines for _, lines in held])
        together = {n: np.concatenate([columns[n] for columns, _ in held]) for n in held[0][0]}
        order = np.argsort(together["arrived"], kind="stable")
        yield {name: column[order] for name, column in together.items()}, lines[order]
