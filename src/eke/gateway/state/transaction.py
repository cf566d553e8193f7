"""What a verb is given: one transaction, the same for both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from eke.gateway.state.dialect import Dialect
from eke.gateway.state.sealing import Place, Sealer, seal, unseal
from eke.types.record import Message

Sealers = Callable[[str], Sealer]  # by tenant


class Transaction:
    """All or nothing. SQL is written once, as SQLite says it, with ? for each value."""

    def __init__(self, dialect: Dialect, connection: Any, sealers: Sealers) -> None:
        self.dialect = dialect
        self.erased = False  # whether text was deleted
        self._connection = connection
        self._sealers = sealers

    def run(self, sql: str, *values: Any) -> int:
        """Run it; how many rows it changed."""
        return int(self._connection.execute(self.dialect.text(sql), values).rowcount)

    def erase(self, sql: str, *values: Any) -> int:
        """The same for text that must leave no trace."""
        rows = self.run(sql, *values)
        self.erased = self.erased or rows > 0
        return rows

    def all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Every row of the answer."""
        found: list[tuple[Any, ...]] = self._connection.execute(
            self.dialect.text(sql), values
        ).fetchall()
        return found

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row of the answer; None without one."""
        found: tuple[Any, ...] | None = self._connection.execute(
            self.dialect.text(sql), values
        ).fetchone()
        return found

    def many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> int:
        """Run it once for each row; how many rows it changed."""
        cursor = self._connection.cursor()
        cursor.executemany(self.dialect.text(sql), rows)
        return int(cursor.rowcount)

    def seal(self, place: Place, text: bytes) -> bytes:
        """Text as it is stored."""
        return bytes(self.dialect.margin) + seal(self._sealers(place.tenant), place, text)

    def unseal(self, place: Place, stored: bytes) -> bytes:
        """The text that is stored. Raises Sealed."""
        return unseal(self._sealers(place.tenant), place, stored[self.dialect.margin :])

    def first(self) -> None:
        """Before tables are made: nobody else makes them."""
        self.dialect.first(self._connection)


def columns(noun: type) -> str:
    """The fields of a noun, as the columns of its table."""
    return ", ".join(_names(noun))


def marks(count: int) -> str:
    """So many values in SQL."""
    return ", ".join("?" * count)


def insert(table: str, noun: type) -> str:
    """SQL that adds a row with the fields of a noun; one that is there already stays."""
    return (
        f"INSERT INTO {table} ({columns(noun)}) VALUES ({marks(len(_names(noun)))}) "
        "ON CONFLICT DO NOTHING"
    )


def values(noun: Message) -> tuple[Any, ...]:
    """The values of its fields."""
    return msgspec.structs.astuple(noun)  # type: ignore[arg-type]


def _names(noun: type) -> tuple[str, ...]:
    names: tuple[str, ...] = noun.__struct_fields__  # type: ignore[attr-defined]
    return names
