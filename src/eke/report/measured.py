"""What was measured on the user's own machine, in words and tables."""

from __future__ import annotations

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
