"""Where the numbers of an answer come from: figures, operations, formulas, grounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from eke.physics.formula import FORMULAS, Call
from eke.report.text import table, wrap
from eke.report.words import (
    KINDS,
    LABELS,
    UNITS,
    chosen_words,
    headline,
    layout,
    shown_unit,
    spread,
)
from eke.types.chip import Source
from eke.types.need import Ground, Need
from eke.units import show


def explain_words(need: Need, tape: list[Call], sources: Mapping[str, Source]) -> str:
    """The working behind an answer as text."""
    blocks = [
        headline(need) + "\n" + layout(need.plan, chosen_words(need)),
        "Figures, and what each is computed from",
        figures(need),
        "Parts, which add up to their figure in the likeliest case",
        parts(need),
        "Formulas at work, with the numbers of the likeliest case (their papers: docs/sources.bib)",
        formulas(tape),
        "Grounds: every value the answer rests on",
        grounds(need.grounds),
        "Sources",
        cited(need, sources),
        *(wrap(f"note: {remark}") for remark in need.remarks),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def figures(need: Need) -> str:
    """Each figure with its span, and its expression with the numbers put in."""
    values = {g.name: g.value for g in need.grounds if isinstance(g.value, int | float)}
    values |= {name: figure.span.likely for name, figure in need.figures.items()}
    rows = []
    for name, unit in UNITS.items():
        span = getattr(need, name)
        if span is not None:
            values[name] = span.likely
            rows.append((name, spread(span, unit), substituted(need.how.get(name, ""), values)))
    for name, figure in need.figures.items():
        how = substituted(figure.how, values) or figure.means
        rows.append((name, spread(figure.span, shown_unit(name, figure.unit)), how))
    return table(rows)


def parts(need: Need) -> str:
    """What memory, time and latency are made of; the parts of one figure add up to it."""
    rows = [(part.of, part.name, spread(part.span, part.unit)) for part in need.parts]
    return table(rows)


def substituted(how: str, values: Mapping[str, float]) -> str:
    """ "steps × step_time" → "steps × step_time = 75,000 × 13.7"."""
    numbers = re.sub(
        r"[a-z_]{3,}", lambda m: f"{values[m[0]]:,.4g}" if m[0] in values else m[0], how
    )
    return f"{how} = {numbers}" if numbers != how else how


def formulas(tape: list[Call]) -> str:
    """Each formula once, with the call that counts most: its inputs and what came out."""
    groups: dict[str, list[Call]] = {}
    for call in tape:
        groups.setdefault(call.name, []).append(call)
    return "\n".join(_formula_words(name, calls) for name, calls in groups.items())


def _formula_words(name: str, calls: list[Call]) -> str:
    formula = FORMULAS[name]
    largest = max(calls, key=lambda call: _scalar(call.output))
    units = formula.inputs
    inputs = ", ".join(
        f"{key.replace('_', ' ')} {_shown(_scalar(value), _unit(units.get(key, '1')))}"
        for key, value in largest.inputs.items()
    )
    times = f"; the largest of {len(calls)} uses" if len(calls) > 1 else ""
    lines = [
        f"  {name}: {formula.words}   [{', '.join(formula.source)}]",
        f"      {formula.equation}",
        wrap(
            f"      = {show(_scalar(largest.output), _unit(formula.unit))} from {inputs}{times}",
            indent=" " * 8,
        ),
    ]
    return "\n".join(lines)


def _shown(value: float, unit: str) -> str:
    return "without end" if value >= 1e17 and unit == "1" else show(value, unit)


def _unit(unit: str) -> str:
    return (
        unit
        if unit in ("s", "B", "B/s", "FLOP", "FLOP/s", "W", "J", "USD", "USD/s", "kg", "kg/J")
        else "1"
    )


def _scalar(value: Any) -> float:
    """The one number of a scalar call, the largest of an array of cases."""
    return float(np.max(np.asarray(value, dtype=float)))


def grounds(found: tuple[Ground, ...]) -> str:
    """Values by kind: published first, assumed last."""
    rows = [
        (
            *(ground.kind, LABELS.get(ground.name, ground.name), _value(ground)),
            *(ground.source, ground.note),
        )
        for kind in KINDS
        for ground in found
        if ground.kind == kind
    ]
    return table([tuple(_short(cell) for cell in row) for row in rows])


def _short(cell: str) -> str:
    return cell if len(cell) <= 76 else f"{cell[:75]}…"


def _value(ground: Ground) -> str:
    if isinstance(ground.value, str):
        return ground.value
    if ground.unit == "1" and ground.value <= 1 and ground.low is not None:
        words = [
            f"{100 * x:.3g} %" for x in (ground.value, ground.low, ground.high) if x is not None
        ]
    else:
        words = [
            show(x, ground.unit) for x in (ground.value, ground.low, ground.high) if x is not None
        ]
    return (
        words[0]
        if len(words) == 1 or len(set(words)) == 1
        else (f"{words[0]} ({words[1]} – {words[2]})")
    )


def cited(need: Need, sources: Mapping[str, Source]) -> str:
    """Title and address of every source named above; formulas' sources are in docs/sources.bib."""
    keys = dict.fromkeys(ground.source for ground in need.grounds)
    rows = [
        (key, sources[key].kind, sources[key].title, sources[key].url)
        for key in keys
        if key in sources
    ]
    return table(rows)
