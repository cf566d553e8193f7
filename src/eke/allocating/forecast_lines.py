"""The lines of a forecast's file: uses and kinds of chips, text by text."""

from __future__ import annotations

from typing import get_args

from eke.allocating.forecast_quarters import quarter_of
from eke.allocating.forecast_texts import DemandText, SupplyText, Text, TrainingText, says
from eke.asking import promise
from eke.catalog.chips import chip
from eke.catalog.forecast_spans import paced, spanned, yearly
from eke.catalog.forecasts import published
from eke.catalog.models import model
from eke.economics.forecast_chain import solved
from eke.errors import BadFile, EkeError
from eke.types.forecast import Demand, Path, Supply, Training, Work
from eke.types.job import Promise, Serve
from eke.types.model import Model
from eke.types.need import Span
from eke.types.plan import Width
from eke.types.record import Record, replace
from eke.units import show

WIDTHS = tuple(str(word) for part in get_args(Width) for word in get_args(part))
ASSUMED = {  # where the file says nothing
    "peak_over_mean": "2 (1.5..3)",
    "utilisation": "15% (8%..30%)",  # of serving, by the rule of thumb
    "training.utilisation": "38% (30%..45%)",
    "experiments": "1",
    "image_tokens": "576",  # a picture in patches of 14 × 14 points, 336 points wide
    "sound_tokens": "50/s",  # states of Whisper's encoder
    "retire": "10% (5%..20%)",
    "share": "100%",
    "yield": "90% (80%..97%)",
}


class Lines:
    """What all lines of a file share. given: fields the file sets, as `demand.NAME.users`."""

    def __init__(self, file: str, start: tuple[int, int], quarters: int) -> None:
        self.file, self.start, self.quarters = file, start, quarters
        self.given: set[str] = set()

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


def demand_of(lines: Lines, name: str, text: DemandText) -> Demand:
    """A line of inference."""
    at = f"demand.{name}"
    text = _from_published(lines, at, text)
    work = _work(lines, at, text, "utilisation")
    images = _plain(lines, text, at, "images", "1")
    sound = _plain(lines, text, at, "sound", "s")
    prompt = lines.needed(text, at, "prompt", "token", "1000")
    if work.model is None:
        prompt = _with_senses(lines, text, at, prompt, images, sound)
        images = sound = 0.0
    demand = Demand(
        name=name,
        users=_users(lines, at, text),
        asks=Path(
            now=lines.needed(text, at, "asks", "1/s", "5/day"),
            growth=lines.growth(text, at, "asks_growth"),
        ),
        prompt=Path(now=prompt, growth=lines.growth(text, at, "prompt_growth")),
        answer=Path(
            now=lines.needed(text, at, "answer", "token", "300"),
            growth=lines.growth(text, at, "answer_growth"),
        ),
        work=work,
        images=images,
        sound=sound,
        reuse=_share(lines, text, at, "reuse"),
        peak_over_mean=lines.needed(text, at, "peak_over_mean", "1", "2"),
        ttft=lines.promise(text.ttft, at, "ttft"),
        tpot=lines.promise(text.tpot, at, "tpot"),
        efficiency=lines.growth(text, at, "efficiency"),
        price_fall=lines.growth(text, at, "price_fall"),
        elasticity=lines.span(text, at, "elasticity", "1", least=0.0),
        like=text.from_,
    )
    _check_demand(lines, at, demand)
    return demand


def _from_published(lines: Lines, at: str, text: DemandText) -> DemandText:
    """The figures of a published forecast where the file gives none."""
    if not text.from_:
        return text
    try:
        theirs = published(text.from_)
    except EkeError as error:
        raise BadFile(f"{lines.where(at, 'from')}: {error}") from None
    if theirs.of != "serving" or theirs.same is None:
        raise BadFile(
            f"{lines.where(at, 'from')}: {theirs.id} names no model that is served, so it is no "
            "line of demand; semianalysis-2023 is one."
        )
    known = solved(theirs).known
    users, asks = known.get("users"), known.get("asks_per_user")
    figures: dict[str, str] = {
        "model": theirs.same.model,
        "prompt": f"{theirs.same.prompt:.10g}",
        "answer": f"{theirs.same.answer:.10g}",
        "reuse": f"{theirs.same.reuse:.10g}",
        "peak_over_mean": "1",
    }
    if users is not None and asks is not None:
        figures |= {"users": _written(users.value), "asks": f"{asks.value.likely * 86400:.10g}/day"}
    elif "asks" in known or "tokens" in known:
        tokens = theirs.same.prompt + theirs.same.answer
        rate = (
            known["asks"].value.likely if "asks" in known else known["tokens"].value.likely / tokens
        )
        figures |= {"users": "1", "asks": f"{rate * 86400:.10g}/day"}
    if text.active != "" or text.utilisation != "":
        del figures["model"]
    return replace(text, **{n: v for n, v in figures.items() if getattr(text, n) == ""})


def _written(span: Span) -> str:
    if span.low == span.high:
        return f"{span.likely:.10g}"
    return f"{span.likely:.10g} ({span.low:.10g}..{span.high:.10g})"


