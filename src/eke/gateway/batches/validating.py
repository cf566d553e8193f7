"""Checking the file of a batch, and making works of its lines."""

from __future__ import annotations

from eke.errors import closest
from eke.gateway.batches import kept
from eke.gateway.batches.batch import LINES, Batch, batch_of
from eke.gateway.batches.line import Checked, Names, checked
from eke.gateway.files.file import BATCH
from eke.gateway.files.file import KIND as FILE
from eke.gateway.files.lines import Lines, Mistake
from eke.gateway.gateway import Gateway
from eke.gateway.state import blobs, documents, works
from eke.gateway.state.blobs import Blob
from eke.gateway.state.documents import Document
from eke.gateway.state.state import State
from eke.types.record import replace

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


async def validated(gateway: Gateway, state: State, document: Document) -> Batch | None:
    """The batch, with its mistakes, or with its model and the count of its lines, which are works
    then. None where nobody can know yet: engines are starting."""
    batch = batch_of(document)
    blob = await _blob(state, batch, document.tenant)
    if isinstance(blob, Mistake):
        return replace(batch, mistakes=(blob,))
    checker = Checker(batch.endpoint)
    lines = Lines(checker.check, gateway.settings.longest_body)
    async for piece in state.pieces(blob):
        lines.feed(piece)
    mistakes = tuple(lines.end())
    if lines.count > LINES:
        words = f"The file has {lines.count:,} lines; a batch has {LINES:,} at most."
        mistakes = (Mistake("too_many_tasks", None, words),)
    if not mistakes:
        if _starting(gateway, checker.model):
            return None
        mistakes = _unknown(gateway, document.tenant, checker.model)
    if mistakes:
        return replace(batch, mistakes=mistakes)
    await _add(state, document, blob, gateway.settings.longest_body)
    counts = replace(batch.counts, total=lines.count)
    return replace(batch, model=checker.model, counts=counts)


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


def _starting(gateway: Gateway, model: str) -> bool:
    """Whether nobody can know yet if a model is there."""
    engines = gateway.engines.values()
    return model not in gateway.desks and not all(engine.ready for engine in engines)


def _unknown(gateway: Gateway, name: str, model: str) -> tuple[Mistake, ...]:
    tenant = gateway.tenants.by_name.get(name)
    allowed = None if tenant is None else tenant.models
    names = [each for each in gateway.desks if allowed is None or each in allowed]
    if model in names:
        return ()
    near = closest(model[:80], names)
    words = f"The model {model!r:.80} does not exist or you do not have access to it."
    more = f" Closest: {near}." if near else ""
    return (Mistake("model_not_found", 1, words + more, "body.model"),)


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
