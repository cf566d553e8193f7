"""The lines of a forecast's file, text by text: training runs, kinds of chips, and what all lines
share. Every number is a text with its unit, and may be a span."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from eke.asking import promise
from eke.catalog.chips import chip
from eke.catalog.models import model
from eke.catalog.spans import paced, quarter_of, spanned, yearly
from eke.errors import BadFile, EkeError
from eke.types.forecast import Path, Supply, Training, Work
from eke.types.job import Promise
from eke.types.model import Model
from eke.types.need import Span
from eke.types.plan import Width
from eke.types.record import Record

Text = str | int | float
WIDTHS = tuple(str(word) for part in get_args(Width) for word in get_args(part))
ASSUMED = {  # where the file says nothing
    "peak_over_mean": "2 (1.5..3)",
    "utilisation": "15% (8%..30%)",  # of serving, by the rule of thumb
    "training.utilisation": "38% (30%..45%)",
    "experiments": "1",
    "runs": "1",
    "companies": "1",
    "image_tokens": "576",  # a picture in patches of 14 × 14 points, 336 points wide
    "sound_tokens": "50/s",  # states of Whisper's encoder
    "retire": "10% (5%..20%)",
    "share": "100%",
    "yield": "90% (80%..97%)",
}


class TrainingText(Record):
    """`[training.NAME]`."""

    model: str = ""
    active: Text = ""
    utilisation: Text = ""
    tokens: Text = ""
    runs: Text = ""
    companies: Text = ""
    companies_growth: Text = ""
    within: Text = ""
    growth: Text = ""
    experiments: Text = ""
    efficiency: Text = ""
    batch: Text = ""


class SupplyText(Record):
    """`[supply.CHIP]`."""

    installed: Text = ""
    shipments: Text = ""
    growth: Text = ""
    since: str = ""
    until: str = ""
    retire: Text = ""
    share: Text = ""
    price: Text = ""
    power: Text = ""
    wafers: Text = ""
    wafers_growth: Text = ""
    per_wafer: Text = ""
    wafer_yield: Text = msgspec.field(name="yield", default="")


def says(record: Any, name: str) -> bool:
    """Whether the file sets a field."""
    return bool(getattr(record, name) != "")


class Lines:
    """What all lines of a file share. given: fields the file sets, as `demand.NAME.users`.
    narrowed: those of whose span only the likeliest value is read."""

    def __init__(self, file: str, start: tuple[int, int]) -> None:
        self.file, self.start = file, start
        self.given: set[str] = set()
        self.narrowed: list[str] = []

    def text(self, record: Record, at: str, name: str, usual: str = "") -> Text:
        """A field, or what is assumed where the file leaves it out."""
        python = {"from": "from_", "yield": "wafer_yield"}.get(name, name)
        if says(record, python):
            self.given.add(f"{at}.{name}")
            found: Text = getattr(record, python)
            return found
        return ASSUMED.get(usual or name, "")

    def span(
        self, record: Record, at: str, name: str, unit: str, least: float | None = None
    ) -> Span | None:
        """A field as a span; None where it is left out and nothing is assumed."""
        text = self.text(record, at, name)
        return None if text == "" else spanned(text, unit, self.where(at, name), least)

    def needed(self, record: Record, at: str, name: str, unit: str, such: str) -> Span:
        """A field that must be there."""
        found = self.span(record, at, name, unit)
        if found is None:
            raise BadFile(f"{self.where(at, name)} is missing; say it, such as {name} = {such!r}.")
        return found

    def likeliest(self, at: str, name: str, found: Span | None) -> float | None:
        """A field of whose span only the likeliest value is read, which the answer says."""
        if found is not None and found.low != found.high:
            self.narrowed.append(f"{at}.{name}")
        return found.likely if found is not None else None

    def growth(self, record: Record, at: str, name: str) -> Span | None:
        """Growth a year; None where it is left out."""
        text = self.text(record, at, name)
        return None if text == "" else yearly(text, self.where(at, name))

    def where(self, at: str, name: str) -> str:
        """The place of a field."""
        return f"{self.file}: {at}.{name}"

    def model(self, name: str, at: str) -> Model | None:
        """The model of that name; None for no name."""
        try:
            return model(name) if name else None
        except EkeError as error:
            raise BadFile(f"{self.where(at, 'model')}: {error}") from None

    def promise(self, text: str, at: str, name: str) -> Promise | None:
        try:
            return promise(text) if text else None
        except EkeError as error:
            raise BadFile(f"{self.where(at, name)}: {error}") from None


def work_of(lines: Lines, at: str, text: Any, usual: str) -> Work:
    """The model, or its parameters; never both."""
    found = lines.model(text.model, at)
    weights = getattr(text, "weights", "")
    if weights and weights not in WIDTHS:
        raise BadFile(
            f"{lines.where(at, 'weights')} is {weights!r}; there are {', '.join(WIDTHS)}."
        )
    for name in ("active", "utilisation"):
        if found is not None and says(text, name):
            raise BadFile(
                f"{lines.where(at, name)}: {found.name} is laid out by eke, which counts and finds "
                f"that itself; drop {name}, or the model."
            )
    if found is not None:
        lines.given.add(f"{at}.model")
        return Work(model=found, weights=weights)
    if not says(text, "active"):
        raise BadFile(
            f"{lines.where(at, 'model')} is missing: name one, or say its parameters, such as "
            "active = '37B'."
        )
    share = spanned(lines.text(text, at, "utilisation", usual), "1", lines.where(at, "utilisation"))
    if share.high > 1:
        raise BadFile(
            f"{lines.where(at, 'utilisation')}: no chip does more than 100 % of its peak."
        )
    return Work(active=lines.needed(text, at, "active", "1", "37B"), utilisation=share)


def training_of(lines: Lines, name: str, text: TrainingText) -> Training:
    """Training runs."""
    at = f"training.{name}"
    within = lines.needed(text, at, "within", "s", "90d")
    companies = lines.needed(text, at, "companies", "1", "5")
    experiments = lines.needed(text, at, "experiments", "1", "2")
    if experiments.low < 1:
        raise BadFile(
            f"{lines.where(at, 'experiments')} is below 1: the run that is kept counts as well."
        )
    return Training(
        name=name,
        work=work_of(lines, at, text, "training.utilisation"),
        tokens=lines.needed(text, at, "tokens", "token", "15T"),
        runs=lines.needed(text, at, "runs", "1", "2"),
        companies=Path(now=companies, growth=lines.growth(text, at, "companies_growth")),
        within=lines.likeliest(at, "within", within) or within.likely,
        growth=lines.growth(text, at, "growth"),
        experiments=experiments,
        efficiency=lines.growth(text, at, "efficiency"),
        batch=_batch(lines, at, text),
    )


def _batch(lines: Lines, at: str, text: TrainingText) -> float | None:
    """Tokens of a step; what is usual where the file leaves it out."""
    found = lines.span(text, at, "batch", "token")
    if found is not None and not text.model:
        raise BadFile(
            f"{lines.where(at, 'batch')}: a rule of thumb has no steps; name a model, or drop it."
        )
    return lines.likeliest(at, "batch", found)


def supply_of(lines: Lines, name: str, text: SupplyText) -> Supply:
    """Chips of a kind that stand and that come."""
    at = f"supply.{name}"
    try:
        kind = chip(name)
    except EkeError as error:
        raise BadFile(f"{lines.file}: {at}: {error}") from None
    shipments = _rate(lines, text, at, "shipments", "growth")
    wafers = _rate(lines, text, at, "wafers", "wafers_growth")
    per_wafer = lines.span(text, at, "per_wafer", "1")
    if (wafers is None) != (per_wafer is None):
        lacks = "wafers" if wafers is None else "per_wafer"
        raise BadFile(f"{lines.where(at, lacks)} is missing; wafers and per_wafer go together.")
    since, until = (_quarters(lines, getattr(text, each), at, each) for each in ("since", "until"))
    if since is not None and until is not None and until < since:
        raise BadFile(f"{lines.where(at, 'until')} is before since; shipments must begin first.")
    power = lines.span(text, at, "power", "W")
    supply = Supply(
        chip=kind.id,
        installed=lines.span(text, at, "installed", "1", least=0.0)
        or Span(low=0.0, likely=0.0, high=0.0),
        shipments=shipments,
        since=since or 0,
        until=until,
        retire=share_of(lines, text, at, "retire"),
        share=share_of(lines, text, at, "share"),
        price=lines.span(text, at, "price", "USD"),
        power=lines.likeliest(at, "power", power),
        wafers=wafers,
        per_wafer=_good(lines, text, at, per_wafer),
    )
    mine = {field for field in lines.given if field.startswith(f"{at}.")}
    lines.given |= {field.replace(at, f"supply.{kind.id}", 1) for field in mine}
    return supply


def _good(lines: Lines, text: SupplyText, at: str, per_wafer: Span | None) -> Span | None:
    """Chips of a wafer that work."""
    if per_wafer is None:
        return None
    good = share_of(lines, text, at, "yield")
    return Span(
        low=per_wafer.low * good.low,
        likely=per_wafer.likely * good.likely,
        high=per_wafer.high * good.high,
    )


def _rate(lines: Lines, text: SupplyText, at: str, name: str, growth: str) -> Path | None:
    """Chips or wafers per time, which may grow."""
    said = lines.text(text, at, name)
    if said == "":
        if says(text, growth):
            raise BadFile(f"{lines.where(at, growth)}: of what? Say {name} = '200k/quarter' too.")
        return None
    return Path(now=paced(said, lines.where(at, name)), growth=lines.growth(text, at, growth))


def _quarters(lines: Lines, text: str, at: str, name: str) -> int | None:
    """How many quarters after the first one that is."""
    if not text:
        return None
    year, quarter = quarter_of(text, lines.where(at, name))
    return int((year - lines.start[0]) * 4 + quarter - lines.start[1])


def share_of(lines: Lines, text: Record, at: str, name: str) -> Span:
    """A share, which may not be above 100 %."""
    said = lines.text(text, at, name)
    if isinstance(said, str) and name == "retire":
        said = said.replace("/yr", "")
    found = spanned(said, "1", lines.where(at, name), least=0.0)
    if found.high > 1 or (name == "retire" and found.high == 1):
        raise BadFile(f"{lines.where(at, name)} is {said!r}; a share lies between 0 and 100 %.")
    return found
