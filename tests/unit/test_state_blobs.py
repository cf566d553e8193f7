"""Files come in and go out in pieces."""

from __future__ import annotations

import asyncio
import threading
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.states import KINDS, address, every, opened, read, run, write

from eke.errors import BadInput, StateError
from eke.gateway.state import blobs, deleting, documents
from eke.gateway.state.documents import Document
from eke.gateway.state.state import State

_numbers = count()


@pytest.fixture(scope="module", params=KINDS)
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> State:
    with opened(address(request.param, tmp_path_factory.mktemp("blobs"))) as state:
        yield state


@pytest.fixture(autouse=True, scope="module")
def small_pieces() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blobs, "PIECE", 64)
        yield


def file() -> Document:
    return Document(f"file {next(_numbers)}", "file", "acme", 5.0, "processed", b"{}")


async def uploaded(
    state: State, document: Document, parts: list[bytes], most: int = 10**6
) -> blobs.Blob:
    async with state.upload(document.id, document.tenant, 5.0, most) as upload:
        for part in parts:
            await upload.write(part)
        return await upload.finish(document)


@given(parts=st.lists(st.binary(max_size=200), max_size=6))
@settings(max_examples=25)
def test_what_comes_in_goes_out(state: State, parts: list[bytes]) -> None:
    document, whole = file(), b"".join(parts)
    blob = run(uploaded(state, document, parts))
    assert (blob.size, blob.pieces) == (len(whole), -(-len(whole) // 64))
    assert read(state, blobs.get, document.id, "acme") == blob
    pieces = every(lambda: state.pieces(blob))
    assert b"".join(pieces) == whole
    assert all(len(piece) == 64 for piece in pieces[:-1])


@given(
    lines=st.lists(st.binary(max_size=150).map(lambda line: line.replace(b"\n", b" ")), max_size=6),
    ended=st.booleans(),
)
@settings(max_examples=25)
def test_lines_are_those_of_the_file(state: State, lines: list[bytes], ended: bool) -> None:
    text = b"\n".join(lines) + b"\n" * ended
    blob = run(uploaded(state, file(), [text]))
    expected = text.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert every(lambda: state.lines(blob, 1000)) == expected
    longest = max(map(len, expected), default=0)
    assert every(lambda: state.lines(blob, longest)) == expected
    if longest:
        with pytest.raises(BadInput, match=r"Line \d+ is longer than"):
            every(lambda: state.lines(blob, longest - 1))


def test_nobody_sees_it_before_it_is_complete(state: State) -> None:
    document = file()

    async def watch() -> None:
        async with state.upload(document.id, "acme", 5.0, 1000) as upload:
            await upload.write(b"x" * 200)
            assert await state.read(blobs.get, document.id, "acme") is None
            assert await state.read(documents.get, "file", document.id, "acme") is None
            blob = await upload.finish(document)
        assert await state.read(blobs.get, document.id, "acme") == blob
        assert await state.read(blobs.get, document.id, "other") is None
        assert await state.read(documents.get, "file", document.id, "acme") == document

    run(watch())


def pieces_of(state: State, id: str) -> int:
    query = "SELECT count(*) FROM pieces WHERE blob = ?"
    return int(read(state, lambda transaction: transaction.one(query, id))[0])


def test_what_is_given_up_is_gone(state: State) -> None:
    document = file()

    async def stop() -> None:
        async with state.upload(document.id, "acme", 5.0, 1000) as upload:
            await upload.write(b"x" * 200)
            raise ConnectionError("the client is gone")

    with pytest.raises(ConnectionError):
        run(stop())
    assert pieces_of(state, document.id) == 0
    with pytest.raises(BadInput, match="longer than 100 bytes"):
        run(uploaded(state, document, [b"x" * 80, b"x" * 21], most=100))
    assert pieces_of(state, document.id) == 0
    run(uploaded(state, document, [b"x" * 80, b"x" * 20], most=100))  # its id is free again
    with pytest.raises(BadInput, match="already"):
        run(uploaded(state, document, []))


def test_who_is_cancelled_while_it_is_finished_takes_nothing_back(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, finish = file(), blobs.finish
    begun, go = threading.Event(), threading.Event()

    def slow(*nouns: Any) -> blobs.Blob:
        blob = finish(*nouns)
        begun.set()
        go.wait(20)
        return blob

    async def cut() -> None:
        task = asyncio.ensure_future(uploaded(state, document, [b"x" * 200]))
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(blobs, "finish", slow)
    run(cut())
    assert read(state, documents.get, "file", document.id, "acme") == document
    blob = read(state, blobs.get, document.id, "acme")
    assert blob is not None and b"".join(every(lambda: state.pieces(blob))) == b"x" * 200
    assert not write(state, blobs.give_up, document.id, "acme")


def test_what_a_crash_left_is_swept_and_takes_no_more(state: State) -> None:
    document = file()
    write(state, blobs.begin, document.id, "acme", 5.0)
    write(state, blobs.put, document.id, "acme", 0, b"x" * 64)
    with pytest.raises(BadInput, match="is over"):
        write(state, blobs.put, document.id, "acme", 0, b"again")
    assert write(state, blobs.sweep, 5.0) == 0
    assert write(state, blobs.sweep, 5.5) == 1
    assert pieces_of(state, document.id) == 0
    for verb, words in ((blobs.put, (1, b"y")), (blobs.finish, ())):
        with pytest.raises(BadInput, match="is over"):
            write(state, verb, document.id, "acme", *words)


def test_a_file_deleted_while_it_is_read_says_so(state: State) -> None:
    document = file()
    blob = run(uploaded(state, document, [b"x" * 200]))
    assert write(state, deleting.delete, "file", document.id, "acme")
    assert read(state, blobs.get, document.id, "acme") is None
    assert pieces_of(state, document.id) == 0
    with pytest.raises(StateError, match="deleted while it was read"):
        every(lambda: state.pieces(blob))
