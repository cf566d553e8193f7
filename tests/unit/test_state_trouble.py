"""What a gateway's state does when its database is busy, full, or gone."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.postgres import server
from tests.states import KINDS, address, opened, read, write

from eke.errors import BadInput, StateError, StateFull
from eke.gateway.state import database, documents, gateways, sqlite
from eke.gateway.state.database import Database
from eke.gateway.state.documents import Document
from eke.gateway.state.gateways import Alive
from eke.gateway.state.sealing import OPEN
from eke.gateway.state.state import State
from eke.gateway.state.transaction import Transaction


def document(id: str, size: int = 10) -> Document:
    return Document(id, "response", "acme", 0.0, "done", b"x" * size)


def there(state: State, id: str) -> bool:
    return read(state, documents.get, "response", id, "acme") is not None


def test_a_full_disk_stores_nothing_of_it_and_the_rest_goes_on(tmp_path: Path) -> None:
    with opened(str(tmp_path / "state.db")) as state:
        size = "PRAGMA max_page_count"
        write(state, documents.create, document("before"))

        def two(transaction: Transaction) -> None:
            documents.create(transaction, document("small"))
            documents.create(transaction, document("large", 10**6))

        (pages,) = write(state, lambda transaction: transaction.one("PRAGMA page_count"))
        write(state, lambda transaction: transaction.one(f"{size} = {pages + 50}"))
        with pytest.raises(StateFull, match="no room to store anything"):
            write(state, two)
        assert there(state, "before") and not there(state, "small")
        write(state, documents.create, document("after"))
        write(state, lambda transaction: transaction.one(f"{size} = 1000000"))
        write(state, two)
        assert there(state, "after") and there(state, "large")


def test_a_busy_database_is_tried_again_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WAIT", 20)
    monkeypatch.setattr(database, "PAUSES", (0.01, 0.05))
    with opened(str(tmp_path / "state.db")) as state:
        other = sqlite3.connect(
            tmp_path / "state.db", isolation_level=None, check_same_thread=False
        )
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError, match="database is locked"):
            write(state, documents.create, document("d"))
        assert not there(state, "d")  # reading goes on
        monkeypatch.setattr(database, "PAUSES", (0.01,) * 400)
        threading.Timer(0.1, other.execute, ["COMMIT"]).start()
        write(state, documents.create, document("d"))
        assert there(state, "d")
        other.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_verb_that_fails_leaves_nothing(kind: str, tmp_path: Path) -> None:
    def half(transaction: Transaction) -> None:
        documents.create(transaction, document("half"))
        raise KeyError("a mistake")

    with opened(address(kind, tmp_path)) as state:
        with pytest.raises(KeyError, match="a mistake"):
            write(state, half)
        assert not there(state, "half")
        with pytest.raises(Exception, match="syntax"):
            write(state, lambda transaction: transaction.run("NO SQL"))
        write(state, documents.create, document("whole"))
        with pytest.raises(Exception, match=r"(?i)read.?only"):
            read(state, lambda transaction: transaction.run("DELETE FROM documents"))
        assert there(state, "whole")


@pytest.mark.parametrize("kind", KINDS)
def test_values_that_no_database_holds(kind: str, tmp_path: Path) -> None:
    with opened(address(kind, tmp_path)) as state:
        for bad in (
            Document("d", "response", "acme", 0.0, "done", b"", revision=2**70),
            Document("\ud800", "response", "acme", 0.0, "done", b""),
        ):
            with pytest.raises(BadInput, match="cannot be stored"):
                write(state, documents.create, bad)
        zero = Document("a\0b", "response", "acme", 0.0, "done", b"\0")
        write(state, documents.create, zero)
        found = read(state, documents.get, "response", "a\0b", "acme")
        assert found is not None and found.body == b"\0"


@pytest.fixture
def remote() -> str:
    return server().database()


def test_what_gets_in_each_others_way_is_tried_again(remote: str) -> None:
    from psycopg import errors

    with opened(remote) as state:
        tries: list[int] = []

        def third(transaction: Transaction) -> int:
            documents.create(transaction, document("d"))
            tries.append(1)
            if len(tries) < 3:
                raise (errors.SerializationFailure, errors.DeadlockDetected)[len(tries) - 1]
            return len(tries)

        assert write(state, third) == 3 and there(state, "d")

        def full(transaction: Transaction) -> None:
            raise errors.DiskFull("no space left on device")

        with pytest.raises(StateFull, match="no space left"):
            write(state, full)


def test_a_lost_connection_is_replaced(remote: str) -> None:
    with opened(remote) as state:
        tries: list[int] = []

        def cut(transaction: Transaction) -> None:
            documents.create(transaction, document(f"d{len(tries)}"))
            tries.append(1)
            if len(tries) == 1:
                transaction.run("SELECT pg_terminate_backend(pg_backend_pid())")

        write(state, cut)
        assert len(tries) == 2 and there(state, "d1") and not there(state, "d0")


class Cut:
    """Ends a transaction once with the connection lost: before it was stored, or after."""

    def __init__(self, dialect: Any, stored: bool) -> None:
        self.left, self.stored, self.end = 1, stored, dialect.end

    def __call__(self, connection: Any) -> None:
        import psycopg

        if not self.left:
            return self.end(connection)
        self.left -= 1
        if self.stored:
            self.end(connection)
        connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")


@pytest.mark.parametrize("stored", [False, True])
def test_a_connection_lost_while_storing_stores_once(
    remote: str, stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def count(transaction: Transaction) -> None:
        tries.append(1)
        gateways.beat(transaction, Alive(f"g{len(tries)}", 0.0, 0.0, b""))

    with opened(remote) as state:
        dialect = state.database.dialect
        monkeypatch.setattr(dialect, "end", Cut(dialect, stored))
        write(state, count)
        assert len(tries) == (1 if stored else 2)
        assert [each.id for each in read(state, gateways.heard, 0.0)] == [f"g{len(tries)}"]


def test_a_server_that_comes_back_is_used_again(
    remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PAUSES", (0.01, 0.01))
    with opened(remote) as state:
        write(state, documents.create, document("before"))
        server().stop()
        try:
            began = time.monotonic()
            with pytest.raises(StateError, match="PostgreSQL 'state_"):
                write(state, documents.create, document("d"))
            assert time.monotonic() - began < 10
        finally:
            server().start()
        write(state, documents.create, document("after"))
        assert there(state, "before") and there(state, "after") and not there(state, "d")


def test_work_begun_is_finished_when_it_closes(tmp_path: Path) -> None:
    done = threading.Event()

    def slow(transaction: Transaction) -> None:
        time.sleep(0.1)
        documents.create(transaction, document("d"))
        done.set()

    made = Database(sqlite.Sqlite(tmp_path / "state.db"), lambda tenant: OPEN)
    made.make()
    made._writers.submit(made._insist, True, slow)
    made.shut()
    assert done.is_set()
    with opened(str(tmp_path / "state.db")) as state:
        assert there(state, "d")
