"""Several answers to one question: a table, and a picture of what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from eke.report.text import table
from eke.report.words import shown_unit, spread
from eke.types.need import Infeasible, Need, Span
from eke.units import show

Answer = Need | Infeasible
ROWS = {
    "serve": ("ttft", "tpot", "rate_most", "energy_per_token", "cost_per_million_tokens"),
    "train": ("mfu", "goodput", "chip_time"),
    "tune": ("mfu", "chip_time"),
    "align": ("tokens_per_second_per_chip", "chip_time"),
}
NAMES = {
    "ttft": "time to first token",
    "tpot": "time per token",
    "rate_most": "requests at most",
    "energy_per_token": "energy per token",
    "cost_per_million_tokens": "cost per million tokens",
    "cost_per_million_tokens_full": "the same, chips kept full",
}


def side_by_side(fleets: Sequence[str], found: Sequence[Answer]) -> str:
    """One column per fleet, one row per figure; what is not feasible says why."""
    kind = next((each.job for each in found if isinstance(each, Need)), "serve")
    rows = [["plan", *map(_plan, found)]]
    basic = ("chips", "memory") if kind == "serve" else ("chips", "time", "memory", "money")
    units = {"chips": "1", "time": "s", "memory": "B", "money": "USD"}
    rows += [[name, *(_basic(each, name, units[name]) for each in found)] for name in basic]
    names = ROWS[kind]
    if kind == "serve":
        names = (*names, "cost_per_million_tokens_full")
    rows += [
        [NAMES.get(name, name.replace("_", " ")), *(_figure(each, name) for each in found)]
        for name in names
    ]
    return table(rows, head=("", *fleets), indent="") + "\n"


def _plan(found: Answer) -> str:
    if isinstance(found, Infeasible):
        return f"not feasible: {found.limit} short by {show(found.by, found.unit)}"
    plan = found.plan
    words = [f"{name} {getattr(plan, name)}" for name in ("tensor", "pipeline", "data", "replicas")]
    split = ", ".join(word for word in words if not word.endswith(" 1"))
    return f"{split or 'one chip'}, {plan.weights}"


def _basic(found: Answer, name: str, unit: str) -> str:
    span = getattr(found, name, None)
    return spread(span, unit) if isinstance(span, Span) else ""


def _figure(found: Answer, name: str) -> str:
    if isinstance(found, Infeasible) or name not in found.figures:
        return ""
    figure = found.figures[name]
    return spread(figure.span, shown_unit(name, figure.unit))


BAR, STEP, LEFT, WIDE = 18, 46, 150, 420


def picture(fleets: Sequence[str], found: Sequence[Answer]) -> str:
    """Bars of what each costs, per million tokens or for the whole job, with spans, as SVG."""
    rows = [(fleet, _cost(each)) for fleet, each in zip(fleets, found, strict=True)]
    most = max((span.high for _, span in rows if span is not None), default=1.0)
    bars = [_bar(i, fleet, span, most) for i, (fleet, span) in enumerate(rows)]
    serving = any(isinstance(each, Need) and each.job == "serve" for each in found)
    title = "USD per million tokens" if serving else "USD for the whole job"
    high = 60 + STEP * len(rows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDE + 130}" height="{high}" '
            'font-family="system-ui, sans-serif" font-size="13">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="16" y="26" font-weight="600">{title}; the line is the 80 % span</text>',
            *bars,
            "</svg>\n",
        ]
    )


def _cost(found: Answer) -> Span | None:
    if isinstance(found, Infeasible):
        return None
    figure = found.figures.get("cost_per_million_tokens")
    return figure.span if figure is not None else found.money


def _bar(index: int, fleet: str, span: Span | None, most: float) -> str:
    y = 48 + STEP * index
    name = f'<text x="{LEFT - 10}" y="{y + 14}" text-anchor="end">{escape(fleet)}</text>'
    if span is None:
        return name + f'<text x="{LEFT}" y="{y + 14}" fill="#888">not feasible, or no price</text>'
    low, likely, high = (LEFT + WIDE * x / most for x in (span.low, span.likely, span.high))
    middle = y + BAR / 2
    return "\n".join(
        [
            name,
            f'<rect x="{LEFT}" y="{y}" width="{likely - LEFT:.1f}" height="{BAR}" fill="#4c78a8"/>',
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="#222" '
            'stroke-width="2"/>',
            *(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{middle - 5}" y2="{middle + 5}" '
                'stroke="#222" stroke-width="2"/>'
                for x in (low, high)
            ),
            f'<text x="{high + 8:.1f}" y="{y + 14}">{show(span.likely, "USD")}</text>',
        ]
    )
