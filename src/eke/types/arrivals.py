"""Requests as columns: what traffic is made of, a stretch at a time."""

from __future__ import annotations

from typing import Any

from eke.types.record import Record

NOBODY = -1  # of codes and numbers of requests: none


class Arrivals(Record):
    """Consecutive requests of a traffic, one element per request in each NumPy array.

    Requests are numbered from 0 through the whole traffic, in the order in which they stand.

    arrived: when, from the beginning of the traffic [s], never falling among those that follow
    nobody; of a request that follows another, how long after that one's end it comes (time to
    think, to call a tool, to speak) [s].
    after: the number of the request it follows, an earlier one; NOBODY for none.
    prompt: whole length, what is shared with earlier ones included [tokens].
    answer: true length of the answer [tokens].  most: longest answer allowed [tokens].
    tenant, kind: codes into `tenants` and `kinds`.  priority: class, lower goes first.
    ttft, deadline: promised times from arrival to the first and to the last token [s]; inf for
    none.
    session: conversation; its turns grow one text, so that the prompt of a later turn begins
    with what was said before; NOBODY for none.
    stem: key of a head shared by requests of all sessions, such as a system prompt; NOBODY for
    none.  stem_tokens: length of it [tokens].
    images: per request.  sound: speech per request [s].  work: of a job that takes a whole
    replica [s].
    hashes: keys of the prompt's blocks of `hash_tokens` tokens each, of all requests one after the
    other, where the trace has them; equal keys at equal depth are equal prefixes.
    hash_start: where those of each request begin in `hashes`, with one more element at the end.
    """

    arrived: Any
    prompt: Any
    answer: Any
    most: Any
    after: Any
    tenant: Any
    kind: Any
    priority: Any
    ttft: Any
    deadline: Any
    session: Any
    stem: Any
    stem_tokens: Any
    images: Any
    sound: Any
    work: Any
    tenants: tuple[str, ...] = ("",)
    kinds: tuple[str, ...] = ("chat",)
    hashes: Any = None
    hash_start: Any = None
    hash_tokens: int = 0

    def __len__(self) -> int:
        return len(self.arrived)


def arrivals(arrived: Any, prompt: Any, answer: Any, **others: Any) -> Arrivals:
    """Arrivals of which only some columns are known; the rest say "none" for every request."""
    import numpy as np

    count = len(arrived)
    whole = dict.fromkeys(("prompt", "answer", "most"), np.int64)
    codes = dict.fromkeys(("after", "session", "stem", "stem_tokens"), np.int64)
    small = dict.fromkeys(("tenant", "kind", "priority"), np.int32)
    times = dict.fromkeys(("arrived", "ttft", "deadline", "images", "sound", "work"), np.float64)
    usual: dict[str, Any] = {
        **dict.fromkeys(
            ("tenant", "kind", "priority", "stem_tokens", "images", "sound", "work"), 0
        ),
        **dict.fromkeys(("after", "session", "stem"), NOBODY),
        **dict.fromkeys(("ttft", "deadline"), np.inf),
        "most": answer,
    }
    given = {"arrived": arrived, "prompt": prompt, "answer": answer, **usual, **others}
    columns: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(given.pop(name), dtype=kind), count)
        for name, kind in (whole | codes | small | times).items()
    }
    return Arrivals(**columns, **given)
