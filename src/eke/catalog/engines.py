"""Engines: what runs the model, and from which release to which it behaves alike."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from eke.catalog.files import read_everywhere, slug
from eke.errors import BadInput, closest
from eke.types.chip import Chip
from eke.types.plan import Width
from eke.types.record import Record


class Limits(Record):
    """Defaults on chips of less memory than `memory` [B], and on `families` whatever they have."""

    in_flight: int
    token_budget: int
    memory: float
    families: tuple[str, ...] = ()


class Engine(Record):
    """A generation of an engine or of a training framework; its efficiencies have its id.

    names: as people write them, without spaces and signs.  since, before: releases, such as "0.8"
    (from, inclusive) and "0.15" (exclusive); "" is open.  in_flight, token_budget: its defaults,
    sequences at once and tokens of one step.  small: those of small chips, where
    they differ.  vendors: whose chips this build is for; none: any.
    year, last: from which to which the generation was usual.  padded: it is compiled for a batch
    and computes all of it at every step.  usual: makers, or "cpu", on whose chips most
    run it.  weights: the format it runs where nothing else is said, "" for the model's own.
    """

    id: str
    does: Literal["serve", "train"]
    names: tuple[str, ...]
    since: str = ""
    before: str = ""
    in_flight: int = 256
    token_budget: int = 8192
    small: Limits | None = None
    vendors: tuple[str, ...] = ()
    year: int = 0
    last: int = 9999
    padded: bool = False
    usual: tuple[str, ...] = ()
    weights: Width | Literal[""] = ""
    notes: str = ""

    def limits(self, chip: Chip) -> tuple[int, int]:
        """Sequences at once and tokens of one step that it runs a chip with by default."""
        less = self.small
        if less and (chip.family in less.families or (chip.memory_size or 0.0) < less.memory):
            return less.in_flight, less.token_budget
        return self.in_flight, self.token_budget


class EngineFile(Record):
    """`engines.toml`: one table per generation, the likeliest of an unknown release first."""

    engine: tuple[Engine, ...]


@cache
def engines() -> tuple[Engine, ...]:
    """All of them, a user's own first."""
    files = read_everywhere("engines.toml", EngineFile)
    return tuple(each for file in files for each in file.engine)


def engine(
    name: str, release: str = "", does: str = "serve", vendor: str = "", year: int = 9999
) -> Engine | None:
    """The generation that a name and a release stand for; None when nobody knows the name.

    vendor: of the chips it runs on.  year: of the run, where its release is not known.

    The longest known name that the text begins with or contains wins, then a build for the vendor;
    an unknown release takes the newest generation that was usual by that year, and without a year
    the first listed.
    """
    word = slug(name).replace("-", "").replace(".", "")
    if not word:
        return None
    fits = [
        (word.startswith(known), len(known), vendor in each.vendors, -index, each)
        for index, each in enumerate(engines())
        if each.does == does
        and (year == 9999 or year <= each.last)
        and (not each.vendors or vendor in each.vendors)
        for known in each.names
        if known in word
    ]
    fits.sort(key=lambda fit: fit[:4], reverse=True)
    dated = [fit[4] for fit in fits if _inside(release, fit[4])] or [fit[4] for fit in fits]
    if not dated:
        return None
    rivals = [each for each in dated if each.vendors == dated[0].vendors and not _numbers(release)]
    usual = [each for each in rivals if each.year <= year and set(each.names) & set(dated[0].names)]
    return max(usual, key=lambda each: each.year) if usual else dated[0]


def engine_named(id: str) -> Engine | None:
    """The generation of that id; None where there is none."""
    return next((each for each in engines() if each.id == id), None)


def build_for(found: Engine, vendor: str) -> Engine:
    """The build of the same generation for a maker's chips, where there is one of its own."""
    if found.vendors:
        return found
    for each in engines():
        alike = (each.does, each.year) == (found.does, found.year)
        if alike and vendor in each.vendors and set(each.names) & set(found.names):
            return each
    return found


def usual_engine(vendor: str, kind: str) -> Engine | None:
    """What most people serve with on a maker's chips, or on this kind of chip; None where nothing
    is usual."""
    for word in (kind, vendor):
        for each in engines():
            if word in each.usual:
                return each
        if word == "cpu":
            break
    return None


def engine_id(name: str, does: str = "serve") -> str:
    """The id a user names, or the likeliest generation of that name that does this kind of job.
    Raises BadInput with what is known."""
    known = {each.id for each in engines()}
    if name in known:
        return name
    found = engine(name, does=does) or engine(name) or engine(name, does="train")
    if found is None:
        raise BadInput(
            f"no engine {name[:40]!r}; closest: {closest(name, known) or ', '.join(sorted(known))}."
        )
    return found.id


def _inside(release: str, each: Engine) -> bool:
    """Whether a release belongs to a generation; one that says nothing belongs to all."""
    at = _numbers(release)
    if not at:
        return True
    return not (
        (each.since and at < _numbers(each.since)) or (each.before and at >= _numbers(each.before))
    )


def _numbers(release: str) -> tuple[int, ...]:
    found = re.search(r"\d+(?:\.\d+)+|\d+", release)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
