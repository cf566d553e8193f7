"""PostgreSQL: for several gateways, on several machines."""

from __future__ import annotations

import re
import time
from functools import cache
from typing import Any

from eke.errors import BadInput, StateError, StateUnsure
from eke.gateway.state.dialect import Trouble

OLDEST = 130000  # knows pg_current_xact_id
ASKED = 20  # how often, before it is given up, what became of a transaction
PAUSE = 0.25  # in between [s]

_SETTINGS = "; ".join(
    (
        "SET search_path TO eke",
        "SET lock_timeout TO '5s'",
        "SET statement_timeout TO '60s'",
        "SET idle_in_transaction_session_timeout TO '10s'",  # of a gateway that was frozen
    )
)
_CONNECTION = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "application_name": "eke",
}
_TYPES = {
    "REAL": "DOUBLE PRECISION",
    "BLOB": "BYTEA",
    "INTEGER": "BIGINT",
    "TEXT": 'TEXT COLLATE "C"',
}
_AGAIN = {"40001", "40P01", "55P03", "53300"}  # serialization, deadlock, lock, connections
_LOST = {"57P01", "57P02", "57P03", "25P03", "57P05"}  # shut down, started up, sat idle
_BROKEN = {"42501", "57014"}  # no leave, too slow
# Out of resources, refused, no such database, its system, damaged, for reading only.
_BROKEN_CLASSES = {"53", "28", "3D", "58", "XX", "25"}


class Postgres:
    """The dialect of a server. Raises BadInput where the client library is not installed."""

    lock = " FOR UPDATE"
    skip = " FOR UPDATE SKIP LOCKED"
    margin = 0
    writers, readers = 4, 2

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError:
            raise BadInput(
                "State in PostgreSQL needs psycopg, which is not installed: "
                "pip install 'eke[postgres]'."
            ) from None
        self.url = url
        self.errors: tuple[type[Exception], ...] = (psycopg.Error, UnicodeEncodeError)
        self.name = _named(url)

    def connect(self, writing: bool) -> Any:
        connection = _connect(self.url)
        connection.execute(_SETTINGS)
        return connection

    def begin(self, connection: Any, writing: bool) -> None:
        # Reads see one moment; writes lock the rows they decide on.
        connection.execute(
            "BEGIN" if writing else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        )

    def commit(self, connection: Any) -> None:
        """A connection lost on the way leaves open whether it was stored; the server knows."""
        row = connection.execute("SELECT pg_current_xact_id_if_assigned()::text").fetchone()
        try:
            self.end(connection)
        except self.errors as error:
            if row[0] is not None and self.trouble(error) == "lost" and self._stored(row[0]):
                return
            raise

    def end(self, connection: Any) -> None:
        """Send the COMMIT."""
        connection.execute("COMMIT")

    def roll_back(self, connection: Any) -> None:
        if not connection.closed and connection.info.transaction_status:
            connection.execute("ROLLBACK")

    def text(self, sql: str) -> str:
        return _text(sql)

    def types(self, sql: str) -> str:
        return re.sub(r"\b(REAL|BLOB|INTEGER|TEXT)\b", lambda word: _TYPES[word[0]], sql)

    def first(self, connection: Any) -> None:
        if connection.info.server_version < OLDEST:
            raise StateError(f"{self.name} is too old; the gateway needs PostgreSQL 13 or newer.")
        connection.execute("SELECT pg_advisory_xact_lock(7088)")
        connection.execute("SET LOCAL statement_timeout TO 0")  # there may be many rows to index
        connection.execute("CREATE SCHEMA IF NOT EXISTS eke")

    def scrub(self, connection: Any) -> bool:
        """Deleted rows are wiped when the server vacuums; its log and backups are its keeper's."""
        return True

    def trouble(self, error: Exception) -> Trouble | None:
        import psycopg

        if isinstance(error, (psycopg.DataError, UnicodeEncodeError)):
            return "value"
        state = getattr(error, "sqlstate", None)
        if state is None:
            return "lost" if isinstance(error, psycopg.OperationalError) else None
        if state in _AGAIN:
            return "again"
        if state in _LOST or state.startswith("08"):
            return "lost"
        if state == "53100":
            return "full"
        return "broken" if state in _BROKEN or state[:2] in _BROKEN_CLASSES else None

    def _stored(self, transaction: str) -> bool:
        """Whether a transaction was stored. Raises StateUnsure where nobody can say."""
        for _ in range(ASKED):
            try:
                with _connect(self.url) as connection:
                    row = connection.execute("SELECT pg_xact_status(%s::xid8)", (transaction,))
                    status = row.fetchone()[0]
            except self.errors:
                status = "unknown"
            if status in ("committed", "aborted"):
                return bool(status == "committed")
            time.sleep(PAUSE)
        raise StateUnsure(
            f"{self.name} was lost while it stored something; it may be stored or not."
        )


def _connect(url: str) -> Any:
    import psycopg

    given = psycopg.conninfo.conninfo_to_dict(url)
    unset = {key: value for key, value in _CONNECTION.items() if key not in given}
    connection = psycopg.connect(url, autocommit=True, **unset)  # type: ignore[arg-type]
    connection.adapters.register_dumper(str, _words())
    return connection


@cache
def _words() -> Any:
    """How text is sent: PostgreSQL has no zero byte in it; SQLite has."""
    from psycopg.types.string import StrDumperUnknown

    class Words(StrDumperUnknown):
        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd"))

    return Words


@cache
def _text(sql: str) -> str:
    return sql.replace("?", "%s")


def _named(url: str) -> str:
    """The server without its password. Raises BadInput."""
    import psycopg

    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.Error as error:
        raise BadInput(
            f"The gateway's state is not the address of a PostgreSQL database: {error}. "
            "Write postgresql://user@host:5432/database."
        ) from None
    return f"PostgreSQL {given.get('dbname', '')!r} at {given.get('host', 'this machine')}"
