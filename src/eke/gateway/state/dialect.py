"""What the two databases do differently: all of it."""

from __future__ import annotations

from typing import Any, Literal, Protocol

# What an error of a database means: the transaction may be tried again; the connection is lost,
# so on another one; there is no room; a value cannot be stored; the database itself is not well.
Trouble = Literal["again", "lost", "full", "value", "broken"]


class Dialect(Protocol):
    """One kind of database.

    name: of this one, for messages, without passwords.  lock, skip: ends of a SELECT that keeps
    others from its rows, and that passes over the rows others keep.  margin: bytes put before
    each text.  writers, readers: threads, each with a connection.  errors: what it raises.
    """

    name: str
    lock: str
    skip: str
    margin: int
    writers: int
    readers: int
    errors: tuple[type[Exception], ...]

    def connect(self, writing: bool) -> Any:
        """A new connection."""
        ...

    def begin(self, connection: Any, writing: bool) -> None:
        """Begin a transaction."""
        ...

    def commit(self, connection: Any) -> None:
        """End it well. Returns only when it is stored, raises only when it is not."""
        ...

    def roll_back(self, connection: Any) -> None:
        """End it with nothing done, whatever state it is in."""
        ...

    def text(self, sql: str) -> str:
        """SQL of SQLite, with ? for values, as this database says it."""
        ...

    def types(self, sql: str) -> str:
        """A table or an index of SQLite as this database says it."""
        ...

    def first(self, connection: Any) -> None:
        """Before tables are made: keep others from making them, and make room for them."""
        ...

    def scrub(self, connection: Any) -> bool:
        """Wipe what was deleted off the disk; whether it is."""
        ...

    def trouble(self, error: Exception) -> Trouble | None:
        """What an error means; None when it is a mistake of ours."""
        ...
