"""Pieces of a page. Whatever comes from outside is escaped here or in the charts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from eke.report.charts import short
from eke.types.record import Record

LONGEST = 80  # letters of a name; whole stories are cut
STORY = 400  # of a cell that holds sentences, of class "words"


class Cell(Record):
    """A cell of a table. style: its classes."""

    words: str
    style: str = ""


def table(head: Sequence[Cell | str], rows: Sequence[Sequence[Cell | str]], about: str) -> str:
    """A table that scrolls where it is too wide; the first cell of a row names it."""
    names = "".join(_cell(each, "th", ' scope="col"') for each in head)
    body = "".join(
        "<tr>"
        + "".join(
            _cell(each, "td" if i else "th", "" if i else ' scope="row"')
            for i, each in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    top = f"<thead><tr>{names}</tr></thead>" if names else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(about, quote=True)}">'
        f"<table>{top}<tbody>{body}</tbody></table></div>"
    )


def _cell(cell: Cell | str, tag: str, more: str) -> str:
    words, style = (cell, "") if isinstance(cell, str) else (cell.words, cell.style)
    most = STORY if "words" in style.split() else LONGEST
    return f"<{tag}{more}{_classes(style)}>{escape(short(words, most))}</{tag}>"


def _classes(style: str) -> str:
    return f' class="{style}"' if style else ""


def figure(title: str, about: str, svg: str, numbers: str, style: str = "", key: str = "") -> str:
    """A chart with its title, a sentence, and the table of its numbers."""
    return (
        f"<figure{_classes(style)}><figcaption><h3>{escape(title)}</h3>"
        f"<p>{escape(about)}</p>{key}</figcaption>{svg}"
        f"<details><summary>Numbers</summary>{numbers}</details></figure>"
    )


def section(title: str, words: str, figures: Sequence[str]) -> str:
    """A heading, a sentence and the figures below it; nothing where there are none."""
    if not figures:
        return ""
    return (
        f"<section><h2>{escape(title)}</h2><p>{escape(words)}</p>"
        f'<div class="figures">{"".join(figures)}</div></section>'
    )


def key(names: Mapping[int, str]) -> str:
    """Which colour is which reason. names: by the number of their colour."""
    each = "".join(
        f'<li><i class="reason-{i}"></i>{escape(short(name, LONGEST))}</li>'
        for i, name in names.items()
    )
    return f'<ul class="key">{each}</ul>'


def listed(title: str, rows: Sequence[str]) -> str:
    """A heading and sentences below it; nothing where there are none."""
    items = "".join(f"<li>{escape(each)}</li>" for each in rows)
    return f"<h2>{escape(title)}</h2><ul>{items}</ul>" if rows else ""


def folded(title: str, inside: str) -> str:
    """Shown when asked for."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def sentence(words: str) -> str:
    """The same words with a capital, no number apart from its unit."""
    return unbroken(f"{words[:1].upper()}{words[1:]}")


def unbroken(words: str) -> str:
    """The same words, no line broken between a number and its unit."""
    return re.sub(r"(?<=\d) (?=\S)", "\u00a0", words)
