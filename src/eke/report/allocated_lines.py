"""What became of what is asked, line by line: bars of shares, bars of value, and the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from eke.report.allocated import amount, done_words, name, where
from eke.report.allocated_figures import SLIGHT
from eke.report.areas import ink_key
from eke.report.charts import short
from eke.report.html import LONGEST, Cell, figure, table
from eke.report.spans import NAME, Piece, parts
from eke.types.record import Record
from eke.types.share import Allocation, Served
from eke.units import show

LINES = 60  # told one by one
BARS = 20  # of a chart, about
STATES = {  # what becomes of what is asked, and its colour
    "done": "ink-2",
    "done late": "ink-lost",
    "waiting at the end": "ink-all",
    "refused": "ink-bad",
}
HEAD: tuple[Cell | str, ...] = (
    *("", "asks for", "done", "late", "lesser", "value", "of"),
    *(Cell(words=each, style="why") for each in ("on", "why refused")),
)


class Row(Record):
    """A line as it is shown, or many small ones together. brief: its name in charts.  shares: of
    what is asked, by what became of it.  whole: what all of it would bring [USD].  line: None of
    several."""

    name: str
    brief: str
    shares: dict[str, float]
    value: float
    whole: float
    line: Served | None = None

    @property
    def lost(self) -> float:
        """Worth of what is refused, late or lesser [USD]."""
        return max(self.whole - self.value, 0.0)


def rows_of(found: Allocation) -> list[Row]:
    """Of every line that asks for something; the smallest of very many are one."""
    asking = [line for line in found.lines if sum(line.asked) > 0]
    counts = Counter(line.line for line in asking)
    long = {line.use for line in asking if len(name(line)) > NAME}
    every = [_row(line, line.use in long and counts[line.line] == 1) for line in asking]
    if len(every) <= LINES:
        return every
    ranked = sorted(range(len(every)), key=lambda i: -every[i].whole)
    own = set(ranked[:LINES])
    rest = [every[i] for i in ranked[LINES:]]
    return [*(every[i] for i in sorted(own)), _together(rest)]


def _row(line: Served, brief: bool) -> Row:
    """brief: whether its own name is told alone in charts, if it has one."""
    asked, late = sum(line.asked), sum(line.late)
    left = line.waiting[-1] if line.waiting else 0.0
    amounts = (sum(line.done) - late, late, left, sum(line.refused))
    shares = zip(STATES, (max(each, 0.0) / asked for each in amounts), strict=True)
    return Row(
        name=short(name(line), LONGEST),
        brief=line.line if brief and line.line and not line.line.isdigit() else name(line),
        shares={state: share for state, share in shares if share > SLIGHT},
        value=line.value,
        whole=asked * line.worth,
        line=line,
    )


def _together(rows: Sequence[Row]) -> Row:
    """Many lines as one, each counting by what it would bring."""
    whole = sum(each.whole for each in rows)
    shares = {
        state: sum(each.shares.get(state, 0.0) * each.whole for each in rows) / (whole or 1.0)
        for state in STATES
    }
    return Row(
        name=f"and {len(rows)} more",
        brief=f"and {len(rows)} more",
        shares={state: share for state, share in shares.items() if share > SLIGHT},
        value=sum(each.value for each in rows),
        whole=whole,
    )


def bar_figures(rows: Sequence[Row]) -> list[str]:
    """Shares of what is asked, and what they bring, in as many charts as are needed."""
    count = -(-len(rows) // BARS)
    size = -(-len(rows) // max(count, 1))
    groups = [rows[i : i + size] for i in range(0, len(rows), size)]
    single = [each for each in rows if each.line is not None]
    largest = sorted(range(len(single)), key=lambda i: -single[i].whole)[:BARS]
    kept = [single[i] for i in sorted(largest)]
    return [*(_shares(group, i, count) for i, group in enumerate(groups)), _values(kept, len(rows))]


def _shares(rows: Sequence[Row], number: int, count: int) -> str:
    title = "Asked and done" + (f", {number + 1} of {count}" if count > 1 else "")
    about = "shares of what is asked; beside them, the value of what is done"
    drawn = [(each.brief, _pieces(each), show(each.value, "USD")) for each in rows]
    there = [state for state in STATES if any(state in each.shares for each in rows)]
    numbers = [
        (each.name, *(_percent(each.shares.get(state, 0.0)) for state in there)) for each in rows
    ]
    key = ink_key([(state, STATES[state]) for state in there])
    return figure(
        title, about, parts(title, about, drawn), table(("", *there), numbers, title), key=key
    )


def _pieces(row: Row) -> list[Piece]:
    return [
        Piece(value=share, style=STATES[state], told=f"{row.name}: {_percent(share)} {state}")
        for state, share in row.shares.items()
    ]


def _values(rows: Sequence[Row], of: int) -> str:
    title = "What it brings"
    few = f", of the {len(rows)} lines with most" if len(rows) < of else ""
    about = f"value of what is done, and what is lost as refused, late or lesser{few}"
    drawn = [(each.brief, _worths(each), _brought(each)) for each in rows]
    numbers = [(each.name, show(each.value, "USD"), show(each.lost, "USD")) for each in rows]
    key = ink_key([("brought", "ink-2"), ("lost", "ink-bad")])
    head = ("", "brought", "lost")
    return figure(title, about, parts(title, about, drawn), table(head, numbers, title), key=key)


def _brought(row: Row) -> str:
    """What it brings of what it would bring: "2.2 of 3.06 million USD"."""
    value, whole = show(row.value, "USD"), show(row.whole, "USD")
    number, _, unit = value.partition(" ")
    if value == whole:
        return value
    return f"{number if whole.endswith(f' {unit}') else value} of {whole}"


def _worths(row: Row) -> list[Piece]:
    brought = Piece(
        value=row.value, style="ink-2", told=f"{row.name}: {show(row.value, 'USD')} brought"
    )
    lost = Piece(value=row.lost, style="ink-bad", told=f"{row.name}: {show(row.lost, 'USD')} lost")
    return [brought, lost] if row.lost > SLIGHT * row.whole else [brought]


def lines_table(found: Allocation, rows: Sequence[Row]) -> str:
    """Every row with what it asks for, what becomes of it, where it is done, and why not."""
    return said_table(HEAD, [_cells(found, each) for each in rows], "lines")


def said_table(head: Sequence[Cell | str], rows: Sequence[Sequence[Cell | str]], about: str) -> str:
    """A table without columns that say nothing."""
    said = [i for i in range(len(head)) if not i or any(_words(row[i]) for row in rows)]
    return table([head[i] for i in said], [[row[i] for i in said] for row in rows], about)


def _words(cell: Cell | str) -> str:
    return cell if isinstance(cell, str) else cell.words


def _cells(found: Allocation, row: Row) -> list[Cell | str]:
    values = [show(row.value, "USD"), show(row.whole, "USD")]
    late = _percent(row.shares.get("done late", 0.0))
    if row.line is None:
        done = row.shares.get("done", 0.0) + row.shares.get("done late", 0.0)
        return [row.name, "", _percent(done), late, "", *values, "", ""]
    line = row.line
    asks = amount(sum(line.asked), line.unit)
    lesser = _percent(line.degraded) if line.degraded > SLIGHT else ""
    on = Cell(words=short(where(found, line), 80), style="words why")
    why = Cell(words=_why(found, row), style="words why")
    return [row.name, asks, done_words(line), late, lesser, *values, on, why]


def _why(found: Allocation, row: Row) -> str:
    """The reason for what is refused."""
    line = row.line
    if line is None or "refused" not in row.shares:
        return ""
    if line.why:
        return line.why
    if line.kind == "project":
        others = [each for each in found.lines if each.use == line.use and each.finished]
        return f"{name(others[0])} is done instead" if others else ""
    return "there is no room for it"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %" if share > SLIGHT else ""
