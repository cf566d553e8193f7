"""The accuracy ledger in words, as a page, and as a picture of predicted against measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from eke.calibrate.ledger import Entry, Summary, summarise
from eke.report.text import table, wrap

GROUPS = ("regime", "metric", "source", "chip", "engine", "model")
HEAD = ("", "rows", "skipped", "median", "90 %", "bias", "in span", "width")


def ledger_words(entries: Sequence[Entry], groups: Iterable[str] = GROUPS, most: int = 12) -> str:
    """The answer first, then one table per kind of group, then why rows were skipped."""
    whole = summarise(entries)[0]
    lines = [headline(whole)]
    for name in groups:
        found = [each for each in summarise(entries, name) if each.scored]
        if len(found) < 2:
            continue
        lines += ["", table([row(each) for each in found[:most]], (name, *HEAD[1:]))]
        if len(found) > most:
            lines.append(f"  … and {len(found) - most} more")
    why = skipped_words(entries)
    return "\n".join([*lines, *(["", "  skipped", *why] if why else [])]) + "\n"


def headline(whole: Summary) -> str:
    """What the ledger says in one line."""
    if not whole.scored:
        return f"no row of {whole.skipped} could be predicted"
    return (
        f"{whole.scored:,} of {whole.scored + whole.skipped:,} rows predicted: median error "
        f"{percent(whole.median)}, 90th percentile {percent(whole.ninetieth)}, the 80 % spans hold "
        f"{percent(whole.coverage)} and are a factor {whole.width:.2g} wide"
    )


def row(each: Summary) -> list[str]:
    """One line of a table."""
    return [
        each.name[:48] or "unknown",
        f"{each.scored:,}",
        f"{each.skipped:,}",
        percent(each.median),
        percent(each.ninetieth),
        f"×{each.bias:.2f}",
        percent(each.coverage),
        f"×{each.width:.2f}",
    ]


def percent(share: float) -> str:
    """A share as people read it."""
    return "–" if math.isnan(share) else f"{100 * share:.0f} %" if share < 10 else f"×{share:.0f}"


def skipped_words(entries: Iterable[Entry], most: int = 10) -> list[str]:
    """Why rows were skipped, most frequent first."""
    why = Counter(entry.note for entry in entries if entry.status == "skipped")
    found = [[f"{count:,}", wrap(note, 88, "")[:160]] for note, count in why.most_common(most)]
    return [table(found)] if found else []


def markdown(found: Sequence[Summary], name: str) -> str:
    """A table of a page."""
    head = (
        f"| {name} | rows | median | 90 % | bias | in span | width |\n|---|--:|--:|--:|--:|--:|--:|"
    )
    lines = [
        "| " + " | ".join([cells[0], cells[1], *cells[3:]]) + " |" for cells in map(row, found)
    ]
    return "\n".join([head, *lines])


WIDE, HIGH, EDGE = 760, 560, 60
COLOURS = ("#2f6db5", "#c2571a", "#3b8f4c", "#8a4fa3", "#b0353b", "#6b7280")


def picture(entries: Sequence[Entry], most: int = 4000) -> str:
    """Predicted over measured against measured, one dot per row, by regime, as SVG.

    The vertical axis is logarithmic: ½ is twice too low. At most `most` rows, evenly picked.
    """
    scored = [entry for entry in entries if entry.status == "scored"]
    kinds = [each.name for each in summarise(scored, "regime")][: len(COLOURS)]
    step = max(len(scored) // most, 1)
    low, high = math.log10(0.2), math.log10(5.0)
    values = [math.log10(entry.measured) for entry in scored] or [0.0, 1.0]
    left, right = min(values), max(values) + 1e-9

    def at(entry: Entry) -> tuple[float, float]:
        ratio = math.log10((entry.likely or 1.0) / entry.measured)
        x = EDGE + (math.log10(entry.measured) - left) / (right - left) * (WIDE - 2 * EDGE)
        y = HIGH - EDGE - (min(max(ratio, low), high) - low) / (high - low) * (HIGH - 2 * EDGE)
        return x, y

    parts = [_frame(low, high, left, right)]
    for entry in scored[::step]:
        x, y = at(entry)
        name = entry.labels["regime"]
        colour = COLOURS[kinds.index(name)] if name in kinds else "#9ca3af"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.6" fill="{colour}" opacity="0.45"/>')
    for index, name in enumerate(kinds):
        x, y = WIDE - EDGE - 150, EDGE + 16 * index + 6
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="4" fill="{COLOURS[index]}"/>')
        parts.append(f'<text x="{x + 10}" y="{y}">{escape(name)}</text>')
    style = "font: 12px sans-serif; fill: #374151"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" style="{style}">'
        f'<rect width="{WIDE}" height="{HIGH}" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _frame(low: float, high: float, left: float, right: float) -> str:
    parts = []
    for ratio in (0.25, 0.5, 0.8, 1.0, 1.25, 2.0, 4.0):
        y = HIGH - EDGE - (math.log10(ratio) - low) / (high - low) * (HIGH - 2 * EDGE)
        colour = "#111827" if ratio == 1 else "#e5e7eb"
        parts.append(
            f'<line x1="{EDGE}" x2="{WIDE - EDGE}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}"/>'
            f'<text x="{EDGE - 8}" y="{y + 4:.1f}" text-anchor="end">×{ratio:g}</text>'
        )
    for power in range(math.ceil(left), math.floor(right) + 1):
        x = EDGE + (power - left) / (right - left) * (WIDE - 2 * EDGE)
        said = f"{10.0**power:g}" if -3 <= power <= 4 else f"1e{power}"
        parts.append(f'<text x="{x:.1f}" y="{HIGH - EDGE + 18}" text-anchor="middle">{said}</text>')
    middle = WIDE / 2
    parts.append(
        f'<text x="{middle}" y="{HIGH - 18}" text-anchor="middle">measured, in the unit of its '
        f'metric</text><text x="{EDGE - 40}" y="{EDGE - 24}">predicted over measured</text>'
    )
    return "".join(parts)
