"""Rows and columns of what is asked for: work that passes, work that waits, and projects."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.allocation.problem import FOREVER, Flow, Problem, Project, Queue
from eke.allocation.programme import NONE, Programme
from eke.allocation.terms import Term
from eke.types.record import Record


class Gain(Record):
    """Columns with a worth that are no options. line: whose.  stage: how late.  what: "done" or
    "finished"."""

    line: int
    stage: int
    what: str
    columns: Any
    worth: Any


class Promised(Record):
    """A promise: the columns of what it lacks, as shares of it, which are held at nothing. line:
    whose work was promised, -1 where the use was promised chips.  periods: of each column.  size:
    what all of it is worth [USD]."""

    use: int
    line: int
    lacks: Any
    periods: Any
    size: Any


class Asked(Record):
    """Numbers of rows, -1 for none, and of columns.

    work: of each line (L, T, S).  once: of each project (L, T, S).  most: that a row of work can
    ever take, by its number.  waits: of queues, by line and stage.  passed: on to the next stage,
    or refused after the last one.
    """

    work: Any
    once: Any
    most: dict[int, float]
    gains: list[Gain]
    promises: list[Promised]
    waits: dict[tuple[int, int], Any]
    passed: dict[tuple[int, int], Any]


class Tallies(Record):
    """Rows that sum up (-1 for none): share of what a use asks for (U,), and worth done in each
    class of priority, by line (L,). total: worth of all that a use asks for (U,)."""

    share: Any
    worth: Any
    total: Any

    def of(self, problem: Problem, line: int, each: Any) -> list[tuple[Any, Any]]:
        """Entries of work of a line that is worth `each` a unit of the column."""
        use = problem.lines[line].use
        return [(self.share[use], each / self.total[use]), (self.worth[line], each)]


def asked(programme: Programme, problem: Problem, tallies: Tallies) -> Asked:
    """The rows and columns, made."""
    _, periods, parts = problem.shape
    shape = (len(problem.lines), periods, parts)
    made = Asked(
        work=np.full(shape, NONE),
        once=np.full(shape, NONE),
        most={},
        gains=[],
        promises=[],
        waits={},
        passed={},
    )
    choices: dict[int, Any] = {}
    for number, line in enumerate(problem.lines):
        if isinstance(line, Flow):
            _flow(programme, made, number, line)
        elif isinstance(line, Queue):
            _queue(programme, problem, tallies, made, number)
        elif isinstance(line, Project):
            if line.choice not in choices:
                choices[line.choice] = _choice(programme, problem, made, number)
            _project(programme, problem, tallies, made, number, choices[line.choice])
    return made


def work_terms(problem: Problem, made: Asked) -> list[Term]:
    """What a unit of an option does of the work."""
    options, parts = problem.options, len(problem.seconds)
    one = np.ones(len(options.line))
    return [
        Term(key=options.line, rows=made.work, each=options.rate, weight=problem.seconds),
        Term(key=options.line, rows=made.once, each=one, weight=np.ones(parts)),
    ]


def _flow(programme: Programme, made: Asked, number: int, line: Flow) -> None:
    least = line.floor * line.asked
    rows = programme.add_rows(least, line.asked)
    made.work[number] = rows
    _at_most(made, rows, line.asked)
    kept = least > 0
    if kept.any():
        lacks = lack(programme, rows[kept], least[kept])
        when, size = np.nonzero(kept)[0], least[kept] * line.worth
        made.promises.append(
            Promised(use=line.use, line=number, lacks=lacks, periods=when, size=size)
        )


def lack(programme: Programme, rows: Any, scale: Any) -> Any:
    """Columns of what promises lack, as shares of them."""
    return programme.add_columns(np.zeros(len(rows)), [(rows, scale)], 0.0, 0.0)


def _at_most(made: Asked, rows: Any, most: Any) -> None:
    most = np.broadcast_to(most, np.shape(rows))
    made.most.update(zip(np.ravel(rows).tolist(), np.ravel(most).tolist(), strict=True))


def _queue(
    programme: Programme, problem: Problem, tallies: Tallies, made: Asked, number: int
) -> None:
    """In each stage, what waited and came is done, waits on, or passes to the next stage.

    After the last it is refused. As the oldest comes first, no more can wait than came within the
    time of the stage.
    """
    line, add = problem.lines[number], programme
    assert isinstance(line, Queue)
    periods, stages = len(line.asked), len(line.stages)
    came = np.concatenate([[0.0], np.cumsum(line.asked)])
    work = add.add_rows(np.zeros(periods), 0.0)  # by chips, less what the stages count as done
    held = [add.add_rows(-line.asked, -line.asked)]
    held += [add.add_rows(np.zeros(periods), 0.0) for _ in range(stages - 1)]
    room = [add.add_rows(-FOREVER, _recent(came, stage.until)) for stage in line.stages]
    floor = line.floor * came[-1]
    kept = add.add_rows(np.full(1, floor), FOREVER) if floor else np.full(1, NONE)
    for k, stage in enumerate(line.stages):
        worth = np.full(periods, line.worth * stage.keeps)
        entries = [(held[k], -1.0), (work, -1.0), (np.repeat(kept, periods), 1.0)]
        done = add.add_columns(worth, [*entries, *tallies.of(problem, number, worth)])
        following = np.append(held[k][1:], NONE)
        stays = [(held[k], -1.0), (following, 1.0), *((room[j], 1.0) for j in range(k, stages))]
        onward = held[k + 1] if k + 1 < stages else np.full(periods, NONE)
        made.waits[number, k] = add.add_columns(np.zeros(periods), stays)
        made.passed[number, k] = add.add_columns(
            np.zeros(periods), [(held[k], -1.0), (onward, 1.0)]
        )
        made.gains.append(Gain(line=number, stage=k, what="done", columns=done, worth=worth))
    made.work[number] = work[:, None]
    _at_most(made, work, came[-1])
    if floor:
        lacks, last = lack(add, kept, floor), np.array([periods - 1])
        size = np.full(1, floor * line.worth)
        made.promises.append(
            Promised(use=line.use, line=number, lacks=lacks, periods=last, size=size)
        )


def _recent(came: Any, until: int) -> Any:
    """What came within so many periods before the end of each, and may wait on."""
    ends = np.arange(1, len(came))
    return came[ends] - came[np.maximum(ends - until, 0)]


def _choice(programme: Programme, problem: Problem, made: Asked, number: int) -> Any:
    """One of some projects at most, and one at least where that is promised."""
    line = problem.lines[number]
    assert isinstance(line, Project)
    row = programme.add_rows(1.0 if line.promised else -FOREVER, np.ones(1))
    if line.promised:
        lacks, last = lack(programme, row, 1.0), np.array([line.stages[-1].until - 1])
        size = np.full(1, line.worth)
        made.promises.append(
            Promised(use=line.use, line=number, lacks=lacks, periods=last, size=size)
        )
    return row


def _project(
    programme: Programme,
    problem: Problem,
    tallies: Tallies,
    made: Asked,
    number: int,
    choice: Any,
) -> None:
    """Work done between the dates in question adds up to what is finished by each of them."""
    line, add = problem.lines[number], programme
    assert isinstance(line, Project)
    parts = len(problem.seconds)
    dates, stages = [stage.until for stage in line.stages], range(len(line.stages))
    between = add.add_rows(np.zeros(len(dates)), FOREVER)  # by chips, less what counts as done
    by_then = add.add_rows(np.zeros(len(dates)), FOREVER)  # done so far, less finished so far
    for k in stages:
        later = [by_then[j : j + 1] for j in stages if j >= k]
        add.add_columns([0.0], [(between[k], -1.0), *((row, 1.0) for row in later)])
        worth = np.array([line.worth * line.stages[k].keeps])
        entries = [*((row, -1.0) for row in later), (choice, 1.0)]
        done = add.add_columns(worth, [*entries, *tallies.of(problem, number, worth)], 0.0, 1.0)
        made.gains.append(Gain(line=number, stage=k, what="finished", columns=done, worth=worth))
    for first, last, row in zip([line.begin, *dates[:-1]], dates, between, strict=True):
        made.work[number, first:last] = row
    run = (dates[-1] - line.begin, parts)
    made.once[number, line.begin : dates[-1]] = add.add_rows(-FOREVER, np.ones(run))
    _at_most(made, between, 1.0)
