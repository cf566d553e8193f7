"""Opening the state of a gateway, and what it says when that cannot be."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.states import KINDS, address, every, opened, read, run, write

from eke.errors import BadFile, BadInput, StateError
from eke.gateway.row import Row
from eke.gateway.state import database, documents, rows, schema, standing
from eke.gateway.state.documents import Document
from eke.gateway.state.sealing import Sealer
from eke.gateway.state.state import open_state

TEXTS = ("tenant", "kind", "model", "tier", "engine", "outcome", "reason")
DOCUMENT = Document("d", "response", "acme", 0.0, "done", b"{}")


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(str(tmp_path / "state.db")) as state:
            write(state, documents.create, DOCUMENT)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("state.db", "state.db-shm", "state.db-wal"), 0o600)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_stored_is_there_again(kind: str, tmp_path: Path) -> None:
    where = address(kind, tmp_path)
    for _ in range(2):
        with opened(where) as state:
            if read(state, documents.get, "response", "d", "acme") is None:
                write(state, documents.create, DOCUMENT)
    with opened(where) as state:
        assert read(state, documents.get, "response", "d", "acme") == DOCUMENT
        run(state.close())


@pytest.mark.parametrize("kind", KINDS)
def test_many_may_open_a_new_one_at_once(kind: str, tmp_path: Path) -> None:
    where = address(kind, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(open_state, [where] * 8))
    for i, state in enumerate(states):
        write(state, documents.create, Document(f"d{i}", "response", "acme", 0.0, "done", b""))
    found = read(states[0], standing.open_ones, "response", ["done"])
    assert len(found) == 8
    for state in states:
        state.database.shut()


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_schema_is_refused(kind: str, tmp_path: Path) -> None:
    where = address(kind, tmp_path)
    with opened(where) as state:
        write(state, lambda transaction: transaction.run("UPDATE meta SET value = '99'"))
    with pytest.raises(StateError, match=r"made by a newer eke \(schema 99; this one knows \d+\)"):
        open_state(where)


@pytest.mark.parametrize("kind", KINDS)
def test_an_older_schema_is_brought_up(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = address(kind, tmp_path)
    with opened(where) as state:
        write(state, documents.create, DOCUMENT)
    more = "ALTER TABLE documents ADD COLUMN more TEXT; CREATE TABLE extra (id INTEGER, x REAL)"
    monkeypatch.setattr(schema, "CHANGES", (*schema.CHANGES, more))
    with opened(where) as state:
        write(state, lambda transaction: transaction.run("INSERT INTO extra VALUES (7, 0.5)"))
        assert read(state, lambda t: t.all("SELECT id, x FROM extra")) == [(7, 0.5)]
        assert read(state, lambda t: t.all("SELECT id, more FROM documents")) == [("d", None)]
    monkeypatch.undo()
    with pytest.raises(StateError, match=f"schema {len(schema.CHANGES) + 1}"):
        open_state(where)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_the_first_schema_are_found_by_their_ends(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = address(kind, tmp_path)
    row = Row(**dict.fromkeys(Row._fields, 0) | dict.fromkeys(TEXTS, "x"))
    monkeypatch.setattr(schema, "CHANGES", schema.CHANGES[:1])
    with opened(where) as state:
        write(state, rows.add, "g", [row._replace(arrived_at=100.0, arrived=7.0, finished=9.5)])
    monkeypatch.undo()
    with opened(where) as state:
        for since, found in ((102.5, 1), (102.6, 0)):
            assert len(every(lambda since=since: state.rows(since, 1e9, "ended_at"))) == found


def _folder(path: Path) -> None:
    path.mkdir()


def _text(path: Path) -> None:
    path.write_text("not a database, but long enough to look at. " * 50)


def _foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (x)")
    connection.close()


def _large_pages(path: Path) -> None:
    open_state(str(path)).database.shut()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("PRAGMA page_size=8192")
    connection.execute("VACUUM")
    connection.close()


@pytest.mark.parametrize(
    "make,words",
    [
        (_folder, "cannot be used"),
        (_text, "file is not a database"),
        (_foreign, "belongs to another program"),
        (_large_pages, "pages of 8,192 bytes"),
    ],
)
def test_a_file_that_is_none_of_ours(
    make: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "state.db"
    make(path)
    with pytest.raises(BadFile, match=words):
        open_state(str(path))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be written: No such file"):
        open_state(str(tmp_path / "missing" / "state.db"))


@pytest.mark.parametrize("address", ["mysql://me:secret@here/eke", "sqlite:///eke.db"])
def test_a_kind_of_database_that_is_none_of_ours(address: str) -> None:
    with pytest.raises(BadInput, match="path of an SQLite file, or postgresql://…") as told:
        open_state(address)
    assert f"at '{address.partition(':')[0]}'://" in str(told.value)
    assert "secret" not in str(told.value)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(BadInput, match=r"pip install 'eke\[postgres\]'"):
        open_state("postgresql://nowhere/state")
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(BadInput, match=r"pip install 'eke\[gateway\]'"):
        Sealer(keys={"k": bytes(32)}, current="k")


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setattr(database, "PAUSES", (0.0,))
    with pytest.raises(StateError, match=r"PostgreSQL 'gone' at /nowhere: connection") as told:
        open_state("postgresql://me:secret@/gone?host=/nowhere")
    assert "secret" not in str(told.value)
    with pytest.raises(BadInput, match="Write postgresql://user@host"):
        open_state("postgresql://[")
