"""A page that stands alone: what became of the requests of one run, or of several side by side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from eke.report.charts import short
from eke.report.compared import Row, comparison, side_by_side
from eke.report.document import document
from eke.report.engine_figures import engines, spent
from eke.report.figures import Drawn, arrivals, drawn, durations, queues
from eke.report.html import LONGEST, Cell, section, table
from eke.report.run_words import (
    NUMBERS,
    POINTS,
    TIMES,
    gap_words,
    headline,
    labels,
    promise_words,
    shown,
)
from eke.report.tenant_figures import unanswered, waits
from eke.simulation.statistics import Summary
from eke.types.run import Run
from eke.units import show

MOST = 8  # runs that are drawn; the table has all
# Units of facts; others are plain numbers.
FACTS = {"cost": "USD", "charged": "USD", "energy": "J", "carbon": "kg", "chip_seconds": "chip s"}
UNTOLD = ("seconds", "began", "unstreamed")  # facts that stand elsewhere on the page


def page(runs: Sequence[Run], summaries: Sequence[Summary], title: str, command: str = "") -> str:
    """The page as text. command: what made it."""
    names = [short(name, LONGEST) for name in labels(summaries)]
    known = [i for i, run in enumerate(runs) if len(run)][:MOST]
    each = drawn([runs[i] for i in known], [summaries[i] for i in known], [names[i] for i in known])
    blocks = [
        f"<h1>{escape(short(title, 300))}</h1>",
        *_lead(summaries),
        _key(each),
        _numbers(summaries, names, each),
        *_sections(each),
        _footer(runs, summaries, names, command),
    ]
    return document(title, blocks)


def _lead(summaries: Sequence[Summary]) -> list[str]:
    """The answer, and what was promised."""
    first = comparison(summaries) if len(summaries) > 1 else headline(summaries[0])
    promise = promise_words(summaries[0]) if len(summaries) == 1 else ""
    return [
        f'<p class="lead">{escape(_kept(short(first, 600)))}.</p>',
        f'<p class="promise">Promised: {escape(promise)}.</p>' if promise else "",
    ]


def _kept(words: str) -> str:
    """The same words, no line broken between a number and its unit."""
    return re.sub(r"(?<=\d) (?=\S)", "\u00a0", words)


def _key(runs: Sequence[Drawn]) -> str:
    """Which colour is which run; unticked, it vanishes."""
    if len(runs) < 2:
        return ""
    each = "".join(
        f'<label class="ink-{run.number}"><input type="checkbox" id="show-{run.number}" checked>'
        f"{escape(run.name)}</label>"
        for run in runs
    )
    return f"<fieldset><legend>Show</legend>{each}</fieldset>"


def _numbers(summaries: Sequence[Summary], names: Sequence[str], runs: Sequence[Drawn]) -> str:
    """Every number: of one run with what it means, of several side by side."""
    if len(summaries) == 1:
        return f'<div class="single">{_times(summaries[0])}{_single(summaries[0])}</div>'
    style = {run.name: f"ink-{run.number} run-{run.number}" for run in runs}
    rows = side_by_side(summaries)
    half = next(i for i, row in enumerate(rows) if row.name == NUMBERS["share_kept"][0])
    about = "numbers side by side, the best of each row marked"
    tables = [_columns(part, names, style, about) for part in (rows[:half], rows[half:])]
    return f'<div class="tables">{"".join(tables)}</div>'


def _columns(rows: Sequence[Row], names: Sequence[str], style: dict[str, str], about: str) -> str:
    """A table with a column per run, which vanishes with it."""
    styles = [style.get(name, "") for name in names]
    head = [Cell(words=words, style=ink) for words, ink in zip(names, styles, strict=True)]
    columns = [ink.partition(" ")[2] for ink in styles]
    body = []
    for row in rows:
        cells = zip(row.cells, row.best, columns, strict=True)
        marked = [Cell(words=w, style=f"{of}{' best' if best else ''}") for w, best, of in cells]
        body.append([Cell(words=row.name), *marked])
    return table([Cell(words=""), *head], body, about)


def _times(summary: Summary) -> str:
    rows = [
        (words, *(show(getattr(summary.times[name], point), "s") for point in POINTS))
        for name, words in TIMES.items()
        if name in summary.times
    ]
    return table(("", *POINTS), rows, "percentiles of durations") if rows else ""


def _single(summary: Summary) -> str:
    """Counts and numbers of one run, in two tables beside each other."""
    counts = [(name, f"{count:,}", "requests") for name, count in summary.counts.items() if count]
    numbers = [
        (words, shown(name, number.value, number.unit), number.means)
        for name, (words, _) in NUMBERS.items()
        if (number := summary.numbers.get(name)) is not None
    ]
    rows = [
        [Cell(words=name), Cell(words=value), Cell(words=means, style="words")]
        for name, value, means in [*counts, *numbers]
    ]
    half = (len(rows) + 1) // 2
    parts = [part for part in (rows[:half], rows[half:]) if part]
    return "".join(table((), part, "numbers of the run") for part in parts)


def _sections(runs: Sequence[Drawn]) -> list[str]:
    """Every figure, under what it answers."""
    if not runs:
        return []
    return [
        section(
            "How long people wait",
            "Share of requests that took at most so long. Time runs in powers of ten.",
            durations(runs),
        ),
        section(
            "What came, and what became of it",
            "Requests over the run. The queue counts those a policy holds back and those "
            "that wait inside an engine.",
            [*arrivals(runs), *queues(runs)],
        ),
        section(
            "How full the engines are", "Memory for running sequences, by replica.", engines(runs)
        ),
        section("Who waited", _gap(runs), waits(runs)),
        section("Who was not answered, and why", "Requests by reason.", unanswered(runs)),
        section("What it took", "The same traffic under each policy.", spent(runs)),
    ]


def _gap(runs: Sequence[Drawn]) -> str:
    """Between whom the gap in service was widest, of a run that stands alone."""
    words = gap_words(runs[0].summary) if len(runs) == 1 else ""
    said = f" Widest gap: {short(words, 600).strip().removeprefix('gap').strip()}." if words else ""
    return f"Those that asked most come first.{said}"


def _footer(
    runs: Sequence[Run], summaries: Sequence[Summary], names: Sequence[str], command: str
) -> str:
    """What it rests on, and what made it."""
    remarks = dict.fromkeys(remark for run in runs for remark in run.remarks)
    facts = dict.fromkeys(name for run in runs for name in run.facts if name not in UNTOLD)
    rows = [
        [
            name,
            run.source,
            f"{run.seed}",
            f"{len(run):,}",
            show(summary.seconds, "s"),
            *(_fact(run, fact) for fact in facts),
        ]
        for name, run, summary in zip(names, runs, summaries, strict=True)
    ]
    head = (
        "",
        "source",
        "seed",
        "requests",
        "watched",
        *(fact.replace("_", " ") for fact in facts),
    )
    notes = "".join(f"<li>{escape(remark)}</li>" for remark in [*remarks, *NOTES])
    left = f"<p>Charts show the first {MOST} runs.</p>" if len(runs) > MOST else ""
    made = f"<h2>What made it</h2><pre>{escape(command)}</pre>" if command else ""
    return (
        f"<footer><h2>What it rests on</h2>{table(head, rows, 'the runs')}{left}"
        f"<ul>{notes}</ul>{made}</footer>"
    )


def _fact(run: Run, name: str) -> str:
    return show(run.facts[name], FACTS.get(name, "1")) if name in run.facts else ""


NOTES = (
    "kept: of the requests whose end is known, those that were answered and broke no promise; "
    "refused, stopped and lost ones did not keep any",
    "first token, whole answer: from the arrival; in the queue: until an engine first took it into "
    "a step; per token: between the first and the last, of answers of two tokens or more",
    "service: tokens of prompts that were computed, and twice those of answers; the widest gap is "
    "over every stretch of time through which both tenants had a request waiting",
)
