"""From words to traffic: a profile or a file, and what its words want of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eke.errors import BadInput
from eke.simulation.traffic import changes
from eke.simulation.traffic.clock import DAY, Clock
from eke.simulation.traffic.columns import numbered, unnumbered
from eke.simulation.traffic.generate import repeated, thinking, timed
from eke.simulation.traffic.marks import marked
from eke.simulation.traffic.noun import Skipped, Traffic
from eke.simulation.traffic.profiles import Figure, Profile, grounds, profile, profiles
from eke.simulation.traffic.readers import read
from eke.simulation.traffic.sessions import WINDOW, mean_calls, mean_turns, sessions
from eke.simulation.traffic.steady import steady
from eke.simulation.traffic.words import AGES, Part
from eke.types.arrivals import Arrivals
from eke.types.record import fields, replace
from eke.units import show

HOUR = 3600.0
SWING = 0.375  # peak hour 2.2 times the trough
SPREAD = 1.13  # mean over median of prompts, patel2024splitwise (Azure conversation trace)
BRIEFEST = 0.05  # seconds of a session; assumed
SESSIONS_EACH = 20  # of a user in a closed loop of which nobody says how long it lasts
OF_RATES = {"cv": "cv, burst or even", "wave": "diurnal", "spikes": "spike"}
OF_PROFILES = ("turns", "tools", "stem", "documents", "fixed", "window", "tiers")


def composed(part: Part, number: int, seed: int, skip_bad: bool) -> Traffic:
    """The traffic of one part; `number` is its place in the text."""
    seed = part.said.get("seed", seed)
    if _is_path(part.head):
        traffic = _from_file(part, number, seed, skip_bad)
    else:
        traffic = _from_profile(part, number, seed)
    traffic = marked(traffic, part.said, seed, number)
    for name, value in part.changes:
        traffic = _changed(traffic, name, value, seed, number)
    return traffic


def _is_path(head: str) -> bool:
    if "-".join(head.casefold().split()) in profiles():
        return False
    return "/" in head or "\\" in head or bool(Path(head).suffix) or Path(head).exists()


def _changed(traffic: Traffic, name: str, value: Any, seed: int, part: int) -> Traffic:
    match name:
        case "speed":
            return changes.sped(traffic, value)
        case "between":
            return changes.sliced(traffic, *value)
        case "keep":
            return changes.thinned(traffic, value, seed, part)
        case "scale":
            return changes.scaled(traffic, **{value[0]: value[1]})
        case _:
            return changes.first(traffic, value)


def _from_file(part: Part, number: int, seed: int, skip_bad: bool) -> Traffic:
    said = part.said
    wrong = [name for name in OF_PROFILES if name in said]
    if wrong:
        raise BadInput(f"traffic: {wrong[0]} is for profiles; {part.head} has its own.")
    _refuse_idle(said, paced="rate" in said)
    traffic = read(Path(part.head), said, seed=seed, part=number, skip_bad=skip_bad)
    if "only" in said:
        traffic = changes.only(traffic, said["only"])
    if "users" in said:
        return _waiting(traffic, said, seed, number)
    if "rate" in said:
        seconds = said.get("seconds", AGES)
        clock, remarks = _clock(said, said["rate"], seconds, min(DAY, seconds))
        traffic = _again(traffic, clock, remarks, seed, number, said.get("seconds"))
    elif "seconds" in said:
        traffic = changes.sliced(traffic, end=said["seconds"])
    return traffic


def _refuse_idle(said: Mapping[str, Any], paced: bool) -> None:
    """Words that would change nothing are mistakes. Raises BadInput."""
    if "users" in said and "rate" in said:
        raise BadInput("traffic: users and a rate exclude each other: users set their own pace.")
    idle = [word for name, word in OF_RATES.items() if name in said]
    if idle and not paced:
        raise BadInput(f"traffic: {idle[0]} needs a rate, such as 20/s.")
    if "tiers" in said and "window" in said:
        raise BadInput("traffic: tiers and a window exclude each other: tiers are windows.")


def _again(
    traffic: Traffic,
    clock: Clock,
    remarks: tuple[str, ...],
    seed: int,
    number: int,
    seconds: float | None,
) -> Traffic:
    """The groups of a file in their order, at new times; with a length, as often as that takes."""

    def chunks() -> Iterator[Arrivals]:
        pieces = unnumbered(traffic.chunks()) if seconds is None else repeated(traffic.chunks)
        return numbered(timed(pieces, clock, seed, number))

    times = "at new times" if seconds is None else "at new times, begun again where it ends"
    return replace(
        traffic,
        chunks=chunks,
        users=None,
        seconds=seconds,
        remarks=(*traffic.remarks, f"{traffic.name}: {times}", *remarks),
    )


def _waiting(traffic: Traffic, said: Mapping[str, Any], seed: int, number: int) -> Traffic:
    """The groups of a file in their order, one whenever a user is free."""
    think = Figure(mean=said.get("think", 0.0), source="given", ground="given")

    def chunks() -> Iterator[Arrivals]:
        pieces = unnumbered(traffic.chunks())
        return numbered(thinking(pieces, think, 2**62, seed, number))

    return replace(traffic, chunks=chunks, users=said["users"], seconds=said.get("seconds"))


def _from_profile(part: Part, number: int, seed: int) -> Traffic:
    said = part.said
    if "only" in said:
        raise BadInput("traffic: only is for files; a profile is of one kind.")
    _refuse_idle(said, paced="users" not in said)
    use = _adjusted(profile(part.head), said)
    most = min((value for name, value in part.changes if name == "at"), default=None)

    window = said.get("window", _room(said))
    bounds: tuple[str, ...] = (f"{use.name}: contexts of at most {window:,} tokens (assumed)",)
    bounds = () if "window" in said or "tiers" in said else bounds

    def pieces(part: int = number) -> Iterator[Arrivals]:
        return sessions(use, seed, part, said.get("tiers", ()), window)

    if "users" in said:
        return _closed(use, pieces, said, most, seed, number)
    rate = said.get("rate", 1.0)
    seconds, known = _seconds(said, rate, most)
    day = DAY if most and not known else min(DAY, seconds)
    clock, remarks = _clock(said, rate / mean_turns(use), seconds, day)
    spoken: tuple[str, ...] = (
        () if "rate" in said else (f"{use.name}: 1/s, as nobody said how many",)
    )
    spoken += () if known or most else (f"{use.name}: 1 h, as nobody said how long",)
    whole = Traffic(
        name=use.name,
        chunks=lambda: numbered(timed(pieces(), clock, seed, number)),
        seconds=None if most and not known else seconds,
        remarks=(*grounds(use), *bounds, *spoken, *_shape(use, rate), *remarks),
        skipped=Skipped(),
    )
    return steady(whole, pieces, clock, seed, number) if whole.seconds else whole


def _room(said: Mapping[str, Any]) -> int:
    """Longest context where nobody says: the usual one, or room for the lengths wanted."""
    wanted: int = sum(said.get(name, 0) for name in ("prompt", "answer", "stem"))
    return max(WINDOW, 4 * wanted)


def _seconds(said: Mapping[str, Any], rate: float, most: int | None) -> tuple[float, bool]:
    """How long, and whether somebody said so."""
    if "seconds" in said:
        return said["seconds"], True
    # With a count and no time: twice as long as it takes, so that bursts cannot end it early.
    return (2 * (most + 1000) / rate if most else HOUR), False


def _shape(use: Profile, rate: float) -> tuple[str, ...]:
    """What a rate of asks comes to in sessions and requests."""
    turns, calls = mean_turns(use), mean_calls(use)
    if turns == calls == 1:
        return ()
    return (
        f"{use.name}: {rate:.4g}/s are asks of people: {rate / turns:.4g} sessions/s, each "
        f"{turns:.3g} asks on average, each ask {calls:.3g} requests",
    )


def _closed(
    use: Profile, pieces: Any, said: Mapping[str, Any], most: int | None, seed: int, number: int
) -> Traffic:
    """So many users, each of whom begins a session when the one before is over."""
    users, seconds = said["users"], said.get("seconds")
    think = use.think or Figure(mean=0.0, source="eke", ground="assumed")
    if seconds is None:
        count = most or users * SESSIONS_EACH
    else:
        count = users * (1 + math.ceil(seconds / max(think.mean, BRIEFEST)))
    return Traffic(
        name=use.name,
        chunks=lambda: numbered(thinking(pieces(), think, count, seed, number)),
        users=users,
        seconds=seconds,
        remarks=(*grounds(use), f"{use.name}: {users} users, {count:,} sessions at most"),
        skipped=Skipped(),
    )


def _clock(
    said: Mapping[str, Any], rate: float, seconds: float, day: float
) -> tuple[Clock, tuple[str, ...]]:
    """The clock that the words ask for, and what was assumed for it. day: of a wave [s]."""
    remarks: tuple[str, ...] = ()
    swing, period = 0.0, DAY
    if "wave" in said:
        swing, over = said["wave"]
        period = over or day
        if swing is None:
            swing = SWING
            remarks += (
                f"rate swings by {SWING:.0%} about its mean (derived from xiang2025servegen)",
            )
        if period < DAY and not over:
            remarks += (f"a day's wave squeezed into {show(period, 's')}",)
    for spike in said.get("spikes", ()):
        if spike.at >= seconds:
            raise BadInput(f"traffic: a spike at {show(spike.at, 's')} comes after the end.")
    return Clock(
        rate=rate,
        seconds=seconds,
        cv=said.get("cv", 1.0),
        wave=swing,
        period=period,
        spikes=said.get("spikes", ()),
    ), remarks


def _adjusted(use: Profile, said: Mapping[str, Any]) -> Profile:
    """The profile with what the words say of it."""
    given: dict[str, Figure | None] = {
        name: Figure(mean=float(said[name]), source="given", ground="given")
        for name in ("turns", "tools", "stem", "think")
        if name in said
    }
    if "tools" in said and use.call is None:
        given |= {name: getattr(profile("agent"), name) for name in ("call", "result", "pause")}
    if "turns" in said and use.think is None and "think" not in said:
        given["think"] = profile("chat").think
    use = replace(use, **given)
    if "prompt" in said:
        use = _with_prompt(use, said["prompt"])
    for name in ("answer", "documents"):
        if name in said:
            use = replace(use, **{name: _about(said[name])})
    return _fixed(use) if "fixed" in said else use


def _about(tokens: float) -> Figure:
    return Figure(mean=tokens, median=tokens / SPREAD, source="given", ground="given")


def _with_prompt(use: Profile, tokens: int) -> Profile:
    """The profile with first prompts of this mean length, its stem kept where there is room."""
    others = use.documents.mean if use.documents else 0.0
    stem = use.stem.mean if use.stem else 0.0
    rest = tokens - stem - others
    if rest < 1:
        return replace(use, stem=None, documents=None, first=_about(float(tokens)))
    return replace(use, first=_about(rest))


def _fixed(use: Profile) -> Profile:
    """Every length and count its mean."""
    found = {n: f for n, f in fields(use).items() if isinstance(f, Figure)}
    return replace(use, **{n: replace(f, median=f.mean) for n, f in found.items()})
