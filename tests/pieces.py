"""A page of every chart piece, for tests and for looking at it in a browser."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from eke.report.areas import areas, ink_key, key_of, layers
from eke.report.charts import LABELS, Line, lines, up
from eke.report.document import document
from eke.report.html import figure, section, table
from eke.report.periods import over_dates, stepped
from eke.report.scatter import Spot, across_values, scatter, up_values
from eke.report.spans import Piece, Ranged, parts, ranges
from eke.report.tornado import HIGH, LOW, Swing, tornado
from eke.types.need import Span

EVIL = "<script>alert(1)</script>\"'&" + "y" * 400


def weeks(count: int, start: date = date(2027, 1, 4)) -> list[date]:
    """Beginnings of weeks and the end of the last."""
    return [start + timedelta(weeks=i) for i in range(count + 1)]


def holders(names: list[str], periods: int) -> dict[str, np.ndarray]:
    """Chips that each holds, which rise, fall or come late."""
    random = np.random.default_rng(len(names))
    at = np.arange(periods) / periods
    return {
        name: np.round(
            random.uniform(50, 900) * np.clip(at * random.normal() + random.random(), 0, 1)
        )
        for name in names
    }


def stacked_figure(names: list[str], edges: list[date]) -> str:
    held = holders(names, len(edges) - 1)
    made, total = layers(held, "other uses"), sum(held.values())
    svg = areas("Chips", "who holds them", made, edges, "chips", ("there are", total * 1.1 + 40))
    rows = [
        (name, f"{values.mean():,.0f}", f"{values.max():,.0f}") for name, values in held.items()
    ]
    numbers = table(("", "mean", "most"), rows, "chips held")
    return figure("Chips", "who holds them", svg, numbers, key=key_of(made))


def price_figure(names: list[str], edges: list[date]) -> str:
    prices = holders(names, len(edges) - 1)
    made = [
        Line(name=name, x=x, y=y, style=f"ink-{i}")
        for i, (name, values) in enumerate(prices.items())
        for x, y in [stepped(edges, values)]
    ]
    across, most = over_dates(edges, LABELS), max(float(v.max()) for v in prices.values())
    svg = lines("Worth", "of one more chip", made, (across, up(most), "USD per chip and week"))
    rows = [(name, f"{values.mean():,.3g}") for name, values in prices.items()]
    return figure("Worth", "of one more chip", svg, table(("", "mean"), rows, "worth"))


def frontier_figure(names: list[str], log: bool) -> str:
    x = np.geomspace(0.2, 30, 9)
    y = 4e5 / x**0.7
    spots = [
        Spot(x=a, y=b, name="", style="ink-0", told=f"{a:.2f}") for a, b in zip(x, y, strict=True)
    ]
    spots += [
        Spot(
            x=1.5 + 0.2 * i,
            y=9e4 - 4e3 * i,
            name=name,
            style="ink-1 other",
            told=name,
            label=True,
        )
        for i, name in enumerate(names)
    ]
    across = across_values([s.x for s in spots], "tokens per joule", log)
    upward = up_values([s.y for s in spots], log)
    way = [Line(name="frontier", x=x, y=y, style="ink-0")]
    svg = scatter("Frontier", "of designs", spots, (across, upward, "tokens per USD"), way)
    rows = [(s.name or "design", f"{s.x:.3g}", f"{s.y:.3g}") for s in spots]
    return figure("Frontier", "of designs", svg, table(("", "x", "y"), rows, "points"))


def tornado_figure(names: list[str], scale: float = 1.0) -> str:
    swings = [
        Swing(
            name=name,
            low=scale * (100 - 60 / (i + 1)),
            high=scale * (100 + 40 / (i + 1) * (-1 if i == 2 else 1)),
            words=(f"{100 - 60 / (i + 1):.3g}k/yr", f"{100 + 40 / (i + 1):.3g}k/yr"),
            ends=("10 %", "40 %"),
        )
        for i, name in enumerate(names)
    ]
    svg = tornado(
        "What moves it", "break-even", (scale * 100, "100k/yr"), swings, "break-even [1/yr]"
    )
    rows = [(s.name, *s.words) for s in swings]
    key = ink_key([("input low", LOW), ("input high", HIGH)])
    return figure(
        "What moves it", "break-even", svg, table(("", "a", "b"), rows, "swings"), key=key
    )


def span_figures(names: list[str]) -> list[str]:
    rows = [
        Ranged(
            name=name,
            span=Span(low=2.0 + i, likely=3.0 + i, high=5.0 + 2 * i),
            words=f"{3 + i} USD ({2 + i} – {5 + 2 * i})",
            style=f"ink-{i % 8}",
        )
        for i, name in enumerate(names)
    ]
    kinds = ("silicon", "memory", "energy")
    made = [
        (
            name,
            [Piece(value=1.0 + i * k, style=f"ink-{k}", told=kind) for k, kind in enumerate(kinds)],
            f"{3 + 3 * i} USD",
        )
        for i, name in enumerate(names)
    ]
    numbers = table(("", "USD"), [(each.name, each.words) for each in rows], "cost")
    key = ink_key([(kind, f"ink-{k}") for k, kind in enumerate(kinds)])
    return [
        figure("Cost", "per million tokens", ranges("Cost", "per token", rows), numbers),
        figure("Parts", "of the cost", parts("Parts", "of the cost", made), numbers, key=key),
    ]


def pieces_page(name: str = "plain") -> str:
    """ "plain", or "evil": names that are markup and without end."""
    few = ["chat 8k", "chat 32k", "voice", "batch", "pretraining of the large one"]
    many = [f"use {i}" for i in range(12)]
    if name == "evil":
        few, many = [EVIL + str(i) for i in range(5)], [EVIL + str(i) for i in range(12)]
    years = [date(2027 + i, 1, 1) for i in range(8)]
    days = [date(2027, 3, 1) + timedelta(days=i) for i in range(11)]
    figures = [
        stacked_figure(many, weeks(52)),
        stacked_figure(few, years),
        stacked_figure(few[:2], days),
        price_figure(few, weeks(104)),
        frontier_figure(few, log=True),
        frontier_figure(few + many, log=False),
        tornado_figure(few),
        tornado_figure(many, -1.0),
        *span_figures(few),
    ]
    return document("pieces", [section("Pieces", "every one", figures)])
