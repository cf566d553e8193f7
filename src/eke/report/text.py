"""Text tables: columns as wide as what stands in them, numbers to the right."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"[-−+×]?[\d.,]+( ?[%a-zA-Zµ/²]+.*)?\Z")


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = (), indent: str = "  ") -> str:
    """Rows of cells as aligned lines, without trailing blanks."""
    every = [*([list(head)] if head else []), *[list(row) for row in rows]]
    if not every:
        return ""
    columns = max(len(row) for row in every)
    padded = [[*row, *[""] * (columns - len(row))] for row in every]
    widths = [max(len(row[i]) for row in padded) for i in range(columns)]
    right = [
        i > 0 and all(_NUMBER.match(r[i]) or not r[i] for r in padded[bool(head) :])
        for i in range(columns)
    ]
    lines = [
        indent
        + "   ".join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in padded
    ]
    return "\n".join(lines)


def wrapped(text: str, width: int) -> list[str]:
    """Words broken into lines; at least one."""
    from textwrap import wrap as break_lines

    return break_lines(text, width, break_on_hyphens=False) or [""]


def wrap(text: str, width: int = 96, indent: str = "") -> str:
    """Words broken into lines; later lines are indented."""
    from textwrap import fill

    return fill(text, width=width, subsequent_indent=indent, break_on_hyphens=False)


def entry(name: str, text: str) -> str:
    """A named line of an answer; nothing where there is no text."""
    return wrap(f"  {name:<10} {text}", indent=" " * 13) if text else ""
