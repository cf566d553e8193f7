"""What was measured on the user's own machine, in words and tables."""

from __future__ import annotations

from eke.calibrate.engine_load import Level
from eke.calibrate.measure.fit import Fitted
from eke.calibrate.measure.folder import UNITS
from eke.report.text import table
from eke.types.need import Span
from eke.units import show


def measured_words(name: str, fitted: Fitted) -> str:
    """The answer of `eke calibrate measure`: what arrives, and how well the curves fit."""
    promised = fitted.promised
    peaks = ", ".join(f"{show(v, 'FLOP/s')} in {form}" for form, v in promised.peak.items())
    grounds = "best measured" if promised.own else "published"
    lines = [
        f"{name}: {peaks}; {show(promised.memory, 'B/s')} of memory ({grounds})",
        table(
            [(key.replace("_", " "), *_cells(key, span)) for key, span in fitted.values.items()],
            head=("", "likely", "low", "high"),
        ),
        "  the physics' curves against the points, median error: "
        + ", ".join(f"{key} {error:.0%}" for key, error in fitted.errors.items()),
    ]
    if fitted.above:
        lines.append(
            f"  warning: {', '.join(fitted.above)} above 1: the published figure is too low for "
            "this machine, or it is another chip (say which with --chip)"
        )
    if fitted.left_out:
        shown = "; ".join(fitted.left_out[:3])
        more = len(fitted.left_out) - 3
        lines.append(f"  left out: {shown}" + (f"; and {more} more" if more > 0 else ""))
    return "\n".join(lines)


def _cells(name: str, span: Span) -> tuple[str, ...]:
    unit = UNITS.get(name, "")
    values = (span.likely, span.low, span.high)
    return tuple(show(value, unit) if unit else f"{100 * value:.3g} %" for value in values)


def engine_words(model: str, levels: list[Level]) -> str:
    """The answer of `eke calibrate engine`: a line, then a row per number of requests at once."""
    one, best = levels[0], max(levels, key=lambda level: level.tokens_per_second)
    title = (
        f"{model}: {show(one.ttft, 's')} to first token and {show(one.tpot, 's')} per token alone, "
        f"{show(best.tokens_per_second, 'token/s')} at {best.concurrency} at once"
    )
    rows = [
        (
            f"{level.concurrency} at once",
            *(show(value, "s") for value in (level.ttft, level.tpot, level.latency)),
            show(level.tokens_per_second, "token/s"),
            f"{level.prompt:.4g}",
            f"{level.answer:.4g}",
            str(level.answers),
            str(level.failed),
            str(level.cut),
        )
        for level in levels
    ]
    head = ("", "first token", "per token", "request", "throughput", "prompt", "answer")
    lines = [title, table(rows, head=(*head, "answered", "failed", "cut"))]
    lines += [f"  failed     {level.failure}" for level in levels if level.failure][:1]
    return "\n".join(lines)
