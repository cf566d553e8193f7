"""The end of a page: what the answer takes for granted, what it rests on, and what made it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from eke.report.charts import short
from eke.report.html import LONGEST, Cell, folded, listed, table
from eke.types.need import Ground

Told = Callable[[float, Ground], str]  # a value of a ground as people read it


def footer(
    before: Sequence[str],
    notes: Sequence[str],
    grounds: Sequence[Ground],
    told: Told,
    command: str,
) -> str:
    """before: what stands first, such as layouts.  command: what made the page, where known."""
    made = f"<h2>What made it</h2><pre>{escape(command)}</pre>" if command else ""
    rests = folded("What it rests on", grounds_table(grounds, told)) if grounds else ""
    return f"<footer>{''.join(before)}{listed('Notes', notes)}{rests}{made}</footer>"


def grounds_table(grounds: Sequence[Ground], told: Told) -> str:
    """Every value with its interval and its source."""
    rows: list[list[Cell | str]] = [
        [
            short(each.name.replace("_", " "), LONGEST),
            each.value if isinstance(each.value, str) else told(each.value, each),
            _between(each, told),
            each.kind,
            each.source,
            Cell(words=each.note, style="words"),
        ]
        for each in grounds
    ]
    return table(("", "value", "80 % within", "kind", "source", ""), rows, "what it rests on")


def _between(ground: Ground, told: Told) -> str:
    """Its interval, where it has one."""
    if ground.low is None or ground.high is None or ground.low == ground.high:
        return ""
    return f"{told(ground.low, ground)} – {told(ground.high, ground)}"
