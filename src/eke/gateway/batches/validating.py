"""Checking the file of a batch, and making works of its lines."""

from __future__ import annotations

from eke.gateway.batches import kept
from eke.gateway.batches.batch import LINES, Batch, batch_of
from eke.gateway.batches.line import Checked, Names, checked
from eke.gateway.files.file import BATCH
from eke.gateway.files.file import KIND as FILE
from eke.gateway.files.lines import Lines, Mistake
from eke.gateway.gateway import Gateway
from eke.gateway.refusing import no_model, unseen, usable
from eke.gateway.state import blobs, documents, works
from eke.gateway.state.blobs import Blob
from eke.gateway.state.documents import Document
from eke.gateway.state.state import State
from eke.types.record import Record, replace

AT_ONCE = 500  # lines of a transaction


class Checker:
    """What the lines of one batch must have in common. model: of the first."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint, self.model = endpoint, ""
        self._names = Names()

    def check(self, number: int, text: bytes) -> Mistake | None:
        """What is wrong with a line."""
        found = checked(number, text)
        if isinstance(found, Mistake):
            return found
        return self._fits(number, found) or self._names.twice(number, found.line)

    def _fits(self, number: int, found: Checked) -> Mistake | None:
        if found.line.url != self.endpoint:
            words = f"The URL provided for this request is not the batch's, {self.endpoint}."
            return Mistake("invalid_url", number, words, "url")
        self.model = self.model or found.model
        if found.model != self.model:
            words = f"A batch asks one model; the lines before this one ask {self.model!r:.80}."
            return Mistake("mismatched_model", number, words, "body.model")
        return None


class Reading(Record):
    """What the file of a batch says. model: that its lines ask.  count: of them."""

    model: str
    count: int
    mistakes: tuple[Mistake, ...] = ()


class Validation:
    """The check of one batch, whose file is read once however long engines take to start.

    until: there is patience with them, on the gateway's clock [s].
    """

    def __init__(self, gateway: Gateway, state: State) -> None:
        self.gateway, self.state = gateway, state
        self.until = gateway.clock.now() + gateway.settings.patience.alone
        self._reading: Reading | None = None

    async def result(self, document: Document) -> Batch | None:
        """The batch, with its mistakes, or with its model and the count of its lines, which are
        works then. None while nobody can know: engines are starting, and there is patience."""
        gateway, batch = self.gateway, batch_of(document)
        blob = await _blob(self.state, batch, document.tenant)
        if isinstance(blob, Mistake):
            return replace(batch, mistakes=(blob,))
        found = self._reading = self._reading or await self._read(batch, blob)
        if found.mistakes:
            return replace(batch, mistakes=found.mistakes)
        if self._starting(found.model):
            return None
        if mistakes := _unknown(gateway, document.tenant, found.model):
            return replace(batch, mistakes=mistakes)
        await _add(self.state, document, blob, gateway.settings.longest_body)
        counts = replace(batch.counts, total=found.count)
        return replace(batch, model=found.model, counts=counts)

    def _starting(self, model: str) -> bool:
        """Whether an engine may still come that serves a model."""
        gateway = self.gateway
        patient = gateway.clock.now() < self.until
        return patient and model not in gateway.desks and bool(unseen(gateway, model))

    async def _read(self, batch: Batch, blob: Blob) -> Reading:
        """Read and check all lines of a batch."""
        checker = Checker(batch.endpoint)
        lines = Lines(checker.check, self.gateway.settings.longest_body, LINES)
        async for piece in self.state.pieces(blob):
            lines.feed(piece)
        mistakes = tuple(lines.end())
        return Reading(model=checker.model, count=lines.count, mistakes=mistakes)


async def _blob(state: State, batch: Batch, tenant: str) -> Blob | Mistake:
    """What is in the batch's file."""
    file = await state.read(documents.get, FILE, batch.file, tenant)
    blob = await state.read(blobs.get, batch.file, tenant)
    if file is None or blob is None:
        return Mistake("invalid_file", None, f"The file {batch.file!r:.80} is gone.")
    if file.label != BATCH:
        words = f"The file {batch.file!r:.80} was uploaded for {file.label!r}, not for 'batch'."
        return Mistake("invalid_file", None, words)
    return blob


def _unknown(gateway: Gateway, name: str, model: str) -> tuple[Mistake, ...]:
    names = usable(gateway, gateway.tenants.named(name))
    if model in names:
        return ()
    return (Mistake("model_not_found", 1, no_model(model, names).message, "body.model"),)


async def _add(state: State, document: Document, blob: Blob, longest: int) -> None:
    """Queue the lines; done again after a crash, none is there twice."""
    position, part = 0, list[works.Work]()
    async for text in state.lines(blob, longest):
        if not text.strip():
            continue
        part.append(kept.line(document, position, text))
        position += 1
        if len(part) == AT_ONCE:
            await state.add_works(part)
            part = []
    await state.add_works(part)
