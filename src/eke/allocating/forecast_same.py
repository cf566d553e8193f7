"""The question of a published forecast, answered by eke's own physics, in the same words."""

from __future__ import annotations

from eke.allocating.forecast_plans import active, per_ask, per_run
from eke.catalog.chips import chip
from eke.catalog.models import model
from eke.economics.forecast_chain import solved
from eke.errors import BadInput
from eke.types.chip import Chip
from eke.types.job import Serve
from eke.types.need import Span
from eke.types.published import Chain, Mark, Published, Same, Stated

KEPT = ("users", "asks_per_user", "searches", "share", "asks", "chip_hour", "chip_price", "life")


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
    job = Serve(model=model(same.model), prompt=same.prompt, answer=same.answer, reuse=same.reuse)
    taken = per_ask(job, same.chip)
    kept = [_kept(name, theirs) for name in KEPT if name in theirs.known]
    tokens = same.prompt + same.answer
    if "asks" not in theirs.known and "tokens" in theirs.known:
        asks = theirs.known["tokens"].value.likely / tokens
        kept.append(_said("asks", asks, "assumed", f"their tokens, {tokens:,.0f} an ask"))
    weights = taken.plan.plan.compute
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
            note=f"planned: {taken.plan.plan.chip}, {weights}",
        ),
    ]
    if taken.energy is not None:
        found.append(
            Stated(quantity="energy_per_ask", value=taken.energy, mark="stated", note="planned")
        )
    return found


def _training(same: Same, theirs: Chain) -> list[Stated]:
    of = model(same.model)
    taken = per_run(of, same.tokens, same.chip, same.chips)
    compute = taken.plan.plan.compute
    found = [
        _said("active_parameters", active(of), "assumed", f"counted in {of.name}"),
        _said("training_tokens", same.tokens, "assumed", "theirs"),
        _said("peak", peak(chip(same.chip), compute), "assumed", f"{same.chip}, {compute}"),
        Stated(
            quantity="chip_time",
            value=taken.chip_time,
            mark="stated",
            note=f"planned on {taken.plan.plan.chips:,} {same.chip}",
        ),
    ]
    kept = [_kept(name, theirs) for name in ("chips", "chip_hour") if name in theirs.known]
    return [*found, *kept]


def peak(of: Chip, width: str) -> float:
    """Dense peak in a format; of one the chip lacks, its fastest in 16 bits."""
    every = {str(name): value for name, value in of.peak.items()}
    sixteen = max(every.get(name, 0.0) for name in ("bf16", "fp16", "fp32"))
    return every.get(width) or sixteen


def _scaled(span: Span, by: float) -> Span:
    return Span(low=span.low * by, likely=span.likely * by, high=span.high * by)


def _kept(name: str, theirs: Chain) -> Stated:
    return Stated(quantity=name, value=theirs.known[name].value, mark="assumed", note="theirs")


def _said(name: str, value: float, mark: Mark, note: str) -> Stated:
    return Stated(
        quantity=name, value=Span(low=value, likely=value, high=value), mark=mark, note=note
    )
