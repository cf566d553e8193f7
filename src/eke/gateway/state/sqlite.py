"""A file of SQLite: one gateway, or a few processes on one machine.

Text never leaves a trace when it is deleted. `secure_delete` wipes the place of a row, yet a page
that is laid out anew when rows around it come and go may keep bytes of its old layout in the gaps.
Text therefore stands behind a margin in its row, as long as the most that SQLite keeps of a row on
a page shared with others; what lies behind is on pages of its own, which are never laid out anew
and are wiped when they are given up. Source: sqlite-format, section 1.6.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from eke.errors import BadFile, BadInput
from eke.gateway.state.dialect import Trouble

PAGE = 1024  # bytes; small, so that margins are
KIND = 0x656B6501  # marks a file as ours: PRAGMA application_id
WAIT = 1000  # for a lock of another process [ms]
SHORT = 50  # for readers, when what they may be reading is wiped; then later [ms]
_OLDEST = (3, 35, 0)  # knows RETURNING

_TROUBLE: dict[int, Trouble] = {
    sqlite3.SQLITE_BUSY: "again",
    sqlite3.SQLITE_LOCKED: "again",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_TOOBIG: "value",
    sqlite3.SQLITE_IOERR: "broken",
    sqlite3.SQLITE_CORRUPT: "broken",
    sqlite3.SQLITE_NOTADB: "broken",
    sqlite3.SQLITE_CANTOPEN: "broken",
    sqlite3.SQLITE_READONLY: "broken",
    sqlite3.SQLITE_PERM: "broken",
}


class Sqlite:
    """The dialect of a file. Raises BadFile where it is not ours or cannot be written."""

    lock = skip = ""  # a transaction that writes is alone
    margin = PAGE - 35
    writers, readers = 1, 2
    errors: tuple[type[Exception], ...] = (sqlite3.Error, OverflowError, UnicodeEncodeError)

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        if sqlite3.sqlite_version_info < _OLDEST:
            raise BadInput(
                f"SQLite {sqlite3.sqlite_version} is too old for the gateway's state; it needs "
                "3.35 or newer. Use a Python that brings one, or postgresql://…"
            )
        _make(path)

    def connect(self, writing: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.name, timeout=WAIT / 1000, isolation_level=None, check_same_thread=False
        )
        for pragma in (
            "synchronous=NORMAL",  # outlives the process; a power cut may take the newest
            "foreign_keys=ON",
            "secure_delete=ON",
            "cache_size=-16384",  # KiB
            "wal_autocheckpoint=4096",  # pages
            "temp_store=MEMORY",  # no text in files that nobody wipes
            f"query_only={'OFF' if writing else 'ON'}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def begin(self, connection: sqlite3.Connection, writing: bool) -> None:
        connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")

    def commit(self, connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")

    def roll_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")

    def text(self, sql: str) -> str:
        return sql

    def types(self, sql: str) -> str:
        return sql

    def first(self, connection: sqlite3.Connection) -> None:
        pass  # a transaction that writes is alone

    def scrub(self, connection: sqlite3.Connection) -> bool:
        """Move the log into the file and cut it off. False while somebody reads the old state."""
        connection.execute(f"PRAGMA busy_timeout={SHORT}")
        try:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout={WAIT}")
        return not busy

    def trouble(self, error: Exception) -> Trouble | None:
        if isinstance(error, (OverflowError, UnicodeEncodeError)):
            return "value"
        code = getattr(error, "sqlite_errorcode", None)
        return None if code is None else _TROUBLE.get(code & 0xFF)


def _make(path: Path) -> None:
    """Make a file of ours, for its owner alone, or check that the one there is."""
    if not path.exists():
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o600))
        except FileExistsError:
            pass  # another process was quicker
        except OSError as error:
            raise BadFile(
                f"{path}: cannot be written: {error.strerror or error}. Give the gateway's state "
                "a path in a folder that is there and that it may write to."
            ) from None
    try:
        with closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as connection:
            _claim(connection, path)
    except sqlite3.Error as error:
        raise BadFile(f"{path}: cannot be used as the gateway's state: {error}.") from None


def _claim(connection: sqlite3.Connection, path: Path) -> None:
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    kind = connection.execute("PRAGMA application_id").fetchone()[0]  # is set before tables are
    if tables and kind != KIND:
        raise BadFile(f"{path}: belongs to another program. Give the gateway a file of its own.")
    if not tables:
        connection.execute(f"PRAGMA page_size={PAGE}")
    mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise BadFile(
            f"{path}: its file system cannot do SQLite's WAL (it stays in {mode!r}). "
            "Give a path on a local disk, or postgresql://…"
        )
    if kind != KIND:
        connection.execute(f"PRAGMA application_id={KIND}")
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    if size != PAGE:
        raise BadFile(f"{path}: has pages of {size:,} bytes; deleting needs {PAGE:,}. Start anew.")
