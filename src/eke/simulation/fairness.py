"""Who got how much, and who waited: service of tenants, and how even it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.simulation.series import Windows, spread
from eke.simulation.times import Columns, taken
from eke.types.record import Record
from eke.types.run import Run

PROMPT_WEIGHT, ANSWER_WEIGHT = 1.0, 2.0  # of a token in service, the usual ones of sheng2024
SLACK = 1e-6  # of a window that may be without a waiting request, for rounding


class Gap(Record):
    """The widest gap in service between two tenants who both had requests waiting.

    tokens: weighted, see `gap`.  ahead, behind: codes of the tenants.
    """

    tokens: float
    ahead: int
    behind: int


def prompt_service(requests: Columns) -> Any:
    """Weighted tokens of each prompt that were computed, not found in the cache."""
    fresh = np.maximum(requests["prompt"] - requests["cached"], 0)
    return PROMPT_WEIGHT * fresh * np.isfinite(requests["first"])


def answer_service(requests: Columns) -> Any:
    """Weighted tokens of each answer that were given."""
    return ANSWER_WEIGHT * requests["tokens"]


def asked(requests: Columns) -> Any:
    """Weighted tokens each request wanted; what its cached prompt spared does not count."""
    fresh = np.maximum(requests["prompt"] - requests["cached"], 0)
    return PROMPT_WEIGHT * fresh + ANSWER_WEIGHT * requests["answer"]


def service(run: Run, at: Windows, group: Any) -> Any:
    """Weighted tokens by group and window.

    A prompt is served evenly from when it is taken in until its first token, an answer evenly from
    its first to its last token.
    """
    requests = run.requests
    first = requests["first"]
    begun = np.fmin(np.where(np.isnan(requests["scheduled"]), first, requests["scheduled"]), first)
    ended = np.where(np.isnan(requests["finished"]), run.end, requests["finished"])
    prompts = spread(at, begun, first, prompt_service(requests), group)
    answers = spread(at, first, ended, answer_service(requests), group)
    return prompts + answers


def gap(run: Run, at: Windows, rows: dict[int, Any]) -> Gap | None:
    """The widest gap in service between two tenants, None where no two ever waited together.

    Over every stretch of whole windows all through which both tenants had a request waiting, what
    one got more than the other [weighted tokens]. rows: of each tenant's requests, by its code.
    Source: sheng2024 (definition of backlogged tenants and their difference of service).
    """
    if len(rows) < 2:
        return None
    ends = taken(run)
    waits = np.array([backlogged(run.requests["arrived"][i], ends[i], at) for i in rows.values()])
    if waits.sum(axis=0).max() < 2:
        return None
    codes = np.full(int(run.requests["tenant"].max()) + 1, -1)
    codes[list(rows)] = np.arange(len(rows))
    found = widest(service(run, at, codes[run.requests["tenant"]]), waits)
    names = list(rows)
    return Gap(tokens=found[0], ahead=names[found[1]], behind=names[found[2]])


def backlogged(arrived: Any, ends: Any, at: Windows) -> Any:
    """In which windows one tenant had a request waiting all the time."""
    order = np.argsort(arrived, kind="stable")
    arrived, ends = arrived[order], np.maximum.accumulate(ends[order])
    fresh = np.append(True, arrived[1:] > ends[:-1])  # nobody waited just before
    last = np.append(np.flatnonzero(fresh)[1:], len(arrived)) - 1
    begin, end = arrived[fresh], ends[last]
    return spread(at, begin, end, end - begin)[0] >= at.width * (1 - SLACK)


def widest(given: Any, waits: Any) -> tuple[float, int, int]:
    """Largest sum of differences over consecutive windows in which both wait, and of whom.

    given, waits: by tenant and window.  The largest sum that ends with a window is that of the
    window before, if it helps, and its own.
    """
    ending = np.zeros((len(waits), len(waits)))
    most, who = 0.0, (0, 1)
    for got, waiting in zip(given.T, waits.T, strict=True):
        both = waiting[:, None] & waiting
        ending = np.where(both, np.maximum(ending, 0.0) + got[:, None] - got, 0.0)
        place = np.unravel_index(np.argmax(ending), ending.shape)
        if ending[place] > most:
            most, who = float(ending[place]), (int(place[0]), int(place[1]))
    return most, *who


def jain(shares: Any) -> float | None:
    """Jain's index of fairness: 1 where all are equal, 1 / n where one has all; None for nobody.

    Source: jain1984.
    """
    squares = float(np.sum(np.square(shares)))
    return float(np.sum(shares)) ** 2 / (len(shares) * squares) if squares > 0 else None
