"""What uses ask for, from the words of a provider's file."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Any

from eke.allocating.sharing.calendar import DAY, Calendar
from eke.allocating.sharing.file import UseText
from eke.allocating.sharing.texts import Texts
from eke.allocating.sharing.work import Work
from eke.types.job import Serve
from eke.types.provider import Lateness, Line, Use
from eke.types.record import replace

USUAL_MOVING = {"serve": 600.0, "research": 600.0}  # loading and warming up; else restarting [s]
FAST = 13.8  # the logarithm of a million: no demand grows so within a file
RESTART = 3600.0
KIND_UNIT = {
    "serve": "request",
    "train": "run",
    "tune": "job",
    "align": "job",
    "research": "chip s",
}
OWN = ("name", "worth", "priority", "floor", "rate", "jobs", "chips", "growth", "day", "context")


class Lines:
    """Reads one use after the other."""

    def __init__(self, texts: Texts, calendar: Calendar, pools: tuple[str, ...]) -> None:
        self.texts, self.calendar, self.pools = texts, calendar, pools
        self.work = Work(texts, pools)

    def use(self, name: str, text: UseText) -> Use:
        """The bounds of a use."""
        at, least, most = f"uses.{name}", 0.0, None
        if text.floor is not None and _is_chips(text.floor):
            least = self.texts.number(f"{at}.floor", _chips(text.floor))
        if text.ceiling is not None:
            if not _is_chips(text.ceiling):
                raise self.texts.wrong(
                    f"{at}.ceiling",
                    f"is {text.ceiling!r:.40}; expected chips, such as '500 chips'.",
                )
            most = self.texts.number(f"{at}.ceiling", _chips(text.ceiling))
            if most < least:
                raise self.texts.wrong(f"{at}.ceiling", f"is below the floor of {least:g} chips.")
        usual = USUAL_MOVING.get(text.job, RESTART)
        moving = (
            usual if text.moving is None else self.texts.number(f"{at}.moving", text.moving, "s")
        )
        return Use(name=name, least=least, most=most, moving=moving)

    def lines(self, name: str, text: UseText, words: Mapping[str, Any]) -> list[Line]:
        """Its lines: one, or those of `demand`. words: of the job and of its plan."""
        at = f"uses.{name}"
        for pool in text.on:
            self.texts.known(f"{at}.on", pool, self.pools, "pool")
        given = {field: getattr(text, field) for field in OWN if hasattr(text, field)}
        if not text.demand:
            return _lesser(self._line(at, name, text, {**words, **_set(given)}, ""))
        found = []
        for number, entry in enumerate(text.demand):
            label = str(entry.get("name", number + 1))
            merged = {**words, **_set(given), **entry}
            found += _lesser(self._line(f"{at}.demand[{number}]", name, text, merged, label))
        return found

    def _line(self, at: str, use: str, text: UseText, words: dict[str, Any], label: str) -> Line:
        own = {key: words.pop(key) for key in OWN if key in words}
        if "context" in own:
            words["tiers"] = f"{own['context']}:all"
        kind = self._kind(at, text, own)
        variants, lateness = self.work.variants(at, text, words)
        ways = self.work.ways(at, text, use)
        job = variants[0].job if variants else None
        share = self._floor(at, text, kind, own.get("floor"))
        return Line(
            name=label,
            use=use,
            kind=kind,
            unit=KIND_UNIT[text.job],
            worth=self._worth(at, text.job, own.get("worth"), job),
            priority=self.texts.count(f"{at}.priority", own.get("priority", text.priority)),
            asked=self._asked(at, text, kind, own),
            floor=share,
            promised=text.promised,
            begin=self._begin(at, text),
            lateness=self._lateness(at, text, kind, lateness),
            whole=kind == "flow" and text.job == "serve",
            variants=() if ways else variants,
            ways=ways,
            on=text.on or self.pools,
        )

    def _floor(self, at: str, text: UseText, kind: str, floor: Any) -> float:
        """The share of what is asked that is promised; chips are promised to the whole use."""
        if floor is None or (_is_chips(floor) and floor == text.floor):
            return 0.0
        if _is_chips(floor):
            raise self.texts.wrong(
                f"{at}.floor",
                f"is {floor!r:.40}; chips are promised to the whole use, not to a line.",
            )
        if kind == "project":
            raise self.texts.wrong(
                f"{at}.floor", "is a share, but a run is done or not; say promised = true."
            )
        return self.texts.share(f"{at}.floor", floor)

    def _kind(self, at: str, text: UseText, own: Mapping[str, Any]) -> Any:
        if text.job == "train" or (text.job in ("tune", "align") and own.get("jobs") is None):
            return "project"
        if text.within is not None:
            return "queue"
        if text.job in ("tune", "align"):
            raise self.texts.wrong(
                f"{at}.within", "is missing; say how long jobs may wait, such as '2 weeks'."
            )
        return "flow"

    def _worth(self, at: str, kind: str, worth: Any, job: Any) -> float:
        """Of a unit of work: money for a request, a job, a run, or a second of a chip."""
        if worth is None:
            raise self.texts.wrong(
                f"{at}.worth", f"is missing; say what it is worth, such as {_WORTHS[kind]!r}."
            )
        if kind == "research":
            return self.texts.number(f"{at}.worth", worth, "USD/s")
        if isinstance(job, Serve) and "token" in str(worth).lower():
            of_token = self.texts.number(f"{at}.worth", worth, "USD/token")
            return of_token * (float(job.prompt) + float(job.answer))
        return self.texts.number(f"{at}.worth", worth, "USD")

    def _asked(
        self, at: str, text: UseText, kind: str, own: Mapping[str, Any]
    ) -> tuple[tuple[float, ...], ...]:
        """Work that is asked for, by period, and of what passes by part of the day."""
        field = {"serve": "rate", "research": "chips"}.get(text.job, "jobs")
        if kind == "project":
            return ()
        if own.get(field) is None:
            raise self.texts.wrong(
                f"{at}.{field}", f"is missing; say how much, such as {_MUCH[field]!r}."
            )
        unit = "1" if field == "chips" else "1/s"
        mean = self._series(f"{at}.{field}", own[field], unit, own.get("growth"))
        shape = self._shape(at, own.get("day") or {})
        if kind == "queue":
            return tuple((value * self.calendar.period,) for value in mean)
        seconds = [share * self.calendar.period for share in self.calendar.parts.values()]
        return tuple(
            tuple(value * part * length for part, length in zip(shape, seconds, strict=True))
            for value in mean
        )

    def _series(self, field: str, text: Any, unit: str, growth: Any) -> list[float]:
        periods = self.calendar.periods
        if isinstance(text, list | tuple):
            if len(text) != periods:
                raise self.texts.wrong(
                    field, f"has {len(text)} values; there are {periods} periods."
                )
            return [self.texts.number(f"{field}[{i}]", each, unit) for i, each in enumerate(text)]
        first = self.texts.number(field, text, unit)
        where = f"{field.rpartition('.')[0]}.growth"
        rise = 0.0 if growth is None else self.texts.growth(where, growth) * self.calendar.period
        if rise * periods > FAST:
            raise self.texts.wrong(where, f"is {growth!r:.40}, a million times as much in the end.")
        return [first * exp(rise * i) for i in range(periods)]

    def _shape(self, at: str, day: Mapping[str, Any]) -> list[float]:
        """How much of the mean comes in each part of the day."""
        parts = self.calendar.parts
        if not isinstance(day, dict):
            raise self.texts.wrong(f"{at}.day", f"is {day!r:.40}; give numbers by part of the day.")
        for name in day:
            self.texts.known(f"{at}.day", name, parts, "part of the day")
        heights = [self.texts.number(f"{at}.day.{n}", day.get(n, 1.0)) for n in parts]
        mean = sum(h * share for h, share in zip(heights, parts.values(), strict=True))
        if mean <= 0:
            raise self.texts.wrong(
                f"{at}.day", "is nothing all day; give some part a number above 0."
            )
        return [height / mean for height in heights]

    def _begin(self, at: str, text: UseText) -> int:
        if text.begins is None:
            return 0
        found = self.calendar.first_from(self.texts.day(f"{at}.begins", text.begins))
        if found >= self.calendar.periods:
            raise self.texts.wrong(f"{at}.begins", f"is {text.begins}, after the last period.")
        return found

    def _lateness(
        self, at: str, text: UseText, kind: str, later: list[Lateness]
    ) -> tuple[Lateness, ...]:
        """In time, and later at less."""
        if kind == "flow":
            if later:
                raise self.texts.wrong(
                    f"{at}.degrade",
                    "has `later`, but this work is done when it comes; give `within`.",
                )
            return ()
        whole = self.calendar.period * self.calendar.periods
        if kind == "queue":
            first = self.texts.above(f"{at}.within", text.within, "s")
        elif text.by is None:
            first = whole
        else:
            day = self.texts.day(f"{at}.by", text.by)
            first = (day - self.calendar.start).days * DAY
            if first <= self._begin(at, text) * self.calendar.period:
                raise self.texts.wrong(f"{at}.by", f"is {text.by}, before it can begin.")
        found = [Lateness(by=first, keeps=1.0)]
        return tuple(found + [Lateness(by=first + each.by, keeps=each.keeps) for each in later])


def _lesser(line: Line) -> list[Line]:
    """A project and its lesser versions as lines of their own, since one of them is done."""
    if line.kind != "project" or len(line.variants) < 2:
        return [line]
    found = []
    for variant in line.variants:
        name = f"{line.name} {variant.name}".strip()
        found.append(
            replace(
                line,
                name=name,
                worth=line.worth * variant.keeps,
                instead=line.name if variant.name else None,
                variants=(replace(variant, keeps=1.0),),
            )
        )
    return found


_MUCH = {"rate": "120/s", "jobs": "40/week", "chips": "256"}
_WORTHS = {
    "serve": "1.2 USD/Mtoken",
    "train": "50 MUSD",
    "tune": "200 USD",
    "align": "2000 USD",
    "research": "2 USD/h",
}


def _set(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that say something."""
    return {key: value for key, value in given.items() if value not in (None, {}, ())}


def _is_chips(text: Any) -> bool:
    return isinstance(text, str) and text.strip().endswith(("chips", "chip"))


def _chips(text: Any) -> str:
    return str(text).strip().removesuffix("s").removesuffix("chip").strip()