def _users(lines: Lines, at: str, text: DemandText) -> Path:
    """Users, along a curve of growth, a logistic one or Bass's."""
    found = Path(
        now=lines.needed(text, at, "users", "1", "10M"),
        growth=lines.growth(text, at, "growth"),
        ceiling=lines.span(text, at, "ceiling", "1"),
        innovation=lines.span(text, at, "innovation", "1"),
        imitation=lines.span(text, at, "imitation", "1"),
    )
    bass = found.innovation is not None or found.imitation is not None
    if bass and (found.innovation is None or found.imitation is None or found.ceiling is None):
        raise BadFile(
            f"{lines.where(at, 'innovation')}: Bass's curve takes innovation, imitation and a "
            "ceiling, such as innovation = '3%', imitation = '38%', ceiling = '3B'."
        )
    if bass and found.growth is not None:
        raise BadFile(
            f"{lines.where(at, 'growth')}: innovation and imitation say how users grow already; "
            "drop growth, or drop those two."
        )
    if found.ceiling is not None and found.growth is None and not bass:
        raise BadFile(
            f"{lines.where(at, 'ceiling')}: how fast do users near it? Say growth = '60%/yr'."
        )
    if found.ceiling is not None and found.ceiling.likely < found.now.likely:
        raise BadFile(
            f"{lines.where(at, 'ceiling')} is {show(found.ceiling.likely)}, below the "
            f"{show(found.now.likely)} users there are; it must be above."
        )
    if found.ceiling is not None and found.growth is not None and found.growth.low < 0:
        raise BadFile(f"{lines.where(at, 'growth')}: users near a ceiling only by growing.")
    return found


def _with_senses(
    lines: Lines, text: DemandText, at: str, prompt: Span, images: float, sound: float
) -> Span:
    """The prompt with the tokens that pictures and sound become, where no model is named whose
    encoders eke would count."""
    per_image = lines.needed(text, at, "image_tokens", "token", "576").likely
    per_second = lines.needed(text, at, "sound_tokens", "1/s", "50/s").likely
    more = images * per_image + sound * per_second
    return Span(low=prompt.low + more, likely=prompt.likely + more, high=prompt.high + more)


def _check_demand(lines: Lines, at: str, demand: Demand) -> None:
    if demand.peak_over_mean.low < 1:
        raise BadFile(
            f"{lines.where(at, 'peak_over_mean')} is below 1: no hour is busier than the busiest."
        )
    for name in ("prompt", "answer"):
        if getattr(demand, name).now.low < 1:
            raise BadFile(f"{lines.where(at, name)}: a {name} has one token or more.")
    if (demand.price_fall is None) != (demand.elasticity is None):
        lacks = "price_fall" if demand.price_fall is None else "elasticity"
        raise BadFile(
            f"{lines.where(at, lacks)} is missing: a falling price adds demand by its elasticity; "
            "give both, such as price_fall = '30%/yr' and elasticity = '1.2'."
        )
    if demand.price_fall is not None and demand.price_fall.high >= 1:
        raise BadFile(f"{lines.where(at, 'price_fall')}: a price falls by less than 100 %.")
    if demand.work.model is not None:
        try:
            asked(demand)
        except EkeError as error:
            raise BadFile(f"{lines.file}: {at}: {error}") from None


def asked(demand: Demand) -> Serve:
    """One ask of the line, as eke plans it, at today's lengths."""
    assert demand.work.model is not None, "a rule of thumb has nothing to plan"
    return Serve(
        model=demand.work.model,
        prompt=demand.prompt.now.likely,
        answer=demand.answer.now.likely,
        reuse=demand.reuse,
        images=demand.images,
        sound=demand.sound,
        ttft=demand.ttft,
        tpot=demand.tpot,
    )


def _work(lines: Lines, at: str, text: DemandText | TrainingText, usual: str) -> Work:
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
        work=_work(lines, at, text, "training.utilisation"),
        tokens=lines.needed(text, at, "tokens", "token", "15T"),
        runs=lines.needed(text, at, "runs", "1", "2"),
        companies=Path(now=companies, growth=lines.growth(text, at, "companies_growth")),
        within=within.likely,
        growth=lines.growth(text, at, "growth"),
        experiments=experiments,
        efficiency=lines.growth(text, at, "efficiency"),
    )


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
    return Supply(
        chip=kind.id,
        installed=lines.span(text, at, "installed", "1", least=0.0)
        or Span(low=0.0, likely=0.0, high=0.0),
        shipments=shipments,
        since=since or 0,
        until=until,
        retire=_shares(lines, text, at, "retire"),
        share=_shares(lines, text, at, "share"),
        price=lines.span(text, at, "price", "USD"),
        power=power.likely if power is not None else None,
        wafers=wafers,
        per_wafer=_good(lines, text, at, per_wafer),
    )


def _good(lines: Lines, text: SupplyText, at: str, per_wafer: Span | None) -> Span | None:
    """Chips of a wafer that work."""
    if per_wafer is None:
        return None
    good = _shares(lines, text, at, "yield")
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


def _shares(lines: Lines, text: Record, at: str, name: str) -> Span:
    """A share, which may not be above 100 %."""
    said = lines.text(text, at, name)
    if isinstance(said, str) and name == "retire":
        said = said.replace("/yr", "")
    found = spanned(said, "1", lines.where(at, name), least=0.0)
    if found.high > 1 or (name == "retire" and found.high == 1):
        raise BadFile(f"{lines.where(at, name)} is {said!r}; a share lies between 0 and 100 %.")
    return found


def _share(lines: Lines, text: DemandText, at: str, name: str) -> float:
    return _shares(lines, text, at, name).likely if says(text, name) else 0.0


def _plain(lines: Lines, text: DemandText, at: str, name: str, unit: str) -> float:
    found = lines.span(text, at, name, unit, least=0.0)
    return found.likely if found is not None else 0.0
