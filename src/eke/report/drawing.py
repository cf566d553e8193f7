"""Pieces of pictures: SVG that stands alone."""

from __future__ import annotations

import math
from html import escape


def canvas(wide: float, high: float, *pieces: str) -> str:
    """A whole picture on white."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high:.0f}" '
            f'viewBox="0 0 {wide:.0f} {high:.0f}" font-family="system-ui, sans-serif" '
            'font-size="12">',
            '<rect width="100%" height="100%" fill="white"/>',
            *pieces,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, words: str, how: str = "") -> str:
    """Words from x on, on the line y. how: further attributes."""
    return f'<text x="{x:.1f}" y="{y:.1f}"{how and " "}{how}>{escape(words)}</text>'


def line(x1: float, x2: float, y1: float, y2: float, how: str = "") -> str:
    """A thin dark line."""
    ends = f'x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="#222"{how and " "}{how}/>'


def box(x: float, y: float, wide: float, high: float, colour: str, how: str = "") -> str:
    """A filled rectangle."""
    size = f'width="{wide:.1f}" height="{high:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"{how and " "}{how}/>'


def percent(share: float) -> str:
    """A share as people read it."""
    return "< 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, at least this much."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= least * 0.999)


def mixed(colour: str, white: float) -> str:
    """A colour with a share of white in it."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * white):02x}" for part in parts)
