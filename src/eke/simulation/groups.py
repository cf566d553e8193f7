"""The requests of one tenant or of one kind: how many, how fast, how much."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.simulation.fairness import answer_service, asked, prompt_service
from eke.simulation.times import TIMES, Promise, kept
from eke.types.record import Record
from eke.types.run import FINISHED, REFUSED, Run


class Group(Record):
    """What one group of requests got. Times [s]; None where there is nothing to say.

    share_kept: of those decided, who got all that was promised.  service, asked: what they got and
    what they wanted [tokens, weighted as eke.simulation.fairness says].
    """

    name: str
    arrived: int
    finished: int
    refused: int
    share_kept: float | None
    ttft_p50: float | None
    ttft_p99: float | None
    tpot_p50: float | None
    tpot_p99: float | None
    queueing_p50: float | None
    queueing_p99: float | None
    service: float
    asked: float


class Told(Record):
    """What is said of every request once, for all groups: an element per request in each array.

    times: by name, as in `eke.simulation.times`.  good, undecided: who got all that was promised,
    and of whom that cannot be said.  got, wanted: service [weighted tokens].
    """

    times: dict[str, Any]
    good: Any
    undecided: Any
    got: Any
    wanted: Any


def told(run: Run, promise: Promise) -> Told:
    """What is said of every request."""
    requests = run.requests
    good, undecided = kept(requests, run.end, promise)
    return Told(
        times={name: of(requests) for name, of in TIMES.items()},
        good=good,
        undecided=undecided,
        got=(prompt_service(requests) + answer_service(requests)).astype(np.float32),
        wanted=asked(requests).astype(np.float32),
    )


def rows_of(codes: Any, most: int, weight: Any = None) -> dict[int, Any]:
    """Which rows have which code, for the codes that weigh most, the heaviest first.

    weight: of each row; None counts rows.
    """
    if not len(codes):
        return {}
    small = codes.astype(np.int16) if codes.max() < 2**15 else codes  # sorted many times as fast
    order = np.argsort(small, kind="stable")
    counts = np.bincount(codes)
    weights = counts if weight is None else np.bincount(codes, weight)
    ends = np.cumsum(counts)
    ranked = [int(code) for code in np.argsort(-weights, kind="stable") if counts[code]]
    return {code: order[ends[code] - counts[code] : ends[code]] for code in ranked[:most]}


def groups(run: Run, column: str, rows: dict[int, Any], told: Told) -> tuple[Group, ...]:
    """What each of these groups got. column: "tenant" or "kind"."""
    names, outcome = run.names.get(column, ()), run.requests["outcome"]
    return tuple(
        group(named(names, code), told, which, outcome[which]) for code, which in rows.items()
    )


def named(names: tuple[str, ...], code: int) -> str:
    """What a code stands for; its number where nobody said."""
    return names[code] if 0 <= code < len(names) else str(code)


def group(name: str, told: Told, rows: Any, outcome: Any) -> Group:
    """What the requests of these rows got. outcome: theirs."""
    decided = len(rows) - int(told.undecided[rows].sum())
    middle_and_tail = {
        f"{what}_{point}": value
        for what in ("ttft", "tpot", "queueing")
        for point, value in zip(
            ("p50", "p99"), quantiles(told.times[what][rows], (0.5, 0.99)), strict=True
        )
    }
    return Group(
        name=name,
        arrived=len(rows),
        finished=int(np.sum(outcome == FINISHED)),
        refused=int(np.sum(outcome == REFUSED)),
        share_kept=int(told.good[rows].sum()) / decided if decided else None,
        service=float(told.got[rows].sum(dtype=float)),
        asked=float(told.wanted[rows].sum(dtype=float)),
        **middle_and_tail,
    )


def quantiles(values: Any, points: tuple[float, ...]) -> list[float | None]:
    """Values at these shares of those there are, None for each where there are none."""
    known = values[np.isfinite(values)]
    if not len(known):
        return [None] * len(points)
    return [float(each) for each in np.quantile(known, points, overwrite_input=True)]
