"""What prompts of a run have in common, as far as its engines' caches showed.

A run says of each request how much of its prompt was found in a cache, not what the text was. Three
things are read from that, and nothing is shared beyond them:

A head. Of those that begin a session, and of those that belong to none, requests of one tenant and
kind share the length most often found, where most of them found anything; who found more shares
that much, and who found nothing in an engine that must have had it shares nothing.
A conversation. Where later turns of a tenant and kind mostly found all that the first had asked,
their conversations grow one text, and every turn begins with what was said before it.
A session. Where later turns found more than the head and yet less than that, the requests of one
session share a head of their own, as long as the longest part that any of them found.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.types.arrivals import NOBODY
from eke.types.record import Record

BLOCK = 16  # tokens; caches find whole blocks, so that the end of a prompt is never found


class Reuse(Record):
    """Columns of arrivals: `session`, `stem` and `stem_tokens`, an element per request."""

    session: Any
    stem: Any
    stem_tokens: Any


def reuse_words(found: Reuse, cached: Any) -> str:
    """For people: who shares what. cached: of each prompt, as the run has it [tokens]."""
    heads, talks = int(np.sum(found.stem_tokens > 0)), int(np.sum(found.session >= 0))
    if not cached.any():
        return "replayed: no prompt begins like another, as no cache showed any"
    return (
        f"replayed: {heads:,} prompts begin with a head of others and {talks:,} belong to "
        "conversations, as far as the run's caches showed"
    )


def reuse(columns: dict[str, Any]) -> Reuse:
    """What requests, in the order in which they came, have in common. columns: of a run."""
    cached, session = columns["cached"].astype(np.int64), columns["session"].astype(np.int64)
    none = np.zeros(len(cached), np.int64)
    if not cached.any():  # no cache was kept, or nothing to be found: policies still know sessions
        return Reuse(session=session, stem=none + NOBODY, stem_tokens=none)
    order = np.argsort(session, kind="stable")
    group = _groups(columns)
    group = np.where(session < 0, group, _first(session, group, order))
    before = _before(session, order)
    opening = before == NOBODY
    part = 2 * group + (session >= 0)
    usual = _usual(part, cached, opening)[part]
    beyond = ~opening & (cached > usual)
    usual = np.where(_others(columns, part, opening), 0, usual)
    begun = _first(session, usual, order)
    head = np.where(session < 0, np.maximum(cached, usual), begun)
    whole = beyond & (cached + BLOCK > _first(session, columns["prompt"], order))
    grows, parts = _evidence(group, whole, beyond)
    talks = (session >= 0) & grows[group]
    own = _longest(session, np.where(beyond, cached, 0), order)
    alike = (session >= 0) & ~talks & parts[group] & (own > head)
    stem = np.where(alike, group.max() + 1 + _ranked(session, order), group)
    tokens = np.where(alike, own, head)
    return Reuse(
        session=np.where(talks, session, NOBODY),
        stem=np.where(tokens > 0, stem, NOBODY),
        stem_tokens=np.minimum(tokens, columns["prompt"]),
    )


def _groups(columns: dict[str, Any]) -> Any:
    """Tenant and kind of each request as one code, from 0."""
    kinds = int(columns["kind"].max()) + 2
    both = (columns["tenant"].astype(np.int64) + 1) * kinds + columns["kind"] + 1
    return np.unique(both, return_inverse=True)[1]


def _before(session: Any, order: Any) -> Any:
    """The turn before each request in its session; NOBODY for the first and outside of any."""
    found = np.full(len(session), NOBODY, np.int64)
    same = (session[order[1:]] == session[order[:-1]]) & (session[order[1:]] >= 0)
    found[order[1:][same]] = order[:-1][same]
    return found


def _usual(group: Any, cached: Any, opening: Any) -> Any:
    """The length most often found by those of each group that begin something; 0 where no more
    than half of them found any."""
    count = int(group.max()) + 1
    hit = opening & (cached > 0)
    often = 2 * np.bincount(group[hit], minlength=count) > np.bincount(
        group[opening], minlength=count
    )
    wide = int(cached.max()) + 1
    pairs, counts = np.unique(group[hit] * wide + cached[hit], return_counts=True)
    rising = pairs[np.argsort(counts, kind="stable")]
    usual = np.zeros(count, np.int64)
    usual[rising // wide] = rising % wide  # the most frequent one is written last
    return np.where(often, usual, 0)


def _others(columns: dict[str, Any], group: Any, opening: Any) -> Any:
    """Who began something and found nothing, though its engine had begun something of its group
    before and would have had the head."""
    replica = columns["replica"].astype(np.int64) + 1
    place = group * (int(replica.max()) + 1) + replica
    taken = np.where(np.isnan(columns["scheduled"]), columns["started"], columns["scheduled"])
    warm = np.full(int(place.max()) + 1, np.inf)
    hit = opening & (columns["cached"] > 0)
    np.fmin.at(warm, place[hit], taken[hit])
    np.fmin.at(warm, place[opening], columns["first"][opening])
    return opening & ~hit & (taken >= warm[place])


def _first(session: Any, values: Any, order: Any) -> Any:
    """The value of the first request of each one's session."""
    starts = np.flatnonzero(np.diff(session[order], prepend=session[order[0]] - 1))
    found = np.empty(len(values), np.int64)
    found[order] = np.repeat(values[order[starts]], np.diff(starts, append=len(order)))
    return found


def _evidence(group: Any, whole: Any, beyond: Any) -> tuple[Any, Any]:
    """Of which groups conversations grow, and of which sessions share less than that."""
    count = int(group.max()) + 1
    full = np.bincount(group[whole], minlength=count)
    some = np.bincount(group[beyond & ~whole], minlength=count)
    return (full > 0) & (full >= some), some > full


def _longest(session: Any, values: Any, order: Any) -> Any:
    """The largest value of each request's session."""
    starts = np.flatnonzero(np.diff(session[order], prepend=session[order[0]] - 1))
    most = np.maximum.reduceat(values[order], starts)
    found = np.empty(len(values), np.int64)
    found[order] = np.repeat(most, np.diff(starts, append=len(order)))
    return found


def _ranked(session: Any, order: Any) -> Any:
    """Sessions numbered from 0, in the order of their values."""
    found = np.empty(len(session), np.int64)
    found[order] = np.cumsum(np.diff(session[order], prepend=session[order[0]]) != 0)
    return found
