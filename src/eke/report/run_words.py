"""The words in which the numbers of a run are told, alike in text and on a page."""

from __future__ import annotations

from collections.abc import Sequence

from eke.simulation.fairness import ANSWER_WEIGHT, PROMPT_WEIGHT
from eke.simulation.statistics import Refusal, Summary
from eke.units import show

TIMES = {
    "ttft": "first token",
    "tpot": "per token",
    "end_to_end": "whole answer",
    "queueing": "in the queue",
}
POINTS = ("mean", "p10", "p50", "p90", "p95", "p99", "max")
# Numbers as people call them, and whether more of it is better; None where it is neither.
NUMBERS: dict[str, tuple[str, bool | None]] = {
    "share_kept": ("kept", True),
    "goodput": ("requests as promised", True),
    "requests": ("requests answered", True),
    "tokens": ("tokens of answers", True),
    "prompt_tokens": ("tokens of prompts", True),
    "utilisation": ("busy", None),
    "cache_mean": ("cache held, mean", None),
    "cache_most": ("cache held, at most", None),
    "reuse": ("prompts from the cache", True),
    "preempted": ("places lost per request", False),
    "cost": ("cost", False),
    "cost_per_request": ("cost per request", False),
    "cost_per_million_tokens": ("cost per million tokens", False),
    "cost_per_million_answer_tokens": ("the same, of answers alone", False),
    "energy": ("energy", False),
    "energy_per_request": ("energy per request", False),
    "energy_per_token": ("energy per token", False),
    "carbon": ("carbon dioxide", False),
    "jain": ("evenness of service", True),
    "jain_of_asked": ("evenness of the share served", True),
    "service_gap": ("widest gap in service", False),
}
SHARES = ("share_kept", "utilisation", "cache_mean", "cache_most", "reuse")


def headline(summary: Summary) -> str:
    """Line one: the answer with its unit."""
    if not summary.arrived:
        return "no request came"
    words = [f"{share_words(summary)}{' as promised' if summary.promised else ''}"]
    ttft, tpot = summary.times.get("ttft"), summary.times.get("tpot")
    if ttft is not None:
        tail = f", {show(ttft.p99, 's')} (p99)" if ttft.count > 1 else ""
        words.append(f"first token {show(ttft.p50, 's')}{' (p50)' if tail else ''}{tail}")
    if tpot is not None:
        words.append(f"{show(tpot.p50, 's')} per token")
    cost = summary.numbers.get("cost_per_million_tokens")
    if cost is not None:
        words.append(f"{show(cost.value, 'USD')} per million tokens")
    return words[0] + (": " if words[1:] else "") + ", ".join(words[1:])


def share_words(summary: Summary) -> str:
    """ "99.1 % of 71,890 requests were answered"."""
    if "share_kept" not in summary.numbers:
        return f"none of {requests_words(summary.arrived)} is decided yet, whether answered"
    verb = "was" if summary.arrived == 1 else "were"
    return f"{answered(summary)} of {requests_words(summary.arrived)} {verb} answered"


def answered(summary: Summary) -> str:
    """The share that got what was promised, never rounded to all or nobody."""
    share = summary.numbers.get("share_kept")
    return "" if share is None else percent(share.value)


def percent(share: float) -> str:
    """A share as people read it: 99.97 %, and 100 % only for all."""
    near = min(share, 1 - share)
    places = 1 if near == 0 or near >= 0.0005 else 2 if near >= 0.00005 else 4
    words = f"{100 * share:.{places}f}"
    return f"{words.rstrip('0').rstrip('.') if near == 0 else words} %"


def requests_words(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"


def shown(name: str, value: float, unit: str) -> str:
    """A number in the unit it is read in."""
    if name in SHARES:
        return percent(value)
    if unit.startswith("USD"):
        return show(value, "USD")
    if unit == "token":
        return show(float(round(value)), unit)
    return show(value, unit)


def promise_words(summary: Summary) -> str:
    """What was promised, how many got it, and how many are undecided."""
    if not summary.promised:
        return ""
    words, promise = [], summary.promise
    if promise.ttft is not None:
        words.append(f"first token within {show(promise.ttft, 's')}")
    if promise.tpot is not None:
        words.append(f"{show(promise.tpot, 's')} per token at most")
    usual = " and ".join(words) or "what each request carries"
    late = f", {summary.undecided:,} in flight and not late" if summary.undecided else ""
    return f"{usual}: kept to {summary.kept:,}{late}"


def gap_words(summary: Summary) -> str:
    """Between whom the gap in service was widest."""
    gap = summary.numbers.get("service_gap")
    if gap is None:
        return ""
    return (
        f"  gap        {shown('service_gap', gap.value, gap.unit)}: the most that "
        f"{summary.ahead or 'one'} got over {summary.behind or 'another'} while both waited "
        f"(tokens of prompts ×{PROMPT_WEIGHT:g}, of answers ×{ANSWER_WEIGHT:g})"
    )


def refusal_words(refusal: Refusal) -> str:
    """ "12 refused, queue is full"."""
    return f"{refusal.count:,} {refusal.outcome}, {refusal.reason or 'no reason given'}"


def labels(summaries: Sequence[Summary]) -> list[str]:
    """What runs are called; numbered where one has no name."""
    return [each.label or f"run {i + 1}" for i, each in enumerate(summaries)]
