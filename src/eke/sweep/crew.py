"""Who plans the cells: this process, several here, or the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from eke.errors import EkeError
from eke.sweep.rows import Question, Row

Asked = Question | str  # or why nothing could be asked
Solve = Callable[[Asked], Row]
Ready = Callable[[], None]  # called where cells are planned, before they are


class Crew(NamedTuple):
    """submit: hands a cell in.  done: of those handed in, waits for some that are finished.
    room: cells under way at most."""

    submit: Callable[[Asked], Any]
    done: Callable[[Sequence[Any]], list[tuple[Any, Row]]]
    room: int


def results(crew: Crew, work: Iterator[tuple[int, Asked]]) -> Iterator[tuple[int, Row]]:
    """Numbers of cells and their rows as they come; cells are asked for as there is room."""
    under_way: dict[Any, int] = {}
    while True:
        for index, asked in islice(work, crew.room - len(under_way)):
            under_way[crew.submit(asked)] = index
        if not under_way:
            return
        for handle, row in crew.done(list(under_way)):
            yield under_way.pop(handle), row


def in_order(found: Iterator[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
    """The same by number from 0 on; what comes early waits."""
    early: dict[int, Row] = {}
    wanted = 0
    for index, row in found:
        early[index] = row
        while wanted in early:
            yield wanted, early.pop(wanted)
            wanted += 1


@contextmanager
def alone(solve: Solve) -> Iterator[Crew]:
    """This process, one cell after the other."""
    yield Crew(
        submit=lambda asked: partial(solve, asked),
        done=lambda handles: [(handle, handle()) for handle in handles],
        room=1,
    )


@contextmanager
def processes(count: int, solve: Solve, ready: Ready) -> Iterator[Crew]:
    """Several processes on this machine."""
    from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    def done(handles: Sequence[Future[Row]]) -> list[tuple[Any, Row]]:
        return [(each, each.result()) for each in wait(handles, return_when=FIRST_COMPLETED).done]

    pool = ProcessPoolExecutor(count, get_context("spawn"), _begin, (ready,))
    try:
        yield Crew(submit=lambda asked: pool.submit(solve, asked), done=done, room=2 * count)
    except BrokenProcessPool:
        raise EkeError(
            "a process was lost, killed or out of memory; the same command with --out goes on from "
            "there, with fewer --processes if memory is short."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(ready: Ready) -> None:
    """In a new process: an interrupt is for the first process to answer."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ready()
