"""Named profiles: what people use such models for, each number with its source and ground."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tomli

from eke.catalog.files import read_text, to_record
from eke.errors import BadInput, closest
from eke.types.record import Record, fields
from eke.units import quantity

FILE = Path(__file__).parent / "profiles.toml"
TOKENS = (
    *("stem", "text", "first", "answer", "documents", "rewrite_prompt", "rewrite_answer"),
    *("call", "result", "picture"),
)
TIMES = ("think", "pause", "rewrite_pause", "sound", "recognition", "synthesis", "deadline", "work")
COUNTS = ("turns", "tools", "speaking", "pictures")
UNITS = dict.fromkeys(TOKENS, "token") | dict.fromkeys(TIMES, "s") | dict.fromkeys(COUNTS, "1")


class Figure(Record):
    """A quantity that differs from request to request, in base units, log-normal about `median`;
    without one, all alike.
    """

    mean: float
    source: str
    ground: Literal["published", "derived", "assumed", "given"]
    median: float | None = None
    most: float = math.inf
    note: str = ""


class Profile(Record):
    """One use, as a person's session: `turns` asks, `think` seconds apart [s], each of which adds
    `text`, in the first turn `first` where given, and gets `answer` [tokens].

    stem: instructions all sessions share [tokens].
    tools: calls of tools within an ask; each takes a `call` written by the model [tokens], `pause`
    [s] and adds `result` [tokens].
    documents: found for an ask and added to it [tokens]; before it the model rewrites the question
    (`rewrite_prompt`, `rewrite_answer` [tokens]) and the search takes `rewrite_pause` [s].
    sound: length of what is spoken [s], at `speaking` tokens a second; it takes `recognition` to
    become text and `synthesis` until the answer is heard [s].
    pictures: with the first text, each of `picture` [tokens].
    deadline: promised [s].  work: of a whole replica [s].
    """

    what: str
    text: Figure
    answer: Figure
    name: str = ""
    first: Figure | None = None
    stem: Figure | None = None
    turns: Figure | None = None
    think: Figure | None = None
    tools: Figure | None = None
    call: Figure | None = None
    result: Figure | None = None
    pause: Figure | None = None
    documents: Figure | None = None
    rewrite_prompt: Figure | None = None
    rewrite_answer: Figure | None = None
    rewrite_pause: Figure | None = None
    sound: Figure | None = None
    speaking: Figure | None = None
    recognition: Figure | None = None
    synthesis: Figure | None = None
    pictures: Figure | None = None
    picture: Figure | None = None
    deadline: Figure | None = None
    work: Figure | None = None
    priority: int = 0


@functools.cache
def profiles() -> dict[str, Profile]:
    """Every profile by its name."""
    found = tomli.loads(read_text(FILE))
    return {name: _profile(name, table) for name, table in found.items()}


def profile(name: str) -> Profile:
    """The profile of that name. Raises BadInput with the closest ones."""
    known = profiles()
    slug = "-".join(name.casefold().split())
    if slug not in known:
        near = closest(slug, known)
        hint = f"; closest: {near}" if near else ""
        raise BadInput(
            f"{name!r:.80} is neither a file nor a profile{hint}. Profiles: {', '.join(known)}."
        )
    return known[slug]


def _profile(name: str, table: dict[str, Any]) -> Profile:
    figures = {k: _in_base_units(v, UNITS[k]) if k in UNITS else v for k, v in table.items()}
    return to_record({"name": name, **figures}, Profile, f"{FILE.name}, {name}")


def _in_base_units(figure: dict[str, str], unit: str) -> dict[str, Any]:
    sizes = ("mean", "median", "most")
    return {k: quantity(v, unit) if k in sizes else v for k, v in figure.items()}


def drawn(figure: Figure, draw: np.random.Generator, count: int) -> Any:
    """So many values of a figure, none above its most."""
    if figure.median is None or figure.median == figure.mean:
        return np.full(count, min(figure.mean, figure.most))
    spread = math.sqrt(2 * math.log(figure.mean / figure.median))
    values = np.exp(draw.standard_normal(count) * spread + math.log(figure.median))
    return np.minimum(values, figure.most, out=values)


def tokens(figure: Figure, draw: np.random.Generator, count: int) -> Any:
    """So many lengths of a figure, whole and at least 1 [tokens]."""
    return np.maximum(np.rint(drawn(figure, draw, count)), 1).astype(np.int64)


def counts(figure: Figure | None, draw: np.random.Generator, count: int, least: int) -> Any:
    """So many counts with a geometric spread about the mean, from `least` up."""
    if figure is None or figure.mean <= least:
        return np.full(count, least, np.int64)
    if figure.median is not None:
        return np.full(count, round(figure.mean), np.int64)
    return draw.geometric(1 / (1 + figure.mean - least), count) - 1 + least


def grounds(profile: Profile) -> tuple[str, ...]:
    """Where the numbers of a profile come from, in words."""
    by_ground: dict[str, list[str]] = {}
    for name, figure in fields(profile).items():
        if isinstance(figure, Figure):
            by_ground.setdefault(figure.ground, []).append(_named(name, figure))
    return tuple(
        f"{profile.name}: {ground}: {', '.join(names)}" for ground, names in by_ground.items()
    )


def _named(name: str, figure: Figure) -> str:
    shown = name.replace("_", " ")
    return f"{shown} ({figure.source})" if figure.ground in ("published", "derived") else shown
