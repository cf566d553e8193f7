"""What was left out and how well it was predicted, in words and as the page docs/accuracy.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eke.calibrate.ledger import Entry, summarise
from eke.calibrate.refit import Error, Refit, errors, widths, with_own
from eke.report.ledger import headline, markdown, percent, skipped_words
from eke.report.text import table

HEAD = ("", "rows", "median", "90 %", "bias", "over publishers", "in span", "width")


def views(made: Refit) -> dict[str, list[Error]]:
    """Errors by what was known of a row's publisher, engine and chip."""
    left = made.left
    return {
        "learnt from": errors(made, made.fitted.design.predicted),
        "publisher never seen": errors(
            made, left["publisher"].predicted, widths(made, "publisher")
        ),
        "engine never seen": errors(made, left["engine"].predicted, widths(made, "engine")),
        "chip never seen": errors(made, left["chip"].predicted, widths(made, "chip")),
        "publisher never seen, one own measurement per stack": errors(made, with_own(made)),
    }


def left_out_words(made: Refit) -> str:
    """Tables of errors, one per view."""
    lines = []
    for name, found in views(made).items():
        lines += [name, table([_cells(each) for each in found], HEAD), ""]
    return "\n".join(lines)


def _cells(each: Error) -> list[str]:
    shown: list[str] = [
        each.group,
        f"{each.rows:,}",
        percent(each.median),
        percent(each.ninetieth),
        f"×{each.bias:.2f}",
        percent(each.sources),
        percent(each.coverage),
        "" if np.isnan(each.width) else f"×{each.width:.1f}",
    ]
    return shown


def accuracy_page(made: Refit, entries: Sequence[Entry], drawing: str) -> str:
    """The page: first what was left out, then the ledger of the tables as they are."""
    parts = [
        "# How far predictions are from measurements",
        "Written by `eke calibrate fit`. Errors are |predicted / measured − 1|; *over publishers* "
        "is the median of the publishers' own medians; *in span* is the share of measurements "
        "inside the 80 % span and *width* its upper over its lower end.",
        "## What was left out",
        "Whole publishers (organisations), engines and chips are left out in turn, every value is "
        "learnt again without them, and their rows are predicted. The structure and some priors "
        "were settled after looking at the same rows, so these figures flatter somewhat. Results "
        "of MLPerf Inference are never learnt from: *inference mlperf* in the ledger.",
    ]
    for name, found in views(made).items():
        parts += [f"### {name.capitalize()}", _table(found)]
    parts += [
        "## The ledger",
        headline(summarise(entries)[0]) + ".",
        f"![predicted over measured]({drawing})",
    ]
    for by in ("regime", "metric", "source", "chip", "engine", "model"):
        kept = [each for each in summarise(entries, by) if each.scored][:25]
        parts += [f"### By {by}", markdown(kept, by)]
    parts += ["### Skipped", "```", *skipped_words(entries), "```"]
    return "\n\n".join(parts).replace("```\n\n", "```\n").replace("\n\n```\n", "\n```\n") + "\n"


def _table(found: Sequence[Error]) -> str:
    rows: list[Any] = [
        "| | rows | median | 90 % | bias | over publishers | in span | width |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *("| " + " | ".join(_cells(each)) + " |" for each in found),
    ]
    return "\n".join(rows)
