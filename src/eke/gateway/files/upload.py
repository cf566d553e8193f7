"""A form with a file in it, on its way into the state.

Never more of it is in memory than a piece, and of a batch the names of its lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from eke.errors import BadInput
from eke.gateway.api.reading import Departed, header
from eke.gateway.api.routes import Asking
from eke.gateway.batches.batch import LINES
from eke.gateway.batches.line import Names
from eke.gateway.files.file import (
    BATCH,
    TUNE,
    New,
    check_purpose,
    document,
    kept_for,
    longest,
    new_id,
)
from eke.gateway.files.lines import Lines, Mistake, example
from eke.gateway.files.multipart import Form, Part, too_long
from eke.gateway.refusal import Refusal, bad
from eke.gateway.state.documents import Document
from eke.gateway.state.state import State, Upload

FIELD, FIELDS = 4096, 32  # bytes of a field that is no file, and how many there may be
TOLD = 5  # mistakes in one answer


async def store(asking: Asking, state: State) -> Document:
    """Store the file of a form. Raises Refusal where it makes no sense; then nothing is stored.

    The rest of a form that is refused is read and thrown away, so that its client, which sends
    before it listens, hears why.
    """
    settings, wall = asking.gateway.settings, asking.gateway.clock.wall()
    most = max(settings.longest_file, settings.longest_batch)
    coming = pieces(asking, 2 * most)
    form = Form(header(asking.scope, b"content-type"))
    id = new_id()
    async with state.upload(id, asking.tenant.name, wall, most) as upload:
        incoming = Incoming(asking, upload)
        try:
            async for data in coming:
                for part in form.feed(data):
                    await incoming.take(part)
            form.end()
            new = incoming.checked(id, wall)
        except Refusal:
            async for _ in coming:
                pass
            raise
        found = document(new, asking.tenant, incoming.size)
        await upload.finish(found)
        return found


async def pieces(asking: Asking, most: int) -> AsyncIterator[bytes]:
    """The body as it comes, of at most so many bytes. Raises Refusal 408 or 413, or Departed."""
    seconds, size, more = asking.gateway.settings.patience.body, 0, True
    while more:
        try:
            async with asyncio.timeout(seconds):
                message = await asking.receive()
        except TimeoutError:
            words = f"Nothing of your file arrived for {seconds:g} s."
            raise Refusal(408, words, again=False) from None
        if message["type"] == "http.disconnect":
            raise Departed
        data, more = message.get("body", b""), message.get("more_body", False)
        size += len(data)
        if size > most:
            raise too_long(most, "form")
        yield data


class Incoming:
    """What has come of a form so far. size: of its file [B]."""

    def __init__(self, asking: Asking, upload: Upload) -> None:
        self._asking, self._upload = asking, upload
        self._fields: dict[str, bytearray] = {}
        self._checks: dict[str, Lines] = {}
        self._name: str | None = None
        self._whole = False  # the file is there
        self.size = 0

    async def take(self, part: Part) -> None:
        """Some bytes of a field. Raises Refusal."""
        if part.filename is None:
            self._field(part)
        elif part.name != "file":
            raise bad(f"Unknown file {part.name!r:.40} in the form; send one, as 'file'.", "file")
        else:
            await self._file(part)

    def checked(self, id: str, created: float) -> New:
        """The file that is to be, when all is there. Raises Refusal 400 or 413."""
        purpose = self._text("purpose")
        if self._name is None:
            raise bad("Missing required parameter: 'file'.", "file")
        if not purpose:
            raise bad("Missing required parameter: 'purpose'.", "purpose")
        check_purpose(purpose)
        kept = kept_for(self._text("expires_after[anchor]"), self._text("expires_after[seconds]"))
        self._within(purpose)
        if purpose in self._checks and (mistakes := self._checks[purpose].end()):
            raise refused(mistakes)
        return New(id=id, purpose=purpose, name=self._name, created=created, kept=kept)

    def _field(self, part: Part) -> None:
        value = self._fields.setdefault(part.name, bytearray())
        value += part.data
        if len(value) > FIELD or len(self._fields) > FIELDS:
            raise bad("The form has too many fields, or too long ones, beside its file.")
        if part.ends and part.name == "purpose":
            check_purpose(self._text("purpose"))

    async def _file(self, part: Part) -> None:
        purpose = self._text("purpose")
        if self._whole:
            raise bad("Several parts of the form are a 'file'; send one.", "file")
        self._whole = part.ends
        if self._name is None:
            self._name = part.filename
            self._checks = self._begun(purpose)
        self.size += len(part.data)
        self._within(purpose)
        for lines in self._checks.values():
            lines.feed(part.data)
        try:
            await self._upload.write(part.data)
        except BadInput as error:
            raise Refusal(413, str(error), code="file_too_large") from None

    def _begun(self, purpose: str) -> dict[str, Lines]:
        """What the lines are checked for; where the purpose comes behind the file, for each."""
        most = self._asking.gateway.settings.longest_body
        known = {BATCH: Lines(Names().check, most, LINES), TUNE: Lines(example, most)}
        return {name: lines for name, lines in known.items() if purpose in ("", name)}

    def _within(self, purpose: str) -> None:
        most = longest(self._asking.gateway.settings, purpose)
        if self.size > most:
            raise too_long(most, "file")

    def _text(self, name: str) -> str:
        return self._fields.get(name, b"").decode("utf-8", "replace").strip()


def refused(mistakes: list[Mistake]) -> Refusal:
    """What is wrong with a file of lines."""
    words = [f"line {each.line}: {each.message}" if each.line else each.message
             for each in mistakes[:TOLD]]  # fmt: skip
    more = f" And {len(mistakes) - TOLD} more." if len(mistakes) > TOLD else ""
    first = mistakes[0]
    return bad(f"Invalid file. {' '.join(words)}{more}", "file", first.code)
