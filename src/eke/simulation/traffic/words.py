"""The small language of traffic: ``"chat, 20/s, 1h, diurnal & batch, 2/s, 1h"``.

A text is one part or several with ``&`` or ``;`` between, which are merged in order of time. A part
is a profile or a path, then words with commas between. `HELP` lists the words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eke.errors import BadInput, EkeError, closest
from eke.simulation.traffic.clock import DAY, Spike
from eke.simulation.traffic.sessions import Tier
from eke.types.record import Record
from eke.units import quantity

HELP = {
    "20/s": "rate of asks; of a file: its requests in order, at new times. Also 5M/day",
    "1h": "how long",
    "cv 2": "gaps vary twice as much as Poisson's (Gamma); also burst 2, even",
    "diurnal 60% over 24h": "the rate swings so far about its mean, lowest at the beginning",
    "spike 10x at 30min for 5min": "so many times the rate, such as when a product is launched",
    "users 50": "closed loop: each asks again, think 30s after the answer",
    "turns 5": "asks of a session on average; think 30s between them",
    "tools 3": "calls of tools for one ask on average",
    "prompt 2000": "mean length of a session's first prompt; also answer, stem, documents, most",
    "fixed": "every length and count is its mean",
    "window 32k": "longest prompt and answer together",
    "tenants gold:4+free:6": "who asks, by weight; or tenants 20 with Zipf's weights",
    "tiers 8k:90%+32k:10%": "context that sessions need, by share",
    "ttft 1s": "promise to first token; deadline 60s: to the last",
    "priority 2": "class; lower goes first",
    "images 2": "per request; sound 30s: speech, its text in the prompt; work 10min: of a replica",
    "seed 7": "another draw",
    "only m-mid": "of a file: this model, kind or tenant alone",
    "speed 2x": "times of a trace twice as dense; pauses within sessions stay",
    "from 10min to 20min": "that stretch; also from 10min, to 20min",
    "keep 50%": "that share of sessions, by chance",
    "scale prompts 1.5": "lengths so many times; also scale answers 2",
    "at most 1000 requests": "the first so many",
}
CHANGES = ("speed", "between", "keep", "scale", "at")
AGES = 100 * 365.25 * DAY  # seconds; longer than any traffic
MOST_TOKENS = 10**8  # as in files: nothing real is longer


class Part(Record):
    """One part of a traffic. head: a profile or a path.  said: what its words say, by name.
    changes: to the finished stream, in the order said.
    """

    head: str
    said: dict[str, Any]
    changes: tuple[tuple[str, Any], ...] = ()


def parts(text: str) -> tuple[Part, ...]:
    """What a text says. Raises BadInput naming the word."""
    text = text.strip()
    if not text:
        raise BadInput("traffic: nothing given; expected a profile such as chat, or a file.")
    if _is_file(text):
        return (Part(head=text, said={}),)
    return tuple(_part(each.strip()) for each in re.split(r"[;&]", text))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _part(text: str) -> Part:
    head, *words = (each.strip() for each in text.split(","))
    if not head:
        raise BadInput(f"traffic: {text!r:.80} begins with no profile and no file.")
    said: dict[str, Any] = {}
    changes = []
    for word in filter(None, words):
        name, value = _understood(word)
        if name in CHANGES:
            changes.append((name, value))
        elif name == "spikes":
            said[name] = (*said.get(name, ()), value)
        elif name in said:
            raise BadInput(f"traffic: {word!r:.60}: {name} is said twice.")
        else:
            said[name] = value
    return Part(head=head, said=said, changes=tuple(changes))


def _understood(word: str) -> tuple[str, Any]:
    """The name and the value of a word."""
    try:
        if word[0].isdigit() or word[0] == ".":
            if "/" in word:
                return "rate", _within(quantity(word, "1/s"), 1e-9, 1e9, "requests a second")
            return "seconds", _length_of_time(word)
        name, _, rest = word.partition(" ")
        if name not in _WORDS:
            raise ValueError(_unknown(name))
        key, read = _WORDS[name]
        return key, read(rest.strip())
    except (EkeError, ValueError, OverflowError) as error:
        raise BadInput(f"traffic: {word!r:.60}: {error}") from None


def _unknown(name: str) -> str:
    near = closest(name, _WORDS)
    known = ", ".join(HELP)
    return f"no such word{f'; closest: {near}' if near else ''}. Words: {known}."


def _above_zero(value: float) -> float:
    if not value > 0:
        raise ValueError("must be above 0.")
    return value


def _number(least: float, most: float = 1e9, whole: bool = False) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = quantity(text, "1")
        if not least <= value <= most or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"must be {kind} from {least:g} to {most:g}.")
        return int(value) if whole else value

    return read


def _length(text: str) -> int:
    value = quantity(text, "token")
    if not 1 <= value <= MOST_TOKENS:
        raise ValueError(f"must be from 1 to {MOST_TOKENS:,} tokens.")
    return round(value)


def _within(value: float, least: float, most: float, what: str) -> float:
    if not least <= value <= most:
        raise ValueError(f"must be from {least:g} to {most:g} {what}.")
    return value


def _time(text: str) -> float:
    return _within(quantity(text, "s"), 0.0, AGES, "seconds")


def _length_of_time(text: str) -> float:
    return _within(quantity(text, "s"), 1e-6, AGES, "seconds")


def _factor(text: str) -> float:
    return _within(quantity(text.removesuffix("x").removesuffix("×"), "1"), 1e-6, 1e6, "times")


def _from(text: str) -> tuple[float, float]:
    start, to, end = text.partition(" to ")
    return _time(start), (_time(end) if to else math.inf)


def _share(text: str) -> float:
    value = quantity(text, "1")
    if not 0 <= value <= 1:
        raise ValueError("must be from 0 % to 100 %.")
    return value


def _wave(text: str) -> tuple[float | None, float | None]:
    swing, over, period = text.partition("over ")
    found = _length_of_time(period) if over else None
    return (_share(swing.strip()) if swing.strip() else None), found


def _spike(text: str) -> Spike:
    found = re.fullmatch(r"(\S+?)[x×]? at (\S+(?: \w+)?)(?: for (.+))?", text)
    if found is None:
        raise ValueError("expected such as spike 10x at 30min for 5min.")
    length = _length_of_time(found[3]) if found[3] else 300.0
    return Spike(factor=_factor(found[1]), at=_time(found[2]), length=length)


def _tenants(text: str) -> tuple[tuple[str, float], ...]:
    if re.fullmatch(r"[\d,_]+", text):
        count = _number(1, 1e6, whole=True)(text)
        return tuple((f"tenant {rank}", 1 / rank) for rank in range(1, count + 1))
    return tuple((name, _above_zero(weight)) for name, weight in _weighted(text))


def _weighted(text: str) -> list[tuple[str, float]]:
    found = []
    for each in text.split("+"):
        name, colon, weight = each.strip().rpartition(":")
        if not colon or not name:
            raise ValueError(f"{each!r:.30} is no name and weight, such as gold:4 or 8k:90%.")
        found.append((name.strip(), quantity(weight, "1")))
    return found


def _tiers(text: str) -> tuple[Tier, ...]:
    found = [Tier(tokens=_length(n), share=_above_zero(w)) for n, w in _weighted(text)]
    return tuple(sorted(found, key=lambda tier: tier.tokens))


def _scale(text: str) -> tuple[str, float]:
    what, _, factor = text.partition(" ")
    if what not in ("prompts", "answers"):
        raise ValueError("expected scale prompts 1.5 or scale answers 2.")
    return what, _factor(factor.strip())


def _at_most(text: str) -> int:
    found = re.fullmatch(r"most (.+?)(?: requests?)?", text)
    if found is None:
        raise ValueError("expected such as at most 1000 requests.")
    return int(_number(1, 1e12, whole=True)(found[1]))


def _flag(value: Any) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if text:
            raise ValueError("takes nothing behind it.")
        return value

    return read


def _name(text: str) -> str:
    if not text:
        raise ValueError("expected a name, such as only m-mid.")
    return text


_WORDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "cv": ("cv", _number(0, 100)),
    "burst": ("cv", _number(0, 100)),
    "even": ("cv", _flag(0.0)),
    "diurnal": ("wave", _wave),
    "spike": ("spikes", _spike),
    "users": ("users", _number(1, 1e7, whole=True)),
    "think": ("think", _time),
    "turns": ("turns", _number(1, 500)),
    "tools": ("tools", _number(0, 500)),
    "fixed": ("fixed", _flag(True)),
    **{name: (name, _length) for name in ("prompt", "answer", "stem", "documents", "most")},
    "window": ("window", _length),
    "tenants": ("tenants", _tenants),
    "tiers": ("tiers", _tiers),
    **{name: (name, _time) for name in ("ttft", "deadline", "sound", "work")},
    "priority": ("priority", _number(-1000, 1000, whole=True)),
    "images": ("images", _number(0, 1e4)),
    "seed": ("seed", _number(0, 2**53, whole=True)),
    "only": ("only", _name),
    "speed": ("speed", _factor),
    "from": ("between", _from),
    "to": ("between", lambda text: (0.0, _time(text))),
    "keep": ("keep", _share),
    "scale": ("scale", _scale),
    "at": ("at", _at_most),
}
