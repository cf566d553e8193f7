"""A forecast beside what others said of the same: what they counted, and eke's own answer to the
question of a published forecast."""

from __future__ import annotations

from collections.abc import Sequence

from eke.allocating.forecasts.plans import active, peak, per_ask, per_run
from eke.catalog.anchors import Anchor, anchors
from eke.catalog.chips import chip
from eke.catalog.forecasts import published
from eke.catalog.models import model
from eke.catalog.sources import source
from eke.economics.chains import solved
from eke.economics.ratios import difference
from eke.errors import BadInput
from eke.types.forecast import Beside, Held, Quarter
from eke.types.job import Promise, Serve
from eke.types.need import Span
from eke.types.published import Chain, Mark, Published, Same, Stated

KEPT = ("users", "asks_per_user", "searches", "share", "asks", "chip_hour", "chip_price", "life")
COMPARED = ("chips", "cost_per_ask", "energy_per_ask")  # with the forecast a demand is taken from
WORDS = {  # what of the forecast is held against what
    "chips": ("wanted, as H100s", "sold in the world"),
    "standing": ("there, as H100s", "sold in the world"),
    "energy": ("electricity in a year", "of all data centres"),
    "capex": ("to buy in a year", "spent by hyperscalers"),
    "tokens": ("tokens", "processed by Google"),
    "asks": ("asks", "sent to ChatGPT"),
}


def held(quarters: Sequence[Quarter]) -> tuple[Held, ...]:
    """Every figure for which there is one to hold it against, by time."""
    found = []
    for anchor in anchors():
        during = [each for each in quarters if each.name.startswith(anchor.when)]
        if anchor.what == "capex" and quarters[0].supply is None:
            during = [each for each in during if each is not quarters[0]]  # it buys all there are
        if during:
            found += [_held(anchor, what, own) for what, own in _own(anchor, during).items()]
    return tuple(sorted(found, key=lambda each: (each.quarter[:4], each.what, each.quarter)))


def _held(anchor: Anchor, what: str, own: float) -> Held:
    return Held(
        quarter=anchor.when,
        what=WORDS[what][0],
        own=own,
        theirs=anchor.value,
        unit=anchor.unit,
        against=WORDS[what][1],
        ratio=own / anchor.value.likely,
        who=source(anchor.source).title.split(",")[0].split(" (")[0],
        source=anchor.source,
        note=anchor.note,
    )


def _own(anchor: Anchor, during: Sequence[Quarter]) -> dict[str, float]:
    """The forecast's own figures of that time; of a year begun, as if it went on so."""
    count = len(during)
    if anchor.what == "chips":
        own = {"chips": during[-1].h100.likely}
        standing = during[-1].h100_supply
        return own | ({"standing": standing.likely} if standing is not None else {})
    if anchor.what == "energy":
        return {"energy": sum(each.energy.likely for each in during) * 4 / count}
    if anchor.what == "capex":
        spent = [each.buying.likely for each in during if each.buying is not None]
        return {"capex": sum(spent) * 4 / count} if spent else {}
    found = getattr(during[-1], anchor.what).likely
    return {anchor.what: found} if found > 0 else {}


def beside_published(like: str) -> list[Beside]:
    """The published forecast a demand was taken from, beside eke's answer to its question."""
    of = published(like)
    theirs = solved(of)
    mine = eke_chain(of, theirs)
    shared = [name for name in COMPARED if name in theirs.known and name in mine.known]
    return [
        Beside(
            like=like,
            who=of.who,
            quantity=name,
            theirs=theirs.known[name].value.likely,
            own=mine.known[name].value,
            difference=difference(name, mine, theirs),
        )
        for name in shared
    ]


def eke_chain(of: Published, theirs: Chain) -> Chain:
    """What eke finds for the same asks, the same model and the same chip. Raises BadInput for a
    forecast that names none."""
    if of.same is None:
        raise BadInput(
            f"{of.id} names no model and chip, so eke has no question to answer; those that do "
            "have a [same] in their file."
        )
    figures = _serving(of, of.same, theirs) if of.of == "serving" else _training(of.same, theirs)
    own = Published(
        id=f"eke:{of.id}",
        of=of.of,
        title=of.title,
        who=f"eke, as {of.id}",
        where="here",
        when=of.when,
        seen="",
        source="eke",
        topics=of.topics,
        figures=tuple(figures),
    )
    return solved(own)


def _serving(of: Published, same: Same, theirs: Chain) -> list[Stated]:
    job = Serve(
        model=model(same.model),
        prompt=same.prompt,
        answer=same.answer,
        reuse=same.reuse,
        tpot=Promise(limit=same.tpot) if same.tpot else None,
    )
    taken = per_ask(job, same.chip)
    kept = [_kept(name, theirs) for name in KEPT if name in theirs.known]
    tokens = same.prompt + same.answer
    if "asks" not in theirs.known and "tokens" in theirs.known:
        asks = theirs.known["tokens"].value.likely / tokens
        kept.append(_said("asks", asks, "assumed", f"their tokens, {tokens:,.0f} an ask"))
    weights = taken.need.plan.compute
    time = taken.chip_time
    per_chip = Span(low=tokens / time.high, likely=tokens / time.likely, high=tokens / time.low)
    room = 1 / job.utilisation
    found = [
        *kept,
        _said("tokens_per_ask", tokens, "assumed", "theirs, as prompt and answer"),
        _said("active_parameters", active(job.model), "assumed", f"counted in {job.model.name}"),
        _said("peak", peak(chip(same.chip), weights), "assumed", f"{same.chip}, {weights}"),
        _said("peak_over_mean", room, "assumed", f"{job.utilisation:.0%} of the throughput used"),
        Stated(
            quantity="tokens_per_chip",
            value=_scaled(per_chip, 1 / room),
            mark="stated",
            note=f"planned: {taken.need.plan.chip}, {weights}",
        ),
    ]
    if taken.energy is not None:
        found.append(
            Stated(quantity="energy_per_ask", value=taken.energy, mark="stated", note="planned")
        )
    return found


def _training(same: Same, theirs: Chain) -> list[Stated]:
    of = model(same.model)
    taken = per_run(of, same.tokens, same.chip, same.chips, None)
    compute = taken.need.plan.compute
    found = [
        _said("active_parameters", active(of), "assumed", f"counted in {of.name}"),
        _said("training_tokens", same.tokens, "assumed", "theirs"),
        _said("peak", peak(chip(same.chip), compute), "assumed", f"{same.chip}, {compute}"),
        Stated(
            quantity="chip_time",
            value=taken.chip_time,
            mark="stated",
            note=f"planned on {taken.need.plan.chips:,} {same.chip}",
        ),
    ]
    kept = [_kept(name, theirs) for name in ("chips", "chip_hour") if name in theirs.known]
    return [*found, *kept]


def _scaled(span: Span, by: float) -> Span:
    return Span(low=span.low * by, likely=span.likely * by, high=span.high * by)


def _kept(name: str, theirs: Chain) -> Stated:
    return Stated(quantity=name, value=theirs.known[name].value, mark="assumed", note="theirs")


def _said(name: str, value: float, mark: Mark, note: str) -> Stated:
    return Stated(
        quantity=name, value=Span(low=value, likely=value, high=value), mark=mark, note=note
    )
