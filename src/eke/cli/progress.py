"""A progress bar on stderr, on a terminal only: rich's where it is installed, else plain text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

PATIENCE, EVERY = 1.0, 0.2  # before anything is said, and between two sayings [s]


@contextmanager
def progress() -> Iterator[Callable[[int, int, str], None]]:
    """A function that is told how much is done, how much there is, and what is next."""
    if not sys.stderr.isatty():
        yield lambda done, total, words: None
        return
    try:
        from rich.console import Console  # type: ignore[import-not-found,unused-ignore]
        from rich.progress import Progress  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        yield _plain
        sys.stderr.write("\n")
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def tell(done: int, total: int, words: str) -> None:
            bar.update(task, completed=done, total=total, description=words)

        yield tell


@contextmanager
def _patient() -> Iterator[Callable[[Callable[[], str]], None]]:
    """Say words on the terminal where things take longer than a moment, and not too often."""
    if not sys.stderr.isatty():
        yield lambda words: None
        return
    begun, said = monotonic(), 0.0

    def say(words: Callable[[], str]) -> None:
        nonlocal said
        now = monotonic()
        if now - begun > PATIENCE and now - said > EVERY:
            said = now
            sys.stderr.write(f"\r{words()[:78]:<78}")
            sys.stderr.flush()

    yield say
    if said:
        sys.stderr.write("\r" + " " * 78 + "\r")


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, float], None]]:
    """A function that is told how many were looked at, and the best figure so far; it says so
    where that takes longer than a moment."""

    def words(done: int, best: float) -> str:
        found = "nothing feasible yet" if best == float("inf") else "a feasible one is found"
        return f"{done:,} {what} looked at, {found}"

    with _patient() as say:
        yield lambda done, best: say(lambda: words(done, best))


@contextmanager
def solving() -> Iterator[Callable[[str, float], None]]:
    """A function that is told what is being done and how far that is: a share of the planning, or
    by how much the division may still be off."""

    def words(what: str, far: float) -> str:
        if what == "planning":
            return f"planning how each use is done: {far:.0%}"
        if what == "prices":
            return f"dividing: within {100 * min(far, 10.0):.2g} % of the best"
        return f"dividing: {what}"

    with _patient() as say:
        yield lambda what, far: say(lambda: words(what, far))


@contextmanager
def passing(what: str, seconds: float | None) -> Iterator[Callable[[float, int], None]]:
    """A function that is told how far a simulated clock has got, and how many requests have come;
    it says so where that takes longer than a moment. seconds: how far it will get, where known."""

    def words(now: float, requests: int) -> str:
        filled = int(24 * min(now / seconds, 1.0)) if seconds else 0
        bar = "#" * filled + "." * (24 - filled)
        return f"[{bar}] {what[:20]}: {requests:,} requests, {now / 3600:,.2f} h of it"

    with _patient() as say:
        yield lambda now, requests: say(lambda: words(now, requests))


def _plain(done: int, total: int, words: str) -> None:
    filled = 24 * done // max(total, 1)
    line = f"[{'#' * filled}{'.' * (24 - filled)}] {done}/{total} {words}"
    sys.stderr.write(f"\r{line[:78]:<78}")
    sys.stderr.flush()
