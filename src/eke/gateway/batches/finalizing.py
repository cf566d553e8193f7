"""Making the files of a batch that is over, its lines in the order in which they came.

Done again after a crash it makes no second file: the files' ids follow from the batch's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from math import inf

from eke.gateway.batches import kept
from eke.gateway.batches.batch import Batch, Counts, Usage, batch_of
from eke.gateway.batches.line import read
from eke.gateway.batches.result import LOST, WHY, plus, unanswered
from eke.gateway.files.file import KIND as FILE
from eke.gateway.files.file import OUTPUT, New
from eke.gateway.files.file import document as file_of
from eke.gateway.gateway import Gateway
from eke.gateway.state import blobs, documents, works
from eke.gateway.state.documents import Document
from eke.gateway.state.state import State
from eke.gateway.state.works import Result
from eke.types.record import replace

AT_ONCE = 100  # results of a transaction, which may be long


async def finalized(gateway: Gateway, state: State, document: Document, ending: str) -> Batch:
    """The batch with its files, its counts and its usage. ending: status it comes to."""
    batch = batch_of(document)
    counts = await state.read(works.counts, document.id)
    done, failed = counts.get(works.DONE, 0), counts.get(works.FAILED, 0)
    files = Files(gateway, state, document, batch)
    output = errors = None
    if done:
        output = await files.store("output", files.outputs())
    if failed or counts.get(works.CANCELLED, 0):
        errors = await files.store("error", files.failures(ending))
    return replace(
        batch,
        counts=Counts(total=batch.counts.total, completed=done, failed=failed),
        usage=await files.usage(),
        output=output,
        errors=errors,
    )


class Files:
    """The files of one batch."""

    def __init__(self, gateway: Gateway, state: State, document: Document, batch: Batch) -> None:
        self.gateway, self.state, self.document, self.batch = gateway, state, document, batch

    async def store(self, name: str, lines: AsyncIterator[bytes]) -> str:
        """Store a file, if that was not done before a crash; its id."""
        document, state = self.document, self.state
        id = f"file-{document.id.partition('_')[2]}-{name}"
        if await state.read(documents.get, FILE, id, document.tenant) is not None:
            return id
        now, size = self.gateway.clock.wall(), 0
        await state.write(blobs.give_up, id, document.tenant)  # what a crash left of it
        async with state.upload(id, document.tenant, now, 1 << 62) as upload:
            async for line in lines:
                await upload.write(line + b"\n")
                size += len(line) + 1
            long = inf if self.batch.kept is None else self.batch.kept
            title = f"{document.id}_{name}.jsonl"
            new = New(id=id, purpose=OUTPUT, name=title, created=now, kept=long)
            await upload.finish(file_of(new, self.gateway.tenants.named(document.tenant), size))
        return id

    async def outputs(self) -> AsyncIterator[bytes]:
        """Lines that were answered."""
        async for part in self._parts():
            for result in part:
                if result.state == works.DONE and result.result is not None:
                    yield result.result

    async def failures(self, ending: str) -> AsyncIterator[bytes]:
        """Lines that were not."""
        async for part in self._parts():
            open = [each for each in part if each.result is None]
            names = await self._names([each.id for each in open])
            for result in part:
                if result.result is None:
                    why = WHY.get(ending, LOST) if result.state == works.CANCELLED else LOST
                    yield unanswered(result.id, names[result.id], why)
                elif result.state != works.DONE:
                    yield result.result

    async def usage(self) -> Usage:
        """Tokens of all lines that were answered."""
        found = Usage()
        async for line in self.outputs():
            found = plus(found, line)
        return found

    async def _parts(self) -> AsyncIterator[list[Result]]:
        after, document = -1, self.document
        while part := await self.state.read(
            works.results, document.id, document.tenant, after, AT_ONCE
        ):
            yield part
            after = part[-1].position

    async def _names(self, ids: list[str]) -> dict[str, str]:
        """The custom ids of lines."""
        texts = await self.state.read(kept.texts, ids, self.document.tenant)
        return dict(zip(ids, (read(text).custom_id for text in texts), strict=True))
