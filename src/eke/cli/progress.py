"""A progress bar on stderr, on a terminal only: rich's where it is installed, else plain text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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


def _plain(done: int, total: int, words: str) -> None:
    filled = 24 * done // max(total, 1)
    line = f"[{'#' * filled}{'.' * (24 - filled)}] {done}/{total} {words}"
    sys.stderr.write(f"\r{line[:78]:<78}")
    sys.stderr.flush()
