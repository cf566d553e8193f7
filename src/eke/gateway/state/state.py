"""All that a gateway keeps, behind one noun.

    await state.write(documents.create, document)
    await state.read(documents.get, "response", id, tenant)

Verbs are the functions of this package's modules; what takes more than one transaction is here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

from eke.errors import BadFile, BadInput, StateError
from eke.gateway.state import blobs, documents, rows, works
from eke.gateway.state.database import Database, on_server, open_database
from eke.gateway.state.sealing import OPEN
from eke.gateway.state.transaction import Sealers, Transaction

AT_ONCE = 1000  # rows of a transaction, so that others are not kept waiting

T = TypeVar("T")
P = ParamSpec("P")


class State:
    """The state of a gateway.

    database: where it is kept.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def write(
        self, verb: Callable[Concatenate[Transaction, P], T], *nouns: P.args, **named: P.kwargs
    ) -> T:
        """What a verb answers that changes something; it is stored when this returns.

        Raises StateFull, StateError; then nothing is stored, except after StateUnsure, maybe.
        """
        return await self.database.write(verb, *nouns, **named)

    async def read(
        self, verb: Callable[Concatenate[Transaction, P], T], *nouns: P.args, **named: P.kwargs
    ) -> T:
        """What a verb answers that changes nothing. Raises StateError."""
        return await self.database.read(verb, *nouns, **named)

    async def scrub(self) -> bool:
        """Wipe what was deleted off the disk; cheap where nothing was. To be called every few
        seconds; False where a reader still needs the old state."""
        return await self.database.scrub()

    async def close(self) -> None:
        """Finish what was begun, wipe what was deleted, and let go."""
        await self.scrub()
        await self.database.close()

    async def add_works(self, added: Sequence[works.Work]) -> None:
        """Queue works, so many at a time; repeated after a crash, none is there twice."""
        left = iter(added)
        while part := list(islice(left, AT_ONCE)):
            await self.write(works.add, part)

    async def rows(
        self, since: float, until: float, moment: rows.Moment = "arrived_at"
    ) -> AsyncIterator[rows.Kept]:
        """Rows of requests that came, or ended, from `since` to before `until`, UTC [s], in that
        order."""
        span = rows.Span(since=since, until=until, moment=moment)
        after: rows.Kept | None = None
        while part := await self.read(rows.page, span, after, AT_ONCE):
            for row in part:
                yield row
            after = part[-1]

    async def pieces(self, blob: blobs.Blob) -> AsyncIterator[bytes]:
        """What a file holds, piece by piece."""
        for number in range(blob.pieces):
            yield await self.read(blobs.piece, blob, number)

    async def lines(self, blob: blobs.Blob, longest: int) -> AsyncIterator[bytes]:
        """What a file holds, line by line, without their ends.

        longest: of a line [B]; BadInput is raised for a longer one.
        """
        number, parts, size = 1, list[bytes](), 0
        async for piece in self.pieces(blob):
            *whole, rest = piece.split(b"\n")
            for line in whole:
                _check(number, size + len(line), longest)
                yield b"".join([*parts, line])
                number, parts, size = number + 1, [], 0
            parts, size = [*parts, rest], size + len(rest)
            _check(number, size, longest)
        if size:
            yield b"".join(parts)

    def upload(self, id: str, tenant: str, created: float, most: int) -> Upload:
        """The contents of a file, as they come in. created: UTC [s].  most: it may hold [B]."""
        return Upload(self, blobs.Blob(id, tenant, created, 0, 0), most)


class Upload:
    """A file that comes in: `async with` it; what is not finished is gone at the end."""

    def __init__(self, state: State, blob: blobs.Blob, most: int) -> None:
        self._state, self._blob, self._most = state, blob, most
        self._waiting = bytearray()
        self._size = self._pieces = 0
        self._finished = False

    async def __aenter__(self) -> Upload:
        blob = self._blob
        await self._state.write(blobs.begin, blob.id, blob.tenant, blob.created)
        return self

    async def write(self, part: bytes) -> None:
        """The next part, of any length. Raises BadInput where the file gets too long."""
        self._size += len(part)
        if self._size > self._most:
            raise BadInput(f"The file is longer than {self._most:,} bytes. Divide it.")
        self._waiting += part
        while len(self._waiting) >= blobs.PIECE:
            piece = bytes(self._waiting[: blobs.PIECE])
            del self._waiting[: blobs.PIECE]
            await self._put(piece)

    async def finish(self, document: documents.Document) -> blobs.Blob:
        """It is complete: the file and its document are there, both at once."""
        if self._waiting:
            await self._put(bytes(self._waiting))
        blob = await self._state.write(_finish, self._blob, document)
        self._finished = True
        return blob

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._finished:
            return
        with suppress(StateError):  # then it is swept later
            await self._state.write(blobs.give_up, self._blob.id, self._blob.tenant)

    async def _put(self, piece: bytes) -> None:
        blob = self._blob
        await self._state.write(blobs.put, blob.id, blob.tenant, self._pieces, piece)
        self._pieces += 1


def open_state(address: str, sealers: Sealers = lambda tenant: OPEN) -> State:
    """The state at a path or at postgresql://…

    sealers: who seals the text of a tenant.  Raises BadFile, BadInput, StateError.
    """
    return State(open_database(address, sealers))


def existing_state(address: str) -> State:
    """The same of what is there already. Raises BadFile, BadInput, StateError."""
    if not on_server(address) and not Path(address).is_file():
        raise BadFile(f"{address}: there is no such file; give what `eke serve --state` named.")
    return open_state(address)


def _finish(transaction: Transaction, blob: blobs.Blob, document: documents.Document) -> blobs.Blob:
    documents.create(transaction, document)
    return blobs.finish(transaction, blob.id, blob.tenant)


def _check(number: int, size: int, longest: int) -> None:
    if size > longest:
        raise BadInput(f"Line {number:,} is longer than {longest:,} bytes.")
