"""How the work of a line is done: by a job that is planned, as asked or with less, or as given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eke.allocating.sharing.file import USE_FIELDS, UseText
from eke.allocating.sharing.texts import Texts
from eke.asking import FIELD_UNITS, JOB_FIELDS, PLAN_FIELDS, choices, make_job
from eke.catalog.models import model
from eke.errors import EkeError, closest
from eke.types.provider import Lateness, Variant, Way

LATER = ("later", "worth")
OPTION = ("pool", "chips", "rate", "time", "power", "worth", "name", "counts")


class Work:
    """Reads the variants and the ways of one line after the other."""

    def __init__(self, texts: Texts, pools: tuple[str, ...]) -> None:
        self.texts, self.pools = texts, pools

    def variants(
        self, at: str, text: UseText, words: Mapping[str, Any]
    ) -> tuple[tuple[Variant, ...], list[Lateness]]:
        """The job as asked, and as it may be degraded; and how late it may be."""
        if text.job == "research":
            self._no_words(at, words, "research", ())
            return (), []
        found = [self._variant(at, text.job, dict(words), 1.0, "")]
        lateness = []
        for number, entry in enumerate(text.degrade):
            where = f"{at}.degrade[{number}]"
            keeps = self.texts.share(f"{where}.worth", entry.get("worth", 1.0))
            changed = {key: value for key, value in entry.items() if key not in LATER}
            if "later" in entry:
                if changed:
                    raise self.texts.wrong(where, "has `later` and other words; give two entries.")
                by = self.texts.above(f"{where}.later", entry["later"], "s")
                lateness.append(Lateness(by=by, keeps=keeps))
                continue
            if not changed:
                raise self.texts.wrong(
                    where, "gives nothing up; say what, such as weights or model."
                )
            if "context" in changed:
                changed["tiers"] = f"{changed.pop('context')}:all"
            label = ", ".join(f"{key} {value}" for key, value in changed.items())
            found.append(self._variant(where, text.job, {**words, **changed}, keeps, label))
        return tuple(found), sorted(lateness, key=lambda each: each.by)

    def _variant(
        self, at: str, kind: str, words: dict[str, Any], keeps: float, label: str
    ) -> Variant:
        self._no_words(at, words, kind, ("model", *JOB_FIELDS[kind], *PLAN_FIELDS))
        if not isinstance(words.get("model"), str):
            raise self.texts.wrong(f"{at}.model", "is missing; give a name or a config.json.")
        given: dict[str, Any] = {}
        for field, value in words.items():
            unit = FIELD_UNITS.get(field)
            several = isinstance(value, list | tuple)
            if unit is not None and not several:
                value = self.texts.number(f"{at}.{field}", value, unit)
            given[field] = tuple(value) if several else value
        try:
            mine = {key: given[key] for key in JOB_FIELDS[kind] if key in given}
            if "sequence" in mine:
                mine["sequence"] = int(mine["sequence"])
            job = make_job(kind, model(words["model"]), mine)
            rest = given if kind == "serve" else {k: v for k, v in given.items() if k not in mine}
            return Variant(name=label, job=job, choices=choices(rest, kind), keeps=keeps)
        except (EkeError, TypeError) as error:
            raise self.texts.wrong(at, f"makes no job: {error}") from None

    def _no_words(self, at: str, words: Mapping[str, Any], kind: str, known: Any) -> None:
        unknown = next((word for word in words if word not in known), None)
        if unknown is not None:
            near = closest(unknown, [*known, *USE_FIELDS])
            hint = f"closest: {near}" if near else f"it has {', '.join(known) or 'none'}"
            raise self.texts.wrong(f"{at}.{unknown}", f"is no word of a {kind} job; {hint}.")

    def ways(self, at: str, text: UseText, use: str) -> tuple[Way, ...]:
        """How it is done, as the user says."""
        if text.job == "research":
            return self._by_the_chip(at, text)
        found = []
        for number, entry in enumerate(text.options):
            where = f"uses.{use}.options[{number}]"
            unknown = next((key for key in entry if key not in OPTION), None)
            if unknown is not None:
                raise self.texts.wrong(f"{where}.{unknown}", f"is none of {', '.join(OPTION)}.")
            pool = self.texts.known(f"{where}.pool", entry.get("pool", ""), self.pools, "pool")
            if ("rate" in entry) == ("time" in entry):
                raise self.texts.wrong(
                    where, "needs a rate (of a unit of chips) or a time, not both."
                )
            rate = (
                self.texts.above(f"{where}.rate", entry["rate"], "1/s")
                if "rate" in entry
                else 1.0 / self.texts.above(f"{where}.time", entry["time"], "s")
            )
            chips = self.texts.count(f"{where}.chips", entry.get("chips"))
            if not chips:
                raise self.texts.wrong(f"{where}.chips", "is 0; a unit has one chip or more.")
            found.append(
                Way(
                    pool=pool,
                    chips=chips,
                    rate=rate,
                    power=self.texts.number(f"{where}.power", entry["power"], "W")
                    if "power" in entry
                    else None,
                    keeps=self.texts.share(f"{where}.worth", entry.get("worth", 1.0)),
                    name=str(entry.get("name", f"{chips} chips")),
                )
            )
        return tuple(found)

    def _by_the_chip(self, at: str, text: UseText) -> tuple[Way, ...]:
        counts = {}
        for number, entry in enumerate(text.options):
            where = f"{at}.options[{number}]"
            pool = self.texts.known(f"{where}.pool", entry.get("pool", ""), self.pools, "pool")
            counts[pool] = self.texts.above(f"{where}.counts", entry.get("counts", 1.0))
        return tuple(
            Way(pool=pool, chips=1, rate=counts.get(pool, 1.0), power=None, keeps=1.0)
            for pool in text.on or self.pools
        )
