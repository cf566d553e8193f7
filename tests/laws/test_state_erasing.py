"""What is deleted is gone: no byte of it is left in the files of the database."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from tests.states import opened, read, run, write

from eke.gateway.state import blobs, deleting, documents, items, works
from eke.gateway.state.documents import Document
from eke.gateway.state.items import Item
from eke.gateway.state.state import State
from eke.gateway.state.transaction import Transaction
from eke.gateway.state.works import Work
from eke.types.record import replace

WORD = re.compile(rb"WORD\d{6}X")
SIZES = (12, 60, 200, 600, 1500, 5000, 40_000)


def text(number: int, dice: random.Random) -> bytes:
    """A text that says its number over and over."""
    return b"WORD%06dX" % number * (1 + dice.choice(SIZES) // 11)


def words(folder: Path) -> set[bytes]:
    """Every word in any file of the database, as the disk has it."""
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["state.db", "state.db-shm", "state.db-wal"]
    return {word for file in files for word in WORD.findall(file.read_bytes())}


class Keeper:
    """Stores texts in every place there is for them, and knows which should still be there."""

    def __init__(self, dice: random.Random) -> None:
        self.dice, self.number = dice, 0
        self.alive: dict[str, set[bytes]] = {}
        self.kinds: dict[str, str] = {}

    def step(self, transaction: Transaction, growth: float) -> None:
        if not self.alive or self.dice.random() < growth:
            return self.create(transaction)
        id = self.dice.choice(sorted(self.alive))
        if self.kinds[id] == "conversation" and self.dice.random() < 0.5:
            return self.change(transaction, id)
        assert deleting.delete(transaction, self.kinds[id], id, "acme")
        return self.alive.pop(id) and None

    def create(self, transaction: Transaction) -> None:
        id = f"{self.dice.getrandbits(64):x}"
        kind = self.dice.choice(["conversation", "batch", "file"])
        self.kinds[id], self.alive[id] = kind, set()
        documents.create(
            transaction, Document(id, kind, "acme", self.dice.random(), "s", self._new(id))
        )
        if kind == "conversation":
            items.append(transaction, id, "acme", [Item(str(i), self._new(id)) for i in range(3)])
        elif kind == "batch":
            lines = [Work(f"{id}/{i}", kind, "acme", self._new(id), 0.0, id, i) for i in range(3)]
            works.add(transaction, lines)
            for work in works.claim(
                transaction, works.Claim(owner="a", kinds=(kind,), most=2, now=0.0, until=1.0)
            ):
                works.finish(transaction, work, "done", self._new(work.parent or ""))
        else:
            blobs.begin(transaction, id, "acme", 0.0)
            blobs.put(transaction, id, "acme", 0, self._new(id))

    def change(self, transaction: Transaction, id: str) -> None:
        """Another body, and one item less."""
        document = documents.get(transaction, "conversation", id, "acme")
        assert document is not None
        self.alive[id].discard(document.body[:11])
        assert documents.update(transaction, replace(document, body=self._new(id)))
        item = items.get(transaction, id, "1", "acme")
        if item is not None:
            self.alive[id].discard(item.body[:11])
            assert items.delete(transaction, id, "1", "acme")

    def _new(self, id: str) -> bytes:
        self.number += 1
        made = text(self.number, self.dice)
        self.alive[id].add(made[:11])
        return made


@pytest.mark.parametrize("seed", range(4))
def test_deleted_text_is_in_no_byte_of_the_files(seed: int, tmp_path: Path) -> None:
    keeper = Keeper(random.Random(seed))
    with opened(str(tmp_path / "state.db")) as state:
        for growth in (0.8, 0.3, 0.6, 0.2):
            for _ in range(6):
                write(state, lambda t, g=growth: [keeper.step(t, g) for _ in range(25)] and None)
            assert run(state.scrub())
            assert words(tmp_path) == set().union(*keeper.alive.values())
        assert keeper.number > 500


@pytest.mark.parametrize("seed", (0, 1))
def test_rows_that_grow_and_go_leave_no_copies_beside_others(seed: int, tmp_path: Path) -> None:
    """Pages of small rows are laid out anew all the time; without a margin before the text this
    finds what the old layout leaves."""
    dice, alive = random.Random(seed), dict[str, Document]()

    def step(transaction: Transaction, number: int) -> None:
        body = b"WORD%06dX" % number * dice.randint(1, 30)
        if dice.random() < 0.5 or not alive:
            document = Document(f"{dice.getrandbits(64):x}", "response", "a", 0.0, "s", body)
            documents.create(transaction, document)
            alive[document.id] = document
            return
        document = alive.pop(dice.choice(sorted(alive)))
        if dice.random() < 0.5:
            assert documents.update(transaction, replace(document, body=body))
            alive[document.id] = replace(document, body=body, revision=document.revision + 1)
        else:
            assert deleting.delete(transaction, "response", document.id, "a")

    with opened(str(tmp_path / "state.db")) as state:
        write(state, lambda t: [step(t, number) for number in range(3000)] and None)
        assert run(state.scrub())
        assert words(tmp_path) == {document.body[:11] for document in alive.values()}


def test_before_scrubbing_it_is_still_there(tmp_path: Path) -> None:
    """So that the law above could fail."""
    with opened(str(tmp_path / "state.db")) as state:
        fill(state, "one")
        write(state, deleting.delete, "response", "one", "acme")
        assert words(tmp_path) == {b"WORD000001X"}
        assert run(state.scrub()) and words(tmp_path) == set()


def test_a_reader_of_the_old_state_delays_it(tmp_path: Path) -> None:
    with opened(str(tmp_path / "state.db")) as state:
        fill(state, "one")
        reader = state.database.dialect.connect(False)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM documents").fetchone()
        write(state, deleting.delete, "response", "one", "acme")
        assert not run(state.scrub())
        reader.execute("COMMIT")
        reader.close()
        assert run(state.scrub()) and words(tmp_path) == set()


def test_what_a_killed_gateway_deleted_is_wiped_by_the_next(tmp_path: Path) -> None:
    where = str(tmp_path / "state.db")
    with opened(where) as killed:  # it stays open, as if it had not come to an end
        fill(killed, "one")
        write(killed, deleting.delete, "response", "one", "acme")
        with opened(where) as state:
            assert words(tmp_path) and run(state.scrub())
            assert words(tmp_path) == set()


def test_a_tenant_is_forgotten_whole(tmp_path: Path) -> None:
    with opened(str(tmp_path / "state.db")) as state:
        fill(state, "one")
        fill(state, "two", tenant="other")
        write(state, works.add, [Work("w", "background", "acme", b"WORD000009X", 0.0)])
        write(state, blobs.begin, "f", "acme", 0.0)
        write(state, blobs.put, "f", "acme", 0, b"WORD000008X")
        gone = write(state, deleting.forget, "acme")
        assert gone.rows >= 3 and [each.id for each in gone.documents] == ["one"]
        assert write(state, deleting.forget, "acme") == deleting.Forgotten(0, ())
        run(state.scrub())
        assert words(tmp_path) == {b"WORD000001X"}
        assert read(state, documents.get, "response", "two", "other") is not None


def fill(state: State, id: str, tenant: str = "acme") -> None:
    document = Document(id, "response", tenant, 0.0, "done", b"WORD000001X" * 30)
    write(state, documents.create, document)
