"""Are published forecasts and counts sound? Their names resolve, and no two figures of one author
contradict each other unexplained."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from eke.catalog.anchors import COLUMNS, anchor
from eke.catalog.chips import chip
from eke.catalog.files import all_files, read_rows
from eke.catalog.findings import Finding, odd, wrong
from eke.catalog.forecasts import read_forecast
from eke.errors import BadFile, closest
from eke.types.published import Chain, Published, Same
from eke.units import show

Solve = Callable[[Published], Chain]
AGREES = 1.05  # figures printed rounded come nearer than that
PLAUSIBLE = {  # in base units, whether said or implied
    "share": (0.0, 1.0),
    "utilisation": (1e-4, 1.0),
    "pue": (1.0, 3.0),
    "peak_over_mean": (1.0, 20.0),
    "tokens_per_ask": (1.0, 1e6),
    "active_parameters": (1e6, 1e14),
    "peak": (1e11, 1e17),
    "chip_hour": (0.01 / 3600, 200 / 3600),
    "chip_price": (100.0, 5e6),
    "chip_power": (5.0, 5e4),
    "life": (0.25 * 31557600, 20 * 31557600),
    "cost_per_ask": (1e-7, 10.0),
    "energy_per_ask": (0.1, 1e6),
}
_DATE = re.compile(r"(\d{4})(-\d\d(-\d\d)?)?\Z")


def forecast_findings(path: Path, solve: Solve, year: int) -> Iterator[Finding]:
    """Of a published forecast. solve: the chain of a forecast.  year: now."""
    of = read_forecast(path)
    claims = all_files("claims")
    if of.claim and of.claim not in claims:
        near = closest(of.claim, claims)
        hint = f"; closest: {near}" if near else ""
        yield wrong(path, "claim", f"no claim {of.claim[:60]!r}{hint}")
    found = _DATE.match(of.when)
    if found is None or int(found[1]) > year + 1:
        yield odd(
            path, "when", f"is {of.when[:40]!r}; expected a date such as 2025-02-07, not ahead"
        )
    for figure in of.figures:
        if figure.mark == "assumed" and not figure.note:
            yield odd(path, f"figures.{figure.quantity}", "assumed, and its note does not say why")
    chain = solve(of)
    yield from _contradictions(path, of, chain)
    yield from _implausible(path, chain)
    if of.same is not None:
        yield from _other_question(path, chain, of.same)


def _contradictions(path: Path, of: Published, chain: Chain) -> Iterator[Finding]:
    notes = {figure.quantity: figure.note for figure in of.figures}
    for clash in chain.clashes:
        if max(clash.ratio, 1 / clash.ratio) > AGREES and not notes.get(clash.quantity):
            message = (
                f"contradicts the others: ×{clash.ratio:.3g} of what {clash.how} gives; mend one "
                "of them, or say why in its note"
            )
            yield wrong(path, f"figures.{clash.quantity}", message)


def _implausible(path: Path, chain: Chain) -> Iterator[Finding]:
    for name, (least, most) in PLAUSIBLE.items():
        known = chain.known.get(name)
        if known is not None and not least <= known.value.likely <= most * (1 + 1e-9):
            how = f", which follows from {known.how}" if known.how else ""
            message = f"{known.value.likely:.4g} is hardly possible{how}"
            yield odd(path, f"figures.{name}", message)


def _other_question(path: Path, chain: Chain, same: Same) -> Iterator[Finding]:
    """Where eke would be asked something else than the forecast is about."""
    lengths = {"tokens_per_ask": same.prompt + same.answer, "training_tokens": same.tokens}
    for name, asked in lengths.items():
        known = chain.known.get(name)
        if known is not None and asked and not 1 / AGREES < asked / known.value.likely < AGREES:
            message = f"{show(asked, 'token')}, but {name} is {show(known.value.likely, 'token')}"
            yield odd(path, "same", message)
    peak = chain.known.get("peak")
    dense = [x for width, x in chip(same.chip).peak.items() if not width.startswith("int")]
    if peak is not None and dense and all(abs(peak.value.likely / x - 1) > 0.06 for x in dense):
        yield odd(path, "figures.peak", f"no dense peak of {same.chip}; is it with sparsity?")


def anchor_findings(path: Path) -> Iterator[Finding]:
    """Of what others counted, row by row."""
    for line, row in read_rows(path, COLUMNS):
        where = f"{path}, line {line}"
        try:
            anchor(where, row)
        except BadFile as error:
            yield wrong(path, f"line {line}", str(error).removeprefix(f"{where}: "))
