"""What a gateway could not see: answers nobody gave, first tokens that were not streamed."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.types.record import Record
from eke.types.run import FINISHED

STREAMED = 0.05  # least share of its time on an engine that lies after the first token of a stream


class Answers(Record):
    """Columns of a run. answer: true length, or the likeliest.  first: when the first token was
    there [s].  unstreamed: of how many that was not seen.  remarks: what was assumed, in words."""

    answer: Any
    first: Any
    unstreamed: int
    remarks: tuple[str, ...]


def answers(columns: dict[str, Any]) -> Answers:
    """What can be said of answers. columns: of rows, their times on one clock."""
    finished = columns["outcome"] == FINISHED
    answer, unknown = _lengths(columns, finished)
    first, whole = _firsts(columns, finished)
    remarks = []
    if unknown:
        remarks.append(
            f"{unknown:,} answers were refused, left or lost: taken to be as long as the mean of "
            "their tenant and kind"
        )
    if whole:
        remarks.append(
            f"{whole:,} answers were not streamed: their first token is put where the pace of "
            "streamed ones has it"
        )
    return Answers(answer=answer, first=first, unstreamed=whole, remarks=tuple(remarks))


def _lengths(columns: dict[str, Any], finished: Any) -> tuple[Any, int]:
    """True lengths; of what was not finished the mean of its tenant and kind, of its kind where
    that is not known, or of all; within what was asked, and no less than was given."""
    tokens, kind = columns["tokens"].astype(np.float64), columns["kind"].astype(np.int64)
    both = columns["tenant"].astype(np.int64) * (int(kind.max(initial=0)) + 1) + kind
    likely = np.full(len(tokens), tokens[finished].mean() if finished.any() else 1.0)
    for group in (kind, both):
        counts = np.bincount(group[finished], minlength=int(group.max(initial=0)) + 1)
        sums = np.bincount(group[finished], tokens[finished], len(counts))
        means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)[group]
        likely = np.where(np.isnan(means), likely, means)
    most = np.where(columns["asked"] > 0, columns["asked"], np.inf)
    likely = np.maximum(np.minimum(np.rint(likely), most), tokens)
    answer = np.where(finished, tokens, likely).astype(np.int32)
    return answer, int(np.sum(~finished))


def _firsts(columns: dict[str, Any], finished: Any) -> tuple[Any, int]:
    """When first tokens were there, and how many of them were not seen.

    What is not streamed comes as a whole, at its end. Its tokens are taken to have come at the
    median pace of those streamed by the same engine, or all at one pace where it streamed none.
    """
    started, first, ended = (columns[name] for name in ("started", "first", "finished"))
    gaps, span = np.maximum(columns["tokens"] - 1.0, 0.0), ended - started
    timed = finished & (gaps > 0) & (span > 0)
    streamed = timed & (ended - first > STREAMED * span)
    whole = timed & ~streamed
    pace = np.divide(ended - first, gaps, out=np.full(len(gaps), np.nan), where=streamed)
    paces = np.full(int(columns["engine"].max(initial=-1)) + 2, np.nan)
    for engine in np.unique(columns["engine"][streamed]):
        paces[engine + 1] = np.median(pace[streamed & (columns["engine"] == engine)])
    even = span / (gaps + 1)
    took = span - gaps * paces[columns["engine"] + 1]
    guess = started + np.where(took > 0, took, even)
    return np.where(whole, guess, first), int(whole.sum())
