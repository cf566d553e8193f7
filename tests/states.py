"""States of a gateway to try things on: a fresh one in either database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from eke.gateway.state import works
from eke.gateway.state.state import State, open_state
from eke.gateway.state.transaction import Transaction
from eke.gateway.state.works import Result
from tests.postgres import server

KINDS = ("sqlite", "postgres")
T = TypeVar("T")


def address(kind: str, folder: Path) -> str:
    """Where a new state of that kind may be. Skips where there is no such server."""
    return server().database() if kind == "postgres" else str(folder / "state.db")


def threads() -> set[threading.Thread]:
    """Those of states that are open in this process, whoever opened them."""
    return {each for each in threading.enumerate() if each.name.startswith("state-")}


@contextmanager
def opened(address: str, **options: Any) -> Iterator[State]:
    """A state that is closed at the end."""
    state = open_state(address, **options)
    try:
        yield state
    finally:
        state.database.shut()


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def write(state: State, verb: Callable[..., T], *nouns: Any) -> T:
    """What a verb answers, at once."""
    return asyncio.run(state.write(verb, *nouns))


def read(state: State, verb: Callable[..., T], *nouns: Any) -> T:
    """The same of a verb that changes nothing."""
    return asyncio.run(state.read(verb, *nouns))


def every(many: Callable[[], AsyncIterator[T]]) -> list[T]:
    """All that comes out of it."""

    async def gather() -> list[T]:
        return [each async for each in many()]

    return asyncio.run(gather())


def results(state: State, parent: str, tenant: str) -> list[Result]:
    """What came of all works of a batch, in its order."""
    return read(state, works.results, parent, tenant, -1, 10**6)


def together(state: State, calls: list[Callable[[Transaction], T]]) -> list[T]:
    """What verbs answer that are all asked for at once."""

    async def gather() -> list[T]:
        return list(await asyncio.gather(*(state.write(call) for call in calls)))

    return asyncio.run(gather())
