"""The lines of demand of a forecast's file, text by text."""

from __future__ import annotations

import msgspec

from eke.allocating.forecasts.lines import Lines, Text, says, share_of, work_of
from eke.catalog.forecasts import published
from eke.economics.chains import solved
from eke.errors import BadFile, EkeError
from eke.types.forecast import Demand, Path
from eke.types.job import Serve
from eke.types.need import Span
from eke.types.record import Record, replace
from eke.units import show

MOST_ELASTIC = 10
BORROWED = ("users", "asks", "prompt", "answer", "reuse", "peak_over_mean")  # from a published one


class DemandText(Record):
    """`[demand.NAME]`. from: a published forecast, whose figures stand where none is given."""

    from_: str = msgspec.field(name="from", default="")
    users: Text = ""
    growth: Text = ""
    ceiling: Text = ""
    innovation: Text = ""
    imitation: Text = ""
    asks: Text = ""
    asks_growth: Text = ""
    prompt: Text = ""
    prompt_growth: Text = ""
    answer: Text = ""
    answer_growth: Text = ""
    images: Text = ""
    image_tokens: Text = ""
    sound: Text = ""
    sound_tokens: Text = ""
    reuse: Text = ""
    model: str = ""
    weights: str = ""
    active: Text = ""
    utilisation: Text = ""
    peak_over_mean: Text = ""
    ttft: str = ""
    tpot: str = ""
    efficiency: Text = ""
    price_fall: Text = ""
    elasticity: Text = ""


def demand_of(lines: Lines, name: str, text: DemandText) -> Demand:
    """A line of inference."""
    at = f"demand.{name}"
    own, text = text, _from_published(lines, at, text)
    work = work_of(lines, at, text, "utilisation")
    demand = Demand(
        name=name,
        users=_users(lines, at, text),
        asks=_path(lines, text, at, "asks", "1/s", "5/day"),
        prompt=_path(lines, text, at, "prompt", "token", "1000"),
        answer=_path(lines, text, at, "answer", "token", "300"),
        work=work,
        images=_plain(lines, text, at, "images", "1"),
        sound=_plain(lines, text, at, "sound", "s"),
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
    lines.given -= {f"{at}.{each}" for each in BORROWED if not says(own, each)}
    return demand if work.model is not None else _with_senses(lines, text, at, demand)


def _path(lines: Lines, text: DemandText, at: str, name: str, unit: str, such: str) -> Path:
    """A number that may grow."""
    return Path(
        now=lines.needed(text, at, name, unit, such),
        growth=lines.growth(text, at, f"{name}_growth"),
    )


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
        "tpot": f"{1000 * theirs.same.tpot:.10g}ms" if theirs.same.tpot else "",
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


def _with_senses(lines: Lines, text: DemandText, at: str, of: Demand) -> Demand:
    """The same with the tokens that pictures and sound become in the prompt, where no model is
    named whose encoders eke would count."""
    per_image = _plain(lines, text, at, "image_tokens", "token")
    per_second = _plain(lines, text, at, "sound_tokens", "1/s")
    more, now = of.images * per_image + of.sound * per_second, of.prompt.now
    longer = Span(low=now.low + more, likely=now.likely + more, high=now.high + more)
    return replace(of, prompt=replace(of.prompt, now=longer), images=0.0, sound=0.0)


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
    if demand.elasticity is not None and demand.elasticity.high > MOST_ELASTIC:
        raise BadFile(
            f"{lines.where(at, 'elasticity')} is {show(demand.elasticity.high)}; a percent of "
            f"price adds {MOST_ELASTIC} percent of demand at most, and usually 0.5 to 2."
        )
    if demand.work.model is not None:
        try:
            job_of(demand)
        except EkeError as error:
            raise BadFile(f"{lines.file}: {at}: {error}") from None


def job_of(demand: Demand) -> Serve:
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


def _share(lines: Lines, text: DemandText, at: str, name: str) -> float:
    found = share_of(lines, text, at, name) if says(text, name) else None
    return lines.likeliest(at, name, found) or 0.0


def _plain(lines: Lines, text: DemandText, at: str, name: str, unit: str) -> float:
    return lines.likeliest(at, name, lines.span(text, at, name, unit, least=0.0)) or 0.0
