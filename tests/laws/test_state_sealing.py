"""Sealed text opens with its key in its place, and in no other way."""

from __future__ import annotations

from base64 import b64encode
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("cryptography")

from tests.states import KINDS, address, every, opened, read, results, run, write

from eke.errors import BadInput, Sealed
from eke.gateway.state import blobs, documents, items, works
from eke.gateway.state.documents import Document, Listing
from eke.gateway.state.items import Item, Slice
from eke.gateway.state.sealing import OPEN, Place, Sealer, seal, sealer, unseal
from eke.gateway.state.works import Claim, Work
from eke.types.record import replace

ONE, TWO = bytes(range(32)), bytes(range(32, 64))
OLD = Sealer(keys={"2024": ONE}, current="2024")
NEW = Sealer(keys={"2024": ONE, "2025": TWO}, current="2025")
_numbers = count()
names = st.text(max_size=6)
places = st.builds(Place, names, names, names)


@given(place=places, text=st.binary(max_size=200))
def test_what_is_sealed_opens(place: Place, text: bytes) -> None:
    for each in (OPEN, OLD, NEW):
        assert unseal(each, place, seal(each, place, text)) == text
    stored = seal(NEW, place, text)
    assert stored != seal(NEW, place, text)  # another nonce each time
    if len(text) > 3:
        assert text not in stored


@given(place=places, text=st.binary(max_size=50))
def test_older_keys_and_text_from_before_any_key_open(place: Place, text: bytes) -> None:
    assert unseal(NEW, place, seal(OLD, place, text)) == text
    assert unseal(NEW, place, seal(OPEN, place, text)) == text


@given(place=places, other=places, text=st.binary(max_size=50))
def test_a_row_in_the_place_of_another_does_not_open(
    place: Place, other: Place, text: bytes
) -> None:
    stored = seal(OLD, place, text)
    if place != other:
        with pytest.raises(Sealed, match="does not open with the key '2024'"):
            unseal(OLD, other, stored)


@given(text=st.binary(max_size=50), data=st.data())
def test_a_changed_byte_does_not_open(text: bytes, data: st.DataObject) -> None:
    place = Place("item", "i", "acme")
    stored = bytearray(seal(OLD, place, text))
    index = data.draw(st.integers(1, len(stored) - 1))
    stored[index] ^= data.draw(st.integers(1, 255))
    if 2 <= index < 2 + len(OLD.current):  # a name only says which key is to be tried first
        assert unseal(OLD, place, bytes(stored)) == text
        return
    with pytest.raises(Sealed):
        unseal(OLD, place, bytes(stored))
    for cut in (b"", bytes(stored[: index - 1])):
        with pytest.raises(Sealed):
            unseal(OLD, place, cut)


def test_missing_and_wrong_keys_are_told() -> None:
    place = Place("response", "resp_1", "acme")
    stored = seal(OLD, place, b"text")
    with pytest.raises(Sealed, match=r"'resp_1' is sealed with the key '2024' of tenant 'acme'"):
        unseal(OPEN, place, stored)
    with pytest.raises(Sealed, match="another key has this name"):
        unseal(Sealer(keys={"2024": TWO}), place, stored)
    with pytest.raises(BadInput, match="32 bytes"):
        Sealer(keys={"short": b"x"})
    with pytest.raises(BadInput, match="'b'"):
        Sealer(keys={"a": ONE}, current="b")


def test_keys_are_not_shown() -> None:
    assert repr(NEW) == str(NEW) == "Sealer(2024, 2025; current='2025')"


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_holds_text_is_sealed(kind: str, tmp_path: Path) -> None:
    where, secret = address(kind, tmp_path), b"SECRET" * 9
    with opened(where, sealers=lambda tenant: NEW) as state:
        document = Document("d", "response", "acme", 0.0, "done", secret)
        file = Document("f", "file", "acme", 0.0, "done", secret)
        write(state, documents.create, document)
        write(state, items.append, "d", "acme", [Item("i", secret)])
        write(state, works.add, [Work("w", "batch", "acme", secret, 0.0, "b")])
        claim = Claim(owner="a", kinds=("batch",), most=1, now=0.0, until=1.0)
        (work,) = write(state, works.claim, claim)
        write(state, works.finish, work, "done", secret)
        blob = run(_uploaded(state, file, secret))
        assert blob.size == len(secret)
        for table, column in (
            ("documents", "body"),
            ("items", "body"),
            ("pieces", "body"),
            ("works", "body"),
            ("works", "result"),
        ):
            query = f"SELECT {column} FROM {table}"
            found = read(state, lambda transaction, query=query: transaction.all(query))
            assert found and all(b"SECRET" not in text and b"2025" in text for (text,) in found)
        assert read(state, documents.get, "response", "d", "acme") == document
        (item,), _ = read(state, items.page, Slice(owner="d", tenant="acme"))
        assert item.body == work.body == secret
        assert results(state, "b", "acme")[0].result == secret
        assert every(lambda: state.pieces(blob)) == [secret]
    with opened(where) as state, pytest.raises(Sealed):
        read(state, documents.get, "response", "d", "acme")


