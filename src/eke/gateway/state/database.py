"""One seam to both databases: verbs run in a transaction, in a thread, until they are through."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from eke.errors import BadInput, StateError, StateFull
from eke.gateway.state import schema
from eke.gateway.state.dialect import Dialect
from eke.gateway.state.postgres import Postgres
from eke.gateway.state.sealing import OPEN
from eke.gateway.state.sqlite import Sqlite
from eke.gateway.state.transaction import Sealers, Transaction

PAUSES = (0.02, 0.1, 0.3, 1.0)  # before each try but the first [s]

T = TypeVar("T")
P = ParamSpec("P")


class Database:
    """Threads with a connection each, so that the event loop never waits."""

    def __init__(self, dialect: Dialect, sealers: Sealers) -> None:
        self.dialect, self.sealers = dialect, sealers
        self._writers = ThreadPoolExecutor(dialect.writers, "state-writer")
        self._readers = ThreadPoolExecutor(dialect.readers, "state-reader")
        self._mine = threading.local()
        self._connections: list[Any] = []
        self._erased = True  # who had it before may have been killed before it scrubbed

    async def write(
        self, verb: Callable[Concatenate[Transaction, P], T], *nouns: P.args, **named: P.kwargs
    ) -> T:
        """What a verb answers, run in a transaction that is stored when this returns.

        Runs more than once where others are in the way. Raises StateFull where there is no room
        and StateError where the database does not answer; then nothing is stored. After
        StateUnsure nobody knows, nor does who is cancelled while waiting.
        """
        work = partial(self._insist, True, lambda within: verb(within, *nouns, **named))
        return await asyncio.get_running_loop().run_in_executor(self._writers, work)

    async def read(
        self, verb: Callable[Concatenate[Transaction, P], T], *nouns: P.args, **named: P.kwargs
    ) -> T:
        """What a verb answers that changes nothing; it sees one moment. Raises StateError."""
        work = partial(self._insist, False, lambda within: verb(within, *nouns, **named))
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def scrub(self) -> bool:
        """Wipe what was deleted off the disk, if anything was; whether all of it is."""
        if not self._erased:
            return True
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writers, self._scrub)

    async def close(self) -> None:
        """Finish what was begun, then let go of the database."""
        await asyncio.to_thread(self.shut)

    def make(self) -> None:
        """Make or change the tables, before anything else. Raises StateError."""
        self._writers.submit(self._insist, True, schema.make).result()

    def shut(self) -> None:
        """The same, for who has no event loop."""
        self._readers.shutdown()
        self._writers.shutdown()
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _insist(self, writing: bool, verb: Callable[[Transaction], T]) -> T:
        """Try until it is done, it cannot be done, or it was tried often enough."""
        for pause in (*PAUSES, None):
            try:
                return self._once(writing, verb)
            except self.dialect.errors as error:
                self._judge(error, last=pause is None)
            time.sleep(pause or 0.0)
        raise AssertionError("the last try returns or raises")

    def _once(self, writing: bool, verb: Callable[[Transaction], T]) -> T:
        connection = self._connection(writing)
        transaction = Transaction(self.dialect, connection, self.sealers)
        try:
            self.dialect.begin(connection, writing)
            answer = verb(transaction)
            self.dialect.commit(connection)
        except BaseException:
            self._abandon(connection)
            raise
        if transaction.erased:
            self._erased = True
        return answer

    def _judge(self, error: Exception, last: bool) -> None:
        """Return where another try may help; else raise."""
        trouble, name = self.dialect.trouble(error), self.dialect.name
        words = " ".join(str(error).split()).rstrip(".")
        if trouble is None:
            raise error
        if trouble == "full":
            raise StateFull(
                f"{name}: no room to store anything: {words}. Make room; then it goes on by itself."
            ) from error
        if trouble == "value":
            raise BadInput(f"A value cannot be stored: {words}.") from error
        if trouble == "broken" or last:
            raise StateError(f"{name}: {words}.") from error

    def _connection(self, writing: bool) -> Any:
        connection = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = self.dialect.connect(writing)
            self._connections.append(connection)
        return connection

    def _abandon(self, connection: Any) -> None:
        """Undo; a connection that cannot is let go of, and the next try makes another."""
        try:
            self.dialect.roll_back(connection)
            lost = bool(getattr(connection, "closed", False))
        except self.dialect.errors:
            lost = True
        if lost:
            self._connections.remove(connection)
            self._mine.connection = None
            connection.close()

    def _scrub(self) -> bool:
        self._erased = False
        try:
            done = self.dialect.scrub(self._connection(True))
        except self.dialect.errors:
            done = False
        if not done:
            self._erased = True
        return done


def open_database(address: str, sealers: Sealers = lambda tenant: OPEN) -> Database:
    """The database at a path or at postgresql://…, with its tables made.

    sealers: who seals the text of a tenant.  Raises BadFile, BadInput, StateError.
    """
    kind, scheme, _ = address.partition("://")
    if scheme and not on_server(address):
        raise BadInput(
            f"no state can be kept at {kind!r:.40}://…: give the path of an SQLite file, or "
            "postgresql://…"
        )
    dialect = Postgres(address) if on_server(address) else Sqlite(Path(address))
    database = Database(dialect, sealers)
    try:
        database.make()
    except BaseException:
        database.shut()
        raise
    return database


def on_server(address: str) -> bool:
    """Whether it is a server's and no path."""
    return address.startswith(("postgresql://", "postgres://"))