def words(*keys: bytes | tuple[str, bytes]) -> str:
    """What the variable holds. keys: with their names, where they have any."""
    named = [each if isinstance(each, tuple) else ("", each) for each in keys]
    return ", ".join(f"{name}{':' * bool(name)}{b64encode(key).decode()}" for name, key in named)


@pytest.mark.parametrize(
    "keys", [(TWO, ONE), (TWO, ("2024", ONE)), (("2025", TWO), ONE), (("key", TWO), ONE)]
)
@pytest.mark.parametrize("before", [(ONE,), (("key", ONE),), (("2023", ONE),)])
def test_the_first_key_seals_and_all_open_whatever_they_were_called(
    keys: tuple, before: tuple
) -> None:
    place = Place("item", "i", "acme")
    older, newer = (sealer("EKE_SEAL", words(*each)) for each in (before, keys))
    assert unseal(newer, place, seal(older, place, b"text")) == b"text"
    stored = seal(newer, place, b"text")
    assert unseal(sealer("EKE_SEAL", words(TWO)), place, stored) == b"text"
    with pytest.raises(Sealed, match=r"is not there|has this name"):
        unseal(older, place, stored)


@pytest.mark.parametrize("keys", [(("a", ONE), ("a", TWO)), (ONE, ONE)])
def test_two_keys_of_one_name_are_refused(keys: tuple) -> None:
    with pytest.raises(BadInput, match="EKE_SEAL holds two keys of the name"):
        sealer("EKE_SEAL", words(*keys))


@pytest.mark.parametrize("text", ["", "no base64!", "c2hvcnQ=", f"{'A' * 43}=,", "2026:"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="EKE_SEAL must hold 32 bytes in base64"):
        sealer("EKE_SEAL", text)


@pytest.fixture(scope="module", params=KINDS)
def where(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return address(request.param, tmp_path_factory.mktemp("sealed"))


@given(gone=st.lists(st.booleans(), max_size=12), limit=st.integers(1, 4), newest=st.booleans())
@settings(max_examples=20)
def test_a_list_passes_over_what_nobody_can_open(
    where: str, gone: list[bool], limit: int, newest: bool
) -> None:
    key = {"lost": TWO, "2024": ONE}
    tenant = f"tenant {next(_numbers)}"
    made = [
        Document(f"{tenant} {i}", "file", tenant, float(i), "done", b"{}") for i in range(len(gone))
    ]
    for name in key:
        with opened(
            where, sealers=lambda tenant, name=name: Sealer(keys=key, current=name)
        ) as state:
            for document, lost in zip(made, gone, strict=True):
                if lost == (name == "lost"):
                    write(state, documents.create, document)
    listing = Listing(kind="file", tenant=tenant, limit=limit, newest=newest)
    found: list[Document] = []
    with opened(where, sealers=lambda tenant: OLD) as state:
        more = True
        while more:
            page = read(state, documents.page, listing)
            more = page.more
            assert len(page.documents) == limit or not more
            found += page.documents
            listing = replace(listing, after=found[-1].id if found else None)
    there = [document for document, lost in zip(made, gone, strict=True) if not lost]
    assert found == (there[::-1] if newest else there)


async def _uploaded(state, file: Document, text: bytes) -> blobs.Blob:
    async with state.upload(file.id, file.tenant, 0.0, 1000) as upload:
        await upload.write(text)
        return await upload.finish(file)
